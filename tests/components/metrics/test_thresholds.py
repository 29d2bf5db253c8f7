import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import NotEnoughDataError
from components.metrics.thresholds import calibrate, needed_samples, smallest_rate, verdict_of


def run(scores, rate=None, method="split", seed=0):
    return calibrate(np.asarray(scores, float), rate=rate, method=method, seed=seed)


def test_the_order_statistic_by_hand():
    scores = np.arange(1.0, 100.0)[::-1]  # 99 of them, unsorted
    assert run(scores, rate=0.05).threshold == 95  # k = ceil(100 * 0.95)
    found = run(scores)
    assert (found.threshold, found.false_alarm_rate, found.samples) == (99, 0.01, 99)


@given(st.integers(1, 3000))
def test_the_smallest_rate_needs_exactly_n_samples(n):
    assert needed_samples(smallest_rate(n)) == n


@given(st.integers(1, 200))
def test_the_smallest_rate_is_supported_and_no_smaller(n):
    assert run(np.arange(n), rate=smallest_rate(n)).threshold == n - 1
    with pytest.raises(NotEnoughDataError, match=f"needs {n + 1} normal"):
        run(np.arange(n), rate=1 / (n + 2))


@pytest.mark.parametrize("scores", [[], [1.0, np.nan]])
def test_no_finite_scores_no_threshold(scores):
    with pytest.raises(NotEnoughDataError, match="finite scores"):
        run(scores)


def test_the_rate_holds_on_average():
    # 40 scores, rate 1/41: the mean false-alarm rate over many calibrations is 1/41 = 0.0244.
    random = np.random.default_rng(0)
    rates = [np.mean(random.normal(size=2000) > run(random.normal(size=40)).threshold) for _ in range(300)]
    assert np.mean(rates) == pytest.approx(1 / 41, abs=0.005)


def test_the_interval_reaches_past_the_largest_score():
    found = run(np.random.default_rng(0).normal(size=50))
    assert found.low < found.threshold < found.high


def test_equal_scores_have_an_interval_without_width_and_sharp_verdicts():
    found = run(np.ones(30))
    assert found.low == found.high == 1
    assert [verdict_of(score, found) for score in (0.9, 1.0, 1.1)] == ["OK", "OK", "NG"]


def test_guarantees_differ():
    assert "split conformal" in run(np.arange(19.0)).guarantee
    weaker = run(np.arange(19.0), method="cross")
    assert weaker.method == "cross"
    assert "no finite-sample bound" in weaker.guarantee


def test_verdicts():
    found = run(np.random.default_rng(0).normal(size=50))
    assert verdict_of(found.low - 0.01, found) == "OK"
    assert verdict_of(found.low, found) == verdict_of(found.high, found) == "unsure"
    assert verdict_of(found.high + 0.01, found) == "NG"

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from components.core.errors import NotEnoughDataError
from components.metrics.conformal import needed_samples, p_values, smallest_rate
from components.metrics.thresholds import calibrate, far_beyond, require_samples
from components.metrics.verdicts import verdict_of


def run(scores, rate=None, method="split", seed=0):
    return calibrate(np.asarray(scores, float), rate=rate, method=method, seed=seed)


def test_the_order_statistic_by_hand():
    scores = np.arange(1.0, 100.0)[::-1]  # 99 of them, unsorted
    assert run(scores, rate=0.05).threshold == 95  # k = ceil(100 * 0.95)
    found = run(scores)
    assert (found.threshold, found.false_alarm_rate, found.samples) == (99, 0.01, 99)


@pytest.mark.parametrize(("count", "rate"), [(9, 0.1), (99, 0.01), (999, 0.01), (20_000, 0.01)])
def test_where_no_rate_is_declared_more_data_do_not_make_it_stricter_than_one_in_a_hundred(count, rate):
    found = run(np.arange(count))
    assert found.false_alarm_rate == pytest.approx(rate)
    assert (np.arange(count) > found.threshold).mean() == pytest.approx(rate, abs=1 / count)


@given(st.integers(1, 3000))
def test_the_smallest_rate_needs_exactly_n_samples(n):
    assert needed_samples(smallest_rate(n)) == n


@given(st.integers(1, 89))  # from 90 on, the tail may be extrapolated
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
    for value in (1.0, 0.1):  # the mean of tenths rounds
        found = run(np.full(30, value))
        assert found.low == found.high == value
        assert [verdict_of(score, found) for score in (0.9 * value, value, 1.1 * value)] == ["OK", "OK", "NG"]


@pytest.mark.parametrize("draw", ["uniform", "lognormal"])
@pytest.mark.parametrize("n", [150, 600])
def test_the_interval_holds_the_score_of_the_rate_whatever_the_distribution(draw, n):
    random, rate = np.random.default_rng(0), 0.01
    true = {"uniform": 1 - rate, "lognormal": np.exp(norm.isf(rate))}[draw]
    found = [run(getattr(random, draw)(size=n), rate=rate, seed=seed) for seed in range(40)]
    assert np.mean([one.low <= true <= one.high for one in found]) >= 0.85  # 95 % of so few, less three deviations


def test_the_interval_of_many_scores_lies_between_two_of_them():
    found = run(np.arange(200_000.0), rate=0.01)
    assert found.threshold - found.low == pytest.approx(87, abs=2)  # 1.96 * sqrt(n * 0.01 * 0.99)
    assert found.high - found.threshold == pytest.approx(87, abs=2)


@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_windows_that_overlap_count_as_what_they_hold(rate):
    scores = np.random.default_rng(0).normal(size=400)
    once, often = run(scores, rate=rate), calibrate(np.repeat(scores, 5), rate=rate, method="split", seed=0, overlap=5)
    assert (often.threshold, often.low, often.high) == (once.threshold, once.low, once.high)
    assert often.samples == 400
    one, other = (p_values(scores, reference=made.reference, samples=400) for made in (once, often))
    assert other == pytest.approx(one, rel=0.05)
    assert "overlap and count as 400" in often.guarantee


@pytest.mark.parametrize("windows", [10, 1002])
def test_a_p_value_is_a_chance_however_windows_overlap(windows):
    scores = np.arange(float(windows))
    made = calibrate(scores, rate=None, method="split", seed=0, overlap=4)
    p = p_values(np.array([-1.0, 0.5, windows]), reference=made.reference, samples=made.samples)
    assert p.tolist() == [1, 1, 1 / (windows // 4 + 1)]


def test_windows_that_overlap_support_no_rate_that_those_apart_do_not():
    scores = np.repeat(np.random.default_rng(0).normal(size=60), 30)
    with pytest.raises(NotEnoughDataError, match=r"0\.01 needs 99 normal calibration samples, there are 60"):
        calibrate(scores, rate=0.01, method="split", seed=0, overlap=30)
    assert calibrate(scores, rate=None, method="split", seed=0, overlap=30).false_alarm_rate == pytest.approx(1 / 61)


def test_guarantees_differ():
    assert "split conformal" in run(np.arange(19.0)).guarantee
    weaker = run(np.arange(19.0), method="cross")
    assert weaker.method == "cross"
    assert "no finite-sample bound" in weaker.guarantee
    for method in ("split", "cross"):
        followed = calibrate(np.arange(19.0), rate=None, method=method, seed=0, in_time=True)
        assert followed.guarantee.startswith("about 1 per 20 of")
        assert "follow each other in time, so that no finite-sample bound" in followed.guarantee


def test_verdicts():
    found = run(np.random.default_rng(0).normal(size=50))
    assert verdict_of(found.low - 0.01, found) == "OK"
    assert verdict_of(found.low, found) == verdict_of(found.high, found) == "unsure"
    assert verdict_of(found.high + 0.01, found) == "NG"


def gauss(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def test_a_rate_beyond_the_samples_is_extrapolated_where_the_tail_fits():
    found = run(gauss(500), rate=1 / 2000)
    assert (found.rule, found.samples) == ("extreme-value", 500)
    assert found.tail is not None
    assert (found.tail.exceedances, found.tail.source) == (50, "calibration")
    assert found.low < found.threshold < found.high
    assert found.low < 3.2905 < found.high  # the normal quantile of 1 - 1/2000
    assert "no finite-sample bound" in found.guarantee
    assert run(gauss(500), rate=1 / 400).rule == "conformal"


@pytest.mark.parametrize(("n", "rate"), [(89, 1 / 200), (500, 1 / 5020), (30, 1e-6)])
def test_extrapolation_has_a_limit(n, rate):
    with pytest.raises(NotEnoughDataError, match=f"there are {n}"):
        run(gauss(n), rate=rate)
    with pytest.raises(NotEnoughDataError, match=f"needs {needed_samples(rate)} normal"):
        require_samples(n, rate=rate)


def test_a_tail_that_does_not_fit_is_not_extrapolated():
    scores = gauss(300)
    scores[:12] = 50 + np.arange(12) / 1e3  # a clump far beyond: no generalised Pareto tail
    with pytest.raises(NotEnoughDataError, match="no generalised Pareto"):
        run(scores, rate=1 / 1000)
    with pytest.raises(NotEnoughDataError, match="no generalised Pareto"):
        run(np.ones(300), rate=1 / 1000)


def test_a_rate_that_the_tail_of_very_many_overlapping_windows_does_not_reach_is_refused():
    scores = np.random.default_rng(0).normal(size=60_000)  # they count as 100; the 500 that are the tail, for less
    with pytest.raises(NotEnoughDataError, match="500 largest of 60000"):
        calibrate(scores, rate=0.009, method="split", seed=0, overlap=600)


@pytest.mark.parametrize(("rate", "said"), [(0.002, "about 1 per 500 of normal"), (0.0023, "about 0.23 % of normal")])
def test_the_guarantee_says_the_rate_as_a_share(rate, said):
    assert run(np.random.default_rng(0).normal(size=200), rate=rate).guarantee.startswith(said)


@pytest.mark.parametrize("draw", ["normal", "exponential", "gumbel"])
def test_scores_of_normal_samples_seldom_lie_far_beyond_the_others(draw):
    random = np.random.default_rng(0)
    found = [far_beyond(getattr(random, draw)(size=1000)).any() for _ in range(100)]
    assert np.mean(found) <= 0.12  # of exponential ones one in twenty


def test_unlabelled_anomalies_lie_far_beyond_the_others():
    scores = np.concatenate([np.random.default_rng(0).normal(size=980), np.full(20, 12.0)])
    assert np.flatnonzero(far_beyond(scores)).tolist() == list(range(980, 1000))
    assert not far_beyond(np.ones(100)).any()
    assert not far_beyond(np.append(np.zeros(99), 1.0)).any()  # most are equal: nothing says how far is far


def test_left_out_scores_join_after_they_are_matched():
    left_out, scores = 5 + 0.1 * gauss(300, seed=1), gauss(40)
    found = calibrate(scores, rate=1 / 100, method="split", seed=0, left_out=left_out)
    assert found.tail is not None
    assert (found.tail.source, found.tail.samples, found.samples) == ("left out", 340, 40)
    assert found.low < 2.3263 < found.high
    other = np.concatenate([np.zeros(150), np.ones(150)]) + 0.01 * left_out  # two clumps
    with pytest.raises(NotEnoughDataError, match="left out in turn, have scores that are distributed otherwise"):
        calibrate(scores, rate=1 / 100, method="split", seed=0, left_out=other)
    with pytest.raises(NotEnoughDataError, match="there are 40"):
        calibrate(scores, rate=1 / 100, method="split", seed=0)

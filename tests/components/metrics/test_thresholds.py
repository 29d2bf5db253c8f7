import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConfigError, NotEnoughDataError
from components.metrics.thresholds import calibrate, samples_needed, smallest_rate, verdict


def test_the_order_statistic_by_hand():
    scores = np.arange(1.0, 100.0)[::-1]  # 99 of them, unsorted
    assert calibrate(scores, rate=0.05).threshold == 95  # k = ceil(100 * 0.95)
    assert calibrate(scores, rate=0.01).threshold == 99
    found = calibrate(scores)
    assert (found.threshold, found.false_alarm_rate, found.samples) == (99, 0.01, 99)


@given(st.integers(1, 3000))
def test_the_smallest_rate_is_supported_and_no_smaller(n):
    rate = smallest_rate(n)
    assert samples_needed(rate) == n
    assert calibrate(np.arange(float(n)), rate=rate).threshold == n - 1
    with pytest.raises(NotEnoughDataError, match=f"at least {n + 1} normal"):
        calibrate(np.arange(float(n)), rate=1 / (n + 2))


def test_a_rate_that_is_none_or_impossible():
    with pytest.raises(NotEnoughDataError, match="at least 1 normal"):
        calibrate([])
    for rate in (0.0, 1.0, -0.1):
        with pytest.raises(ConfigError, match="impossible"):
            calibrate([1.0], rate=rate)


def test_the_rate_holds_on_average():
    # 40 calibration scores, rate 1/41: the mean false-alarm rate over many draws is exactly 1/41 = 0.0244.
    random = np.random.default_rng(0)
    rates = [np.mean(random.normal(size=2000) > calibrate(random.normal(size=40)).threshold) for _ in range(300)]
    assert np.mean(rates) == pytest.approx(1 / 41, abs=0.005)


@pytest.mark.parametrize("draw", ["normal", "exponential", "lognormal", "uniform"])
@pytest.mark.parametrize("n", [30, 200])
def test_the_interval_covers_a_threshold_calibrated_anew(draw, n):
    # What the interval is for: where another calibration set of the same size would have put the threshold's centre.
    random = np.random.default_rng(1)
    centre = np.median([getattr(random, draw)(size=n).max() for _ in range(2000)])
    found = [calibrate(getattr(random, draw)(size=n), seed=seed) for seed in range(200)]
    assert np.mean([one.low <= centre <= one.high for one in found]) >= 0.85


def test_the_interval_reaches_past_the_largest_score():
    found = calibrate(np.random.default_rng(0).normal(size=50))
    assert found.low < found.threshold < found.high
    assert calibrate(np.ones(30)).low == calibrate(np.ones(30)).high == 1


def test_guarantees_differ():
    scores = np.arange(19.0)
    assert "<= 0.05" in calibrate(scores).guarantee
    assert "<= 0.1," in calibrate(scores, method="cross").guarantee
    assert calibrate(scores, method="cross").method == "cross"


def test_verdicts():
    found = calibrate(np.random.default_rng(0).normal(size=50))
    assert verdict(found.low - 0.01, found) == "OK"
    assert verdict(found.low, found) == verdict(found.high, found) == "unsure"
    assert verdict(found.high + 0.01, found) == "NG"

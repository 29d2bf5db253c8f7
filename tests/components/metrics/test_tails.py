"""The fitted tail finds the quantiles of known distributions."""

import numpy as np
import pytest
from scipy.stats import genpareto, gumbel_r, lognorm, norm

from components.metrics import tails


def drawn(shape, n, seed):
    """Nine tenths uniform in [0, 1], one tenth above 1 with a generalised Pareto tail."""
    rng = np.random.default_rng(seed)
    count = rng.binomial(n, 0.1)
    tail = 1 + genpareto.rvs(shape, scale=0.5, size=count, random_state=rng)
    return rng.permutation(np.concatenate([rng.random(n - count), tail]))


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_the_interval_holds_the_true_quantile_at_its_rate(shape):
    rate, hits, runs = 1 / 3000, 0, 40
    truth = 1 + genpareto.ppf(1 - rate / 0.1, shape, scale=0.5)
    for seed in range(runs):
        scores = drawn(shape, 1000, seed)
        tail = tails.fit_tail(scores, seed=0)
        low, high = tails.quantile_interval(scores, tail, rate=rate)
        assert low <= tails.quantile(tail, rate=rate) <= high
        hits += low <= truth <= high
    assert hits >= 33  # 95 % of 40 is 38; fewer than 34 has a chance below 0.2 %


def test_of_a_few_hundred_scores_interval_and_prediction_hold_what_they_say():
    near, far, covered = 0.004, 1 / 2000, []  # far: ten times rarer than 200 scores show
    for distribution in (norm(), gumbel_r(), lognorm(0.5)):
        predicted, fitted = [], []
        for seed in range(150):
            scores = distribution.rvs(size=200, random_state=seed)
            tail = tails.fit_tail(scores, seed=0)
            low, high = tails.quantile_interval(scores, tail, rate=near)
            covered.append(low <= distribution.isf(near) <= high)
            predicted.append(distribution.sf(tails.predicted(scores, tail, rate=far)) / far)
            fitted.append(distribution.sf(tails.quantile(tail, rate=far)) / far)
        assert 0.5 < np.mean(predicted) < 1.6  # 1.1 to 1.3, with a standard deviation of 0.28
        assert np.mean(fitted) > 4  # the one fitted tail is exceeded so many times as often as declared
    assert np.mean(covered) > 0.93  # of 0.95, with a standard deviation of 0.01


def test_of_many_scores_the_predicted_quantile_is_that_of_their_tail():
    scores = drawn(0.1, 40_000, seed=0)
    tail = tails.fit_tail(scores, seed=0)
    twice = tails.predicted(scores, tail, rate=1e-3, overlap=2)
    assert tails.predicted(scores, tail, rate=1e-3) == pytest.approx(tails.quantile(tail, rate=1e-3), rel=0.02)
    assert tails.predicted(scores, tail, rate=1e-3) < twice  # half of them leave more possible


def test_shape_and_scale_of_many_scores():
    tail = tails.fit_tail(genpareto.rvs(0.15, scale=2, size=5000, random_state=0), seed=0)
    assert (tail.exceedances, tail.samples) == (500, 5000)
    assert tail.shape == pytest.approx(0.15, abs=0.12)
    assert tail.scale == pytest.approx(2 + 0.15 * tail.level, rel=0.15)  # threshold stability
    rate = 1e-3
    expected = tail.level + genpareto.ppf(1 - rate / tail.share, tail.shape, scale=tail.scale)
    assert tails.quantile(tail, rate=rate) == pytest.approx(expected)


def test_the_goodness_of_fit_keeps_its_level():
    runs = [genpareto.rvs(0.1, size=600, random_state=seed) for seed in range(100)]
    found = np.array([tails.fit_tail(scores, seed=0).fit_p for scores in runs])
    assert np.mean(found < 0.2) == pytest.approx(0.2, abs=0.12)
    assert np.mean(found < 0.5) == pytest.approx(0.5, abs=0.15)


def test_left_out_scores_are_placed_or_refused():
    rng = np.random.default_rng(0)
    scores, low = rng.normal(size=60), 0.8 * rng.normal(size=400) - 0.5
    moved = tails.matched(low, scores)
    assert moved is not None
    assert np.median(moved) == pytest.approx(np.median(scores))
    assert tails.matched(low, scores[:19]) is None
    assert tails.matched(np.zeros(400), scores) is None
    assert tails.matched(rng.choice([-1.0, 1.0], 400), scores) is None
    assert 0.1 < tails.matching_error(low, scores, at=3.0, seed=0) < 1

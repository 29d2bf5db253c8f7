"""p-values and discoveries hold what they promise, by simulation and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConfigError, NotEnoughDataError
from components.metrics.conformal import EXACT, STEP, discoveries, fewest_discoveries, p_values, rank_of, reference


def p_of(scores, calibration):
    made = np.asarray(calibration, float)
    return p_values(np.asarray(scores, float), reference=reference(made), samples=len(made))


def test_p_values_by_hand():
    assert p_of([0.5, 1, 2.5, 4, 5], [1, 2, 3, 4]) == pytest.approx([1, 1, 3 / 5, 2 / 5, 1 / 5])
    assert p_of([1, 1.5], [1, 1, 1, 2]) == pytest.approx([1, 2 / 5])


@given(st.integers(1, 3000), st.integers(0, 9))
def test_a_short_reference_never_understates_p(n, seed):
    rng = np.random.default_rng(seed)
    calibration, scores = rng.normal(size=n).round(2), rng.normal(size=50).round(2)
    exact = (1 + (calibration[None] >= scores[:, None]).sum(axis=1)) / (n + 1)
    found = p_of(scores, calibration)
    assert (found >= exact - 1e-12).all()
    assert (found <= STEP * exact + 1e-12).all()
    tail = exact <= (EXACT - 1) / (n + 1)
    assert found[tail] == pytest.approx(exact[tail])
    assert len(reference(calibration)) <= EXACT + 500


def test_coverage_is_beta_binomial():
    # The false-alarm rate of a split-conformal threshold over calibration sets is Beta(n + 1 - k, k) (Vovk 2012).
    n, rate = 60, 0.05
    k = rank_of(rate, samples=n)
    rng = np.random.default_rng(0)
    thresholds = np.partition(rng.random((20_000, n)), k - 1, axis=1)[:, k - 1]
    alarms = 1 - thresholds  # uniform scores: the rate itself
    a, b = n + 1 - k, k
    assert alarms.mean() == pytest.approx(a / (a + b), abs=0.001)
    assert alarms.mean() <= rate
    assert alarms.var() == pytest.approx(a * b / ((a + b) ** 2 * (a + b + 1)), rel=0.05)


def test_discoveries_hold_their_rate():
    rng = np.random.default_rng(0)
    shares, found = [], []
    for _ in range(400):
        calibration = rng.normal(size=200)
        batch = np.concatenate([rng.normal(size=80), rng.normal(4.5, size=20)])
        chosen = discoveries(p_of(batch, calibration), rate=0.1)
        shares.append(chosen[:80].sum() / max(1, chosen.sum()))
        found.append(chosen[80:].mean())
    assert np.mean(shares) <= 0.1 * 0.8 + 2 * np.std(shares) / 20  # q times the share of normal samples
    assert np.mean(found) > 0.9


def test_step_up_by_hand():
    p = np.array([0.01, 0.039, 0.03, 0.9, 0.5])
    assert discoveries(p, rate=0.1).tolist() == [True, True, True, False, False]  # 0.039 <= 0.1 * 3 / 5
    assert not discoveries(p + 0.1, rate=0.1).any()
    assert len(discoveries(np.empty(0), rate=0.1)) == 0


def test_how_many_it_takes():
    assert fewest_discoveries(100, rate=0.1, samples=99) == 10
    with pytest.raises(NotEnoughDataError, match=r"0\.1 needs 9 normal calibration samples, there are 8"):
        fewest_discoveries(100, rate=0.1, samples=8)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        fewest_discoveries(100, rate=1.5, samples=8)

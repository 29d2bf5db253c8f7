from math import comb

import numpy as np
import pytest
from scipy.stats import binom

from components.core.errors import ConfigError
from components.drift.distances import normed_wasserstein, rate_difference
from components.drift.permutation import enough_groups, null_distribution, permutations_for, units


def test_groups_are_exchanged_whole() -> None:
    groups, old, new = units(np.array(["a", "a", "b"]), np.array(["a", "c", "c"]))
    assert groups.tolist() == [0, 0, 1, 2, 3, 3]
    assert (old, new) == (2, 2)
    seen: list[np.ndarray] = []

    def distance(divisions: np.ndarray) -> np.ndarray:
        seen.append(divisions)
        return divisions[:, 0].astype(float)

    null_distribution([distance], groups=groups, new_groups=new, level=0.05, rng=np.random.default_rng(0))
    drawn = np.concatenate(seen)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 4] == drawn[:, 5]).all()
    assert (drawn[:, [0, 2, 3, 4]].sum(axis=1) == 2).all()
    # All 6 ways to choose 2 of 4 groups occur.
    assert len(np.unique(drawn, axis=0)) == comb(4, 2)


def test_too_few_ways() -> None:
    # 3 old and 3 new groups: 20 ways, so a level of 1/20 can just be reached.
    assert enough_groups(3, 3, level=0.05)
    assert not enough_groups(3, 2, level=0.05)
    assert enough_groups(5_000, 5_000, level=1e-4)


def test_impossible_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="permutations"):
        permutations_for(1e-6)


def test_critical_value_is_that_of_the_level() -> None:
    # One alarm in 20 samples, one of them new: it is new in 1 of 20 divisions, and no less likely value exists.
    alarms = np.eye(20)[0]
    null = null_distribution(
        [lambda new: rate_difference(alarms, new=new)],
        groups=np.arange(20),
        new_groups=1,
        level=0.2,
        rng=np.random.default_rng(0),
    )
    assert null.mean[0] == pytest.approx(19 / 20 * 1 / 19 + 1 / 20 * 1, abs=0.02)
    assert null.thresholds[0] == pytest.approx(1 / 19)


@pytest.mark.parametrize("shape", ["normal", "heavy", "dependent"])
def test_false_alarms_over_all_columns_hold_the_level(shape: str) -> None:
    level, repeats, old, new = 0.2, 120, 30, 12
    alarms = 0
    for seed in range(repeats):
        rng = np.random.default_rng([seed, len(shape)])
        values = rng.standard_t(2, size=(old + new, 6)) if shape == "heavy" else rng.normal(size=(old + new, 6))
        if shape == "dependent":
            values[:, 1:] = values[:, :1] + 0.1 * values[:, 1:]
        division = np.repeat([False, True], [old, new])[None]
        columns = [lambda divisions, v=values[:, i]: normed_wasserstein(v, new=divisions) for i in range(6)]
        null = null_distribution(columns, groups=np.arange(old + new), new_groups=new, level=level, rng=rng)
        observed = np.array([column(division)[0] for column in columns])
        alarms += bool((observed > null.thresholds).any())
    assert binom.ppf(0.0005, repeats, level) <= alarms <= binom.ppf(0.9995, repeats, level)

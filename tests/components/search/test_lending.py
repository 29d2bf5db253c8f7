import numpy as np
import pytest

from components.search.lending import ENOUGH, lent

NORMAL = np.zeros(80, np.int8)
ALONE = np.arange(80).astype(str)


def test_a_quarter_is_lent_where_few_are_held_out():
    assert lent(NORMAL, ALONE, held_out=5, seed=0).sum() == 20


@pytest.mark.parametrize(("held_out", "expected"), [(ENOUGH - 7, 7), (ENOUGH, 0), (10 * ENOUGH, 0)])
def test_no_more_than_are_lacking(held_out, expected):
    assert lent(NORMAL, ALONE, held_out=held_out, seed=0).sum() == expected


def test_the_seed_decides_which():
    first, again, other = (lent(NORMAL, ALONE, held_out=5, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_groups_stay_whole_and_those_with_anomalies_stay_in_training():
    groups = np.repeat(["a", "b", "c", "d", "large"], [10, 10, 10, 10, 40])
    labels = NORMAL.copy()
    labels[[0, 11]] = 1  # in a and b
    chosen = lent(labels, groups, held_out=0, seed=0)
    assert set(groups[chosen]) <= {"c", "d"}
    assert chosen.sum() == 10  # both would be more than a quarter of 78


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_samples_are_all_kept_for_training(count):
    assert not lent(NORMAL[:count], ALONE[:count], held_out=1, seed=0).any()

from itertools import permutations, product

import numpy as np
import pytest

from components.explain.exact import exact_shapley
from components.explain.owen import evaluations_of, owen_values, pairs_within

BLOCKS, SENSORS = 2, 3


def _game(who: np.ndarray) -> np.ndarray:
    """Some worth of each of the 64 coalitions of 2 x 3 cells."""
    table = np.random.default_rng(0).normal(size=2 ** (BLOCKS * SENSORS))
    table[0] = 0.0
    return table[who @ (1 << np.arange(BLOCKS * SENSORS))]


def _totals() -> np.ndarray:
    def whole(who: np.ndarray) -> np.ndarray:
        return _game(np.broadcast_to(who[:, None], (len(who), BLOCKS, SENSORS)).reshape(len(who), -1))

    return exact_shapley(whole, SENSORS)


def _by_orders() -> np.ndarray:
    """Owen's value as defined: mean gains over every order of cells in which a sensor's cells follow each other."""
    values, count = np.zeros((BLOCKS, SENSORS)), 0
    for sensors in permutations(range(SENSORS)):
        for inside in product(permutations(range(BLOCKS)), repeat=SENSORS):
            taken, before = np.zeros((1, BLOCKS, SENSORS), bool), 0.0
            for sensor in sensors:
                for block in inside[sensor]:
                    taken[0, block, sensor] = True
                    after = float(_game(taken.reshape(1, -1))[0])
                    values[block, sensor] += after - before
                    before = after
            count += 1
    return values / count


def test_all_coalitions_give_the_mean_over_all_orders() -> None:
    expected = _by_orders()
    assert owen_values(_game, BLOCKS, totals=_totals(), pairs=None, seed=0) == pytest.approx(expected)
    # Quotient game: a sensor's cells add up to its Shapley value among sensors without being made to.
    assert expected.sum(axis=0) == pytest.approx(_totals())


def test_drawn_coalitions_come_near() -> None:
    found = owen_values(_game, BLOCKS, totals=_totals(), pairs=3_000, seed=0)
    assert found == pytest.approx(_by_orders(), abs=0.05)
    assert (found == owen_values(_game, BLOCKS, totals=_totals(), pairs=3_000, seed=0)).all()


def test_one_sensor_has_the_shapley_values_of_its_blocks() -> None:
    def worth(who: np.ndarray) -> np.ndarray:
        return np.sqrt(who @ np.array([1.0, 4.0, 9.0]))

    exact = exact_shapley(worth, 3)
    assert owen_values(worth, 3, totals=np.array([exact.sum()]), pairs=None, seed=0)[:, 0] == pytest.approx(exact)


def test_pairs_follow_the_evaluations() -> None:
    assert pairs_within(2048, blocks=5, sensors=8) == 4
    assert evaluations_of(4, blocks=5, sensors=8) == 2048
    assert pairs_within(1, blocks=5, sensors=8) == 1
    assert pairs_within(2048, blocks=4, sensors=3) is None
    assert evaluations_of(None, blocks=4, sensors=3) == 4 * 16 * 3

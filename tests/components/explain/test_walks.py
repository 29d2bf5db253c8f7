import numpy as np
import pytest

from benchmarks import shapley
from components.explain.agreement import relative
from components.explain.exact import exact_shapley
from components.explain.walks import _orders, enumerable, evaluated, sampled_shapley

PLAYERS = 12


def _game(rng):
    """Columns that add, pairs that work together, and a root over all, as distances have it."""
    single, pairs = rng.normal(size=PLAYERS), rng.normal(size=(PLAYERS, PLAYERS)) / PLAYERS
    return lambda who: who @ single + ((who @ pairs) * who).sum(axis=1) + np.sqrt(who @ np.abs(single))


def _counted(game):
    seen = []

    def worth(who):
        seen.extend(map(tuple, who))
        return game(who)

    return worth, seen


def test_the_mean_over_seeds_is_exact():
    game = _game(np.random.default_rng(0))
    exact = exact_shapley(game, PLAYERS)
    found = [sampled_shapley(game, PLAYERS, evaluations=100, seed=seed) for seed in range(300)]
    assert np.ptp([one[0] for one in found]) > 0
    assert np.mean(found, axis=0) == pytest.approx(exact, abs=4 * np.std(found, axis=0).max() / 300**0.5)
    worth_of_all = game(np.ones((1, PLAYERS), dtype=bool))[0]
    assert [one.sum() for one in found] == pytest.approx([worth_of_all] * 300)


def test_nobody_and_all_are_asked_for_once_and_walks_keep_within_the_evaluations():
    game, seen = _counted(_game(np.random.default_rng(1)))
    sampled_shapley(game, PLAYERS, evaluations=100, seed=0)
    sizes = np.array([sum(who) for who in seen])
    assert (sizes == 0).sum() == (sizes == PLAYERS).sum() == 1
    assert len(seen) - 2 == 100 // (2 * (PLAYERS - 1)) * 2 * (PLAYERS - 1)
    # The way back leaves the coalitions' complements.
    assert {tuple(not one for one in who) for who in seen} == set(seen)


def test_where_every_coalition_fits_the_values_are_exact():
    game = _game(np.random.default_rng(2))
    assert enumerable(PLAYERS, evaluations=2**PLAYERS - 2)
    assert not enumerable(PLAYERS, evaluations=2**PLAYERS - 3)
    assert not enumerable(40, evaluations=2**41)
    found = sampled_shapley(game, PLAYERS, evaluations=2**PLAYERS, seed=0)
    assert found == pytest.approx(exact_shapley(game, PLAYERS), abs=1e-12)


def test_fewer_evaluations_than_one_walk_are_one_walk_each_way():
    game, seen = _counted(_game(np.random.default_rng(3)))
    assert np.isfinite(sampled_shapley(game, PLAYERS, evaluations=1, seed=0)).all()
    assert len(seen) == 2 + 2 * (PLAYERS - 1)


@pytest.mark.parametrize("evaluations", [1, 100, 4000, 2**PLAYERS])
def test_what_is_evaluated_is_told(evaluations):
    game, seen = _counted(_game(np.random.default_rng(5)))
    sampled_shapley(game, PLAYERS, evaluations=evaluations, seed=0)
    assert evaluated(PLAYERS, evaluations=evaluations) == len(seen)


@pytest.mark.parametrize("walks", [1, 3, 12, 30])
def test_orders_are_permutations_and_every_player_is_early_in_some(walks):
    orders = _orders(PLAYERS, walks, rng=np.random.default_rng(0))
    assert orders.shape == (walks, PLAYERS)
    assert (np.sort(orders, axis=1) == np.arange(PLAYERS)).all()
    turns = min(walks, 6)
    places = np.sort(np.argsort(orders[:turns], axis=1), axis=0)
    assert (np.diff(places, axis=0) == PLAYERS // turns).all()


def test_the_error_falls_with_the_root_of_the_evaluations():
    random, players = np.random.default_rng(6), 36
    triples = np.stack([random.permutation(players)[:3] for _ in range(300)])
    worths = random.normal(size=300)
    exact = np.bincount(triples.ravel(), weights=np.repeat(worths / 3, 3), minlength=players)

    def error(evaluations):
        found = [
            sampled_shapley(
                lambda who: who[:, triples].all(axis=2) @ worths, players, evaluations=evaluations, seed=seed
            )
            for seed in range(10)
        ]
        return np.mean([relative(exact, one) for one in found])

    assert error(4 * 420) < 0.6 * error(420)


def test_the_error_is_a_fraction_of_kernel_shaps():
    game = _game(np.random.default_rng(4))
    exact = exact_shapley(game, PLAYERS)
    ours, peer = (
        np.mean([relative(exact, estimate(game, PLAYERS, 100, seed)) for seed in range(20)])
        for estimate in (shapley.ours, shapley.kernel)
    )
    assert ours < 0.7 * peer
    assert peer < 0.5  # of the same thing

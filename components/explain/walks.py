"""Shapley values by sampled orders of joining: walks from nobody to all and, in the opposite order, back."""

import numpy as np
from numpy.typing import NDArray

from components.core.seeds import generator
from components.explain.exact import MOST_PLAYERS, ValueFunction, exact_shapley

ENOUGH_PER_PLAYER = 12
"""Coalitions a player, of six walks each way: with four, two seeds still differed by a ninth over a hundred columns."""

LEAST_PER_PLAYER = 4
"""Of two walks each way, where `ENOUGH_PER_PLAYER` would be more than `RAISED`."""

RAISED = 2_048
"""Coalitions up to which there are enough for each player, whatever was declared: beyond, time counts more."""

_TURNS = 6
"""Walks of one order. Rotations keep who joins right after whom: of many the error stays where one order leaves it."""


def coalitions(players: int, *, wanted: int) -> int:
    """How many coalitions to evaluate where `wanted` were declared: twelve a player at least, or four of very many.

    >>> [coalitions(players, wanted=256) for players in (8, 90, 300, 1000)]
    [256, 1080, 2048, 4000]
    """
    return max(wanted, min(ENOUGH_PER_PLAYER * players, RAISED), LEAST_PER_PLAYER * players)


def evaluated(players: int, *, evaluations: int) -> int:
    """Coalitions that `sampled_shapley` evaluates of so many `evaluations`, with nobody and all.

    >>> [evaluated(players, evaluations=256) for players in (5, 8, 20)]
    [32, 256, 230]
    """
    if enumerable(players, evaluations=evaluations):
        return 1 << players
    return 2 + 2 * _walks(players, evaluations=evaluations) * (players - 1)


def enumerable(players: int, *, evaluations: int) -> bool:
    """Whether `evaluations` are enough for every coalition, beside nobody and all."""
    return players <= MOST_PLAYERS and evaluations >= 2**players - 2


def sampled_shapley(game: ValueFunction, players: int, *, evaluations: int, seed: int) -> NDArray[np.float64]:
    """Estimated Shapley values ``(P,)`` of one game; exact where every coalition can be evaluated.

    A player's value is what it adds on joining those before it, averaged over random orders (Castro, Gómez and Tejada,
    2009), each of which is also walked backwards (antithetic sampling: Mitchell, Cooper, Frank and Holmes, 2022).
    Orders come as a few rotations of one another, so that each player is early in some and late in others. The values
    add up to the worth of all less that of none by construction, whatever they are worth themselves.
    Of detectors' scores, which are nearly sums of what columns add, Kernel SHAP's regression needs several times the
    evaluations for the same error: ``python -m benchmarks.shapley``.

    Args:
        game: Worth of coalitions.
        players: P.
        evaluations: Coalitions evaluated beside nobody and all, at most, but for one walk each way.
        seed: Of the orders drawn.
    """
    if enumerable(players, evaluations=evaluations):
        return exact_shapley(game, players)
    walks = _walks(players, evaluations=evaluations)
    orders = _orders(players, walks, rng=generator(seed, "orders"))
    orders = np.concatenate([orders, orders[:, ::-1]])
    places = np.argsort(orders, axis=1)
    # Nobody and all are the same in each walk.
    between = places[:, None, :] < np.arange(1, players)[:, None]
    ends = np.repeat([[False], [True]], players, axis=1)
    worths = game(np.concatenate([ends, between.reshape(-1, players)]))
    steps = np.empty((len(orders), players + 1))
    steps[:, 0], steps[:, -1] = worths[:2]
    steps[:, 1:-1] = worths[2:].reshape(len(orders), players - 1)
    values: NDArray[np.float64] = np.take_along_axis(np.diff(steps, axis=1), places, axis=1).mean(axis=0)
    return values


def _walks(players: int, *, evaluations: int) -> int:
    """Walks each way."""
    return max(1, evaluations // (2 * (players - 1)))


def _orders(players: int, walks: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """``(walks, P)``: random orders, each followed by its rotations by equal parts of a turn, `_TURNS` at most."""
    drawn = -(-walks // min(_TURNS, players))
    turns = -(-walks // drawn)
    first = rng.permuted(np.tile(np.arange(players), (drawn, 1)), axis=1)
    starts = np.arange(turns) * players // turns
    places = (np.arange(players) + starts[:, None]) % players
    orders: NDArray[np.intp] = first[:, places].reshape(-1, players)[:walks]
    return orders

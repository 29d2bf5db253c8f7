"""Exact Shapley values of small games."""

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

MOST_PLAYERS = 16

ValueFunction = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""``(n, P)`` coalitions, true where the player takes part → ``(n,)`` worths."""


def exact_shapley(worth: ValueFunction, players: int) -> NDArray[np.float64]:
    """Shapley values ``(P,)`` from all ``2**P`` coalitions.

    Args:
        worth: Worth of coalitions.
        players: P, from 1 to 16.

    Raises:
        ValueError: Too many players to enumerate, or none.

    >>> exact_shapley(lambda who: 2.0 * who[:, 0] + 4.0 * (who[:, 0] & who[:, 1]), 2).tolist()
    [4.0, 2.0]
    """
    return shapley_weights(players) @ np.asarray(worth(all_coalitions(players)), dtype=np.float64)


def all_coalitions(players: int) -> NDArray[np.bool_]:
    """``(2**P, P)``: every coalition of `players`; number n holds player p where bit p of n is set.

    Raises:
        ValueError: Too many players to enumerate, or none.
    """
    if not 1 <= players <= MOST_PLAYERS:
        raise ValueError(f"players must be from 1 to {MOST_PLAYERS}, got {players}")
    who: NDArray[np.bool_] = (np.arange(2**players)[:, None] & (1 << np.arange(players))[None, :]) > 0
    return who


def shapley_weights(players: int) -> NDArray[np.float64]:
    """``(P, 2**P)``: what times the worths of `all_coalitions` gives Shapley values.

    Source: Shapley, 1953, "A value for n-person games", eq. 13, with each gain taken apart into its two worths.

    Raises:
        ValueError: Too many players to enumerate, or none.
    """
    who = all_coalitions(players)
    gains = np.array([factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)])
    sizes = who.sum(axis=1)
    joined, missing = gains[np.maximum(sizes - 1, 0)], gains[np.minimum(sizes, players - 1)]
    weights: NDArray[np.float64] = np.where(who, joined[:, None], -missing[:, None]).T
    return weights

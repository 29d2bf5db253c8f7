"""Exact Shapley values of small games."""

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

MOST_PLAYERS = 10

ValueFunction = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""``(n, P)`` coalitions, true where the player takes part → ``(n,)`` worths."""


def exact_shapley(worth: ValueFunction, players: int) -> NDArray[np.float64]:
    """Shapley values ``(P,)`` from all ``2**P`` coalitions (Shapley, 1953, "A value for n-person games", eq. 13).

    Args:
        worth: Worth of coalitions.
        players: P, from 1 to 10.

    Raises:
        ValueError: Too many players to enumerate, or none.

    >>> exact_shapley(lambda who: 2.0 * who[:, 0] + 4.0 * (who[:, 0] & who[:, 1]), 2).tolist()
    [4.0, 2.0]
    """
    if not 1 <= players <= MOST_PLAYERS:
        raise ValueError(f"players must be from 1 to {MOST_PLAYERS}, got {players}")
    numbers = np.arange(2**players)
    bits = (1 << np.arange(players))[None, :]
    who = (numbers[:, None] & bits) > 0
    worths = np.asarray(worth(who), dtype=np.float64)
    sizes = who.sum(axis=1)
    weights = np.array([factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)])
    values = np.empty(players)
    for player in range(players):
        without = numbers[~who[:, player]]
        gains = worths[without | (1 << player)] - worths[without]
        values[player] = weights[sizes[without]] @ gains
    return values

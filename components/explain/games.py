"""Cooperative games over a window: who takes part keeps its values, the others take those of normal windows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from components.core.ports import Windows
from components.explain.exact import ValueFunction

ScoreFunction = Callable[[Windows], NDArray[np.float64]]
"""``(n, W, D)`` windows → ``(n,)`` scores; higher is more anomalous."""

Players = NDArray[np.int64]
"""``(W, D)``: the player, from 0, that each cell of a window belongs to."""

_CELLS = 1_000_000
"""Numbers of one batch of mixed windows: bounds memory."""


def columns_play(window: int, columns: int) -> Players:
    """One player a column, whole: ``(W, D)``."""
    return np.broadcast_to(np.arange(columns), (window, columns)).astype(np.int64)


def window_game(score: ScoreFunction, window: Windows, background: Windows, players: Players) -> ValueFunction:
    """The worth of coalitions for one window.

    It is the mean score over the background of windows that take the coalition's cells from `window` and the others
    from a background window: the interventional game. Players are taken as if independent; strongly dependent ones
    share what they explain in a way that the data alone do not settle.

    Args:
        score: The detector's.
        window: ``(W, D)``.
        background: ``(B, W, D)`` normal windows.
        players: ``(W, D)``.
    """
    chunk = max(1, _CELLS // background.size)

    def worth(who: NDArray[np.bool_]) -> NDArray[np.float64]:
        means = []
        for start in range(0, len(who), chunk):
            taken = who[start : start + chunk].astype(np.bool_)[:, players][:, None]
            mixed = np.where(taken, window[None, None], background[None])
            means.append(score(mixed.reshape(-1, *window.shape)).reshape(len(taken), len(background)).mean(axis=1))
        return np.concatenate(means)

    return worth


def restricted(game: ValueFunction, kept: NDArray[np.int64], players: int) -> ValueFunction:
    """The game of the players `kept` alone, of `players` in all; the others always take part."""

    def worth(who: NDArray[np.bool_]) -> NDArray[np.float64]:
        everyone = np.ones((len(who), players), dtype=np.bool_)
        everyone[:, kept] = who
        return game(everyone)

    return worth

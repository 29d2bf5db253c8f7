"""When and where in a sensor window the score comes from: by time block, and by block and sensor.

The grouping is that of ShaTS (Shapley values for time series models, 2025): cells of a window play together, so that a
window of hundreds of readings has few players and its order in time is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Condition
from components.core.ports import Windows
from components.core.seeds import derive_seed
from components.explain.agreement import Agreement, conditions, relative, residual, stirs
from components.explain.exact import ValueFunction, exact_shapley
from components.explain.games import Players, ScoreFunction, restricted, window_game
from components.explain.owen import evaluations_of, owen_values, pairs_within

BLOCKS = 6
"""Time blocks of a window at most: all their coalitions are evaluated."""
SENSORS = 12
"""Sensors that play by themselves in the game of cells; the others play as one."""
CELL_EVALUATIONS = 4096
OTHERS = "other sensors"
_CHECKED, _EXACT_SENSORS = 2, 3
"""Windows whose cells are computed again with another seed, and exactly in a game of so many sensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Where in N windows the scores come from; positive makes the window more anomalous.

    Attributes:
        bounds: Rows of each of T blocks within the window: first, and end (excluded).
        blocks: ``(N, T)`` exact Shapley values of the game whose players are the blocks, all sensors together.
        cells: ``(N, T, S)``: each sensor's Shapley value divided among its blocks; see `owen_values`. Sums over sensors
            need not equal `blocks`: what several cells do together is shared out by other rules.
        sensors: Of each of N windows its S sensors, the most important first, `OTHERS` last where there are more.
        evaluations: Coalitions of cells evaluated a window; of blocks there are ``2**T``.
        checks: How far `cells` can be trusted.
    """

    bounds: tuple[tuple[int, int], ...]
    blocks: NDArray[np.float64]
    cells: NDArray[np.float64]
    sensors: tuple[tuple[str, ...], ...]
    evaluations: int
    checks: Agreement

    def conditions(self, *, limit: float) -> tuple[Condition, Condition]:
        """Whether `cells` can be trusted within `limit`."""
        name, players, option = "shapley_over_time", "cells of sensor and time", "explain.cell_evaluations"
        return conditions(self.checks, name=name, players=players, limit=limit, spent=self.evaluations, option=option)


def explain_timeline(
    score: ScoreFunction,
    windows: Windows,
    background: Windows,
    feature_names: Sequence[str],
    *,
    by_column: NDArray[np.float64],
    seed: int,
    evaluations: int = CELL_EVALUATIONS,
) -> Timeline:
    """Shapley values of time blocks, and of sensors divided among them.

    Args:
        score: ``(n, W, D)`` → ``(n,)``; higher is more anomalous.
        windows: ``(N, W, D)`` to explain, W at least 2.
        background: ``(B, W, D)`` normal windows.
        feature_names: D names.
        by_column: ``(N, D)`` Shapley values by sensor, from `explain_table`: the `SENSORS` largest play by themselves.
        seed: Of the coalitions drawn.
        evaluations: Coalitions of cells a window; raised to the fewest that `owen_values` works with.

    Raises:
        ValueError: There is nothing to explain, or windows have one row.
    """
    if not len(windows) or windows.shape[1] < 2:
        raise ValueError(f"there is no course of time to explain in windows of shape {windows.shape}")
    bounds = time_blocks(windows.shape[1])
    rows = np.repeat(np.arange(len(bounds)), [end - start for start, end in bounds])
    together = np.broadcast_to(rows[:, None], windows.shape[1:]).astype(np.int64)
    blocks = [exact_shapley(window_game(score, one, background, together), len(bounds)) for one in windows]
    groups = [_sensor_groups(values) for values in by_column]
    size = int(groups[0].max()) + 1
    games = [
        window_game(score, one, background, _cell_players(rows, group, size))
        for one, group in zip(windows, groups, strict=True)
    ]
    sums = [np.bincount(group, weights=values) for group, values in zip(groups, by_column, strict=True)]
    totals = np.stack(sums).astype(np.float64)
    pairs = pairs_within(evaluations, blocks=len(bounds), sensors=size)
    cells = _cells(games, totals, len(bounds), pairs=pairs, seed=derive_seed(seed, "cells"))
    return Timeline(
        bounds=bounds,
        blocks=np.stack(blocks),
        cells=cells,
        sensors=tuple(_sensor_names(group, feature_names) for group in groups),
        evaluations=evaluations_of(pairs, blocks=len(bounds), sensors=size),
        checks=_checks(games, cells, totals, score(windows), pairs=pairs, seed=seed),
    )


def time_blocks(window: int) -> tuple[tuple[int, int], ...]:
    """Stretches that make up `window` rows: 4 to 6 of one length where that divides, else 6 of about the same length.

    >>> time_blocks(10)
    ((0, 2), (2, 4), (4, 6), (6, 8), (8, 10))
    >>> [len(time_blocks(rows)) for rows in (2, 7, 8, 60)]
    [2, 6, 4, 6]
    """
    even = [count for count in range(BLOCKS, 3, -1) if window % count == 0]
    count = even[0] if even else min(window, BLOCKS)
    edges = [window * number // count for number in range(count + 1)]
    return tuple(pairwise(edges))


def _sensor_groups(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """``(D,)``: the place among the shown that each sensor plays at, the largest value's first."""
    order = np.argsort(-np.abs(values), kind="stable")
    groups = np.empty(len(values), dtype=np.int64)
    groups[order] = np.minimum(np.arange(len(values)), SENSORS)
    return groups


def _cell_players(rows: NDArray[np.int64], group: NDArray[np.int64], size: int) -> Players:
    return rows[:, None] * size + group[None, :]


def _sensor_names(group: NDArray[np.int64], names: Sequence[str]) -> tuple[str, ...]:
    shown = [names[int(np.flatnonzero(group == place)[0])] for place in range(min(len(names), SENSORS))]
    return (*shown, OTHERS) if len(names) > SENSORS else tuple(shown)


def _cells(
    games: Sequence[ValueFunction], totals: NDArray[np.float64], blocks: int, *, pairs: int | None, seed: int
) -> NDArray[np.float64]:
    """``(N, T, S)`` of N games."""
    return np.stack(
        [
            owen_values(game, blocks, totals=total, pairs=pairs, seed=derive_seed(seed, number))
            for number, (game, total) in enumerate(zip(games, totals, strict=False))
        ]
    )


def _checks(
    games: Sequence[ValueFunction],
    cells: NDArray[np.float64],
    totals: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    pairs: int | None,
    seed: int,
) -> Agreement:
    few, (blocks, sensors) = games[:_CHECKED], cells.shape[1:]
    kept, worths = min(sensors, _EXACT_SENSORS), totals.sum(axis=1)
    between = beside = 0.0
    if pairs is not None:
        again = _cells(few, totals, blocks, pairs=pairs, seed=derive_seed(seed, "again"))
        between = relative(cells[: len(again)], again)
        beside = _beside_exact(few, blocks, sensors, kept=kept, pairs=pairs, seed=derive_seed(seed, "small"))
    return Agreement(
        seed_disagreement=between,
        exact_disagreement=beside,
        exact_players=blocks * kept,
        exact_evaluations=evaluations_of(pairs, blocks=blocks, sensors=kept),
        additivity_residual=residual(cells.sum(axis=(1, 2)), worths),
        enumerated=pairs is None,
        moved=stirs(cells, scores - worths, scores),
    )


def _beside_exact(
    games: Sequence[ValueFunction], blocks: int, sensors: int, *, kept: int, pairs: int, seed: int
) -> float:
    # Sensors are ordered by their values: the first are the most important ones, the others stay as in the window.
    own = (np.arange(blocks)[:, None] * sensors + np.arange(kept)[None, :]).ravel()
    small = [restricted(game, own, blocks * sensors) for game in games]
    shares = np.stack([exact_shapley(_sensors_only(game, blocks, kept), kept) for game in small])
    exact = _cells(small, shares, blocks, pairs=None, seed=0)
    return relative(exact, _cells(small, shares, blocks, pairs=pairs, seed=seed))


def _sensors_only(game: ValueFunction, blocks: int, sensors: int) -> ValueFunction:
    return lambda who: game(np.broadcast_to(who[:, None, :], (len(who), blocks, sensors)).reshape(len(who), -1))

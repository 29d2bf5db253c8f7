"""Disturbed features on normal windows: shifts, swaps, stuck values and noise bursts."""

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import TableSchema
from components.core.ports import Windows
from components.metrics.robust import HUGE, spread

_SHIFT = (1.5, 4.0)
"""Size of a shift in deviations of normal data: from within its tails to clearly outside."""

_BURST = (1.5, 4.0)
"""Deviation of a noise burst in those of normal data."""

_SPAN = (0.3, 1.0)
"""Share of a window's rows that is disturbed."""


def scales(reference: Windows) -> NDArray[np.float64]:
    """``(D,)`` robust deviations of normal values ``(M, W, D)``; where they never vary a hundredth of their size."""
    return np.array([_scale(reference[:, :, column]) for column in range(reference.shape[2])])


def disturb(
    window: NDArray[np.float64],
    *,
    reference: Windows,
    scale: NDArray[np.float64],
    schema: TableSchema,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """`window` ``(W, D)`` with one to a third of its measured columns disturbed, for 30 % of its rows or more.

    `reference` ``(M, W, D)`` are normal windows that give foreign values, `scale` ``(D,)`` are their `scales`. Missing
    values stay missing.
    """
    changed = window.copy()
    rows = _rows(len(window), rng)
    if not np.isfinite(window[rows]).any():
        rows = slice(None)
    measured = np.flatnonzero(np.isfinite(window[rows]).any(axis=0))
    if len(measured) == 0:
        return changed
    columns = rng.choice(measured, size=int(rng.integers(1, max(1, len(measured) // 3) + 1)), replace=False)
    donor = reference[int(rng.integers(len(reference)))]
    for column in columns:
        before = window[rows, column]
        if schema.features[column].kind == "categorical":
            after = _other_category(before, len(schema.features[column].categories), rng)
        else:
            after = _disturbed(before, donor[rows, column], scale[column], rng)
            # What happens to change nothing (a donor with the same value, a sensor that stood still) is shifted.
            if np.nanmean(np.abs(after - before)) < 0.5 * scale[column]:
                after = _shift(before, scale[column], rng)
        changed[rows, column] = np.where(np.isfinite(before), after, before)
    return changed


def _rows(length: int, rng: np.random.Generator) -> slice:
    span = max(1, round(rng.uniform(*_SPAN) * length))
    start = int(rng.integers(length - span + 1))
    return slice(start, start + span)


def _scale(values: Windows) -> float:
    """Robust deviation of normal values; a hundredth of their size, or 1, where they never vary."""
    finite = np.clip(values[np.isfinite(values)], -HUGE, HUGE)
    if len(finite) == 0:
        return 1.0
    # Of a plain one a broken reading (65535) would be the most, and all that is drawn would be told with ease.
    varies = float(spread(finite[:, None], rare=0.0).deviation[0]) if len(finite) > 1 else 0.0
    return varies or 0.01 * abs(float(finite[0])) or 1.0


def _disturbed(
    before: NDArray[np.float64], donor: NDArray[np.float64], scale: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    kind = rng.choice(("shift", "swap") if len(before) == 1 else ("shift", "swap", "stuck", "burst", "shuffle"))
    if kind == "swap":
        return np.where(np.isfinite(donor), donor, before)
    if kind == "stuck":
        return np.full_like(before, before[np.isfinite(before)][0] if np.isfinite(before).any() else np.nan)
    if kind == "burst":
        return before + rng.normal(0.0, rng.uniform(*_BURST) * scale, before.shape)
    if kind == "shuffle":
        after, there = before.copy(), np.isfinite(before)
        after[there] = rng.permutation(before[there])
        return after
    return _shift(before, scale, rng)


def _shift(before: NDArray[np.float64], scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return before + sign * rng.uniform(*_SHIFT) * scale


def _other_category(codes: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Another of `count` categories for every row; `count` itself is the code of one never seen."""
    moved: NDArray[np.float64] = np.mod(codes + rng.integers(1, count + 1), count + 1)
    return moved

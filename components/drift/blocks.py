"""Drift of windows too large to divide sample by sample thousands of times: whole blocks are exchanged instead.

Neighbouring groups are joined to blocks alike in size, at most `MOST_BLOCKS` over both windows. Exchanging blocks is a
subgroup of exchanging groups, so the test keeps its level (Lehmann and Romano, 2005, "Testing statistical hypotheses",
section 15.2), and it is the milder the more neighbours depend on each other. The observed distance is that of all
samples. In the null, numbers are rounded to `CELLS` values; the most that the rounding can have changed the observed
distance (Wasserstein distances differ by at most the mean of what was moved) is added to its threshold.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.drift.distances import EVIDENTLY_FLOOR, Divisions, Vector, jensen_shannon_of, rate_difference_of
from components.drift.permutation import Null, draw, null_of, permutations_for
from components.drift.pooling import Quantity, quantities
from components.drift.window import DriftWindow
from components.models.parallel import products_on_one_thread

MOST_BLOCKS = 2_000
CELLS = 512
MOST_RATIO = 20
"""So many times more rows than the smaller window the larger one is measured on: more would tell nothing."""
_CHUNK = 2_000

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Rows of two windows that are measured, and their blocks.

    Attributes:
        old_rows: Row numbers of the reference; `new_rows` those of the current window.
        block: ``(n,)`` block of each pooled row, old ones first.
        old: How many blocks are old; `new` how many are new.
    """

    old_rows: Counts
    new_rows: Counts
    block: Counts
    old: int
    new: int

    @classmethod
    def of(cls, reference: DriftWindow, current: DriftWindow) -> "Blocks":
        """Blocks of the two windows, in the order of their rows."""
        old_rows, new_rows = _rows(len(reference), len(current)), _rows(len(current), len(reference))
        old, old_units = pd.factorize(reference.groups[old_rows])
        new, new_units = pd.factorize(current.groups[new_rows])
        joined = math.ceil((len(old_units) + len(new_units)) / MOST_BLOCKS)
        old_blocks, new_blocks = (max(1, len(found) // joined) for found in (old_units, new_units))
        return cls(
            old_rows=old_rows,
            new_rows=new_rows,
            block=np.concatenate([old * old_blocks // len(old_units), new * new_blocks // len(new_units) + old_blocks]),
            old=old_blocks,
            new=new_blocks,
        )


def _rows(count: int, other: int) -> Counts:
    most = min(count, MOST_RATIO * other)
    return np.arange(count) if most == count else np.linspace(0, count - 1, most).round().astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity of all rows: its distance, the most that rounding adds to it, and its values for the effect."""

    quantity: Quantity
    distance: float
    rounding: float


def measure(
    reference: DriftWindow,
    current: DriftWindow,
    *,
    blocks: Blocks,
    level: float,
    rng: np.random.Generator,
    ignored: dict[str, str],
) -> "Iterator[Measured | Null]":
    """Each quantity in turn, so that one column's copies are held at a time; then the null of them all, in their order.

    Args:
        reference: Old window.
        current: New window.
        blocks: Of the two.
        level: Chance of a false alarm over all quantities.
        rng: Source of the divisions.
        ignored: Receives column → why it is not compared.
    """
    total = permutations_for(level)
    divisions = np.concatenate(
        [
            draw(min(_CHUNK, total - start), blocks.old + blocks.new, blocks.new, rng)
            for start in range(0, total, _CHUNK)
        ]
    )
    new = np.repeat([False, True], [len(blocks.old_rows), len(blocks.new_rows)])
    nulls: list[Vector] = []
    found = quantities(reference, current, old=blocks.old_rows, new=blocks.new_rows, ignored=ignored)
    for quantity in found:
        one = _numeric if quantity.kind == "numeric" else _counted
        with products_on_one_thread():  # more of them spin while they wait: twice the work
            distance, rounding, null = one(quantity, new=new, blocks=blocks, divisions=divisions)
        nulls.append(null)
        yield Measured(quantity=quantity, distance=distance, rounding=rounding)
    yield null_of(np.stack(nulls, axis=1), level=level)


def _numeric(
    quantity: Quantity, *, new: NDArray[np.bool_], blocks: Blocks, divisions: Divisions
) -> tuple[float, float, Vector]:
    """Normed Wasserstein distance, the bound of its rounding, and its null ``(P,)``."""
    values, side, block = quantity.values, new, blocks.block
    if not (finite := np.isfinite(values)).all():
        values, side, block = values[finite], side[finite], block[finite]
    order = np.argsort(values)
    ordered, new_ordered = values[order], side[order]
    deviation = max(float(values[~side].std()), EVIDENTLY_FLOOR)
    distance = _area_between(ordered, new_ordered) / deviation
    cell, centres = _cells(ordered)
    rounding = _mean_moves(ordered, new_ordered, to=centres[cell]) / deviation
    size, count = len(centres), blocks.old + blocks.new
    table = np.bincount(block[order] * size + cell, minlength=count * size).reshape(count, size)
    sums = [np.bincount(block, power, minlength=count) for power in (values, values**2)]
    moments = np.stack(sums, axis=1).astype(np.float64)
    null = [
        _null_of_cells(table, moments, centres, part)
        for part in np.array_split(divisions, math.ceil(len(divisions) / _CHUNK))
    ]
    return distance, rounding, np.concatenate(null)


def _area_between(ordered: Vector, new: NDArray[np.bool_]) -> float:
    """Wasserstein distance of the old and the new ones of ``(n,)`` ascending values."""
    new_count = int(new.sum())
    old_count = len(new) - new_count
    gap = np.cumsum(new[:-1], dtype=np.float64)
    gap *= -(1 / old_count + 1 / new_count)
    gap += np.arange(1, len(ordered)) / old_count
    return float(np.abs(gap, out=gap) @ np.diff(ordered))


def _mean_moves(values: Vector, new: NDArray[np.bool_], *, to: Vector) -> float:
    """How far the old and the new ones of ``(n,)`` values are moved in the mean, added."""
    moved = np.abs(values - to)
    return float(moved[~new].mean() + moved[new].mean())


def _cells(ordered: Vector) -> tuple[Counts, Vector]:
    """Cell of each value and the mean of each cell; equal values share one.

    Cells lie as densely as the root of the density, which makes the mean rounding least (Zador, 1982, "Asymptotic
    quantization error of continuous signals"): a far outlier gets one of its own.
    """
    steps = np.concatenate([[0.0], np.cumsum(np.sqrt(np.diff(ordered)))])
    cell = np.minimum((steps * (CELLS / steps[-1])).astype(np.int64), CELLS - 1)
    cell = np.cumsum(np.concatenate([[0], np.diff(cell) > 0]))
    return cell, np.bincount(cell, ordered) / np.bincount(cell)


def _null_of_cells(table: Counts, moments: Vector, centres: Vector, divisions: Divisions) -> Vector:
    """Normed Wasserstein distances ``(P,)`` of rounded values from ``(G, B)`` counts and ``(G, 2)`` sums of blocks."""
    # Counts are whole and far below 2**24, so that single precision holds them exactly.
    chosen = divisions.astype(np.float32)
    below = np.cumsum(chosen @ table.astype(np.float32), axis=1, dtype=np.float64)
    all_below = np.cumsum(table.sum(axis=0), dtype=np.float64)
    new_count = below[:, -1]
    old_count = all_below[-1] - new_count
    first, second = ((moments.sum(axis=0) - divisions @ moments) / np.maximum(old_count, 1.0)[:, None]).T
    deviation = np.maximum(np.sqrt(np.maximum(second - first**2, 0.0)), EVIDENTLY_FLOOR)
    usable = (old_count > 0) & (new_count > 0)
    safe_old, safe_new = np.where(usable, old_count, 1.0), np.where(usable, new_count, 1.0)
    gap = below[:, :-1] * -(1 / safe_old + 1 / safe_new)[:, None] + all_below[:-1] / safe_old[:, None]
    distance: Vector = np.where(usable, np.abs(gap) @ np.diff(centres) / deviation, 0.0)
    return distance


def _counted(
    quantity: Quantity, *, new: NDArray[np.bool_], blocks: Blocks, divisions: Divisions
) -> tuple[float, float, Vector]:
    """Distance of categories or alarms and its null ``(P,)``; nothing is rounded."""
    known = np.isfinite(quantity.values)
    codes = quantity.values[known].astype(np.int64)
    size, count = max(2, len(quantity.labels)), blocks.old + blocks.new
    table = np.bincount(blocks.block[known] * size + codes, minlength=count * size).reshape(count, size)
    total = table.sum(axis=0).astype(np.float64)
    observed = np.bincount(codes[new[known]], minlength=size)[None].astype(np.float64)
    measure_of = rate_difference_of if quantity.kind == "rate" else jensen_shannon_of
    null = [
        measure_of(part @ table.astype(float), total=total)
        for part in np.array_split(divisions, math.ceil(len(divisions) / _CHUNK))
    ]
    return float(measure_of(observed, total=total)[0]), 0.0, np.concatenate(null)

"""How a query goes through the cells of a bank (`components.models.sketched`), compiled; the only importer of numba.

A loop in numpy works a whole cell's product off before it knows whether the next patch could still be nearer. Here each
distance that is found narrows what is looked at next. Threads run it side by side.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .sketched import BLOCK, SKETCH

Floats = NDArray[np.float32]
Places = NDArray[np.intp]


_TOGETHER = 64
"""Queries that visit a cell one after the other, while its patches are in the processor's nearest memory."""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """As machine code, kept beside this file for the next process where that can be written to."""
    # Infinities and what is no number are possible here, which numba's whole `fastmath` denies.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
    try:
        found: Callable[..., Any] = njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it
        found = njit(**options)(function)
    return found


@_compiled
def _compare(sketch: Floats, block: Floats, squares: Floats, bound: Floats) -> None:
    """Squared distances ``(BLOCK,)`` of a sketch to those of a block, less its own squared norm, as `bound`.

    Eight numbers a turn, so that the sums stay in registers.
    """
    for j in range(BLOCK):
        bound[j] = squares[j]
    for c in range(0, SKETCH, 8):
        s0, s1, s2, s3 = sketch[c], sketch[c + 1], sketch[c + 2], sketch[c + 3]
        s4, s5, s6, s7 = sketch[c + 4], sketch[c + 5], sketch[c + 6], sketch[c + 7]
        for j in range(BLOCK):
            bound[j] += (
                s0 * block[c, j]
                + s1 * block[c + 1, j]
                + s2 * block[c + 2, j]
                + s3 * block[c + 3, j]
                + s4 * block[c + 4, j]
                + s5 * block[c + 5, j]
                + s6 * block[c + 6, j]
                + s7 * block[c + 7, j]
            )


@_compiled
def _any_below(values: Floats, limit: np.float32) -> bool:
    """Whether any is not above the limit; counted, as that takes no branches."""
    count = np.int32(0)
    for j in range(BLOCK):
        count += np.int32(not values[j] > limit)
    return bool(count > 0)


@_compiled
def _squared(one: Floats, other: Floats) -> np.float32:
    total = np.float32(0)
    for c in range(len(one)):
        difference = one[c] - other[c]
        total += difference * difference
    return total


@_compiled
def _insert(value: np.float32, place: int, squared: Floats, places: Places) -> None:
    """Put a value below the last of the rising ones into its slot; the last one falls out."""
    slot = len(squared) - 1
    while slot > 0 and squared[slot - 1] > value:
        squared[slot], places[slot] = squared[slot - 1], places[slot - 1]
        slot -= 1
    squared[slot], places[slot] = value, place


@_compiled
def _visit_cell(
    query: Floats,
    sketch: Floats,
    low: np.float32,
    slack: np.float32,
    square: np.float32,
    points: Floats,
    blocks: Floats,
    squares: Floats,
    apart: Floats,
    start: int,
    squared: Floats,
    places: Places,
    bound: Floats,
) -> None:
    """`visit` of one query and one cell, whose `points` begin at `start` of all."""
    limit = squared[-1] + slack
    for number in range(len(blocks)):
        first = number * BLOCK
        if low - apart[first] > np.sqrt(limit):
            break
        _compare(sketch, blocks[number], squares[number], bound)
        if not _any_below(bound, limit - square):
            continue
        for j in range(min(BLOCK, len(points) - first)):
            if bound[j] > limit - square:
                continue
            value = _squared(query, points[first + j])
            if value < squared[-1]:
                _insert(value, start + first + j, squared, places)
                limit = squared[-1] + slack


@_compiled
def visit(
    queries: Floats,
    sketches: Floats,
    low: Floats,
    slack: Floats,
    own: Floats,
    points: Floats,
    blocks: Floats,
    squares: Floats,
    first_block: Places,
    edges: Places,
    apart: Floats,
    squared: Floats,
    places: Places,
) -> None:
    """Put patches that are nearer than the known ones into `squared` and `places`, the nearest first.

    Args:
        queries: ``(Q, C)``.
        sketches: ``(Q, SKETCH)`` whose squared distance to a patch's sketch is at most that of the two, but for slack.
        low: ``(Q, cells)`` distances to the cells' centres, at least.
        slack: ``(Q,)`` by how much squared distances may be rounded.
        own: ``(Q,)`` squared norms of the queries, and so of their sketches.
        points: ``(M, C)`` the patches, by cell, in each the one first that is farthest from its centre.
        blocks: ``(blocks, SKETCH, BLOCK)`` -2 times their sketches, a cell's last block filled up.
        squares: ``(blocks, BLOCK)`` their squared norms.
        first_block: ``(cells + 1,)`` where each cell's blocks begin.
        edges: ``(cells + 1,)`` where each cell's patches begin.
        apart: ``(M,)`` distances of the patches to the centres of their cells.
        squared: ``(Q, k)`` squared distances that are known, rising; infinite where none is.
        places: ``(Q, k)`` of which of the points.
    """
    bound = np.empty(BLOCK, np.float32)
    for first in range(0, len(queries), _TOGETHER):
        some = range(first, min(first + _TOGETHER, len(queries)))
        # The nearest centre's cell narrows most of what follows; no order among the others narrows much more.
        home = np.array([np.argmin(low[q]) for q in some])
        for turn in range(-1, low.shape[1]):
            for q in some:
                cell = home[q - first] if turn < 0 else turn
                start, end = edges[cell], edges[cell + 1]
                if turn == home[q - first] or low[q, cell] - apart[start] > np.sqrt(squared[q, -1] + slack[q]):
                    continue
                _visit_cell(
                    queries[q],
                    sketches[q],
                    low[q, cell],
                    slack[q],
                    own[q],
                    points[start:end],
                    blocks[first_block[cell] : first_block[cell + 1]],
                    squares[first_block[cell] : first_block[cell + 1]],
                    apart[start:end],
                    start,
                    squared[q],
                    places[q],
                    bound,
                )

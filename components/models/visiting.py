"""How queries go through the cells of a bank (`components.models.sketched`), compiled; the only importer of numba.

Numpy alone would work a whole bank's product off before it knows whether the next patch could still be nearer. Here
each distance that is found narrows what is looked at next, and what is left to compare is compared by products of many
queries at once. Threads run it side by side, each product on one (`components.models.parallel`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - whose products compiled code calls: loaded before threads are limited
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_BLOCK = 64
"""Patches of a cell that are compared at once: more make better products, and more that need not be compared."""
_TOGETHER = 256
"""Queries of one product; bounds memory."""


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
def _reaching(low: Floats, far: np.float32, limit: Floats, rows: Places, count: int) -> int:
    """Keep of the first `count` of `rows` those that may have a patch as near as their limit; how many these are.

    Args:
        low: ``(Q,)`` distances of all queries to the cell's centre, at least.
        far: How far the patches in question are from it, at most.
        limit: ``(Q,)`` squared.
        rows: Queries.
        count: See above.
    """
    kept = 0
    for i in range(count):
        q = rows[i]
        between = low[q] - far
        rows[kept] = q  # without a branch, which a processor would guess wrong
        kept += (between <= 0) | (not between * between > limit[q])
    return kept


@_compiled
def _any_below(bounds: Floats, row: int, limit: np.float32) -> bool:
    """Whether any value of a row is not above the limit; counted, as that takes no branches."""
    count = np.int32(0)
    for j in range(bounds.shape[1]):
        count += np.int32(not bounds[row, j] > limit)
    return bool(count > 0)


@_compiled
def _squared(query: Floats, points: Floats, row: int) -> np.float32:
    total = np.float32(0)
    for c in range(len(query)):
        difference = query[c] - points[row, c]
        total += difference * difference
    return total


@_compiled
def _before(value: np.float32, place: int, squared: np.float32, other: int) -> bool:
    """Which of two patches is the nearer one; of two that are as near the first, in whatever order they were met."""
    return bool(value < squared or (value == squared and place < other))


@_compiled
def _insert(value: np.float32, place: int, squared: Floats, places: Places) -> None:
    """Put a patch that is nearer than the last one into its slot; the last one falls out."""
    slot = len(squared) - 1
    while slot > 0 and _before(value, place, squared[slot - 1], places[slot - 1]):
        squared[slot], places[slot] = squared[slot - 1], places[slot - 1]
        slot -= 1
    squared[slot], places[slot] = value, place


@_compiled
def _measure(
    query: Floats, bounds: Floats, own: np.float32, slack: np.float32, points: Floats, start: int, squared: Floats,
    places: Places,
) -> None:  # fmt: skip
    """`visit` of one query and one block, whose patches begin at `start`, by what the product says of each."""
    cut = squared[-1] + slack - own
    nearest = 0  # is measured first: it rules out most of the others
    for j in range(1, len(bounds)):
        if bounds[j] < bounds[nearest]:
            nearest = j
    for turn in range(-1, len(bounds)):
        j = nearest if turn < 0 else turn
        if turn == nearest or bounds[j] > cut:
            continue
        value = _squared(query, points, start + j)
        if _before(value, start + j, squared[-1], places[-1]):
            _insert(value, start + j, squared, places)
            cut = squared[-1] + slack - own


@_compiled
def _fill(home: Places, cell: int, at_home: bool, rows: Places) -> int:
    """Put queries into `rows` whose home the cell is, or is not; how many these are."""
    count = 0
    for q in range(len(home)):
        rows[count] = q
        count += (home[q] == cell) == at_home
    return count


@_compiled
def _products(rows: Places, sketches: Floats, sketched: Floats, gathered: Floats, room: Floats) -> Floats:
    """``(rows, patches)`` of the sketches of some queries and patches; `gathered` and `room` are written to."""
    for i in range(len(rows)):
        gathered[i] = sketches[rows[i]]
    found = room[: len(rows) * len(sketched)].reshape(len(rows), len(sketched))
    np.dot(gathered[: len(rows)], sketched.T, found)
    return found


@_compiled
def _away(centres: Floats, sketches: Floats, own: Floats, slack: Floats) -> tuple[Floats, Places]:
    """``(cells, Q)`` distances of the queries to the cells' centres, at least; ``(Q,)`` the cell that looks nearest."""
    low = np.dot(centres, sketches.T)
    home = np.zeros(low.shape[1], np.intp)
    least = np.full(low.shape[1], np.inf, np.float32)
    for cell in range(len(low)):
        for q in range(low.shape[1]):
            away = np.sqrt(max(low[cell, q] + own[q] - slack[q], np.float32(0)))
            low[cell, q] = away
            if away < least[q]:
                least[q], home[q] = away, cell
    return low, home


class Queries(NamedTuple):
    """What is looked for.

    Attributes:
        points: ``(Q, C)``.
        sketches: ``(Q, S)`` whose product with a patch's is their squared distance, but for `squares` and slack, or
            less.
        squares: ``(Q,)`` squared norms.
        slack: ``(Q,)`` by how much squared distances may be rounded.
    """

    points: Floats
    sketches: Floats
    squares: Floats
    slack: Floats


class Cells(NamedTuple):
    """Patches by cell.

    Attributes:
        points: ``(M, C)`` the patches, in each cell the one first that is farthest from its centre.
        sketches: ``(M, S)`` of them.
        apart: ``(M,)`` their distances to the centres of their cells.
        edges: ``(cells + 1,)`` where each cell's patches begin.
        centres: ``(cells, S)`` sketches of the centres, as those of patches are.
    """

    points: Floats
    sketches: Floats
    apart: Floats
    edges: Places
    centres: Floats


@_compiled
def visit(queries: Queries, cells: Cells, squared: Floats, places: Places) -> None:
    """Put patches that are nearer than the known ones into `squared` and `places`, the nearest first.

    Args:
        queries: Q of them.
        cells: The patches.
        squared: ``(Q, k)`` squared distances that are known, rising; infinite where none is.
        places: ``(Q, k)`` of which of the patches.
    """
    sketches, own, slack = queries.sketches, queries.squares, queries.slack
    points, sketched, apart, edges = cells.points, cells.sketches, cells.apart, cells.edges
    low, home = _away(cells.centres, sketches, own, slack)
    limit = squared[:, -1] + slack
    rows = np.empty(len(squared), np.intp)
    gathered = np.empty((_TOGETHER, sketches.shape[1]), np.float32)
    room = np.empty(_TOGETHER * _BLOCK, np.float32)
    # The nearest centre's cell narrows most of what follows; no order among the others narrows much more.
    for at_home in (True, False):
        for cell in range(len(low)):
            left = _fill(home, cell, at_home, rows)
            for start in range(edges[cell], edges[cell + 1], _BLOCK):
                end = min(start + _BLOCK, edges[cell + 1])
                left = _reaching(low[cell], apart[start], limit, rows, left)
                for first in range(0, left, _TOGETHER):
                    part = rows[first : min(first + _TOGETHER, left)]
                    bounds = _products(part, sketches, sketched[start:end], gathered, room)
                    for i in range(len(part)):
                        q = part[i]
                        # Views are counted, and threads wait for each other's counts: none for what needs no look.
                        if _any_below(bounds, i, limit[q] - own[q]):
                            _measure(
                                queries.points[q], bounds[i], own[q], slack[q], points, start, squared[q], places[q]
                            )
                            limit[q] = squared[q, -1] + slack[q]

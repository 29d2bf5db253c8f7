"""Patches cut into cells, so that most of them need no look: how `coreset` compares all patches with new centres."""

import numpy as np
from numpy.typing import NDArray

from .closest import squared_norms
from .parallel import each

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

SLACK = 1e-5
"""Of the squared norms: more than float32 rounds off a squared distance."""

_CELLS_A_ROOT = 1.5  # cells for each square root of M
_ROUNDS = 4  # of Lloyd's algorithm; more make the cells hardly smaller
_WHOLE = 0.4  # share of the patches from which one product of all costs less than many of a cell each
_PRODUCTS = 1_000_000  # cells of one block of products: 4 MB, what a processor's caches hold


class Cells:
    """Patches ``(M, C)`` by the nearest of about 1.5 sqrt(M) centres.

    No patch of a cell is nearer to a query than the cell's centre is, less the cell's radius (triangle inequality):
    what that rules out is left out. A query that it rules out little for is compared with all patches.

    Args:
        points: The patches, around their mean: its squares are small, so that their difference loses fewer digits.
    """

    def __init__(self, points: Floats) -> None:
        owner, self._centres = lloyd(points, count=max(1, round(_CELLS_A_ROOT * np.sqrt(len(points)))))
        self._places = np.argsort(owner, kind="stable")
        self._edges = np.searchsorted(owner[self._places], np.arange(len(self._centres) + 1))
        ordered = points[self._places]
        self._squares, self._doubled = squared_norms(ordered), ordered * np.float32(-2)
        self._largest = self._squares.max()
        apart = np.linalg.norm(ordered - self._centres[owner[self._places]], axis=1)
        self._radii = np.maximum.reduceat(apart, self._edges[:-1])

    def nearer(self, queries: Floats, squared: Floats) -> tuple[Places, Places, Floats]:
        """Which of the queries ``(Q, C)`` have a patch nearer than known: their rows, its index, its squared distance.

        Args:
            queries: Around the same mean as the patches.
            squared: ``(Q,)`` squared distances that are known.
        """
        found = _Nearest(queries, squared)
        slack = np.float32(SLACK) * (found.norms + self._largest)
        low = _away_at_least(queries, found.norms, self._centres, slack=slack)
        low -= self._radii
        near = low <= found.bound(slack)[:, None]
        far = near @ np.diff(self._edges).astype(np.float32) > _WHOLE * len(self._places)
        near[far] = False
        self._offer_all(np.flatnonzero(far), found)
        by_cell = np.ascontiguousarray(near.T)
        for cell in np.flatnonzero(by_cell.any(axis=1)):
            rows = np.flatnonzero(by_cell[cell])
            rows = rows[low[rows, cell] <= found.bound(slack, rows)]
            if len(rows):
                span = slice(int(self._edges[cell]), int(self._edges[cell + 1]))
                found.offer(rows, self._doubled[span], self._squares[span], first=span.start)
        rows = np.flatnonzero(found.squared < squared)
        return rows, self._places[found.places[rows]], found.squared[rows]

    def _offer_all(self, rows: Places, found: "_Nearest") -> None:
        size = max(1, _PRODUCTS // len(self._places))
        for start in range(0, len(rows), size):
            found.offer(rows[start : start + size], self._doubled, self._squares, first=0)


class _Nearest:
    """The nearest patch of each query ``(Q, C)`` so far, of those nearer than `squared` ``(Q,)``."""

    def __init__(self, queries: Floats, squared: Floats) -> None:
        self.queries, self.norms = queries, squared_norms(queries)
        self.squared, self.places = squared.copy(), np.zeros(len(queries), np.intp)

    def bound(self, slack: Floats, rows: Places | slice = slice(None)) -> Floats:
        """How far what is nearer can be of the queries `rows`."""
        found: Floats = np.sqrt(self.squared[rows] + slack[rows])
        return found

    def offer(self, rows: Places, doubled: Floats, squares: Floats, *, first: int) -> None:
        """Compare the queries `rows` with patches `first` and following, `doubled` ``(n, C)`` being -2 times these."""
        ranked = self.queries[rows] @ doubled.T
        ranked += squares
        best = ranked.argmin(axis=1)
        # |q|^2 is the same for all patches of a query, so it comes last; rounding may leave less than nothing.
        value = np.maximum(ranked[np.arange(len(rows)), best] + self.norms[rows], 0)
        better = value < self.squared[rows]
        self.squared[rows[better]], self.places[rows[better]] = value[better], first + best[better]


def _away_at_least(queries: Floats, squares: Floats, centres: Floats, *, slack: Floats) -> Floats:
    """Distances ``(Q, K)`` of the queries ``(Q, C)``, of those squared norms, to the centres ``(K, C)``, or less.

    Squared distances are known up to the slack ``(Q,)``: what they rule out is ruled out whatever rounding did.
    """
    low: Floats = queries @ (-2 * centres.T)
    low += squared_norms(centres)
    low += (squares - slack)[:, None]
    np.sqrt(np.maximum(low, 0, out=low), out=low)
    return low


def lloyd(points: Floats, *, count: int) -> tuple[Places, Floats]:
    """Cell ``(M,)`` of each point and centres ``(K, C)``, K at most `count`, no cell empty (Lloyd 1982)."""
    centres = points[np.linspace(0, len(points) - 1, count).astype(np.intp)]
    owner = np.empty(0, np.intp)
    for _ in range(_ROUNDS):
        used, owner = np.unique(_owners(points, centres), return_inverse=True)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(used)))
        sizes = np.diff(np.append(starts, len(points))).astype(np.float32)
        centres = np.add.reduceat(points[order], starts, axis=0)
        centres /= sizes[:, None]
    return owner, centres


def _owners(points: Floats, centres: Floats) -> Places:
    doubled, squares = -2 * centres.T, squared_norms(centres)

    def owners(some: Floats) -> Places:
        found: Places = (some @ doubled + squares).argmin(axis=1)
        return found

    blocks = max(1, len(points) * len(centres) // _PRODUCTS)
    return np.concatenate(each(owners, np.array_split(points, blocks)))

"""A large bank of patches cut into cells, so that most of it needs no look; see `components.models.nearest`."""

import numpy as np
from numpy.typing import NDArray

from .closest import Closest, squared_norms
from .parallel import each
from .screen import Screen, has_tiles

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_CELLS_A_ROOT = 1.5  # cells for each square root of M
_ROUNDS = 4  # of Lloyd's algorithm; more make the cells hardly smaller
_SLACK = 1e-5  # of the squared norms: more than float32 rounds off a squared distance
_WHOLE = 0.4  # share of the patches from which one product of all costs less than many of a cell each
_WHOLE_BY_TILES = 0.15  # the same where the processor has matrix tiles
_SCREENED = 512  # patches; with fewer there is too little to rule out
_FEW = 2  # queries a cell up to which that is so too: a look at a cell costs something whatever comes of it
_PRODUCTS = 1_000_000  # cells of one block of products: 4 MB, what a processor's caches hold


class Cells:
    """Patches ``(M, C)`` by the nearest of about 1.5 sqrt(M) centres.

    No patch of a cell is nearer to a query than the cell's centre is, less the cell's radius (triangle inequality). The
    cell with the nearest centre bounds how far the neighbours can be; what that rules out is left out. A query that it
    rules out little for is compared with all patches (as textures need, whose patches lie in no clusters): where the
    processor has matrix tiles, by a product in bf16 that only rules out (`components.models.screen`).

    Args:
        points: The patches, around their mean: its squares are small, so that their difference loses fewer digits.
    """

    def __init__(self, points: Floats) -> None:
        owner, self._centres = _lloyd(points, count=max(1, round(_CELLS_A_ROOT * np.sqrt(len(points)))))
        self._places = np.argsort(owner, kind="stable")
        self._edges = np.searchsorted(owner[self._places], np.arange(len(self._centres) + 1))
        ordered = points[self._places]
        self._squares = squared_norms(ordered)
        apart = np.linalg.norm(ordered - self._centres[owner[self._places]], axis=1)
        self._radii = np.maximum.reduceat(apart, self._edges[:-1])
        self._doubled = ordered * np.float32(-2)
        self._largest = self._squares.max()
        self._screen = Screen(self._doubled, self._squares) if has_tiles() and len(points) >= _SCREENED else None

    def nearest(self, queries: Floats, k: int) -> Places:
        """Indices ``(Q, k)`` of the k nearest patches to the queries ``(Q, C)``, in no order; k is at most M."""
        found = Closest(queries, np.full((len(queries), k), np.inf, np.float32))
        if len(queries) <= _FEW * len(self._centres):
            self._visit_whole(np.arange(len(queries)), found)
            return self._places[found.places]
        away = self._away(found)
        home = np.argmin(away, axis=1)
        self._visit_homes(home, found)
        low = self._low(away, found)
        low[np.arange(len(home)), home] = np.inf
        self._visit_near(low, found)
        return self._places[found.places]

    def nearer(self, queries: Floats, squared: Floats) -> tuple[Places, Places, Floats]:
        """Which of the queries ``(Q, C)`` have a patch nearer than known: their rows, its index, its squared distance.

        Args:
            queries: Around the same mean as the patches.
            squared: ``(Q,)`` squared distances that are known.
        """
        found = Closest(queries, squared[:, None].copy())
        self._visit_near(self._low(self._away(found), found), found)
        rows = np.flatnonzero(found.distances[:, 0] < squared)
        return rows, self._places[found.places[rows, 0]], found.distances[rows, 0]

    def _away(self, found: Closest) -> Floats:
        """Squared distances ``(Q, cells)`` to the centres."""
        away: Floats = found.queries @ (-2 * self._centres.T)
        away += squared_norms(self._centres)
        away += found.norms[:, None]
        return away

    def _low(self, away: Floats, found: Closest) -> Floats:
        """What no patch of a cell is nearer than, ``(Q, cells)``; takes the memory of `away`."""
        # Squared distances are known up to the slack: what is ruled out is so whatever rounding did.
        found.slack = _SLACK * (found.norms + self._largest)
        away -= found.slack[:, None]
        low: Floats = np.sqrt(np.maximum(away, 0, out=away), out=away)
        low -= self._radii
        return low

    def _visit_near(self, low: Floats, found: Closest) -> None:
        near = low <= found.bound()[:, None]
        self._visit_all(near, found)
        by_cell = np.ascontiguousarray(near.T)
        for cell in np.flatnonzero(by_cell.any(axis=1)):
            rows = np.flatnonzero(by_cell[cell])
            self._visit(self._span(cell), rows[low[rows, cell] <= found.bound(rows)], found)

    def _visit_homes(self, home: Places, found: Closest) -> None:
        order = np.argsort(home, kind="stable")
        edges = np.searchsorted(home[order], np.arange(len(self._centres) + 1))
        for cell in np.flatnonzero(np.diff(edges)):
            self._visit(self._span(cell), order[edges[cell] : edges[cell + 1]], found)

    def _visit_all(self, near: NDArray[np.bool_], found: Closest) -> None:
        """Compare queries with all patches where that is less work than with their `near` cells ``(Q, cells)``."""
        shares = near @ np.diff(self._edges).astype(np.float32) / len(self._places)
        far = np.flatnonzero(shares > (_WHOLE_BY_TILES if self._screen else _WHOLE))
        found.forget(far)
        near[far] = False
        self._visit_whole(far, found)

    def _visit_whole(self, rows: Places, found: Closest) -> None:
        if self._screen and len(rows):
            found.take(rows, *self._screen.nearest(found.queries[rows], found.k))
            return
        size = max(1, _PRODUCTS // len(self._places))
        for start in range(0, len(rows), size):
            self._visit(slice(0, len(self._places)), rows[start : start + size], found)

    def _span(self, cell: np.intp) -> slice:
        return slice(int(self._edges[cell]), int(self._edges[cell + 1]))

    def _visit(self, span: slice, rows: Places, found: Closest) -> None:
        if len(rows):
            found.offer(rows, self._doubled[span], self._squares[span], first=span.start)


def _lloyd(points: Floats, *, count: int) -> tuple[Places, Floats]:
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

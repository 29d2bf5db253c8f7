"""A large bank of patches cut into cells, so that most of it needs no look; see `components.models.nearest`."""

import numpy as np
from numpy.typing import NDArray

from .parallel import each, processors

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_CELLS_A_ROOT = 2.0  # cells for each square root of M
_ROUNDS = 5  # of Lloyd's algorithm; more make the cells hardly smaller
_FIRST = 2  # cells that every query is compared with
_SLACK = 1e-5  # relative: float32 rounds a centre's distance by less
_PRODUCTS = 1_000_000  # cells of one block of products


class Cells:
    """Patches ``(M, C)`` by the nearest of about 2 sqrt(M) centres.

    No patch of a cell is nearer to a query than the cell's centre is, less the cell's radius (triangle inequality). The
    two cells with the nearest centres bound how far the neighbours can be; what that rules out is left out.
    """

    def __init__(self, patches: Floats) -> None:
        # Around their mean the squares are small, so that their difference loses fewer digits.
        self._mean = patches.mean(axis=0)
        centred = patches - self._mean
        owner, self._centres = _lloyd(centred, count=round(_CELLS_A_ROOT * np.sqrt(len(patches))))
        self._places = np.argsort(owner, kind="stable")
        self._bounds = np.searchsorted(owner[self._places], np.arange(len(self._centres) + 1))
        points = centred[self._places]
        self._squares = np.einsum("mc,mc->m", points, points)
        apart = np.linalg.norm(points - self._centres[owner[self._places]], axis=1)
        self._radii = np.maximum.reduceat(apart, self._bounds[:-1])
        self._doubled = points * np.float32(-2)
        self._reach = float(np.sqrt(self._squares.max()))

    def nearest(self, queries: Floats, k: int) -> Places:
        """Indices ``(Q, k)`` of the k nearest patches to the queries ``(Q, C)``, in no order."""
        found = _Found(queries - self._mean, k)
        norms = found.norms
        away = self._centres @ (-2 * found.queries.T)  # (cells, Q): squared distances, from here on in place
        away += np.einsum("kc,kc->k", self._centres, self._centres)[:, None]
        away += norms
        np.sqrt(np.maximum(away, 0, out=away), out=away)
        rows = np.arange(len(queries))
        low = away - self._radii[:, None]
        low -= _SLACK * (np.sqrt(norms) + self._reach)
        for _ in range(_FIRST):
            home = np.argmin(away, axis=0)
            away[home, rows] = low[home, rows] = np.inf
            order = np.argsort(home, kind="stable")
            edges = np.searchsorted(home[order], np.arange(len(self._centres) + 1))
            for cell in np.flatnonzero(np.diff(edges)):
                self._visit(cell, order[edges[cell] : edges[cell + 1]], found)
        near = low <= found.bound
        for cell in np.flatnonzero(near.any(axis=1)):
            some = np.flatnonzero(near[cell])
            self._visit(cell, some[low[cell, some] <= found.bound[some]], found)
        return self._places[found.places]

    def _visit(self, cell: int, rows: Places, found: "_Found") -> None:
        span = slice(self._bounds[cell], self._bounds[cell + 1])
        if len(rows):
            found.offer(rows, self._doubled[span], self._squares[span], first=int(span.start))


class _Found:
    """The k nearest patches of each query so far, and what the k-th cannot be farther than."""

    def __init__(self, queries: Floats, k: int) -> None:
        self.queries, self._k = queries, k
        self.norms: Floats = np.einsum("qc,qc->q", queries, queries)
        self.bound = np.full(len(queries), np.inf, np.float32)
        self._distances = np.full((len(queries), k), np.inf, np.float32)
        self.places = np.zeros((len(queries), k), np.intp)

    def offer(self, rows: Places, doubled: Floats, squares: Floats, *, first: int) -> None:
        """Compare the queries `rows` with patches `first` and following, `doubled` ``(n, C)`` being -2 times these."""
        ranked = self.queries[rows] @ doubled.T
        ranked += squares
        if self._k == 1:
            best = ranked.argmin(axis=1)
            found = ranked[np.arange(len(rows)), best] + self.norms[rows]
            better = found < self._distances[rows, 0]
            rows, found, best = rows[better], found[better], best[better]
            self._distances[rows, 0], self.places[rows, 0] = found, first + best
        else:
            ranked += self.norms[rows, None]
            joined = np.concatenate([self._distances[rows], ranked], axis=1)
            kept = np.argpartition(joined, self._k - 1, axis=1)[:, : self._k]
            new = np.where(
                kept < self._k, np.take_along_axis(self.places[rows], kept % self._k, 1), first + kept - self._k
            )
            self._distances[rows], self.places[rows] = np.take_along_axis(joined, kept, 1), new
            found = self._distances[rows].max(axis=1)
        self.bound[rows] = np.sqrt(np.maximum(found, 0))


def _lloyd(points: Floats, *, count: int) -> tuple[Places, Floats]:
    """Cell ``(M,)`` of each point and centres ``(K, C)``, K at most `count`, no cell empty (Lloyd 1982)."""
    centres = points[np.linspace(0, len(points) - 1, count).astype(np.intp)]
    blocks = np.array_split(points, max(processors(), len(points) * count // _PRODUCTS))
    owner = np.empty(0, np.intp)
    for _ in range(_ROUNDS):
        doubled, squares = -2 * centres.T, np.einsum("kc,kc->k", centres, centres)
        owner = np.concatenate(each(lambda some, d=doubled, s=squares: (some @ d + s).argmin(axis=1), blocks))
        used, owner = np.unique(owner, return_inverse=True)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(used)))
        sizes = np.diff(np.append(starts, len(points)))
        centres = np.add.reduceat(points[order], starts, axis=0) / sizes[:, None].astype(np.float32)
    return owner, centres

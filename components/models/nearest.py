"""Exact nearest neighbours in a bank of patches.

A small bank is compared with as a whole, by blocked products. A large one is cut into cells around centres: no patch of
a cell is nearer to a query than the centre is, less the cell's radius (triangle inequality), so most cells need no look.
Of 21,402 patches of 152 features a query of a real image needs a thirtieth. The product only finds neighbours; their
distance is measured by the difference, without the product's cancellation.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .parallel import each, processors

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_CELLS = 1_000_000  # of one block of products: 4 MB, what a processor's caches hold
_CUT_FROM = 4096  # patches; below it one product is faster than the cells
_ROUNDS = 6  # of Lloyd's algorithm; more make the cells hardly smaller
_SLACK = 1e-5  # relative: float32 rounds a centre's distance by less
_QUERIES = 4096  # compared with the cells at once


class Bank:
    """Patches ``(M, C)`` that queries are compared with.

    Args:
        patches: Kept as they are.
    """

    def __init__(self, patches: Floats) -> None:
        self.patches = np.ascontiguousarray(patches, dtype=np.float32)
        # Around their mean the squares are small, so that their difference loses fewer digits.
        self._mean = self.patches.mean(axis=0)

    def __len__(self) -> int:
        """M."""
        return len(self.patches)

    def distances(self, queries: Floats, *, neighbours: int) -> NDArray[np.float64]:
        """Mean Euclidean distance ``(Q,)`` of the queries ``(Q, C)`` to their nearest patches.

        >>> Bank(np.array([[0.0], [3.0]], np.float32)).distances(np.array([[1.0]], np.float32), neighbours=2)
        array([1.5])
        """
        found: NDArray[np.float64] = self.nearest(queries, neighbours=neighbours)[0].mean(axis=1)
        return found

    def nearest(self, queries: Floats, *, neighbours: int) -> tuple[NDArray[np.float64], Places]:
        """Distances ``(Q, K)``, rising, and indices ``(Q, K)`` of the K nearest patches: `neighbours`, at most M."""
        k = min(neighbours, len(self))
        if not len(queries):
            return np.empty((0, k)), np.empty((0, k), np.intp)
        if len(self) >= _CUT_FROM:
            self._cells  # noqa: B018 - made once, before the threads ask for it
        parts = min(len(queries), max(processors(), -(-len(queries) // _QUERIES)))
        found = each(lambda some: self._of_some(some, k), np.array_split(queries, parts))
        return np.concatenate([d for d, _ in found]), np.concatenate([p for _, p in found])

    def _of_some(self, queries: Floats, k: int) -> tuple[NDArray[np.float64], Places]:
        centred = queries - self._mean
        places = self._whole(centred, k) if len(self) < _CUT_FROM else self._cells.nearest(centred, k)
        distances = np.empty(places.shape)
        for column in range(k):
            apart = queries - self.patches[places[:, column]]
            distances[:, column] = np.sqrt(np.einsum("qc,qc->q", apart, apart))
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)

    def _whole(self, queries: Floats, k: int) -> Places:
        doubled, squares = self._product
        size = max(1, _CELLS // len(self))
        places = np.empty((len(queries), k), np.intp)
        for start in range(0, len(queries), size):
            # |q|^2 is the same for all patches of a query, so the nearest are found without it.
            ranked = queries[start : start + size] @ doubled
            ranked += squares
            places[start : start + size] = _smallest(ranked, k)
        return places

    @cached_property
    def _product(self) -> tuple[Floats, Floats]:
        centred = self.patches - self._mean
        return np.ascontiguousarray(-2 * centred.T), np.einsum("mc,mc->m", centred, centred)

    @cached_property
    def _cells(self) -> "_Cells":
        return _Cells(self.patches - self._mean)


class _Cells:
    """Patches ``(M, C)`` by the nearest of about 3.5 sqrt(M) centres."""

    def __init__(self, patches: Floats) -> None:
        owner, centres = _lloyd(patches, count=round(3.5 * np.sqrt(len(patches))))
        self._places = np.argsort(owner, kind="stable")
        self._bounds = np.searchsorted(owner[self._places], np.arange(len(centres) + 1))
        self._sizes = np.diff(self._bounds)
        self._centres, self._points = centres, patches[self._places]
        self._squares = np.einsum("mc,mc->m", self._points, self._points)
        apart = np.linalg.norm(self._points - centres[owner[self._places]], axis=1)
        self._radii = np.maximum.reduceat(apart, self._bounds[:-1])

    def nearest(self, queries: Floats, k: int) -> Places:
        """Indices ``(Q, k)``, in no order."""
        norms = np.einsum("qc,qc->q", queries, queries)
        away = np.sqrt(np.maximum(_between(self._centres, queries, norms), 0))  # (cells, Q)
        scale = _SLACK * (np.sqrt(norms) + float(np.sqrt(self._squares.max())))
        enough = self._sizes >= k
        bound = np.full(len(queries), np.inf, np.float32)
        if enough.any():
            bound = (away[enough] + self._radii[enough, None]).min(axis=0)
        state = _Found(queries, norms, bound, k)
        home = np.argmin(away, axis=0)
        away -= self._radii[:, None]
        away -= scale
        by_home = np.argsort(home, kind="stable")
        edges = np.searchsorted(home[by_home], np.arange(len(self._centres) + 1))
        for cell in np.flatnonzero(np.diff(edges)):
            self._visit(cell, by_home[edges[cell] : edges[cell + 1]], state)
        away[home, np.arange(len(queries))] = np.inf
        near = away <= state.bound
        for cell in np.flatnonzero(near.any(axis=1)):
            rows = np.flatnonzero(near[cell])
            self._visit(cell, rows[away[cell, rows] <= state.bound[rows]], state)
        return self._places[state.places]

    def _visit(self, cell: int, rows: Places, state: "_Found") -> None:
        span = slice(self._bounds[cell], self._bounds[cell + 1])
        if len(rows):
            state.offer(rows, self._points[span], self._squares[span], first=int(span.start))


class _Found:
    """The k nearest patches of each query so far, and what the k-th cannot be farther than."""

    def __init__(self, queries: Floats, norms: Floats, bound: Floats, k: int) -> None:
        self._queries, self._norms, self._k = queries, norms, k
        self.bound = bound
        self._distances = np.full((len(queries), k), np.inf, np.float32)
        self.places = np.zeros((len(queries), k), np.intp)

    def offer(self, rows: Places, points: Floats, squares: Floats, *, first: int) -> None:
        """Compare the queries `rows` with `points` ``(n, C)``, patches `first` and following."""
        ranked = self._queries[rows] @ points.T
        ranked *= -2
        ranked += squares
        ranked += self._norms[rows, None]
        if self._k == 1:
            best = ranked.argmin(axis=1)
            found = ranked[np.arange(len(rows)), best]
            better = found < self._distances[rows, 0]
            rows, found, best = rows[better], found[better], best[better]
            self._distances[rows, 0], self.places[rows, 0] = found, first + best
        else:
            joined = np.concatenate([self._distances[rows], ranked], axis=1)
            new = np.broadcast_to(np.arange(first, first + len(points)), ranked.shape)
            places = np.concatenate([self.places[rows], new], axis=1)
            kept = np.argpartition(joined, self._k - 1, axis=1)[:, : self._k]
            self._distances[rows] = np.take_along_axis(joined, kept, 1)
            self.places[rows] = np.take_along_axis(places, kept, 1)
            found = self._distances[rows].max(axis=1)
        self.bound[rows] = np.minimum(self.bound[rows], np.sqrt(np.maximum(found, 0)))


def _lloyd(patches: Floats, *, count: int) -> tuple[Places, Floats]:
    """Cell ``(M,)`` of each patch and centres ``(K, C)``, K at most `count`, no cell empty (Lloyd 1982)."""
    centres = patches[np.linspace(0, len(patches) - 1, count).astype(np.intp)]
    norms = np.einsum("mc,mc->m", patches, patches)
    for _ in range(_ROUNDS):
        blocks = np.array_split(np.arange(len(patches)), max(processors(), len(patches) * count // _CELLS))
        owner = np.concatenate(
            each(lambda rows, now=centres: _between(now, patches[rows], norms[rows]).argmin(axis=0), blocks)
        )
        used, owner = np.unique(owner, return_inverse=True)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(used)))
        sizes = np.diff(np.append(starts, len(patches)))
        centres = np.add.reduceat(patches[order], starts, axis=0) / sizes[:, None].astype(np.float32)
    return owner, centres


def _between(centres: Floats, queries: Floats, norms: Floats) -> Floats:
    """Squared distances ``(K, Q)``."""
    found: Floats = centres @ queries.T
    found *= -2
    found += norms
    found += np.einsum("kc,kc->k", centres, centres)[:, None]
    return found


def _smallest(ranked: Floats, k: int) -> Places:
    if k == 1:
        return np.argmin(ranked, axis=1)[:, None]
    return np.argpartition(ranked, k - 1, axis=1)[:, :k]

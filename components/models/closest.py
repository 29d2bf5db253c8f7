"""The k nearest patches of queries while they are searched for, and the k smallest values of long rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_GROUPS = 128  # of a long row, whose minima bound its k-th smallest value


class Closest:
    """The k nearest patches of each query so far.

    Args:
        queries: ``(Q, C)``.
        distances: ``(Q, k)`` squared distances that are known, infinite where none is.
    """

    def __init__(self, queries: Floats, distances: Floats) -> None:
        self.queries, self.distances = queries, distances
        self.norms = squared_norms(queries)
        self.slack = np.zeros_like(self.norms)
        self.places = np.zeros(distances.shape, np.intp)

    def bound(self, rows: Places | slice = slice(None)) -> Floats:
        """How far the k-th can be of the queries `rows`, squared distances being known up to the slack."""
        known = self.distances[rows]
        farthest = known[:, 0] if known.shape[1] == 1 else known.max(axis=1)
        found: Floats = np.sqrt(np.maximum(farthest + self.slack[rows], 0))
        return found

    def forget(self, rows: Places) -> None:
        """As if these had been compared with nothing; one neighbour may stay, as it cannot be found twice."""
        if self.distances.shape[1] > 1:
            self.distances[rows] = np.inf

    @property
    def k(self) -> int:
        """Neighbours of each query."""
        return int(self.distances.shape[1])

    def take(self, rows: Places, places: Places, squared: Floats) -> None:
        """What is now known of the queries `rows`: their k nearest ``(n, k)`` and squared distances, where nearer."""
        nearer = squared < self.distances[rows]
        self.distances[rows] = np.where(nearer, squared, self.distances[rows])
        self.places[rows] = np.where(nearer, places, self.places[rows])

    def offer(self, rows: Places, doubled: Floats, squares: Floats, *, first: int) -> None:
        """Compare the queries `rows` with patches `first` and following, `doubled` ``(n, C)`` being -2 times these."""
        ranked = self.queries[rows] @ doubled.T
        ranked += squares
        k = self.k
        if k == 1:
            best = ranked.argmin(axis=1)
            found = ranked[np.arange(len(rows)), best] + self.norms[rows]
            better = found < self.distances[rows, 0]
            self.distances[rows[better], 0], self.places[rows[better], 0] = found[better], first + best[better]
            return
        ranked += self.norms[rows, None]
        better = ranked.min(axis=1) < self.distances[rows].max(axis=1)
        rows, ranked = rows[better], ranked[better]
        if ranked.shape[1] > k:
            own = smallest(ranked, k)
            self._merge(rows, np.take_along_axis(ranked, own, axis=1), first + own)
        else:
            self._merge(rows, ranked, np.broadcast_to(first + np.arange(ranked.shape[1]), ranked.shape))

    def _merge(self, rows: Places, distances: Floats, places: Places) -> None:
        k = self.k
        joined = np.concatenate([self.distances[rows], distances], axis=1)
        kept = np.argpartition(joined, k - 1, axis=1)[:, :k]
        self.distances[rows] = np.take_along_axis(joined, kept, axis=1)
        self.places[rows] = np.take_along_axis(np.concatenate([self.places[rows], places], axis=1), kept, axis=1)


def smallest(ranked: NDArray[Any], k: int) -> Places:
    """Columns ``(Q, k)`` of the k smallest values of each row of ``(Q, M)``, in no order; k is at most M."""
    rows, count = ranked.shape
    groups = max(_GROUPS, 4 * k)
    found: Places
    if k == 1 or count < 8 * groups:
        found = np.argmin(ranked, axis=1)[:, None] if k == 1 else np.argpartition(ranked, k - 1, axis=1)[:, :k]
        return found
    # The k-th smallest of the groups' minima is no smaller than that of all values: most values are left out by it.
    whole = count - count % groups
    minima = ranked[:, :whole].reshape(rows, -1, groups).min(axis=1)
    bound = np.partition(minima, k - 1, axis=1)[:, k - 1 : k]
    row, column = np.divmod(np.flatnonzero(~(ranked > bound)), count)
    order = np.lexsort((ranked[row, column], row))
    starts = np.searchsorted(row, np.arange(rows))
    found = column[order[starts[:, None] + np.arange(k)]]
    return found


def squared_norms(rows: Floats) -> Floats:
    """``(P,)`` of the rows ``(P, C)``."""
    found: Floats = np.einsum("pc,pc->p", rows, rows)
    return found

"""A large bank of patches, cut into cells and sketched, so that most of it needs no look; see `nearest`."""

import numpy as np
from numpy.typing import NDArray

from .cells import SLACK, away_at_least, lloyd
from .closest import squared_norms

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

SKETCH = 32
"""Numbers of a patch's sketch; a multiple of 8."""
BLOCK = 32
"""Patches whose sketches are compared at once."""

_SAMPLE = 8192  # points that axes are learned from at most
_FAR = 1e30  # squared norm of what fills blocks


class Sketched:
    """Patches ``(M, C)`` by the nearest of about sqrt(M) centres.

    No patch of a cell is nearer to a query than its centre is, less the patch's distance to that centre (triangle
    inequality). And no patch is nearer than its sketch is to the query's: along the axes that the patches vary most on,
    and, as one number, how far they are from these. What both leave is measured, by the difference.

    Args:
        points: The patches, around their mean: its squares are small, so that their difference loses fewer digits.
    """

    def __init__(self, points: Floats) -> None:
        self._axes = _main_axes(points)
        owner, self._centres = lloyd(points, count=max(1, round(np.sqrt(len(points)))))
        apart = np.linalg.norm(points - self._centres[owner], axis=1)
        self._places = np.lexsort((-apart, owner))
        self._edges = np.searchsorted(owner[self._places], np.arange(len(self._centres) + 1))
        self._points, self._apart = points[self._places], apart[self._places]
        sizes = np.diff(self._edges)
        self._first_block = np.concatenate([[0], np.cumsum(-(-sizes // BLOCK))])
        squares = squared_norms(self._points)
        self._largest = squares.max()
        sketches = self._blocked(-2 * self._sketched(self._points, squares), filling=0)
        self._blocks = np.ascontiguousarray(sketches.transpose(0, 2, 1))
        self._squares = self._blocked(squares, filling=_FAR)

    def nearest(self, queries: Floats, k: int) -> tuple[Floats, Places]:
        """Squared distances ``(Q, k)``, rising, and indices ``(Q, k)`` of the k nearest patches, k at most M.

        Of a query that is no number the distances are infinite.
        """
        from .visiting import visit  # takes half a second, which small banks need not

        squares = squared_norms(queries)
        slack = np.float32(SLACK) * (squares + self._largest)
        low = away_at_least(queries, squares, self._centres, slack=slack)
        squared, places = np.full((len(queries), k), np.inf, np.float32), np.zeros((len(queries), k), np.intp)
        visit(
            np.ascontiguousarray(queries),
            self._sketched(queries, squares),
            low,
            slack,
            squares,
            self._points,
            self._blocks,
            self._squares,
            self._first_block,
            self._edges,
            self._apart,
            squared,
            places,
        )
        return squared, self._places[places]

    def _sketched(self, rows: Floats, squares: Floats) -> Floats:
        """``(N, SKETCH)``: where the rows ``(N, C)`` are along the axes, and how far from them."""
        found = np.zeros((len(rows), SKETCH), np.float32)
        along = found[:, : self._axes.shape[1]]
        np.matmul(rows, self._axes, out=along)
        found[:, -1] = np.sqrt(np.maximum(squares - squared_norms(along), 0))
        return found

    def _blocked(self, values: Floats, *, filling: float) -> Floats:
        """``(blocks, BLOCK, ...)`` of the patches' values ``(M, ...)``: each cell in blocks of its own."""
        first, sizes = self._first_block, np.diff(self._edges)
        found = np.full((int(first[-1]) * BLOCK, *values.shape[1:]), filling, np.float32)
        found[np.arange(len(values)) + np.repeat(first[:-1] * BLOCK - self._edges[:-1], sizes)] = values
        return found.reshape(-1, BLOCK, *values.shape[1:])


def _main_axes(points: Floats) -> Floats:
    """Orthonormal axes ``(C, A)`` on which the points ``(M, C)``, around their mean, vary most; A below `SKETCH`."""
    some = points[:: max(1, len(points) // _SAMPLE)].astype(np.float64)
    vectors = np.linalg.eigh(some.T @ some)[1]
    return np.ascontiguousarray(vectors[:, :-SKETCH:-1], dtype=np.float32)

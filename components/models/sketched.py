"""A large bank of patches, cut into cells and sketched, so that most of it needs no look; see `nearest`."""

import numpy as np
from numpy.typing import NDArray

from .cells import SLACK, lloyd
from .closest import squared_norms
from .visiting import Cells, Queries, visit

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

SKETCH = 48
"""Numbers of a patch's sketch."""

_SAMPLE = 8192  # points that axes are learned from at most


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
        owner, centres = lloyd(points, count=max(1, round(np.sqrt(len(points)))))
        apart = np.linalg.norm(points - centres[owner], axis=1)
        self._places = np.lexsort((-apart, owner))
        edges = np.searchsorted(owner[self._places], np.arange(len(centres) + 1))
        ordered = points[self._places]
        squares = squared_norms(ordered)
        self._largest = squares.max()
        self._cells = Cells(
            points=ordered,
            sketches=self._compared(ordered, squares),
            apart=apart[self._places],
            edges=edges,
            centres=self._compared(centres, squared_norms(centres)),
        )

    def nearest(self, queries: Floats, k: int) -> tuple[Floats, Places]:
        """Squared distances ``(Q, k)``, rising, and indices ``(Q, k)`` of the k nearest patches, k at most M.

        Of a query that is no number the distances are infinite.
        """
        squares = squared_norms(queries)
        slack = np.float32(SLACK) * (squares + self._largest)
        squared, places = np.full((len(queries), k), np.inf, np.float32), np.zeros((len(queries), k), np.intp)
        asked = Queries(np.ascontiguousarray(queries), self._sketched(queries, squares), squares, slack)
        visit(asked, self._cells, squared, places)
        return squared, self._places[places]

    def _sketched(self, rows: Floats, squares: Floats) -> Floats:
        """``(N, SKETCH)``: where the rows ``(N, C)`` are along the axes, how far from them at most, and 1."""
        found = np.zeros((len(rows), SKETCH), np.float32)
        along = found[:, : self._axes.shape[1]]
        np.matmul(rows, self._axes, out=along)
        # Near the axes the difference is what rounding left of it; less than the truth would rule out too much.
        found[:, -2] = np.sqrt(np.maximum(squares - squared_norms(along), 0) + np.float32(SLACK) * squares)
        found[:, -1] = 1
        return found

    def _compared(self, rows: Floats, squares: Floats) -> Floats:
        """`_sketched` times -2, and the squared norm for the 1.

        Its product with a query's sketch is a squared distance, or less, but for the query's squared norm.
        """
        found = self._sketched(rows, squares)
        found *= -2
        found[:, -1] = squares
        return found


def _main_axes(points: Floats) -> Floats:
    """Orthonormal axes ``(C, A)`` on which points ``(M, C)``, around their mean, vary most; A below `SKETCH` - 1."""
    some = points[:: max(1, len(points) // _SAMPLE)].astype(np.float64)
    vectors = np.linalg.eigh(some.T @ some)[1]
    return np.ascontiguousarray(vectors[:, : 1 - SKETCH : -1], dtype=np.float32)

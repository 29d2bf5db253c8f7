"""The k smallest values of long rows, and the squared norms of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_GROUPS = 128  # of a long row, whose minima bound its k-th smallest value


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

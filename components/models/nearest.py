"""Exact nearest neighbours in a small bank of patches."""

import numpy as np
from numpy.typing import NDArray

_CELLS = 8_000_000  # of one block of products; bounds memory

Floats = NDArray[np.float32]


class Bank:
    """Patches ``(M, C)`` that queries are compared with.

    Args:
        patches: Kept as they are.
    """

    def __init__(self, patches: Floats) -> None:
        self.patches = np.ascontiguousarray(patches, dtype=np.float32)
        # Around their mean the squares are small, so that their difference loses fewer digits.
        self._mean = self.patches.mean(axis=0)
        self._centred = self.patches - self._mean
        self._squares = np.einsum("mc,mc->m", self._centred, self._centred)

    def distances(self, queries: Floats, *, neighbours: int) -> NDArray[np.float64]:
        """Mean Euclidean distance ``(Q,)`` of the queries ``(Q, C)`` to their nearest patches.

        >>> Bank(np.array([[0.0], [3.0]], np.float32)).distances(np.array([[1.0]], np.float32), neighbours=2)
        array([1.5])
        """
        size = max(1, _CELLS // len(self.patches))
        found = [
            self._of_block(queries[start : start + size], min(neighbours, len(self.patches)))
            for start in range(0, len(queries), size)
        ]
        return np.concatenate(found)

    def _of_block(self, queries: Floats, k: int) -> NDArray[np.float64]:
        centred = queries - self._mean
        # |q|^2 is the same for all patches of a query, so the nearest are found without it.
        ranked = self._squares - 2 * (centred @ self._centred.T)
        nearest = np.argmin(ranked, axis=1)[:, None] if k == 1 else np.argpartition(ranked, k - 1, axis=1)[:, :k]
        # The product finds them; the difference, without its cancellation, measures them.
        total = np.zeros(len(queries))
        for column in np.sort(nearest, axis=1).T:
            total += np.linalg.norm((centred - self._centred[column]).astype(np.float64), axis=1)
        return total / k

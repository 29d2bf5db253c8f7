"""Exact nearest neighbours in a small bank of patches."""

import numpy as np
from numpy.typing import NDArray

_CELLS = 8_000_000  # of one block of products; bounds memory

Floats = NDArray[np.float32]
Places = NDArray[np.intp]


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
        size = max(1, _CELLS // len(self))
        found = [self._of_block(queries[start : start + size], k) for start in range(0, len(queries), size)]
        return np.concatenate([d for d, _ in found]), np.concatenate([p for _, p in found])

    def _of_block(self, queries: Floats, k: int) -> tuple[NDArray[np.float64], Places]:
        centred = queries - self._mean
        # |q|^2 is the same for all patches of a query, so the nearest are found without it.
        ranked = self._squares - 2 * (centred @ self._centred.T)
        places = np.argmin(ranked, axis=1)[:, None] if k == 1 else np.argpartition(ranked, k - 1, axis=1)[:, :k]
        # The product finds them; the difference, without its cancellation, measures them.
        distances = np.empty(places.shape)
        for column, place in enumerate(places.T):
            distances[:, column] = np.linalg.norm((queries - self.patches[place]).astype(np.float64), axis=1)
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)

"""Exact nearest neighbours in a bank of patches.

A small bank is compared with as a whole, by blocked products; a large one by cells (`components.models.cells`). The
product only finds neighbours; their distance is measured by the difference, without the product's cancellation. Of
patches whose squared distances differ by less than the product rounds, any may be taken.
`python -m benchmarks.neighbours` compares them with FAISS, which measures by the product and never rules out.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .closest import smallest
from .parallel import each, processors

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_PRODUCTS = 1_000_000  # cells of one block of products: 4 MB, what a processor's caches hold
_CUT_FROM = 4096  # patches; below it the product of all is about as fast
_QUERIES = 4096  # of one search by cells; bounds memory


class Bank:
    """Patches ``(M, C)`` that queries are compared with.

    Args:
        patches: Kept as they are.

    Raises:
        ValueError: There are no patches, or values that are not finite.
    """

    def __init__(self, patches: Floats) -> None:
        if not len(patches) or not np.isfinite(patches).all():
            raise ValueError(f"a bank needs patches of finite values, got {patches.shape}")
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
        """Distances ``(Q, K)``, rising, and indices ``(Q, K)`` of the K nearest patches: `neighbours`, at most M.

        The more queries a call has, the less each costs in a large bank.
        """
        k = min(neighbours, len(self))
        if not len(queries):
            return np.empty((0, k)), np.empty((0, k), np.intp)
        # Made here, once, before the threads ask for it.
        find = self._whole if self._product else self._cells.nearest

        def search(some: Floats) -> tuple[NDArray[np.float64], Places]:
            return self._measured(some, find(some - self._mean, k))

        parts = min(len(queries), max(processors(), -(-len(queries) // _QUERIES)))
        found = each(search, np.array_split(np.ascontiguousarray(queries, np.float32), parts))
        return np.concatenate([d for d, _ in found]), np.concatenate([p for _, p in found])

    def _whole(self, centred: Floats, k: int) -> Places:
        assert self._product is not None
        doubled, squares = self._product
        size = max(1, _PRODUCTS // len(self))
        places = np.empty((len(centred), k), np.intp)
        for start in range(0, len(centred), size):
            # |q|^2 is the same for all patches of a query, so the nearest are found without it.
            ranked = centred[start : start + size] @ doubled
            ranked += squares
            places[start : start + size] = smallest(ranked, k)
        return places

    def _measured(self, queries: Floats, places: Places) -> tuple[NDArray[np.float64], Places]:
        """Distances ``(Q, K)`` to the patches `places` ``(Q, K)``, both in rising order of distance."""
        distances = np.empty(places.shape)
        for column, place in enumerate(places.T):
            apart = (queries - self.patches[place]).astype(np.float64)
            distances[:, column] = np.sqrt(np.einsum("qc,qc->q", apart, apart))
        if places.shape[1] == 1:
            return distances, places
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)

    @cached_property
    def _product(self) -> tuple[Floats, Floats] | None:
        """-2 times the patches around their mean, ``(C, M)``, and their squares; None where cells are faster."""
        if len(self) >= _CUT_FROM:
            return None
        centred = self.patches - self._mean
        return np.ascontiguousarray(-2 * centred.T), np.einsum("mc,mc->m", centred, centred)

    @cached_property
    def _cells(self) -> Cells:
        return Cells(self.patches - self._mean)

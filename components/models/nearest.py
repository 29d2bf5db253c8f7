"""Exact nearest neighbours in a bank of patches.

A small bank is compared with as a whole, by blocked products; of a large one most is ruled out
(`components.models.sketched`). The product only finds neighbours; their distance is measured by the difference, without
the product's cancellation. Of patches whose squared distances differ by less than it rounds, any may be taken.
`python -m benchmarks.neighbours` compares them with FAISS, which measures by the product and never rules out.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .closest import smallest, squared_norms
from .parallel import each, processors

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_PRODUCTS = 1_000_000  # cells of one block of products: 4 MB, what a processor's caches hold
_CUT_FROM = 1000  # patches; below it the product of all is about as fast
_QUERIES = 4096  # of one search by cells; bounds memory, and lets who is done first help with the rest


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
        search = self._search  # made here, once, before the threads ask for it
        parts = min(len(queries), max(processors(), -(-len(queries) // _QUERIES)))
        found = each(lambda some: search(some, k), np.array_split(np.ascontiguousarray(queries, np.float32), parts))
        return np.concatenate([d for d, _ in found]), np.concatenate([p for _, p in found])

    def _by_product(self, queries: Floats, k: int) -> tuple[NDArray[np.float64], Places]:
        doubled, squares = self._product
        size = max(1, _PRODUCTS // len(self))
        places = np.empty((len(queries), k), np.intp)
        for start in range(0, len(queries), size):
            # |q|^2 is the same for all patches of a query, so the nearest are found without it.
            ranked = (queries[start : start + size] - self._mean) @ doubled
            ranked += squares
            places[start : start + size] = smallest(ranked, k)
        distances = np.empty(places.shape)
        for column, place in enumerate(places.T):
            apart = (queries - self.patches[place]).astype(np.float64)
            distances[:, column] = np.sqrt(np.einsum("qc,qc->q", apart, apart))
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)

    @cached_property
    def _search(self) -> Callable[[Floats, int], tuple[NDArray[np.float64], Places]]:
        if len(self) < _CUT_FROM:
            return self._by_product
        from .sketched import Sketched  # takes half a second, which small banks need not

        sketched = Sketched(self.patches - self._mean)

        def by_sketches(queries: Floats, k: int) -> tuple[NDArray[np.float64], Places]:
            squared, places = sketched.nearest(queries - self._mean, k)
            distances = np.sqrt(squared.astype(np.float64))
            distances[np.isinf(distances)] = np.nan
            return distances, places

        return by_sketches

    @cached_property
    def _product(self) -> tuple[Floats, Floats]:
        """-2 times the patches around their mean, ``(C, M)``, and their squares."""
        centred = self.patches - self._mean
        return np.ascontiguousarray(-2 * centred.T), squared_norms(centred)

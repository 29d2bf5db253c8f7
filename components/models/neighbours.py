"""Cheap detectors of tables that compare a sample with the training samples nearest to it: `knn`, `lof`, `mahalanobis`.

What `lof` learns beside the rows comes from PyOD, see `pyod_fit`; `knn` scores as PyOD's does. Neighbours are found by
`nearest.Bank`, in single precision: a ball tree looks at every row, too, once there are tens of columns, and takes ten
times as long.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from . import pyod_fit
from .baselines import SAME, Baseline
from .heads import DrawnBank
from .nearest import Bank
from .onnx_graph import OnnxGraph, Value
from .params.tables import LOFParams, NeighbourParams
from .pyod_fit import Arrays, Rows
from .whitening import SHARP, whitening


class KNN(Baseline[NeighbourParams]):
    """Distance to the k-th nearest training sample (Ramaswamy, Rastogi & Shim 2000)."""

    name: ClassVar[str] = "knn"
    parameters: ClassVar[type[NeighbourParams]] = NeighbourParams
    arrays: ClassVar[frozenset[str]] = frozenset({"rows"})
    batch_tolerance: ClassVar[float] = 1e-6

    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:  # noqa: ARG002 - nothing drawn or estimated
        return {"rows": rows}

    def _prepare(self) -> None:
        self._bank = Bank(self._learned["rows"].astype(np.float32))

    def _neighbours(self, rows: int) -> int:
        return min(self._params.neighbours, rows - 1)

    def _distances(self, rows: Rows) -> NDArray[np.float64]:
        seen = self._seen(rows).astype(np.float32)
        return self._score(*self._bank.nearest(seen, neighbours=self._neighbours(len(self._bank))))

    def _seen(self, rows: Rows) -> Rows:
        """Rows ``(M, F)`` in the space of the training rows that are kept."""
        return rows

    def _score(self, distances: Rows, places: NDArray[np.intp]) -> NDArray[np.float64]:  # noqa: ARG002 - LOF asks where
        """``(M,)`` of rising distances ``(M, K)`` to the training rows at `places`."""
        return distances[:, -1]

    def _drawn(self, graph: OnnxGraph, rows: Value) -> Value:
        bank = DrawnBank(graph, self._bank)
        found = bank.nearest(self._drawn_rows(graph, rows), neighbours=self._neighbours(len(self._bank)))
        return self._drawn_score(graph, *found)

    def _drawn_rows(self, graph: OnnxGraph, rows: Value) -> Value:  # noqa: ARG002 - others are seen another way
        """`_seen` in an exported network."""
        return rows

    def _drawn_score(self, graph: OnnxGraph, distances: Value, places: Value) -> Value:  # noqa: ARG002 - as `_score`
        """`_score` in an exported network."""
        last = graph.take(distances, np.array([distances.shape[1] - 1]), axis=1)
        return graph.reshape(last, (-1,))


class LOF(KNN):
    """How much sparser it is around a sample than around its neighbours (Breunig et al. 2000, definition 7)."""

    name: ClassVar[str] = "lof"
    parameters: ClassVar[type[NeighbourParams]] = LOFParams
    arrays: ClassVar[frozenset[str]] = frozenset({"rows", "reach", "density"})

    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:  # noqa: ARG002 - nothing drawn or estimated
        return pyod_fit.lof(rows, neighbours=self._neighbours(len(rows)))

    def _prepare(self) -> None:
        super()._prepare()
        self._reach = np.maximum(self._learned["reach"], SAME)  # so that repeated rows have a finite density
        self._density = np.minimum(self._learned["density"], 1 / SAME)

    def _score(self, distances: Rows, places: NDArray[np.intp]) -> NDArray[np.float64]:
        reach = np.maximum(distances, self._reach[places])
        found: NDArray[np.float64] = self._density[places].mean(axis=1) * reach.mean(axis=1)
        return found

    def _drawn_score(self, graph: OnnxGraph, distances: Value, places: Value) -> Value:
        reach, density = (graph.take(learned, places, axis=0) for learned in (self._reach, self._density))
        farther = graph.op("Max", distances, reach, shape=distances.shape)
        return graph.times(*(graph.reduced("Mean", found, axes=(1,)) for found in (farther, density)))


class Mahalanobis(KNN):
    """Distance to the k-th nearest training sample where each principal component counts in its own deviation.

    Sensors of one machine follow each other: what breaks their usual relation lies within each one's range, and along a
    component of little variance (Mahalanobis 1936; Hotelling 1947 for the distance from the mean alone, which several
    modes would blur); see `whitening`.
    """

    name: ClassVar[str] = "mahalanobis"
    arrays: ClassVar[frozenset[str]] = frozenset({"rows", "whitening"})

    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:  # noqa: ARG002 - nothing drawn
        components = whitening(rows, floor=SHARP, overlap=overlap, gaps=self._fitted().gaps)
        return {"rows": rows @ components, "whitening": components}

    def _seen(self, rows: Rows) -> Rows:
        return rows @ self._learned["whitening"]

    def _drawn_rows(self, graph: OnnxGraph, rows: Value) -> Value:
        return graph.product(rows, self._learned["whitening"])

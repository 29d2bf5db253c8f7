"""Cheap detectors of tables, learned by PyOD: `ecod` and `isolation-forest`; those by neighbours are in `neighbours`.

Each keeps what was learned as arrays and scores with them; `pyod_fit` says what they are. A sample's score depends on
the training samples and on itself alone.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core.contracts import Calibration, Modality, Scores, TableSchema
from ..core.contracts import Params as Values
from ..core.errors import ModelError
from ..core.network import WholeNetwork
from ..core.ports import Batch, Progress, Samples, silent
from ..core.seeds import derive_seed
from . import pyod_fit, table_heads
from .bundle import read_bundle, write_bundle
from .encoding import TableEncoder
from .on_table import occlusion, training_windows
from .onnx_graph import OnnxGraph, Value
from .params.tables import BaselineParams, IsolationForestParams
from .pyod_fit import Arrays, Rows

P = TypeVar("P", bound=BaselineParams)

SAME = 1e-5
"""Scaled features as near as this are one value, and rows one row, where repeated ones count: sums of the same numbers
in another order, and those that an exported network computes in 32 bits, differ in their last digits."""


class Baseline(ABC, Generic[P]):
    """What they share; a subclass learns arrays from rows and scores rows with them."""

    name: ClassVar[str]
    modality: ClassVar[Modality] = Modality.TABLE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-9
    parameters: ClassVar[type[BaselineParams]]
    arrays: ClassVar[frozenset[str]]

    def __init__(self, params: P, *, schema: TableSchema) -> None:
        self._params, self._schema = params, schema
        self.calibration: Calibration | None = None
        self._encoder: TableEncoder | None = None
        self._learned: Arrays = {}

    @property
    def params(self) -> Values:
        """Every parameter."""
        return self._params.model_dump()

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """See `Detector.fit`."""
        limit = self._params.max_samples
        windows, labels, overlap = training_windows(samples, schema=self._schema, limit=limit, seed=seed)
        self._encoder = TableEncoder.fit(windows[labels == 0], self._schema, features=self._params.features)
        progress("fitting", 0, 1)
        normal = self._encoder.encode(windows[labels == 0])
        self._learned = self._learn(normal, derive_seed(seed, self.name), overlap)
        self._prepare()
        progress("fitting", 1, 1)

    def score(self, batch: Batch) -> Scores:
        """See `Detector.score`."""
        assert isinstance(batch, np.ndarray)
        encoder = self._fitted()
        if len(batch) == 0:
            return Scores(image=np.empty(0))
        return Scores(image=self._distances(encoder.encode(batch)))

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """``(N, W, D)``: by how much the score falls when a column takes its training median, shared over its rows."""
        assert isinstance(batch, np.ndarray)
        return occlusion(lambda windows: self.score(windows).image, batch, usual=self._fitted().medians)

    def as_network(self) -> WholeNetwork:
        """See `components.core.ports.Detector`."""
        encoder = self._fitted()
        graph = OnnxGraph()
        graph.head()
        graph.output("score", self._drawn(graph, table_heads.encoded(graph, encoder)))
        return WholeNetwork(onnx=graph.serialized(), outputs=("score",), preparation=table_heads.preparation(encoder))

    def save(self, directory: Path) -> None:
        """See `Detector.save`."""
        encoder = self._fitted()
        write_bundle(
            directory,
            name=self.name,
            params=self.params,
            state={"encoder": encoder.model_dump(mode="json")},
            tensors=self._learned,
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `Detector.load`."""
        bundle = read_bundle(directory)
        broken = ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.")
        try:
            encoder = TableEncoder.model_validate(bundle.header.state["encoder"])
            params = cls.parameters.model_validate(bundle.header.params)
        except (KeyError, ValidationError) as error:
            raise broken from error
        if set(bundle.tensors) != cls.arrays:
            raise broken
        detector = cls(params, schema=encoder.table)  # type: ignore[arg-type] # `parameters` is P's own class
        detector._encoder = encoder
        detector._learned = bundle.tensors
        detector._prepare()
        detector.calibration = bundle.header.calibration
        return detector

    @abstractmethod
    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:
        """The arrays named in `arrays` from training `rows` ``(N, F)``, N at least 2; `overlap` as in `Training`."""

    @abstractmethod
    def _distances(self, rows: Rows) -> NDArray[np.float64]:
        """Scores ``(M,)`` of `rows` ``(M, F)``, M at least 1."""

    @abstractmethod
    def _drawn(self, graph: OnnxGraph, rows: Value) -> Value:
        """`_distances` in an exported network."""

    def _prepare(self) -> None:
        """What is derived from the arrays once for many scores; nothing here."""

    def _fitted(self) -> TableEncoder:
        if self._encoder is None:
            raise ModelError(f"{self.name} is not fitted.", hint="Call fit first.")
        return self._encoder


class ECOD(Baseline[BaselineParams]):
    """Tail probabilities of each feature, as if independent (Li et al. 2022, "ECOD", equations 4 to 6).

    A sample joins the training samples for its own distribution functions, so that none is 0; PyOD lets a whole batch
    join, and takes the skewness of both together. No feature adds more than the logarithm of their number: that of
    `TableEncoder.complete` is one among all, and sensors that died are hardly seen.
    """

    name: ClassVar[str] = "ecod"
    parameters: ClassVar[type[BaselineParams]] = BaselineParams
    arrays: ClassVar[frozenset[str]] = frozenset({"sorted", "skewness"})

    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:  # noqa: ARG002 - nothing drawn or estimated
        return pyod_fit.ecod(rows)

    def _distances(self, rows: Rows) -> NDArray[np.float64]:
        columns, skewness = self._learned["sorted"], self._learned["skewness"]
        count = len(columns)
        left, right = np.empty(rows.shape), np.empty(rows.shape)
        for place in range(rows.shape[1]):
            left[:, place] = np.searchsorted(columns[:, place], rows[:, place] + SAME, side="right") + 1
            right[:, place] = count - np.searchsorted(columns[:, place], rows[:, place] - SAME, side="left") + 1
        left, right = -np.log(left / (count + 1)), -np.log(right / (count + 1))
        skewed = np.where(skewness < 0, left, np.where(skewness > 0, right, left + right))
        total: NDArray[np.float64] = np.maximum(np.maximum(left, right), skewed).sum(axis=1)
        return total

    def _drawn(self, graph: OnnxGraph, rows: Value) -> Value:
        columns, skewness = self._learned["sorted"], self._learned["skewness"]
        count = len(columns)
        below, up_to = _counted(graph, columns, *(graph.add(rows, np.array(step)) for step in (-SAME, SAME)))
        reached = (
            graph.add(up_to, np.array(1.0)),
            graph.add(graph.times(below, np.array(-1.0)), np.array(count + 1.0)),
        )
        left, right = (
            graph.times(graph.log(graph.times(n, np.array(1 / (count + 1)))), np.array(-1.0)) for n in reached
        )
        skewed = graph.add(graph.times(left, 1.0 * (skewness <= 0)), graph.times(right, 1.0 * (skewness >= 0)))
        farthest = graph.op("Max", left, right, skewed, shape=left.shape)
        return graph.reduced("Sum", farthest, axes=(1,))


class IsolationForest(Baseline[IsolationForestParams]):
    """How few random cuts part a sample from others (Liu, Ting & Zhou 2008, equation 2); between 0 and 1.

    No cut parts training samples by a feature that is 0 in all: of `TableEncoder.complete` it sees nothing.
    """

    name: ClassVar[str] = "isolation-forest"
    parameters: ClassVar[type[BaselineParams]] = IsolationForestParams
    arrays: ClassVar[frozenset[str]] = frozenset(
        {"root", "left", "right", "feature", "limit", "path", "usual", "depth"}
    )

    def _learn(self, rows: Rows, seed: int, overlap: float) -> Arrays:  # noqa: ARG002 - nothing estimated
        chosen = self._params
        varied = rows[:, : rows.shape[1] - self._fitted().gaps]  # or the others would be drawn in another order
        return pyod_fit.isolation_forest(varied, trees=chosen.trees, subsample=chosen.subsample, seed=seed)

    def _prepare(self) -> None:
        kinds = ("root", "left", "right", "feature")
        self._whole = {key: self._learned[key].astype(np.int64) for key in kinds}

    def _distances(self, rows: Rows) -> NDArray[np.float64]:
        left, right, feature = (self._whole[key] for key in ("left", "right", "feature"))
        limit, usual = self._learned["limit"], float(self._learned["usual"][0])
        # Trees compare single-precision values, as they did when they were grown.
        values = rows.astype(np.float32)
        samples = np.arange(len(rows))[:, None]
        node = np.repeat(self._whole["root"][None, :], len(rows), axis=0)
        for _ in range(int(self._learned["depth"][0])):
            node = np.where(values[samples, feature[node]] <= limit[node], left[node], right[node])
        found: NDArray[np.float64] = 2.0 ** (-self._learned["path"][node].mean(axis=1) / usual)
        return found

    def _drawn(self, graph: OnnxGraph, rows: Value) -> Value:
        left, right, feature = (graph.constant(self._whole[key]) for key in ("left", "right", "feature"))
        limit, usual = graph.constant(self._learned["limit"]), float(self._learned["usual"][0])
        none = graph.whole(graph.times(graph.part(rows, (0,), (1,), axes=(1,)), np.array(0.0)))
        node = graph.add(none, self._whole["root"])
        for _ in range(int(self._learned["depth"][0])):
            asked = graph.take(feature, node, axis=0)
            value = graph.op("GatherElements", rows, asked, shape=node.shape, axis=1)
            goes_left = graph.op("LessOrEqual", value, graph.take(limit, node, axis=0), shape=node.shape)
            ways = (graph.take(way, node, axis=0) for way in (left, right))
            node = graph.op("Where", goes_left, *ways, shape=node.shape)
        path = graph.reduced("Mean", graph.take(self._learned["path"], node, axis=0), axes=(1,))
        return graph.op("Exp", graph.times(path, np.array(-np.log(2) / usual)), shape=path.shape)


def _counted(graph: OnnxGraph, columns: Rows, *every: Value) -> list[Value]:
    """``(N, F)`` for each rows ``(N, F)`` of `every`: how many values of a column of ``(M, F)`` are at most the row's.

    Columns rise. Found by halves, as `np.searchsorted` does it, which no operation of ONNX is.
    """
    halvings = len(columns).bit_length()
    padded = np.full((2**halvings, columns.shape[1]), np.finfo(np.float32).max)
    padded[: len(columns)] = columns
    values = graph.constant(padded.T.ravel())
    before = np.arange(columns.shape[1]) * len(padded) - 1
    found = []
    for rows in every:
        place = graph.constant(before)
        for step in (2**halving for halving in reversed(range(halvings))):
            ahead = graph.add(place, np.array(step))
            reached = graph.op("LessOrEqual", graph.take(values, ahead, axis=0), rows, shape=rows.shape)
            place = graph.op("Where", reached, ahead, place, shape=rows.shape)
        found.append(graph.floats(graph.minus(place, before)))
    return found

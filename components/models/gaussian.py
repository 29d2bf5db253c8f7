"""`gaussian`: a multivariate Gaussian on pooled deep features; an image far from its centre is anomalous.

After Gaussian-AD (Rippel, Mertens & Merhof 2021, "Modeling the Distribution of Normal Data in Pre-Trained Deep Features
for Anomaly Detection", ICPR): one Gaussian a stage on globally averaged features, covariance shrunk as Ledoit & Wolf
(2004) do, the score the sum of the Mahalanobis distances. `negligible` components are the paper's NPCA. The paper has
no maps; ours are distances to a second Gaussian a stage, of the features by place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Params, Scores
from ..core.errors import ModelError
from ..core.ports import Batch, Image, Progress, Samples, batches, silent
from . import heads
from .backbones import Backbone
from .images import flat_refusal, is_flat, over_square
from .inference import Floats
from .on_backbone import IMAGES_AT_ONCE, OnBackbone, in_parts, numbers
from .onnx_graph import OnnxGraph, Value
from .params import base
from .params.features import GaussianParams

_LEAST = 1e-12  # of a component's variance beside the largest; below it is rounding

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """A Gaussian as what makes it standard.

    Attributes:
        mean: ``(C,)``.
        whitening: ``(C, K)``: K components, each of deviation 1 among the training samples.
    """

    mean: Doubles
    whitening: Doubles

    def distance(self, rows: Doubles) -> Doubles:
        """Mahalanobis distance ``(R,)`` of `rows` ``(R, C)``.

        >>> Normal(np.zeros(1), np.array([[0.5]])).distance(np.array([[4.0]]))
        array([2.])
        """
        found: Doubles = np.linalg.norm((rows - self.mean) @ self.whitening, axis=1)
        return found

    def drawn(self, graph: OnnxGraph, rows: Value) -> Value:
        """`distance` in an exported network."""
        return graph.length(graph.product(graph.minus(rows, self.mean), self.whitening))


class Gaussian(OnBackbone[GaussianParams]):
    """See the module. Maps have one cell a patch of the finest stage, spread over the whole image."""

    name: ClassVar[str] = "gaussian"
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = GaussianParams
    noun: ClassVar[str] = "Gaussian"
    _before: ClassVar[Params] = {"resize": "stretch"}

    def __init__(self, params: GaussianParams, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._pooled: list[Normal] = []
        self._places: list[Normal] = []

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:  # noqa: ARG002 - nothing drawn
        """Mean and covariance of the features; see `components.core.ports.Detector`. Memory does not grow with images.

        Raises:
            ModelError: There are fewer than two images, they are all alike, or each is of one flat colour.
        """
        if len(samples) < 2:
            raise ModelError(f"A Gaussian cannot be fitted on {len(samples)} images.", hint="Add normal images.")
        moments = [_Moments(channels) for channels in self._backbone.channels]
        rows: list[Floats] = []
        flat = True
        for batch in batches(samples, size=IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and is_flat(images)
            every = self._features(images)
            for stages in every:
                for moment, stage in zip(moments, stages, strict=True):
                    moment.add(_rows(stage))
            rows.append(_averages(every))
            progress("reading features", sum(map(len, rows)), len(samples))
        if flat:
            raise flat_refusal(len(samples))
        pooled = np.split(np.concatenate(rows).astype(np.float64), np.cumsum(self._backbone.channels)[:-1], axis=1)
        if all(np.ptp(stage, axis=0).max() == 0 for stage in pooled):
            raise ModelError(
                f"All {len(samples)} images are alike: there is nothing to learn.", hint="Check the source."
            )
        self.facts = self._read_of(samples, read=len(samples))
        self._pooled = [self._normal(*_shrunk(stage)) for stage in pooled]
        self._places = [self._normal(*moment.result()) for moment in moments]

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, sums of the stages' distances, and maps ``(N, G, G)`` of the distances by place."""
        self._check_fitted()
        side = self._side()
        images = cast(Sequence[Image], batch)
        scores, maps = np.empty(len(images)), np.empty((len(images), side, side), np.float32)
        every = (one for part in in_parts(images) for one in self._features(part))
        for place, one in enumerate(every):
            scores[place] = sum(
                float(normal.distance(x.mean(axis=(0, 1), dtype=np.float64)[None])[0])
                for normal, x in zip(self._pooled, one, strict=True)
            )
            maps[place] = self._map(one, side)
        return Scores(image=scores, maps=maps)

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean features of each image, for drift checks; needs no fit."""
        return _averages(self._features(batch)) if len(batch) else np.empty((0, self.embed_size), np.float32)

    @staticmethod
    def _layers(params: GaussianParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _learned(self) -> Mapping[str, Doubles]:
        self._check_fitted()
        return {
            f"{kind}.{number}.{part}": array
            for kind, normals in (("pooled", self._pooled), ("places", self._places))
            for number, normal in enumerate(normals)
            for part, array in (("mean", normal.mean), ("whitening", normal.whitening))
        }

    def _restore(self, learned: Mapping[str, Doubles]) -> bool:
        self._pooled, self._places = (
            [
                Normal(learned[f"{kind}.{number}.mean"], learned[f"{kind}.{number}.whitening"])
                for number in range(len(self._backbone.layers))
            ]
            for kind in ("pooled", "places")
        )
        return all(
            normal.mean.shape == normal.whitening.shape[:1] == (channels,)
            for normals in (self._pooled, self._places)
            for normal, channels in zip(normals, self._backbone.channels, strict=True)
        )

    def _learned_bytes(self, images: int) -> float:
        """Averages of every image, and a few matrices of each stage."""
        return 16.0 * images * self.embed_size + sum(6 * 8.0 * channels**2 for channels in self._backbone.channels)

    def _check_fitted(self) -> None:
        if not self._pooled:
            raise self._not_fitted()

    def _normal(self, mean: Doubles, covariance: Doubles) -> Normal:
        return Normal(mean, _whitening(covariance, components=self._params.components, share=self._params.variance))

    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        side, found, maps = self._side(), [], []
        for whole, place, stage in zip(self._pooled, self._places, stages, strict=True):
            found.append(whole.drawn(graph, graph.reduced("Mean", stage, axes=(2, 3))))
            distances = graph.reshape(place.drawn(graph, heads.as_rows(graph, stage)), stage.shape[2:])
            maps.append(heads.repeated(graph, distances, side=side))
        heat = graph.reshape(reduce(graph.add, maps), (1, side, side))
        return {"score": reduce(graph.add, found), "map": heat}

    def _map(self, stages: Sequence[Floats], side: int) -> Floats:
        """Sum of the stages' distances by place, coarse ones repeated."""
        total = np.zeros((side, side))
        for normal, stage in zip(self._places, stages, strict=True):
            total += over_square(normal.distance(_rows(stage)).reshape(stage.shape[:2]), side=side)
        return total.astype(np.float32)


class _Moments:
    """Mean and covariance of rows that come in parts."""

    def __init__(self, channels: int) -> None:
        self._count, self._first, self._second = 0, np.zeros(channels), np.zeros((channels, channels))

    def add(self, rows: Doubles) -> None:
        self._count += len(rows)
        self._first += rows.sum(axis=0)
        self._second += rows.T @ rows

    def result(self) -> tuple[Doubles, Doubles]:
        mean = self._first / self._count
        return mean, self._second / self._count - np.outer(mean, mean)


def _shrunk(rows: Doubles) -> tuple[Doubles, Doubles]:
    from sklearn.covariance import ledoit_wolf

    mean = rows.mean(axis=0)
    centred = rows - mean
    if len(rows) == 2:
        # Both say the same of the covariance, so that none is shrunk: what lies beside their one direction would not
        # count. They tell a scale.
        return mean, np.square(centred).mean() * np.eye(len(mean))
    return mean, ledoit_wolf(centred, assume_centered=True)[0]


def _whitening(covariance: Doubles, *, components: str, share: float) -> Doubles:
    """``(C, K)``: the kept eigenvectors, each by its deviation."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    sound = values > _LEAST * values[0]
    carried = np.cumsum(values * sound) / max(float((values * sound).sum()), np.finfo(float).tiny)
    # As many as carry the share: the first one at which the sum reaches it is among them.
    principal = np.arange(len(values)) <= int(np.searchsorted(carried, share))
    kept = sound & {"all": sound, "principal": principal, "negligible": ~principal}[components]
    if not kept.any():
        kept = sound
    return np.ascontiguousarray(vectors[:, kept] / np.sqrt(values[kept]))


def _rows(stage: Floats) -> Doubles:
    """``(h, w, C)`` as ``(h w, C)``."""
    return stage.reshape(-1, stage.shape[2]).astype(np.float64)


def _averages(images: Sequence[Sequence[Floats]]) -> Floats:
    """``(N, E)`` of N images' features ``(h, w, C)`` a stage."""
    rows = [np.concatenate([stage.mean(axis=(0, 1), dtype=np.float64) for stage in stages]) for stages in images]
    return np.stack(rows).astype(np.float32)

"""`gaussian`: a multivariate Gaussian on pooled deep features; an image far from its centre is anomalous.

After Gaussian-AD (Rippel, Mertens & Merhof 2021, "Modeling the Distribution of Normal Data in Pre-Trained Deep Features
for Anomaly Detection", ICPR): one Gaussian a stage on globally averaged features, covariance shrunk as Ledoit & Wolf
(2004) do, the score the sum of the Mahalanobis distances. `negligible` components are the paper's NPCA. The paper has
no maps; ours are distances to a second Gaussian a stage, of the features by place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core.contracts import Calibration, Modality, Params, Scores
from ..core.errors import ModelError
from ..core.ports import Batch, Image, Progress, Samples, batches, silent
from .backbones import Backbone
from .bundle import read_bundle, write_bundle
from .images import check_image, squared
from .inference import Floats
from .params.features import GaussianParams

_IMAGES_AT_ONCE = 16
_BACKBONE = "efficientnet-lite0"
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


class Gaussian:
    """See the module. Maps have one cell a patch of the finest stage, spread over the whole image."""

    name: ClassVar[str] = "gaussian"
    modality: ClassVar[Modality] = Modality.IMAGE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-6

    def __init__(self, params: GaussianParams, *, backbone: Backbone | None = None) -> None:
        self.calibration: Calibration | None = None
        self._params = params
        self._backbone = backbone or Backbone.installed(_BACKBONE, layers=_layers(params), precision=params.precision)
        self._pooled: list[Normal] = []
        self._places: list[Normal] = []

    @property
    def params(self) -> Params:
        """Every parameter."""
        return self._params.model_dump()

    @property
    def embed_size(self) -> int:
        """E of `embed`."""
        return sum(self._backbone.channels)

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:  # noqa: ARG002 - nothing drawn
        """Mean and covariance of the features; see `components.core.ports.Detector`. Memory does not grow with images.

        Raises:
            ModelError: There are fewer than two images, or they are all alike.
        """
        if len(samples) < 2:
            raise ModelError(f"A Gaussian cannot be fitted on {len(samples)} images.", hint="Add normal images.")
        moments = [_Moments(channels) for channels in self._backbone.channels]
        rows: list[Floats] = []
        for batch in batches(samples, size=_IMAGES_AT_ONCE):
            stages = self._features(cast(Sequence[Image], batch))
            for moment, stage in zip(moments, stages, strict=True):
                moment.add(stage.transpose(0, 2, 3, 1).reshape(-1, stage.shape[1]).astype(np.float64))
            rows.append(_averages(stages))
            progress("reading features", sum(map(len, rows)), len(samples))
        pooled = np.split(np.concatenate(rows).astype(np.float64), np.cumsum(self._backbone.channels)[:-1], axis=1)
        if all(np.ptp(stage, axis=0).max() == 0 for stage in pooled):
            raise ModelError(
                f"All {len(samples)} images are alike: there is nothing to learn.", hint="Check the source."
            )
        self._pooled = [self._normal(*_shrunk(stage)) for stage in pooled]
        self._places = [self._normal(*moment.result()) for moment in moments]

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, sums of the stages' distances, and maps ``(N, G, G)`` of the distances by place."""
        self._check_fitted()
        side = self._params.image_size // self._backbone.strides[0]
        images = cast(Sequence[Image], batch)
        scores, maps = np.empty(len(images)), np.empty((len(images), side, side), np.float32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            stages = self._features(images[start : start + _IMAGES_AT_ONCE])
            for place in range(len(stages[0])):
                one = [stage[place] for stage in stages]
                scores[start + place] = sum(
                    float(normal.distance(x.mean(axis=(1, 2), dtype=np.float64)[None])[0])
                    for normal, x in zip(self._pooled, one, strict=True)
                )
                maps[start + place] = self._map(one, side)
        return Scores(image=scores, maps=maps)

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """The maps of `score`."""
        maps = self.score(batch).maps
        assert maps is not None
        return maps

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean features of each image, for drift checks; needs no fit."""
        return _averages(self._features(batch)) if len(batch) else np.empty((0, self.embed_size), np.float32)

    def save(self, directory: Path) -> None:
        """See `components.models.bundle`; the backbone's weights go with it, so that the folder needs nothing else."""
        self._check_fitted()
        tensors = {f"backbone.{name}": tensor for name, tensor in self._backbone.tensors().items()}
        for kind, normals in (("pooled", self._pooled), ("places", self._places)):
            for number, normal in enumerate(normals):
                tensors[f"{kind}.{number}.mean"] = torch.from_numpy(normal.mean)
                tensors[f"{kind}.{number}.whitening"] = torch.from_numpy(normal.whitening)
        write_bundle(
            directory,
            name=self.name,
            params=self._params.model_dump(),
            state={"backbone_sha256": self._backbone.digest},
            tensors=tensors,
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `components.core.ports.Detector`."""
        found = read_bundle(directory)
        try:
            params = GaussianParams.model_validate(found.header.params)
            digest, layers = str(found.header.state["backbone_sha256"]), _layers(params)
            kinds = [
                [
                    Normal(*(found.tensors[f"{kind}.{number}.{part}"].numpy() for part in ("mean", "whitening")))
                    for number in range(len(layers))
                ]
                for kind in ("pooled", "places")
            ]
        except (KeyError, ValidationError) as error:
            raise ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        weights = {n.removeprefix("backbone."): t for n, t in found.tensors.items() if n.startswith("backbone.")}
        backbone = Backbone(_BACKBONE, weights, layers=layers, digest=digest, precision=params.precision)
        for normals in kinds:
            for normal, channels in zip(normals, backbone.channels, strict=True):
                if normal.mean.shape != (channels,) or normal.whitening.shape[:1] != (channels,):
                    raise ModelError(f"{directory} has no Gaussians that fit its backbone.", hint="Restore it.")
        detector = cls(params, backbone=backbone)
        detector._pooled, detector._places = kinds
        detector.calibration = found.header.calibration
        return detector

    def _check_fitted(self) -> None:
        if not self._pooled:
            raise ModelError("This Gaussian is not fitted yet.", hint="Call fit or load first.")

    def _features(self, images: Sequence[Image]) -> list[Floats]:
        for image in images:
            check_image(image)
        return self._backbone.features(np.stack([squared(x, size=self._params.image_size) for x in images]))

    def _normal(self, mean: Doubles, covariance: Doubles) -> Normal:
        return Normal(mean, _whitening(covariance, components=self._params.components, share=self._params.variance))

    def _map(self, stages: Sequence[Floats], side: int) -> Floats:
        """Sum of the stages' distances by place, coarse ones repeated."""
        total = np.zeros((side, side))
        for normal, stage in zip(self._places, stages, strict=True):
            distances = normal.distance(stage.reshape(len(stage), -1).T.astype(np.float64)).reshape(stage.shape[1:])
            rows, columns = (np.arange(side) * n // side for n in (len(distances), len(distances[0])))
            total += distances[np.ix_(rows, columns)]
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
    return mean, ledoit_wolf(rows - mean, assume_centered=True)[0]


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


def _averages(stages: Sequence[Floats]) -> Floats:
    """``(N, E)``."""
    return np.concatenate([stage.mean(axis=(2, 3), dtype=np.float64) for stage in stages], axis=1).astype(np.float32)


def _layers(params: GaussianParams) -> tuple[int, ...]:
    return tuple(int(stage) for stage in params.stages.split("-"))

"""`padim`: a Gaussian of patch features at every place of the image; for parts that always lie the same way.

Defard et al. 2021, "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization", ICPR
workshops: features of several stages joined, a random choice of channels, the Mahalanobis distance at each place
(equation 2), the largest of the smoothed map as the image's score.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...core.contracts import Scores
from ...core.errors import ModelError
from ...core.ports import Batch, Image, Progress, Samples, batches, silent
from ...core.seeds import generator
from ...core.subset import evenly_spaced
from ..backbones import Backbone
from ..images import flat_refusal, is_flat
from ..on_backbone import IMAGES_AT_ONCE, OnBackbone, in_parts, numbers
from ..onnx_graph import OnnxGraph, Value
from ..parallel import one_thread
from ..params import base
from ..params.zoo import PadimParams
from .parts import MultiVariateGaussian, PadimMap
from .reading import stacked
from .traced import traced


class Places(nn.Module):
    """A Gaussian at each of P places.

    Args:
        kept: ``(K,)`` of the joined channels.
        mean: ``(K, P)``.
        precision: ``(P, K, K)``, inverse covariances.
        size: Side S of the map.
    """

    def __init__(self, kept: Tensor, mean: Tensor, precision: Tensor, *, size: int) -> None:
        super().__init__()
        self.kept: Tensor
        self.mean: Tensor
        self.precision: Tensor
        for name, tensor in {"kept": kept, "mean": mean, "precision": precision}.items():
            self.register_buffer(name, tensor)
        self.size = size
        self.map = PadimMap(sigma=4)

    def forward(self, *stages: Tensor) -> tuple[Tensor, Tensor]:
        """Score ``(1,)``, the largest value of the map, and map ``(1, S, S)`` of one image."""
        heat: Tensor = self.map(
            embedding=_embedded(stages, self.kept),
            mean=self.mean,
            inv_covariance=self.precision,
            image_size=(self.size, self.size),
        )[:, 0]
        return heat.amax(dim=(1, 2)), heat


class Padim(OnBackbone[PadimParams]):
    """See the module. Maps ``(N, S, S)`` are of the model's input size S, smoothed as anomalib does (sigma 4)."""

    name: ClassVar[str] = "padim"
    batch_tolerance: ClassVar[float] = 0.0
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = PadimParams
    noun: ClassVar[str] = "PaDiM model"

    def __init__(self, params: PadimParams, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._places: Places | None = None

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """A mean and covariance a place; see `components.core.ports.Detector`.

        Raises:
            ModelError: There are fewer than two images, or each is of one flat colour.
        """
        if len(samples) < 2:
            raise ModelError(f"A {self.noun} cannot be fitted on {len(samples)} images.", hint="Add normal images.")
        read = evenly_spaced(samples, most=self._params.max_images)
        channels = self.embed_size
        order = generator(seed, self.name).permutation(channels)[: self._params.features]
        kept = torch.from_numpy(np.sort(order))
        found, flat = [], True
        for batch in batches(read, size=IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and is_flat(images)
            found.append(_embedded(stacked(self._features(images)), kept))
            progress("reading features", sum(map(len, found)), len(read))
        if flat:
            raise flat_refusal(len(read))
        self.facts = {"images_read": len(read)}
        gaussian = MultiVariateGaussian()
        with one_thread():
            gaussian.fit(torch.cat(found))
        # Products of a transposed matrix round otherwise, and a saved one is never transposed.
        precision = gaussian.inv_covariance.contiguous()
        self._places = Places(kept, gaussian.mean, precision, size=self._params.image_size)

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, the largest values of the maps ``(N, S, S)``."""
        places, images, side = self._fitted(), cast(Sequence[Image], batch), self._params.image_size
        scores, maps = np.empty(len(images)), np.empty((len(images), side, side), np.float32)
        with torch.inference_mode(), one_thread():
            parts = (stacked(self._features(part)) for part in in_parts(images))
            every = ([stage[n : n + 1] for stage in stages] for stages in parts for n in range(len(stages[0])))
            for place, stages in enumerate(every):
                score, heat = places(*stages)
                scores[place], maps[place] = float(score), heat[0].numpy()
        return Scores(image=scores, maps=maps)

    @staticmethod
    def _layers(params: PadimParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        return traced(graph, self._fitted(), stages)

    def _learned_bytes(self, images: int) -> float:
        """The kept channels of every image, twice while they are put together, and three matrices a place."""
        read, kept = min(images, self._params.max_images), min(self._params.features, self.embed_size)
        return 4.0 * self._side() ** 2 * (2 * read * kept + 3 * kept**2)

    def _learned(self) -> Mapping[str, NDArray[Any]]:
        places = self._fitted()
        return {name: getattr(places, name).numpy() for name in ("kept", "mean", "precision")}

    def _restore(self, learned: Mapping[str, NDArray[Any]]) -> bool:
        kept, mean, precision = (torch.from_numpy(learned[name]) for name in ("kept", "mean", "precision"))
        count, places = len(kept), self._side() ** 2
        self._places = Places(kept, mean, precision, size=self._params.image_size)
        whole = mean.shape == (count, places) and precision.shape == (places, count, count)
        return whole and bool((kept >= 0).all()) and bool((kept < self.embed_size).all())

    def _fitted(self) -> Places:
        if self._places is None:
            raise self._not_fitted()
        return self._places


def _embedded(stages: Sequence[Tensor], kept: Tensor) -> Tensor:
    """``(N, K, h, w)``: the kept channels of all `stages`, coarse ones repeated on the finest one's grid."""
    shape = stages[0].shape[-2:]
    joined = torch.cat([functional.interpolate(stage, shape, mode="nearest") for stage in stages], dim=1)
    return torch.index_select(joined, 1, kept)

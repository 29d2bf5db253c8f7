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
from torch import Tensor
from torch.nn import functional

from ...core.contracts import Scores
from ...core.errors import ModelError
from ...core.ports import Batch, Image, Progress, Samples, batches, silent
from ...core.seeds import generator
from ...core.subset import evenly_spaced
from ..backbones import Backbone
from ..on_backbone import IMAGES_AT_ONCE, OnBackbone, in_parts, numbers
from ..parallel import one_thread
from ..params import base
from ..params.zoo import PadimParams
from .parts import MultiVariateGaussian, PadimMap
from .reading import flat_refusal, is_flat, stacked


class Padim(OnBackbone[PadimParams]):
    """See the module. Maps ``(N, S, S)`` are of the model's input size S, smoothed as anomalib does (sigma 4)."""

    name: ClassVar[str] = "padim"
    batch_tolerance: ClassVar[float] = 0.0
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = PadimParams
    noun: ClassVar[str] = "PaDiM model"

    def __init__(self, params: PadimParams, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._kept: Tensor | None = None
        self._gaussian = MultiVariateGaussian()
        self._map = PadimMap(sigma=4)

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
        self._kept = torch.from_numpy(np.sort(order))
        found, flat = [], True
        for batch in batches(read, size=IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and is_flat(images)
            found.append(self._embedded(images))
            progress("reading features", sum(map(len, found)), len(read))
        if flat:
            raise flat_refusal(len(read))
        self.facts = {"images_read": len(read)}
        with one_thread():
            self._gaussian.fit(torch.cat(found))
        # Products of a transposed matrix round otherwise, and a saved one is never transposed.
        self._gaussian.inv_covariance = self._gaussian.inv_covariance.contiguous()

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, the largest values of the maps ``(N, S, S)``."""
        if self._kept is None:
            raise self._not_fitted()
        images, side = cast(Sequence[Image], batch), self._params.image_size
        maps = np.empty((len(images), side, side), np.float32)
        with torch.inference_mode(), one_thread():
            every = (one for part in in_parts(images) for one in self._embedded(part).split(1))
            for place, one in enumerate(every):
                maps[place] = self._map(
                    embedding=one,
                    mean=self._gaussian.mean,
                    inv_covariance=self._gaussian.inv_covariance,
                    image_size=(side, side),
                )[0, 0].numpy()
        return Scores(image=maps.max(axis=(1, 2), initial=0).astype(np.float64), maps=maps)

    @staticmethod
    def _layers(params: PadimParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _embedded(self, images: Sequence[Image]) -> Tensor:
        """``(N, K, h, w)``: the kept channels, coarse stages repeated on the finest one's grid."""
        stages = stacked(self._features(images))
        shape = stages[0].shape[-2:]
        joined = torch.cat([functional.interpolate(stage, shape, mode="nearest") for stage in stages], dim=1)
        return torch.index_select(joined, 1, cast(Tensor, self._kept))

    def _learned_bytes(self, images: int) -> float:
        """The kept channels of every image, twice while they are put together, and three matrices a place."""
        read, kept = min(images, self._params.max_images), min(self._params.features, self.embed_size)
        return 4.0 * self._side() ** 2 * (2 * read * kept + 3 * kept**2)

    def _learned(self) -> Mapping[str, NDArray[Any]]:
        if self._kept is None:
            raise self._not_fitted()
        tensors = {"kept": self._kept, "mean": self._gaussian.mean, "precision": self._gaussian.inv_covariance}
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def _restore(self, learned: Mapping[str, NDArray[Any]]) -> bool:
        kept, mean, precision = (torch.from_numpy(learned[name]) for name in ("kept", "mean", "precision"))
        places, count = self._side() ** 2, len(kept)
        self._kept, self._gaussian.mean, self._gaussian.inv_covariance = kept, mean, precision
        whole = mean.shape == (count, places) and precision.shape == (places, count, count)
        return whole and bool((kept >= 0).all()) and bool((kept < self.embed_size).all())

"""`memory-bank`: patches of normal images are remembered; a patch far from all of them is anomalous.

After PatchCore (Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", CVPR), with the mean of the
most anomalous patches as the image's score, which one noisy patch cannot decide. The network sees one image at a
time, so that a score does not depend on the others of its batch.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch.nn import functional

from ..core.contracts import Calibration, Modality, Params, Scores
from ..core.errors import ModelError
from ..core.ports import Batch, Image, Progress, Samples, silent
from ..core.seeds import generator
from .backbones import Backbone
from .bundle import read_bundle, write_bundle
from .coreset import greedy_coreset
from .images import check_image, squared
from .nearest import Bank
from .parallel import one_thread
from .params.images import MemoryBankParams

_IMAGES_AT_ONCE = 8


class MemoryBank:
    """See the module. Maps have one cell a patch, spread over the whole image whatever its aspect."""

    name: ClassVar[str] = "memory-bank"
    modality: ClassVar[Modality] = Modality.IMAGE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-6

    def __init__(self, params: MemoryBankParams, *, backbone: Backbone | None = None) -> None:
        self.calibration: Calibration | None = None
        self._params = params
        self._stages = _stages(params)
        self._backbone = backbone or Backbone.installed("efficientnet-lite0", layers=self._stages)
        self._bank: Bank | None = None

    @property
    def params(self) -> Params:
        """Every parameter."""
        return self._params.model_dump()

    @property
    def embed_size(self) -> int:
        """E of `embed`."""
        return sum(self._backbone.channels)

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Remember a coreset of the patches of `samples`; see `components.core.ports.Detector`.

        At most `max_patches` are kept in memory at any time: of more, each image gives an equal share at random, and
        of more images than that evenly spaced ones are read.
        """
        if len(samples) == 0:
            raise ModelError("A memory bank cannot be fitted on no images.", hint="Add normal images.")
        rng = generator(seed, self.name)
        read = _evenly(len(samples), most=self._params.max_patches)
        quota = self._params.max_patches // len(read)
        kept, flat = [], True
        for images in _batches(samples, read):
            flat = flat and all(int(np.ptp(image, axis=(0, 1)).max()) == 0 for image in images)
            for patches, _ in self._patches(images):
                some = rng.permutation(len(patches))[:quota] if len(patches) > quota else slice(None)
                kept.append(patches[some])
            progress("reading patches", len(kept), len(read))
        if flat:
            raise ModelError(
                f"All {len(read)} images are of one flat colour each: there is nothing to learn.",
                hint="Check the camera or the source.",
            )
        patches = np.concatenate(kept)
        count = max(self._params.neighbours, round(self._params.coreset_ratio * len(patches)))
        self._bank = Bank(patches[greedy_coreset(patches, count=count, rng=rng, progress=progress)])

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)`` and maps ``(N, G, G)``, G patches a side: mean distance to the nearest patches."""
        bank = self._fitted()
        side = self._params.image_size // self._backbone.strides[0]
        scores, maps = np.empty(len(batch)), np.empty((len(batch), side, side), np.float32)
        for number, (patches, shape) in enumerate(self._patches(cast(Sequence[Image], batch))):
            distances = bank.distances(patches, neighbours=self._params.neighbours)
            top = max(1, round(self._params.top_fraction * len(distances)))
            scores[number] = np.sort(distances)[-top:].mean()
            maps[number] = distances.reshape(shape)
        return Scores(image=scores, maps=maps)

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """The maps of `score`: the score is the mean of their highest values."""
        maps = self.score(batch).maps
        assert maps is not None
        return maps

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean patch features of each image, for drift checks; needs no fit."""
        rows = [patches.mean(axis=0) for patches, _ in self._patches(batch)]
        return np.stack(rows) if rows else np.empty((0, self.embed_size), np.float32)

    def save(self, directory: Path) -> None:
        """See `components.models.bundle`; the backbone's weights go with it, so that the folder needs nothing else."""
        tensors = {f"backbone.{name}": tensor for name, tensor in self._backbone.tensors().items()}
        write_bundle(
            directory,
            name=self.name,
            params=self._params.model_dump(),
            state={"backbone_sha256": self._backbone.digest},
            tensors={**tensors, "bank": torch.from_numpy(self._fitted().patches)},
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `components.core.ports.Detector`."""
        found = read_bundle(directory)
        try:
            params = MemoryBankParams.model_validate(found.header.params)
            digest = str(found.header.state["backbone_sha256"])
            bank = found.tensors["bank"].numpy()
        except (KeyError, ValidationError) as error:
            raise ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        weights = {n.removeprefix("backbone."): t for n, t in found.tensors.items() if n.startswith("backbone.")}
        detector = cls(params, backbone=Backbone("efficientnet-lite0", weights, layers=_stages(params), digest=digest))
        if bank.ndim != 2 or bank.shape[1] != detector.embed_size or not len(bank) or not np.isfinite(bank).all():
            raise ModelError(f"{directory} has no memory bank that fits its backbone.", hint="Restore it.")
        detector._bank = Bank(bank)
        detector.calibration = found.header.calibration
        return detector

    def _fitted(self) -> Bank:
        if self._bank is None:
            raise ModelError("This memory bank is not fitted yet.", hint="Call fit or load first.")
        return self._bank

    def _patches(self, images: Sequence[Image]) -> list[tuple[NDArray[np.float32], tuple[int, int]]]:
        """`_joined` of every image; see there."""
        # One call for all: the backbone shares the work out by itself, and two threads inside it would never come back.
        for image in images:
            check_image(image)
        if not len(images):
            return []
        found = self._backbone.features(np.stack([squared(image, size=self._params.image_size) for image in images]))
        with one_thread():
            return [self._joined([x[number : number + 1] for x in found]) for number in range(len(images))]

    def _joined(self, found: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Features ``(h * w, C)`` of the image's patches on the finest stage's grid, and that grid's shape."""
        stages = [torch.from_numpy(x) for x in found]
        grid = stages[0].shape[-2:]
        width = self._params.pooling
        pooled = [functional.avg_pool2d(x, width, 1, width // 2, count_include_pad=False) for x in stages]
        same = [
            x if x.shape[-2:] == grid else functional.interpolate(x, grid, mode="bilinear", align_corners=False)
            for x in pooled
        ]
        joined = torch.cat(same, dim=1)[0]
        return joined.flatten(1).T.contiguous().numpy(), (int(grid[0]), int(grid[1]))


def _stages(params: MemoryBankParams) -> tuple[int, ...]:
    return tuple(int(stage) for stage in params.stages.split("-"))


def _evenly(count: int, *, most: int) -> list[int]:
    return [int(place) for place in np.linspace(0, count - 1, min(count, most))]


def _batches(samples: Samples, indices: list[int]) -> Iterator[Sequence[Image]]:
    for start in range(0, len(indices), _IMAGES_AT_ONCE):
        yield cast(Sequence[Image], samples.take(indices[start : start + _IMAGES_AT_ONCE]))

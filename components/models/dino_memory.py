"""`dino-memory` and `reference`: patches of normal images as a vision transformer sees them, compared by angle.

`dino-memory` is after AnomalyDINO (Damm et al., WACV 2025): features of DINOv2, cosine distance to the nearest stored
patch, the mean of the most distant 1 % of an image's patches as its score; few images are turned to see more. Two
blocks are joined, each of unit length, where the paper takes the last.

`reference` also uses anomalies that experts labelled, after the idea of normal and abnormal references (NAGL,
"Normal-Abnormal Guided Generalist Anomaly Detection", NeurIPS 2025): the patches that make a labelled image's score are
stored too, and a patch that is nearer to one of them than to all normal ones scores higher by that difference. Without
labels it is `dino-memory`, bit for bit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core.contracts import Calibration, Modality, Params, Scores
from ..core.errors import ModelError
from ..core.ports import Batch, Image, Progress, Samples, batches, silent
from ..core.seeds import generator
from ..core.subset import Subset, normal_only
from .backbones import Backbone
from .bundle import read_bundle, write_bundle
from .coreset import greedy_coreset
from .images import check_image, squared
from .inference import Floats
from .nearest import Bank
from .params.features import DinoMemoryParams, ReferenceParams

_IMAGES_AT_ONCE = 8
_BACKBONE = "dino-vits14"
_TINY = 1e-12


class DinoMemory:
    """See the module. Maps have one cell a patch, spread over the whole image whatever its aspect."""

    name: ClassVar[str] = "dino-memory"
    modality: ClassVar[Modality] = Modality.IMAGE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-5
    parameters: ClassVar[type[DinoMemoryParams]] = DinoMemoryParams

    def __init__(self, params: DinoMemoryParams, *, backbone: Backbone | None = None) -> None:
        self.calibration: Calibration | None = None
        self._params = params
        self._backbone = backbone or Backbone.installed(_BACKBONE, layers=_layers(params), precision=params.precision)
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
            raise ModelError("A patch memory cannot be fitted on no images.", hint="Add normal images.")
        rng = generator(seed, DinoMemory.name)
        turns = 4 if self._params.rotations else 1
        chosen = np.linspace(0, len(samples) - 1, min(len(samples), self._params.max_patches // turns)).astype(np.intp)
        quota = max(1, self._params.max_patches // (turns * len(chosen)))
        kept, flat = [], True
        for batch in batches(Subset(samples, chosen), size=_IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and all(int(np.ptp(image, axis=(0, 1)).max()) == 0 for image in images)
            for turn in range(turns):
                every = self._patches([np.rot90(image, turn) for image in images])
                kept += [p[rng.permutation(len(p))[:quota]] if len(p) > quota else p for p in every]
            progress("reading patches", len(kept) // turns, len(chosen))
        if flat:
            raise ModelError(
                f"All {len(chosen)} images are of one flat colour each: there is nothing to learn.",
                hint="Check the camera or the source.",
            )
        patches = np.concatenate(kept)
        count = max(self._params.neighbours, round(self._params.coreset_ratio * len(patches)))
        self._bank = Bank(patches[greedy_coreset(patches, count=count, rng=rng, progress=progress)])

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)`` in [0, 2] and maps ``(N, G, G)``, G patches a side: 1 less the cosine to the nearest."""
        self._fitted()
        side = self._params.image_size // self._backbone.strides[0]
        images = cast(Sequence[Image], batch)
        scores, maps = np.empty(len(images)), np.empty((len(images), side, side), np.float32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            for place, patches in enumerate(self._patches(images[start : start + _IMAGES_AT_ONCE]), start):
                distances = self._distances(patches)
                scores[place] = np.sort(distances)[-self._top(len(distances)) :].mean()
                maps[place] = distances.reshape(side, side)
        return Scores(image=scores, maps=maps)

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """The maps of `score`: the score is the mean of their highest values."""
        maps = self.score(batch).maps
        assert maps is not None
        return maps

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean patch features of each image, for drift checks; needs no fit."""
        starts = range(0, len(batch), _IMAGES_AT_ONCE)
        rows = [p.mean(axis=0) for s in starts for p in self._patches(batch[s : s + _IMAGES_AT_ONCE])]
        return np.stack(rows) if rows else np.empty((0, self.embed_size), np.float32)

    def save(self, directory: Path) -> None:
        """See `components.models.bundle`; the backbone's weights go with it, so that the folder needs nothing else."""
        tensors = {f"backbone.{name}": tensor for name, tensor in self._backbone.tensors().items()}
        write_bundle(
            directory,
            name=self.name,
            params=self._params.model_dump(),
            state={"backbone_sha256": self._backbone.digest},
            tensors={**tensors, **{name: torch.from_numpy(bank.patches) for name, bank in self._banks().items()}},
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `components.core.ports.Detector`."""
        found = read_bundle(directory)
        try:
            params = cls.parameters.model_validate(found.header.params)
            digest = str(found.header.state["backbone_sha256"])
            banks = {name: t.numpy() for name, t in found.tensors.items() if not name.startswith("backbone.")}
            normal = banks["bank"]
        except (KeyError, ValidationError) as error:
            raise ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        weights = {n.removeprefix("backbone."): t for n, t in found.tensors.items() if n.startswith("backbone.")}
        backbone = Backbone(_BACKBONE, weights, layers=_layers(params), digest=digest, precision=params.precision)
        detector = cls(params, backbone=backbone)
        for bank in banks.values():
            if bank.ndim != 2 or bank.shape[1] != detector.embed_size or not len(bank) or not np.isfinite(bank).all():
                raise ModelError(f"{directory} has no patches that fit its backbone.", hint="Restore it.")
        detector._bank = Bank(normal)
        detector._restore(banks)
        detector.calibration = found.header.calibration
        return detector

    def _restore(self, banks: dict[str, Floats]) -> None:
        """Take what `_banks` gives beside the normal patches."""

    def _banks(self) -> dict[str, Bank]:
        return {"bank": self._fitted()}

    def _distances(self, patches: Floats) -> NDArray[np.float64]:
        """``(P,)``: 1 less the cosine; of unit vectors half the squared distance."""
        return self._fitted().distances(patches, neighbours=self._params.neighbours) ** 2 / 2

    def _top(self, count: int) -> int:
        return max(1, round(self._params.top_fraction * count))

    def _fitted(self) -> Bank:
        if self._bank is None:
            raise ModelError("This patch memory is not fitted yet.", hint="Call fit or load first.")
        return self._bank

    def _patches(self, images: Sequence[Image]) -> list[Floats]:
        """Of each image ``(G G, E)``: the blocks' features joined, each block of the same length, the whole of 1."""
        for image in images:
            check_image(image)
        blocks = self._backbone.features(np.stack([squared(x, size=self._params.image_size) for x in images]))
        found = []
        for place in range(len(images)):
            parts = [block[place].reshape(block.shape[1], -1).T for block in blocks]
            lengths = [np.maximum(np.linalg.norm(part, axis=1, keepdims=True), _TINY) for part in parts]
            units = np.concatenate([part / length for part, length in zip(parts, lengths, strict=True)], axis=1)
            found.append((units / np.sqrt(len(parts))).astype(np.float32))
        return found


class Reference(DinoMemory):
    """See the module."""

    name: ClassVar[str] = "reference"
    uses_labels: ClassVar[bool] = True
    parameters: ClassVar[type[DinoMemoryParams]] = ReferenceParams

    def __init__(self, params: ReferenceParams, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._weight = params.weight
        self._abnormal: Bank | None = None

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Remember patches of the normal samples, then those patches of the labelled ones that stand out from them."""
        self._abnormal = None
        super().fit(normal_only(samples), seed=seed, progress=progress)
        labelled = Subset(samples, np.flatnonzero(samples.labels == 1))
        found = []
        for batch in batches(labelled, size=_IMAGES_AT_ONCE):
            for patches in self._patches(cast(Sequence[Image], batch)):
                order = np.argsort(super()._distances(patches), kind="stable")
                found.append(patches[order[-self._top(len(order)) :]])
        if found:
            self._abnormal = Bank(np.concatenate(found))

    def _distances(self, patches: Floats) -> NDArray[np.float64]:
        normal = super()._distances(patches)
        if self._abnormal is None:
            return normal
        abnormal = self._abnormal.distances(patches, neighbours=1) ** 2 / 2
        raised: NDArray[np.float64] = normal + self._weight * np.maximum(0, normal - abnormal)
        return raised

    def _banks(self) -> dict[str, Bank]:
        return super()._banks() if self._abnormal is None else {**super()._banks(), "abnormal": self._abnormal}

    def _restore(self, banks: dict[str, Floats]) -> None:
        if "abnormal" in banks:
            self._abnormal = Bank(banks["abnormal"])


def _layers(params: DinoMemoryParams) -> tuple[int, ...]:
    return tuple(int(block) for block in params.blocks.split("-"))

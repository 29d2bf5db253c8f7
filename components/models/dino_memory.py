"""`dino-memory` and `reference`: patches of normal images as a vision transformer sees them, compared by angle.

`dino-memory` is after AnomalyDINO (Damm et al., WACV 2025): features of DINOv2, cosine distance to the nearest stored
patch, the mean of the most distant 1 % of an image's patches as its score; few images are mirrored to see more. Two
blocks are joined, each of unit length, where the paper takes the last.

`reference` also uses anomalies that experts labelled, after the idea of normal and abnormal references (NAGL,
"Normal-Abnormal Guided Generalist Anomaly Detection", NeurIPS 2025): the patches that make a labelled image's score are
stored too, and a patch that is nearer to one of them than to all normal ones scores higher by that difference. Without
labels it is `dino-memory`, bit for bit.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Image, Progress, Samples, batches, silent
from ..core.subset import Subset, normal_only
from . import heads
from .backbones import Backbone
from .inference import Floats
from .nearest import Bank
from .on_backbone import IMAGES_AT_ONCE, numbers
from .onnx_graph import OnnxGraph, Value
from .params import base
from .params.features import DinoMemoryParams, ReferenceParams
from .patch_memory import PatchMemory

_TINY = 1e-12


class DinoMemory(PatchMemory[DinoMemoryParams]):
    """See the module; its scores are 1 less the cosine to the nearest patches, in [0, 2]."""

    name: ClassVar[str] = "dino-memory"
    stream: ClassVar[str] = name
    batch_tolerance: ClassVar[float] = 1e-5
    backbone_name: ClassVar[str] = "dino-vits14"
    parameters: ClassVar[type[base.Params]] = DinoMemoryParams
    noun: ClassVar[str] = "patch memory"

    @staticmethod
    def _layers(params: DinoMemoryParams) -> tuple[int, ...]:
        return numbers(params.blocks)

    def _scaled(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 less the cosine; of unit vectors half the squared distance."""
        return distances**2 / 2

    def _grids(self, images: Sequence[Image]) -> list[Floats]:
        """The blocks' features joined, each block of the same length, the whole of 1."""
        return [self._joined(blocks) for blocks in self._features(images)]

    @staticmethod
    def _joined(blocks: Sequence[Floats]) -> Floats:
        parts = [block.reshape(-1, block.shape[2]) for block in blocks]
        lengths = [np.maximum(np.linalg.norm(part, axis=1, keepdims=True), _TINY) for part in parts]
        units = np.concatenate([part / length for part, length in zip(parts, lengths, strict=True)], axis=1)
        found: Floats = (units / np.sqrt(len(parts))).astype(np.float32).reshape(*blocks[0].shape[:2], -1)
        return found

    def _drawn_patches(self, graph: OnnxGraph, stages: Sequence[Value]) -> Value:
        parts = [heads.units(graph, heads.as_rows(graph, stage)) for stage in stages]
        scale = np.array(1 / np.sqrt(len(parts)), np.float32)
        return graph.times(graph.joined(parts, axis=1), scale)

    def _drawn_scores(self, graph: OnnxGraph, patches: Value, distances: Value) -> Value:  # noqa: ARG002
        return heads.half_square(graph, distances)


class Reference(DinoMemory):
    """See the module."""

    name: ClassVar[str] = "reference"
    uses_labels: ClassVar[bool] = True
    parameters: ClassVar[type[base.Params]] = ReferenceParams

    def __init__(self, params: ReferenceParams, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._added = params.weight
        self._abnormal: Bank | None = None

    def memory_needed(self, samples: Samples) -> float:
        """See `components.core.ports.Foreseen`; of labelled anomalies few patches are kept."""
        return super().memory_needed(normal_only(samples))

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Remember patches of the normal samples, then those patches of the labelled ones that stand out from them."""
        self._abnormal = None
        super().fit(normal_only(samples), seed=seed, progress=progress)
        labelled = Subset(samples, np.flatnonzero(samples.labels == 1))
        found = []
        for batch in batches(labelled, size=IMAGES_AT_ONCE):
            every = self._patches(cast(Sequence[Image], batch))
            found += [patches[self._highest(self._distances(patches))] for patches in every]
        if found:
            self._abnormal = Bank(np.concatenate(found))
            self._left_out = None  # they were scored without the labels

    def _adjusted(self, patches: Floats, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._abnormal is None:
            return normal
        abnormal = self._scaled(self._abnormal.distances(patches, neighbours=1))
        raised: NDArray[np.float64] = normal + self._added * np.maximum(0, normal - abnormal)
        return raised

    def _drawn_scores(self, graph: OnnxGraph, patches: Value, distances: Value) -> Value:
        normal = super()._drawn_scores(graph, patches, distances)
        if self._abnormal is None:
            return normal
        apart = heads.DrawnBank(graph, self._abnormal).distances(patches, neighbours=1)
        nearer = graph.op("Relu", graph.minus(normal, heads.half_square(graph, apart)), shape=normal.shape)
        return graph.add(normal, graph.times(nearer, np.array(self._added, np.float32)))

    def _learned(self) -> Mapping[str, Floats]:
        own = {} if self._abnormal is None else {"abnormal": self._abnormal.patches}
        return {**super()._learned(), **own}

    def _restore(self, learned: Mapping[str, Floats]) -> bool:
        fits = super()._restore(learned)
        if fits and "abnormal" in learned:
            self._abnormal = Bank(learned["abnormal"])
        return fits

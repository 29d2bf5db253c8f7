"""`memory-bank`: patches of normal images are remembered; a patch far from all of them is anomalous.

PatchCore's features and distance on EfficientNet-Lite0, with the mean of the most anomalous patches as the image's
score, which one noisy patch cannot decide. The network sees one image at a time, so that a score does not depend on the
others of its batch.
"""

from collections.abc import Sequence
from typing import ClassVar

from ..core.ports import Image
from . import heads
from .grids import resampled
from .inference import Floats
from .on_backbone import numbers
from .onnx_graph import OnnxGraph, Value
from .parallel import each
from .params import base
from .params.images import MemoryBankParams
from .patch_memory import PatchMemory
from .reweighting import weight


class MemoryBank(PatchMemory[MemoryBankParams]):
    """See the module; its scores are mean distances to the nearest patches."""

    name: ClassVar[str] = "memory-bank"
    stream: ClassVar[str] = name
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = MemoryBankParams
    noun: ClassVar[str] = "memory bank"

    @staticmethod
    def _layers(params: MemoryBankParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _grids(self, images: Sequence[Image]) -> list[Floats]:
        """The stages' features joined on the finest stage's grid."""
        return each(self._joined, self._features(images))

    def _weight(self, patch: Floats) -> float:
        around = self._around()
        return weight(self._fitted(), patch, around=around + 1) if around else 1.0

    def _weighs(self) -> bool:
        return self._params.reweight > 0

    def _joined(self, found: Sequence[Floats]) -> Floats:
        return resampled(found, shape=found[0].shape[:2], pooling=self._params.pooling)

    def _drawn_patches(self, graph: OnnxGraph, stages: Sequence[Value]) -> Value:
        pooled = [heads.pooled(graph, stage, width=self._params.pooling) for stage in stages]
        height, width = pooled[0].shape[2:]
        same = [heads.stretched(graph, stage, shape=(height, width)) for stage in pooled]
        return heads.as_rows(graph, graph.joined(same, axis=1))

    def _drawn_weight(self, graph: OnnxGraph, bank: heads.DrawnBank, patch: Value) -> Value | None:
        around = self._around()
        return heads.weight(graph, bank, patch, around=around + 1) if around else None

    def _around(self) -> int:
        """A patch that is the only one has none around it: it would be all of the softmax, and every score 0."""
        return self._params.reweight if len(self._fitted()) > 1 else 0

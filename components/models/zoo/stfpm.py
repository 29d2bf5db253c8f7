"""`stfpm`: a student learns to say of normal images what its pretrained teacher says; of others it cannot.

Wang et al. 2021, "Student-Teacher Feature Pyramid Matching for Anomaly Detection", BMVC: both have one architecture,
the map is the product over stages of the distances between their features of unit length.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...core.ports import Image
from .. import efficientnet
from ..images import scaled
from ..onnx_graph import OnnxGraph, Value
from ..params import base
from ..params.zoo import StfpmParams
from .parts import STFPMLoss, StfpmMap, TimmFeatureExtractor
from .trained import Schedule, Seen, Trainable, Trained

_STAGES = (1, 2, 3)
"""Of strides 4, 8 and 16, as the paper's."""


class Student(Trainable):
    """A network of random weights at first, beside the teacher's features; images are ``(N, 3, S, S)`` of 0 to 255."""

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.size = size
        self.student = TimmFeatureExtractor(
            backbone=efficientnet.ARCHITECTURE, layers=_STAGES, pre_trained=False, requires_grad=True
        )
        self.measure = STFPMLoss()
        self.map = StfpmMap()

    def both(self, seen: Seen) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The teacher's and the student's features by stage."""
        images, *teacher = seen
        found = self.student((images / 255 - efficientnet.MEAN[0]) / efficientnet.DEVIATION[0])
        return dict(zip(_STAGES, teacher, strict=True)), {stage: found[stage].float() for stage in _STAGES}

    def loss(self, seen: Seen, *, step: int) -> Tensor:  # noqa: ARG002 - the same at every step
        """See `Trainable`."""
        teacher, student = self.both(seen)
        found: Tensor = self.measure(teacher, student)
        return found

    def judge(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The largest value of the map."""
        teacher, student = self.both(seen)
        heat: Tensor = self.map(
            teacher_features=teacher, student_features=student, image_size=torch.Size((self.size, self.size))
        )[0, 0]
        return heat.max(), heat


class Stfpm(Trained[StfpmParams]):
    """See the module."""

    name: ClassVar[str] = "stfpm"
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = StfpmParams
    noun: ClassVar[str] = "STFPM model"

    @staticmethod
    def _layers(params: StfpmParams) -> tuple[int, ...]:  # noqa: ARG004 - always the same
        return _STAGES

    def _build(self) -> Trainable:
        return Student(size=self._params.image_size)

    def _seen(self, images: Sequence[Image]) -> Seen:
        side = self._params.image_size
        shown = np.stack([scaled(image, height=side, width=side) for image in images])
        return torch.from_numpy(shown).permute(0, 3, 1, 2), *super()._seen(images)

    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        return super()._outputs(graph, (graph.pixels, *stages))

    def _schedule(self, network: Trainable) -> Schedule:
        rate = self._params.learning_rate
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=1e-3), None

    def _image_bytes(self) -> float:
        return 3.0 * self._params.image_size**2 + super()._image_bytes()

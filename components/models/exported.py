"""Detectors over a frozen backbone that can be exported: from the image to the score as one network."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ..core.errors import ModelError
from ..core.exportable import WholeNetwork
from . import heads
from .on_backbone import BackboneParams, OnBackbone
from .onnx_graph import OnnxGraph, Value

P = TypeVar("P", bound=BackboneParams)


class ExportableOnBackbone(OnBackbone[P]):
    """See the module; subclasses say what follows the backbone."""

    def as_network(self) -> WholeNetwork:
        """See `components.core.exportable`."""
        self._learned()
        frame = self._frame
        if frame.resize != "stretch":
            raise ModelError(
                f"This {self.noun} was fitted with resize: {frame.resize}; an exported network takes one shape.",
                hint="Retrain with params: {resize: stretch}.",
            )
        cuts = frame.cuts(frame.side)
        graph = OnnxGraph(
            height=frame.size,
            width=frame.size,
            canvas=frame.side,
            corners=[(row.start, column.start) for row in cuts for column in cuts],
        )
        tiles = self._backbone.drawn(graph)
        graph.head()
        pairs = zip(tiles, self._backbone.strides, strict=True)
        outputs = self._outputs(
            graph, [heads.canvas_of(graph, tile, cuts=cuts, stride=stride) for tile, stride in pairs]
        )
        for name, value in outputs.items():
            graph.output(name, value)
        preparation = {"size": [frame.side] * 2, "resize": "bilinear, antialiased, both sides on their own"}
        return WholeNetwork(onnx=graph.serialized(), outputs=tuple(outputs), preparation=preparation)

    @abstractmethod
    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        """Outputs of an exported network by name, of its backbone's `stages`; see `WholeNetwork`."""

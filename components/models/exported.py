"""Detectors over a frozen backbone that can be exported: from the image to the score as one network."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ..core.exportable import WholeNetwork
from . import heads
from .on_backbone import BackboneParams, OnBackbone
from .onnx_graph import OnnxGraph, Value

P = TypeVar("P", bound=BackboneParams)

_SQUEEZED = 0.1
"""By how much an exported network's images may be wider or narrower than the one whose shape it takes."""


class ExportableOnBackbone(OnBackbone[P]):
    """See the module; subclasses say what follows the backbone."""

    def as_network(self) -> WholeNetwork:
        """See `components.core.exportable`."""
        self._learned()
        frame = self._frame
        # An exported network takes one shape: that of the first training image.
        height, width = (int(self.facts[side]) for side in ("height", "width"))
        canvas = frame.canvas(height, width)
        rows, columns = (frame.cuts(side) for side in canvas)
        graph = OnnxGraph(
            height=rows[0].stop - rows[0].start,
            width=columns[0].stop - columns[0].start,
            canvas=canvas,
            corners=[(row.start, column.start) for row in rows for column in columns],
        )
        tiles = self._backbone.drawn(graph)
        graph.head()
        pairs = zip(tiles, self._backbone.strides, strict=True)
        outputs = self._outputs(
            graph, [heads.canvas_of(graph, tile, rows=rows, columns=columns, stride=stride) for tile, stride in pairs]
        )
        for name, value in outputs.items():
            graph.output(name, value)
        preparation: dict[str, Any] = {
            "size": list(canvas),
            "resize": "bilinear, antialiased, both sides on their own",
        }
        if frame.resize == "fit":
            preparation["aspect"] = [width / height * (1 - _SQUEEZED), width / height * (1 + _SQUEEZED)]
        return WholeNetwork(onnx=graph.serialized(), outputs=tuple(outputs), preparation=preparation)

    @abstractmethod
    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        """Outputs of an exported network by name, of its backbone's `stages`; see `WholeNetwork`."""

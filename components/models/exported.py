"""Detectors over a frozen backbone that can be exported: from the image to the score as one network."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ..core.contracts import Params
from ..core.errors import ModelError
from ..core.exportable import WholeNetwork
from . import heads
from .on_backbone import BackboneParams, OnBackbone
from .onnx_graph import IMAGE, OnnxGraph, Value

P = TypeVar("P", bound=BackboneParams)

_SQUEEZED = 0.1
"""By how much an exported network's images may be wider or narrower than the one whose shape it takes."""


class ExportableOnBackbone(OnBackbone[P]):
    """See the module; subclasses say what follows the backbone."""

    _before: ClassVar[Params] = {"resize": "stretch"}

    def as_network(self) -> WholeNetwork:
        """See `components.core.exportable`."""
        self._learned()
        frame = self._frame
        height, width = self._learned_shape()
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
            "sizes": {IMAGE: list(canvas)},
            "resize": "bilinear, antialiased, both sides on their own",
        }
        if frame.resize == "fit":
            preparation["aspect"] = [width / height * (1 - _SQUEEZED), width / height * (1 + _SQUEEZED)]
        return WholeNetwork(onnx=graph.serialized(), outputs=tuple(outputs), preparation=preparation)

    def _learned_shape(self) -> tuple[int, int]:
        """Height and width of the first training image: an exported network takes one shape."""
        if self._frame.resize == "stretch":
            return 1, 1  # whatever it was
        if not {"height", "width"} <= self.facts.keys():
            raise ModelError(
                f"This {self.noun} does not know the aspect of its training images.", hint="Retrain, then export."
            )
        return int(self.facts["height"]), int(self.facts["width"])

    @abstractmethod
    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        """Outputs of an exported network by name, of its backbone's `stages`; see `WholeNetwork`."""

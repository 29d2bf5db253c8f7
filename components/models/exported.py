"""A detector over a frozen backbone as one network, from the image to the score."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.network import WholeNetwork
from . import heads
from .backbones import Backbone
from .onnx_graph import IMAGE, OnnxGraph, Value
from .tiling import Frame

_SQUEEZED = 0.1
"""By how much an exported network's images may be wider or narrower than the one whose shape it takes."""


def over_backbone(
    backbone: Backbone,
    frame: Frame,
    *,
    shape: tuple[int, int],
    outputs: Callable[[OnnxGraph, Sequence[Value]], Mapping[str, Value]],
) -> WholeNetwork:
    """The network of `backbone` and of what follows it.

    Args:
        backbone: Comes first.
        frame: How images are scaled and cut.
        shape: Height and width of an image: of all, if the frame keeps their aspect.
        outputs: Draws what follows the backbone's stages ``(1, C, h, w)``; the network's outputs by name.
    """
    height, width = shape
    canvas = frame.canvas(height, width)
    rows, columns = (frame.cuts(side) for side in canvas)
    graph = OnnxGraph(
        height=rows[0].stop - rows[0].start,
        width=columns[0].stop - columns[0].start,
        canvas=canvas,
        corners=[(row.start, column.start) for row in rows for column in columns],
    )
    tiles = backbone.drawn(graph)
    graph.head()
    pairs = zip(tiles, backbone.strides, strict=True)
    stages = [heads.canvas_of(graph, tile, rows=rows, columns=columns, stride=stride) for tile, stride in pairs]
    found = outputs(graph, stages)
    for name, value in found.items():
        graph.output(name, value)
    preparation: dict[str, Any] = {
        "sizes": {IMAGE: list(canvas)},
        "resize": "bilinear, antialiased, both sides on their own",
    }
    if frame.resize == "fit":
        preparation["aspect"] = [width / height * (1 - _SQUEEZED), width / height * (1 + _SQUEEZED)]
    return WholeNetwork(onnx=graph.serialized(), outputs=tuple(found), preparation=preparation)

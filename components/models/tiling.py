"""Images as a backbone sees them: their shape on its way in, and tiles of images that are larger than its input.

Tiles overlap. The middle of an overlap is the border between the features of two tiles, so that what is near a tile's
edge, where the network sees zeros in place of the image, is taken from its neighbour.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .inference import Floats
from .params.base import Resize

_MARGIN = 1 / 16
"""Least part of a tile's side that is left to its neighbour, on each side."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How images are scaled and cut.

    Attributes:
        size: Side of a tile, pixels.
        tiles: Tiles a side.
        multiple: Of which all sides are multiples.
        resize: "stretch" scales both sides to the canvas; "fit" scales the longer one and keeps the aspect.
    """

    size: int
    tiles: int
    multiple: int
    resize: Resize

    @property
    def margin(self) -> int:
        """Pixels of a tile that are left to its neighbour, on each inner side."""
        return self.multiple * math.ceil(self.size * _MARGIN / self.multiple)

    @property
    def side(self) -> int:
        """Of the canvas, pixels.

        >>> Frame(size=320, tiles=2, multiple=32, resize="stretch").side
        576
        """
        return self.tiles * self.size - 2 * (self.tiles - 1) * self.margin

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """What an image of these sides is scaled to; "fit" rounds the shorter side to the multiple.

        >>> Frame(size=320, tiles=1, multiple=32, resize="fit").canvas(120, 400)
        (96, 320)
        """
        if self.resize == "stretch":
            return self.side, self.side
        scale = self.side / max(height, width)
        height, width = (max(1, round(side * scale / self.multiple)) * self.multiple for side in (height, width))
        return height, width

    def cuts(self, length: int) -> list["Cut"]:
        """Tiles along a side of `length` pixels of a canvas.

        >>> [(cut.start, cut.first, cut.last) for cut in Frame(size=320, tiles=2, multiple=32, resize="fit").cuts(576)]
        [(0, 0, 288), (256, 288, 576)]
        """
        if length <= self.size:
            return [Cut(start=0, stop=length, first=0, last=length)]
        count = math.ceil((length - 2 * self.margin) / (self.size - 2 * self.margin))
        step = (length - self.size) / (count - 1) / self.multiple
        starts = [round(number * step) * self.multiple for number in range(count)]
        middles = [
            (start + after + self.size) // 2 // self.multiple * self.multiple
            for start, after in itertools.pairwise(starts)
        ]
        return [
            Cut(start=start, stop=start + self.size, first=first, last=last)
            for start, first, last in zip(starts, [0, *middles], [*middles, length], strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One tile along a side: pixels `start` to `stop`, of which `first` to `last` count, all of the canvas."""

    start: int
    stop: int
    first: int
    last: int

    def on_canvas(self, stride: int) -> slice:
        """Places of the canvas's features that come from this tile."""
        return slice(self.first // stride, self.last // stride)

    def on_tile(self, stride: int) -> slice:
        """The same among the tile's own."""
        return slice((self.first - self.start) // stride, (self.last - self.start) // stride)


def joined(
    tiles: Sequence[Sequence[Floats]],
    *,
    rows: Sequence[Cut],
    columns: Sequence[Cut],
    strides: Sequence[int],
) -> list[Floats]:
    """Features ``(h, w, C)`` a layer of a canvas from those of its tiles, row by row."""
    if len(tiles) == 1:
        return list(tiles[0])
    found = []
    for layer, stride in enumerate(strides):
        shape = (rows[-1].last // stride, columns[-1].last // stride, tiles[0][layer].shape[2])
        whole = np.empty(shape, np.float32)
        places = [(row, column) for row in rows for column in columns]
        for (row, column), tile in zip(places, tiles, strict=True):
            part = tile[layer][row.on_tile(stride), column.on_tile(stride)]
            whole[row.on_canvas(stride), column.on_canvas(stride)] = part
        found.append(whole)
    return found

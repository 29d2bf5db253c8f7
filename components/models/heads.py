"""What follows a backbone in an exported network: the arithmetic of the image detectors, in operations of ONNX.

Each function says what the module that it mirrors computes; a test compares the two.
"""

from collections.abc import Sequence

import numpy as np

from .grids import bilinear
from .inference import Floats
from .nearest import Bank
from .onnx_graph import OnnxGraph, Value
from .resampled import SPARE, Halves
from .tiling import Cut

_TINY = 1e-12


class DrawnBank:
    """`nearest.Bank` in an exported network, as a constant that is there once.

    Args:
        graph: It grows.
        bank: M patches of C values.
    """

    def __init__(self, graph: OnnxGraph, bank: Bank) -> None:
        self.bank, self._graph = bank, graph
        self._mean = bank.patches.mean(axis=0)
        centred = bank.patches - self._mean
        self._squares = np.einsum("mc,mc->m", centred, centred)
        self._centred = graph.constant(centred)

    def distances(self, queries: Value, *, neighbours: int) -> Value:
        """Mean distance ``(Q,)`` of `queries` ``(Q, C)`` to their nearest patches."""
        return self._graph.reduced("Mean", self.nearest(queries, neighbours=neighbours)[0], axes=(1,))

    def nearest(self, queries: Value, *, neighbours: int) -> tuple[Value, Value]:
        """Distances ``(Q, K)``, rising, and places ``(Q, K)`` of the K nearest patches."""
        graph = self._graph
        count, doubled = min(neighbours, len(self.bank)), graph.times(graph.minus(queries, self._mean), _number(-2))
        products = graph.product(doubled, graph.transpose(self._centred, (1, 0)))
        _, places = graph.extreme(graph.add(products, self._squares), count, largest=False)
        return self.apart(queries, places), places

    def apart(self, queries: Value, places: Value) -> Value:
        """Distances ``(Q, K)`` of `queries` ``(Q, C)`` to the patches at `places` ``(Q, K)``."""
        graph = self._graph
        moved = graph.minus(queries, self._mean)
        rows = graph.take(self._centred, places, axis=0)
        return graph.length(graph.minus(graph.reshape(moved, (queries.shape[0], 1, queries.shape[1])), rows))


def by_half(graph: OnnxGraph, bank: DrawnBank, patches: Value, *, halves: Halves, neighbours: int) -> Value:
    """``(HALVES, P)``; see `resampled.Halves.distances`."""
    distances, places = bank.nearest(patches, neighbours=2 * neighbours + SPARE)
    count, nearest = distances.shape
    inside = graph.take(halves.masks.astype(np.float32), places, axis=1)
    rank = graph.product(inside, np.triu(np.ones((1, nearest, nearest), np.float32)))
    early = graph.op("LessOrEqual", rank, _number(neighbours), shape=rank.shape)
    first = graph.times(inside, graph.floats(early))
    missing = graph.minus(graph.reduced("Sum", first, axes=(2,)), _number(neighbours))
    last = graph.reshape(graph.take(distances, np.array([nearest - 1]), axis=1), (count,))
    whole = graph.minus(graph.reduced("Sum", graph.times(first, distances), axes=(2,)), graph.times(missing, last))
    return graph.times(whole, _number(1 / neighbours))


def weight(graph: OnnxGraph, bank: DrawnBank, patch: Value, *, around: int) -> Value:
    """``(1,)`` of `patch` ``(1, E)``; see `reweighting.weight`. What is around each centre is known before."""
    _, places = bank.nearest(patch, neighbours=1)
    table = bank.bank.nearest(bank.bank.patches, neighbours=around)[1]
    surrounding = graph.take(table, graph.reshape(places, (1,)), axis=0)
    both = graph.joined([bank.apart(patch, places), bank.apart(patch, surrounding)], axis=1)
    raised = graph.op("Exp", graph.minus(both, graph.reduced("Max", both, axes=(1,), keep=True)), shape=both.shape)
    first, others = (graph.take(raised, part, axis=1) for part in (np.array([0]), np.arange(1, both.shape[1])))
    share = graph.op("Div", first, graph.reduced("Sum", others, axes=(1,), keep=True), shape=(1, 1))
    return graph.reshape(graph.add(graph.times(share, _number(-1)), _number(1)), (1,))


def deviation(graph: OnnxGraph, values: Value) -> Value:
    """Standard deviation ``(1,)`` of ``(T,)``, by T - 1."""
    away = graph.minus(values, graph.reduced("Mean", values, axes=(0,), keep=True))
    squares = graph.reduced("Sum", graph.times(away, away), axes=(0,), keep=True)
    return graph.root(graph.times(squares, _number(1 / (values.shape[0] - 1))))


def half_square(graph: OnnxGraph, x: Value) -> Value:
    """Of distances between unit vectors: 1 less the cosine."""
    return graph.times(graph.times(x, x), _number(0.5))


def canvas_of(graph: OnnxGraph, stage: Value, *, rows: Sequence[Cut], columns: Sequence[Cut], stride: int) -> Value:
    """``(1, C, h, w)`` of a whole canvas from its tiles' ``(T, C, h, w)``, row by row; see `tiling.joined`."""
    strips = []
    for row, across in enumerate(rows):
        parts = []
        for column, along in enumerate(columns):
            places = [cut.on_tile(stride) for cut in (across, along)]
            starts = (row * len(columns) + column, *(place.start for place in places))
            parts.append(graph.part(stage, starts, (1, *(p.stop - p.start for p in places)), axes=(0, 2, 3)))
        strips.append(graph.joined(parts, axis=3))
    return graph.joined(strips, axis=2)


def as_rows(graph: OnnxGraph, stage: Value) -> Value:
    """``(1, C, h, w)`` as ``(h w, C)``."""
    _, channels, height, width = stage.shape
    return graph.transpose(graph.reshape(stage, (channels, height * width)), (1, 0))


def pooled(graph: OnnxGraph, stage: Value, *, width: int) -> Value:
    """Means over neighbourhoods of `width` by `width` places, fewer at the border."""
    if width == 1:
        return stage
    half = width // 2
    return graph.op(
        "AveragePool", stage, shape=stage.shape, kernel_shape=[width] * 2, pads=[half] * 4, count_include_pad=0
    )


def stretched(graph: OnnxGraph, stage: Value, *, shape: tuple[int, int]) -> Value:
    """``(1, C, h, w)`` as ``(1, C, *shape)``, bilinear: two products with weights, alike on every runtime."""
    if stage.shape[2:] == shape:
        return stage
    rows, columns = (bilinear(old, new) for old, new in zip(stage.shape[2:], shape, strict=True))
    return graph.product(graph.product(rows, stage), np.ascontiguousarray(columns.T))


def repeated(graph: OnnxGraph, grid: Value, *, side: int) -> Value:
    """``(h, w)`` as ``(side, side)``, each place repeated."""
    if grid.shape == (side, side):
        return grid
    places = [np.arange(side) * size // side for size in grid.shape]
    return graph.take(graph.take(grid, places[0], axis=0), places[1], axis=1)


def units(graph: OnnxGraph, rows: Value) -> Value:
    """Each of `rows` ``(R, C)`` by its length."""
    lengths = graph.op("Max", graph.length(rows, keep=True), _number(_TINY), shape=(rows.shape[0], 1))
    return graph.op("Div", rows, lengths, shape=rows.shape)


def _number(value: float) -> Floats:
    return np.array(value, np.float32)

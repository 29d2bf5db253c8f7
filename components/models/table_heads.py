"""The encoding of tables in an exported network; see `encoding.TableEncoder`, whose arithmetic this repeats.

The network computes in 32 bits. So that this costs no digits, it is given values already less their column's median and
by its deviation (`preparation`), and what encoder and preparation do together to each statistic is folded into one
factor and one summand.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoding import CLIP, STATISTICS, TableEncoder
from .onnx_graph import OnnxGraph, Value

LIMIT = 1e6
"""Prepared values are cut at so many deviations: beyond, squares of 32 bits overflow, and a statistic is cut anyway."""

_MOVED = frozenset({"mean", "min", "max"})
"""Statistics that move with their column; the others are differences."""
_UNKNOWN = -1.0


def preparation(encoder: TableEncoder) -> Mapping[str, Any]:
    """What the values of a window go through before the network: (value - offset) / unit, cut at `limit`."""
    offset, unit = _prepared(encoder)
    return {"offset": offset.tolist(), "unit": unit.tolist(), "limit": LIMIT}


def encoded(graph: OnnxGraph, encoder: TableEncoder) -> Value:
    """Input `window` ``(N, W, D)`` and of it the features ``(N, F)`` that `encoder` makes, in its order."""
    columns = encoder.table.features
    kinds = np.array([column.kind for column in columns])
    windows = graph.windows(rows=encoder.table.window, columns=len(columns))
    missing = graph.op("IsNaN", windows, shape=windows.shape)
    usual = np.where(kinds == "numeric", 0, _UNKNOWN).astype(np.float32)
    cells = graph.op("Where", missing, usual, windows, shape=windows.shape)
    numeric = np.flatnonzero(kinds == "numeric")
    parts = _statistics(graph, graph.take(cells, numeric, axis=2)) if len(numeric) else []
    parts += [
        _shares(graph, graph.take(cells, np.array([place]), axis=2), len(columns[place].categories))
        for place in np.flatnonzero(kinds == "categorical")
    ]
    if encoder.indicators:
        gone = graph.op("Cast", missing, shape=windows.shape, to=1)
        parts.append(graph.reduced("Mean", graph.take(gone, np.array(encoder.indicators), axis=2), axes=(1,)))
    factor, summand = _scaling(encoder)
    features = graph.take(graph.joined(parts, axis=1), _order(encoder), axis=1)
    return graph.clip(graph.add(graph.times(features, factor), summand), low=-CLIP, high=CLIP)


def _statistics(graph: OnnxGraph, cells: Value) -> list[Value]:
    """Of each numeric column of `cells` ``(N, W, D)``: ``(N, D)`` a statistic."""
    _, rows, columns = cells.shape
    if rows == 1:
        return [graph.reshape(cells, (-1, columns))]
    time = np.arange(rows) - (rows - 1) / 2
    weights = (time / (time @ time)).reshape(1, rows, 1)
    steps = graph.minus(graph.take(cells, np.arange(1, rows), axis=1), graph.take(cells, np.arange(rows - 1), axis=1))
    return [
        graph.reduced("Mean", cells, axes=(1,)),
        _deviation(graph, cells),
        graph.reduced("Min", cells, axes=(1,)),
        graph.reduced("Max", cells, axes=(1,)),
        graph.reduced("Sum", graph.times(cells, weights.astype(np.float32)), axes=(1,)),
        _deviation(graph, steps),
    ]


def _deviation(graph: OnnxGraph, cells: Value) -> Value:
    away = graph.minus(cells, graph.reduced("Mean", cells, axes=(1,), keep=True))
    return graph.root(graph.reduced("Mean", graph.times(away, away), axes=(1,)))


def _shares(graph: OnnxGraph, codes: Value, known: int) -> Value:
    """``(N, K + 1)`` share of each known category among the rows of `codes` ``(N, W, 1)``, then of all others."""
    if known:
        shape = (*codes.shape[:2], known)
        equal = graph.op("Equal", codes, np.arange(known, dtype=np.float32), shape=shape)
        shares = graph.reduced("Mean", graph.op("Cast", equal, shape=shape, to=1), axes=(1,))
    else:
        shares = graph.times(graph.reduced("Mean", codes, axes=(1,)), np.array(0, np.float32))
    whole = graph.reduced("Sum", shares, axes=(1,), keep=True)
    other = graph.add(graph.times(whole, np.array(-1, np.float32)), np.array(1, np.float32))
    return graph.joined([shares, other], axis=1) if known else other


def _names(encoder: TableEncoder) -> list[tuple[int, str]]:
    """(column, statistic) of each feature, in the encoder's order; "" where there is none."""
    found: list[tuple[int, str]] = []
    for place, column in enumerate(encoder.table.features):
        if column.kind == "categorical":
            found += [(place, "")] * (len(column.categories) + 1)
        else:
            found += [(place, name) for name in (STATISTICS if encoder.table.window > 1 else ("mean",))]
    return found + [(place, "") for place in encoder.indicators]


def _order(encoder: TableEncoder) -> NDArray[np.intp]:
    """Where each feature of the encoder lies among those of `encoded`, which go by statistic, then by column."""
    names = _names(encoder)
    rank = {name: number for number, name in enumerate(STATISTICS)}
    ours = sorted(range(len(names)), key=lambda index: rank.get(names[index][1], len(rank)))
    return np.argsort(ours)


def _prepared(encoder: TableEncoder) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offset and unit ``(D,)`` of each column; codes stay as they are."""
    numeric = np.array([column.kind == "numeric" for column in encoder.table.features])
    unit = np.ones(len(numeric))
    for (place, name), scale in zip(_names(encoder), encoder.scale, strict=True):
        if name == "mean":
            unit[place] = scale
    return np.where(numeric, encoder.medians, 0.0), unit


def _scaling(encoder: TableEncoder) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and summand ``(F,)`` that make the encoder's scaled features of a prepared column's statistics."""
    offset, unit = _prepared(encoder)
    names, scale = _names(encoder), np.array(encoder.scale)
    moved = np.array([offset[place] if name in _MOVED else 0.0 for place, name in names])
    units = np.array([unit[place] if name else 1.0 for place, name in names])
    return units / scale, (moved - np.array(encoder.centre)) / scale

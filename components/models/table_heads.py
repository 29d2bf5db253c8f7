"""The encoding of tables in an exported network; see `encoding.TableEncoder`, whose arithmetic this repeats.

The network computes in 32 bits. So that this costs no digits, it is given values already less their column's median and
by its deviation (`preparation`), and what encoder and preparation do together to each statistic is folded into one
factor and one summand.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoding import CLIP, LEVEL, SPECTRAL, STATISTICS, TableEncoder
from .onnx_graph import OnnxGraph, Value

LIMIT = 1e6
"""Prepared values are cut at so many deviations: beyond, squares of 32 bits overflow, and a statistic is cut anyway."""

_ROW = "row"
"""A window's own value, where the encoder hands them on."""
_MOVED = frozenset({"mean", "min", "max", _ROW})
"""Statistics that move with their column; the others are differences."""
_SCALED = _MOVED | {"std", "trend", "roughness"}
"""Statistics in units of their column; the others are in none, or have been brought into the encoder's."""
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
    values = graph.take(cells, numeric, axis=2)
    parts = _summary(graph, encoder, values) if len(numeric) else []
    parts += [
        _shares(graph, graph.take(cells, np.array([place]), axis=2), len(columns[place].categories))
        for place in np.flatnonzero(kinds == "categorical")
    ]
    gone = graph.floats(missing)
    if encoder.indicators:
        parts.append(graph.reduced("Mean", graph.take(gone, np.array(encoder.indicators), axis=2), axes=(1,)))
    if encoder.gaps:
        shares = graph.reduced("Mean", graph.take(gone, np.array(encoder.complete), axis=2), axes=(1,))
        parts.append(graph.reduced("Sum", shares, axes=(1,), keep=True))
    if encoder.rows:
        parts.append(graph.reshape(graph.transpose(values, (0, 2, 1)), (-1, encoder.rows)))
    factor, summand = _scaling(encoder)
    features = graph.take(graph.joined(parts, axis=1), _order(encoder), axis=1)
    return graph.clip(graph.add(graph.times(features, factor), summand), low=-CLIP, high=CLIP)


def _summary(graph: OnnxGraph, encoder: TableEncoder, cells: Value) -> list[Value]:
    """Of each numeric column of `cells` ``(N, W, D)``: ``(N, D)`` a statistic; the value itself where W is 1."""
    if cells.shape[1] == 1:
        return [graph.reshape(cells, (-1, cells.shape[2]))]
    if encoder.features == "level":
        return [graph.reduced("Mean", cells, axes=(1,))]
    if encoder.features != "spectral":
        return _statistics(graph, cells)
    numeric = [column.kind == "numeric" for column in encoder.table.features]
    return _spectrum(graph, cells, unit=_prepared(encoder)[1][numeric])


def _statistics(graph: OnnxGraph, cells: Value) -> list[Value]:
    rows = cells.shape[1]
    first, moved = _moved(graph, cells)
    time = np.arange(rows) - (rows - 1) / 2
    weights = (time / (time @ time)).reshape(1, rows, 1)
    steps = graph.minus(graph.take(cells, np.arange(1, rows), axis=1), graph.take(cells, np.arange(rows - 1), axis=1))
    return [
        graph.add(first, graph.reduced("Mean", moved, axes=(1,))),
        _deviation(graph, moved),
        graph.reduced("Min", cells, axes=(1,)),
        graph.reduced("Max", cells, axes=(1,)),
        graph.reduced("Sum", graph.times(moved, weights.astype(np.float32)), axes=(1,)),
        _deviation(graph, steps),
    ]


def _spectrum(graph: OnnxGraph, cells: Value, *, unit: NDArray[np.float64]) -> list[Value]:
    """As `encoding.SPECTRAL` says; the bands' energies in the units of the encoder, as their logarithm wants."""
    rows, columns = cells.shape[1:]
    first, moved = _moved(graph, cells)
    mean = graph.reduced("Mean", moved, axes=(1,), keep=True)
    away = graph.reshape(graph.transpose(graph.minus(moved, mean), (0, 2, 1)), (-1, rows))
    turns = 2 * np.pi * np.outer(np.arange(rows), np.arange(1, rows // 2 + 1)) / rows
    waves = [graph.product(away, wave.astype(np.float32)) for wave in (np.cos(turns), np.sin(turns))]
    squares = graph.add(*(graph.times(wave, wave) for wave in waves))
    power = graph.reshape(graph.times(squares, np.array(1 / rows)), (-1, columns, rows // 2))
    places = np.arange(rows // 2)
    bands = [np.isin(places, band) for band in np.array_split(places, 4)]
    sums = np.stack([places + 1.0, np.ones(len(places)), *bands], axis=1)
    found = graph.product(power, sums)
    weighted, total, *energies = (
        graph.reshape(graph.take(found, np.array([place]), axis=2), (-1, columns)) for place in range(sums.shape[1])
    )
    flat = graph.op("Equal", total, np.array(0, np.float32), shape=total.shape)
    some = graph.op("Where", flat, np.array(1, np.float32), total, shape=total.shape)
    raised = [graph.add(graph.times(energy, unit**2), np.array(1.0)) for energy in energies]
    return [
        graph.add(first, graph.reduced("Mean", moved, axes=(1,))),
        _deviation(graph, moved),
        graph.op("Div", weighted, some, shape=total.shape),
        *map(graph.log, raised),
    ]


def _moved(graph: OnnxGraph, cells: Value) -> tuple[Value, Value]:
    """First rows ``(N, D)`` of `cells` ``(N, W, D)``, and what each row is away from them; see `encoding._moved`."""
    first = graph.take(cells, np.array([0]), axis=1)
    return graph.reshape(first, (-1, cells.shape[2])), graph.minus(cells, first)


def _deviation(graph: OnnxGraph, cells: Value) -> Value:
    away = graph.minus(cells, graph.reduced("Mean", cells, axes=(1,), keep=True))
    return graph.root(graph.reduced("Mean", graph.times(away, away), axes=(1,)))


def _shares(graph: OnnxGraph, codes: Value, known: int) -> Value:
    """``(N, K + 1)`` share of each known category among the rows of `codes` ``(N, W, 1)``, then of all others."""
    if known:
        shape = (*codes.shape[:2], known)
        equal = graph.op("Equal", codes, np.arange(known, dtype=np.float32), shape=shape)
        shares = graph.reduced("Mean", graph.floats(equal), axes=(1,))
    else:
        shares = graph.times(graph.reduced("Mean", codes, axes=(1,)), np.array(0, np.float32))
    whole = graph.reduced("Sum", shares, axes=(1,), keep=True)
    other = graph.add(graph.times(whole, np.array(-1, np.float32)), np.array(1, np.float32))
    return graph.joined([shares, other], axis=1) if known else other


def _names(encoder: TableEncoder) -> list[tuple[int, str]]:
    """(column, statistic) of each feature, in the encoder's order; "" where there is none."""
    found: list[tuple[int, str]] = []
    statistics = _statistics_of(encoder)
    for place, column in enumerate(encoder.table.features):
        if column.kind == "categorical":
            found += [(place, "")] * (len(column.categories) + 1)
        else:
            found += [(place, name) for name in statistics]
    found += [(place, "") for place in (*encoder.indicators, *encoder.complete[: encoder.gaps])]
    if encoder.rows:
        numeric = [place for place, column in enumerate(encoder.table.features) if column.kind == "numeric"]
        found += [(place, _ROW) for place in numeric for _ in range(encoder.table.window)]
    return found


def _statistics_of(encoder: TableEncoder) -> tuple[str, ...]:
    if encoder.table.window == 1 or encoder.features == "level":
        return LEVEL
    return SPECTRAL if encoder.features == "spectral" else STATISTICS


def _order(encoder: TableEncoder) -> NDArray[np.intp]:
    """Where each feature of the encoder lies among those of `encoded`, which go by statistic, then by column."""
    names = _names(encoder)
    rank = {name: number for number, name in enumerate([*_statistics_of(encoder), "", _ROW])}
    ours = sorted(range(len(names)), key=lambda index: rank[names[index][1]])
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
    units = np.array([unit[place] if name in _SCALED else 1.0 for place, name in names])
    return units / scale, (moved - np.array(encoder.centre)) / scale

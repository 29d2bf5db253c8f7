"""`sad_network.Scorer` in an exported network, masks of the stochastic passes included."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..core.exportable import SPREAD
from .heads import DrawnBank
from .nearest import Bank
from .onnx_graph import OnnxGraph, Value
from .sad_network import LEAK, Scorer

Doubles = NDArray[np.float64]


def scores(graph: OnnxGraph, scorer: Scorer, features: Value) -> Mapping[str, Value]:
    """`score` ``(N,)`` and, where there are masks, its deviation, of `features` ``(N, F)``."""
    squashed = graph.op("Asinh", features, shape=features.shape)
    white = graph.product(graph.minus(squashed, _of(scorer.view.mean)), _of(scorer.view.whitening))
    ways = (features, squashed, white)
    edges = np.cumsum([way.shape[1] for way in ways])[:-1]
    remembered = np.split(_of(scorer.remembered), edges, axis=1)
    near = [
        graph.times(_far(graph, way, bank, neighbours=scorer.neighbours), 1 / usual)
        for way, bank, usual in zip(ways, remembered, _of(scorer.usual_near), strict=True)
    ]
    hidden = _hidden(graph, scorer, graph.joined([squashed, white], axis=1))
    parts = [graph.reshape(part, (-1, 1)) for part in (_distance(graph, scorer, hidden), *near)]
    score = graph.reduced("Mean", graph.joined(parts, axis=1), axes=(1,))
    if not len(scorer.masks):
        return {"score": score}
    masks = np.moveaxis(_of(scorer.masks), 1, 0)[:, :, None]
    passes = _distance(graph, scorer, [graph.times(one, mask) for one, mask in zip(hidden, masks, strict=True)])
    away = graph.minus(passes, graph.reduced("Mean", passes, axes=(0,), keep=True))
    spread = graph.root(graph.reduced("Mean", graph.times(away, away), axes=(0,)))
    return {"score": score, SPREAD: graph.times(spread, np.array(1 / len(parts)))}


def _hidden(graph: OnnxGraph, scorer: Scorer, inputs: Value) -> list[Value]:
    """Of each member ``(N, H)`` of ``(N, U)``."""
    products = [graph.product(inputs, weights) for weights in _of(scorer.members.first)]
    return [graph.op("LeakyRelu", one, shape=one.shape, alpha=LEAK) for one in products]


def _distance(graph: OnnxGraph, scorer: Scorer, hidden: Sequence[Value]) -> Value:
    """Mean over members of the distances to the centre, ``(..., N)`` of each one's ``(..., N, H)``."""
    members = len(hidden)
    second, usual = _of(scorer.members.second), _of(scorer.usual_distance)
    centres = np.broadcast_to(_of(scorer.centre), (members, 1, second.shape[2]))
    distances = [
        graph.times(graph.length(graph.minus(graph.product(one, weights), centre)), np.array(1 / (scale * members)))
        for one, weights, centre, scale in zip(hidden, second, centres, usual, strict=True)
    ]
    return reduce(graph.add, distances)


def _far(graph: OnnxGraph, rows: Value, remembered: Doubles, *, neighbours: int) -> Value:
    """Distance ``(N,)`` to the last of the nearest `neighbours`."""
    distances, _ = DrawnBank(graph, Bank(remembered.astype(np.float32))).nearest(rows, neighbours=neighbours)
    return graph.reshape(graph.take(distances, np.array([distances.shape[1] - 1]), axis=1), (-1,))


def _of(tensor: Tensor) -> Doubles:
    found: Doubles = tensor.detach().numpy()
    return found

"""`sad_network.Scorer` in an exported network, masks of the stochastic passes included."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..core.network import SPREAD
from .heads import DrawnBank
from .nearest import Bank
from .onnx_graph import OnnxGraph, Value
from .sad_network import LEAK, ConvolutionalMembers, Networks, Scorer

Doubles = NDArray[np.float64]


def scores(graph: OnnxGraph, scorer: Scorer, features: Value) -> Mapping[str, Value]:
    """`score` ``(N,)`` and, where there are masks, its deviation, of `features` ``(N, F)``."""
    known, count = len(scorer.view.mean), features.shape[1]
    squashed = graph.op("Asinh", features, shape=features.shape)
    plain, curved = (graph.part(one, (0,), (known,), axes=(1,)) for one in (features, squashed))
    white = graph.product(graph.minus(curved, _of(scorer.view.mean)), _of(scorer.view.whitening))
    ways = (plain, graph.product(plain, _of(scorer.view.sharpening)), curved)
    remembered = np.split(_of(scorer.remembered), np.cumsum(scorer.view.widths)[:2], axis=1)
    banks = [DrawnBank(graph, Bank(one.astype(np.float32))) for one in remembered]
    near = [
        graph.reshape(bank.distances(way, neighbours=scorer.neighbours), (-1, 1))
        for way, bank in zip(ways, banks, strict=True)
    ]
    above = graph.minus(graph.times(graph.joined(near, axis=1), 1 / _of(scorer.usual_near)), np.array(1.0))
    highest = graph.reduced("Max", graph.times(above, _of(scorer.sharpness)), axes=(1,))
    rows = graph.part(squashed, (known,), (count - known,), axes=(1,))
    hidden = _hidden(graph, scorer.members, rows if count > known else graph.joined([curved, white], axis=1))
    trust = float(scorer.trust)
    apart = graph.times(_distance(graph, scorer, hidden), np.array(trust))
    score = graph.add(apart, graph.times(graph.add(highest, np.array(1.0)), np.array(1 - trust)))
    if not len(scorer.masks):
        return {"score": score}
    masks = np.moveaxis(_of(scorer.masks), 1, 0)[:, :, None]
    passes = _distance(graph, scorer, [graph.times(one, mask) for one, mask in zip(hidden, masks, strict=True)])
    away = graph.minus(passes, graph.reduced("Mean", passes, axes=(0,), keep=True))
    spread = graph.root(graph.reduced("Mean", graph.times(away, away), axes=(0,)))
    return {"score": score, SPREAD: graph.times(spread, np.array(trust))}


def _hidden(graph: OnnxGraph, members: Networks, inputs: Value) -> list[Value]:
    """Of each member ``(N, H)`` of ``(N, U)``."""
    if isinstance(members, ConvolutionalMembers):
        return _over_time(graph, members, inputs)
    pairs = zip(_of(members.first), _of(members.bias), strict=True)
    return [_leaky(graph, graph.add(graph.product(inputs, weights), bias)) for weights, bias in pairs]


def _over_time(graph: OnnxGraph, members: ConvolutionalMembers, inputs: Value) -> list[Value]:
    first, middle = _of(members.first), _of(members.middle)
    steps, channels = graph.reshape(inputs, (-1, members.columns, members.window)), members.units // 2
    length = members.window - first.shape[2] + 1
    padded: dict[str, Any] = {"pads": [1, 1], "group": members.count}
    for weights, more in (((first, _of(members.bias)), {}), ((middle,), padded)):
        steps = _leaky(graph, graph.op("Conv", steps, *weights, shape=(-1, len(first), length), **more))
    own = [graph.part(steps, (one * channels,), (channels,), axes=(1,)) for one in range(members.count)]
    return [graph.joined([graph.reduced(kind, x, axes=(2,)) for kind in ("Mean", "Max")], axis=1) for x in own]


def _leaky(graph: OnnxGraph, x: Value) -> Value:
    return graph.op("LeakyRelu", x, shape=x.shape, alpha=LEAK)


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


def _of(tensor: Tensor) -> Doubles:
    found: Doubles = tensor.detach().numpy()
    return found

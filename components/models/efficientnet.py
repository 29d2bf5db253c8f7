"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation), timm's `tf_efficientnet_lite0`, to its stages.

TF "SAME" padding, inputs scaled by mean and deviation 0.5. Layer n is the last block of stride 2^(n+1), as timm's
`features_only` takes them.
"""

from collections.abc import Mapping

import numpy as np

from .inference import Floats, Graph, Node

ARCHITECTURE = "tf_efficientnet_lite0"
STRIDES = (2, 4, 8, 16, 32)
LAST_GROUP = (0, 1, 2, 4, 6)
"""Of blocks, at each layer."""
MEAN = DEVIATION = (0.5, 0.5, 0.5)

_GROUP_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
"""Of each group."""
_EPSILON = 1e-3


def needed(layers: tuple[int, ...]) -> tuple[str, ...]:
    """How the names of the tensors begin that the layers need."""
    groups = LAST_GROUP[max(layers)] + 1
    return ("conv_stem.", "bn1.", *(f"blocks.{group}." for group in range(groups)))


def names() -> list[str]:
    """Of the whole network's tensors, in timm's order; to ask timm would load it and torchvision."""
    first, others = ("dw", "pw"), ("pw", "dw", "pwl")
    found = _names("conv_stem", "bn1")
    for group, count in enumerate(_BLOCKS):
        for block in range(count):
            for number, kind in enumerate(others if group else first, start=1):
                found += _names(f"blocks.{group}.{block}.conv_{kind}", f"blocks.{group}.{block}.bn{number}")
    return [*found, *_names("conv_head", "bn2"), "classifier.weight", "classifier.bias"]


def _names(convolution: str, norm: str) -> list[str]:
    kept = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{convolution}.weight", *(f"{norm}.{name}" for name in kept)]


def build(graph: Graph, tensors: Mapping[str, Floats], *, layers: tuple[int, ...]) -> list[Node]:
    """One ``(1, C, h, w)`` a layer."""
    x = graph.image(mean=MEAN, deviation=DEVIATION)
    x = graph.relu6(_normed(graph, x, tensors, "conv_stem", "bn1", stride=2))
    found = {}
    for group in range(LAST_GROUP[max(layers)] + 1):
        block = 0
        while f"blocks.{group}.{block}.conv_dw.weight" in tensors:
            x = _block(graph, x, tensors, f"blocks.{group}.{block}.", stride=1 if block else _GROUP_STRIDES[group])
            block += 1
        found[group] = x
    return [found[LAST_GROUP[layer]] for layer in layers]


def _block(graph: Graph, x: Node, tensors: Mapping[str, Floats], name: str, *, stride: int) -> Node:
    """Inverted residual; the first group's has no expansion."""
    if f"{name}conv_pwl.weight" in tensors:
        y = graph.relu6(_normed(graph, x, tensors, f"{name}conv_pw", f"{name}bn1", stride=1))
        y = graph.relu6(_normed(graph, y, tensors, f"{name}conv_dw", f"{name}bn2", stride=stride, grouped=True))
        y = _normed(graph, y, tensors, f"{name}conv_pwl", f"{name}bn3", stride=1)
    else:
        y = graph.relu6(_normed(graph, x, tensors, f"{name}conv_dw", f"{name}bn1", stride=stride, grouped=True))
        y = _normed(graph, y, tensors, f"{name}conv_pw", f"{name}bn2", stride=1)
    same = stride == 1 and graph.channels(x) == graph.channels(y)
    return graph.add(x, y) if same else y


def _normed(
    graph: Graph,
    x: Node,
    tensors: Mapping[str, Floats],
    convolution: str,
    norm: str,
    *,
    stride: int,
    grouped: bool = False,
) -> Node:
    """Convolution with its batch norm folded into it."""
    scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + np.float32(_EPSILON))
    shift = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    weight = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
    return graph.add(graph.convolution(x, weight, stride=stride, grouped=grouped), shift.reshape(1, -1, 1, 1))

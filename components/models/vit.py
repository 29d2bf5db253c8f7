"""ViT-S/14 of DINOv2's layout (Oquab et al. 2023), timm's `vit_small_patch14_dinov2`, to its blocks.

Layer n is the patches' tokens after n blocks, without the last norm. Sides are multiples of 14; the position embedding,
learned on 37 x 37 patches, is interpolated for others as DINOv2 does (bicubic).
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from .grids import bicubic
from .inference import Floats, Graph, Node

ARCHITECTURE = "vit_small_patch14_dinov2"
STRIDE, WIDTH, HEADS, BLOCKS = 14, 384, 6, 12
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_EPSILON = 1e-6
_LEARNED = 37


def needed(layers: tuple[int, ...]) -> tuple[str, ...]:
    """How the names of the tensors begin that the layers need."""
    return ("cls_token", "pos_embed", "patch_embed.", *(f"blocks.{block}." for block in range(max(layers))))


def build(graph: Graph, tensors: Mapping[str, Floats], *, layers: tuple[int, ...]) -> list[Node]:
    """One ``(1, C, h, w)`` a layer."""
    x = graph.image(mean=MEAN, deviation=DEVIATION)
    bias = tensors["patch_embed.proj.bias"].reshape(1, -1, 1, 1)
    x = graph.add(graph.convolution(x, tensors["patch_embed.proj.weight"], stride=STRIDE), bias)
    places = graph.depends(partial(positions, tensors["pos_embed"]), width=WIDTH)
    x = graph.add(graph.before(graph.tokens(x), tensors["cls_token"]), places)
    found = []
    for block in range(max(layers)):
        x = _block(graph, x, tensors, f"blocks.{block}.")
        if block + 1 in layers:
            found.append(graph.grid(x, skip=1, stride=STRIDE))
    return found


def positions(learned: Floats, shape: tuple[int, int]) -> Floats:
    """Position embedding ``(1, 1 + h w, C)`` for images of that `shape`, pixels; the first is the class token's."""
    patches = [side // STRIDE for side in shape]
    if patches == [_LEARNED, _LEARNED]:
        return learned
    grid = learned[0, 1:].reshape(_LEARNED, _LEARNED, -1)
    rows, columns = (bicubic(_LEARNED, size) for size in patches)
    other = columns @ np.tensordot(rows, grid, axes=1)
    return np.concatenate([learned[:, :1], other.reshape(1, -1, grid.shape[2])], axis=1)


def _block(graph: Graph, x: Node, tensors: Mapping[str, Floats], name: str) -> Node:
    y = _normed(graph, x, tensors, f"{name}norm1")
    y = graph.attention(_linear(graph, y, tensors, f"{name}attn.qkv"), heads=HEADS, width=WIDTH)
    x = graph.add(x, graph.times(_linear(graph, y, tensors, f"{name}attn.proj"), tensors[f"{name}ls1.gamma"]))
    y = graph.gelu(_linear(graph, _normed(graph, x, tensors, f"{name}norm2"), tensors, f"{name}mlp.fc1"))
    return graph.add(x, graph.times(_linear(graph, y, tensors, f"{name}mlp.fc2"), tensors[f"{name}ls2.gamma"]))


def _linear(graph: Graph, x: Node, tensors: Mapping[str, Floats], name: str) -> Node:
    return graph.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _normed(graph: Graph, x: Node, tensors: Mapping[str, Floats], name: str) -> Node:
    return graph.layer_norm(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], epsilon=_EPSILON)

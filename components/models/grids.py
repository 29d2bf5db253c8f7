"""Grids of features resampled by products with weights, alike here and in an exported network."""

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .inference import Floats


def resampled(layers: Sequence[Floats], *, shape: tuple[int, ...], pooling: int) -> Floats:
    """Layers ``(h, w, C)`` side by side as ``(*shape, E)``, E the sum of their channels.

    Each has means over `pooling` places a side, fewer at the border, then bilinear interpolation.
    """
    edges = [0, *itertools.accumulate(layer.shape[2] for layer in layers)]
    found = np.empty((*shape, edges[-1]), np.float32)
    for layer, (start, end) in zip(layers, itertools.pairwise(edges), strict=True):
        height, width, channels = layer.shape
        rows, columns = (_weights(old, new, pooling) for old, new in zip((height, width), shape, strict=True))
        tall = (rows @ layer.reshape(height, -1)).reshape(-1, width, channels)
        np.matmul(columns, tall, out=found[..., start:end])
    return found


@lru_cache(maxsize=64)
def bilinear(old: int, new: int) -> Floats:
    """``(new, old)`` weights of bilinear interpolation with corners not aligned, as `torch` has them.

    >>> bilinear(2, 4)[:, 0].tolist()
    [1.0, 0.75, 0.25, 0.0]
    """
    centres = np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0)
    low = np.minimum(centres.astype(np.intp), old - 1)
    share = centres - low
    weights = np.zeros((new, old))
    weights[np.arange(new), low] += 1 - share
    weights[np.arange(new), np.minimum(low + 1, old - 1)] += share
    return weights.astype(np.float32)


@lru_cache(maxsize=16)
def bicubic(old: int, new: int) -> Floats:
    """``(new, old)`` weights of bicubic interpolation (Keys 1981, with -0.75), corners as in `bilinear`.

    >>> bicubic(4, 2)[0].tolist()
    [0.5, 0.59375, -0.09375, 0.0]
    """
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres).astype(np.intp)
    weights = np.zeros((new, old))
    for tap in (-1, 0, 1, 2):
        x = np.abs(centres - first - tap)
        near, far = 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
        weights[np.arange(new), np.clip(first + tap, 0, old - 1)] += np.where(x <= 1, near, far)
    return weights.astype(np.float32)


@lru_cache(maxsize=64)
def _weights(old: int, new: int, pooling: int) -> Floats:
    apart = np.abs(np.arange(old)[:, None] - np.arange(old))
    near = (apart <= pooling // 2).astype(np.float32)
    means: Floats = near / near.sum(axis=1, keepdims=True, dtype=np.float32)
    return bilinear(old, new) @ means

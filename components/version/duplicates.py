"""Near-duplicates among images: which fingerprints are so close that both must lie in one split."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from components.samples.fingerprint import NEAR, NEAR_OF_CONTRAST, SIDE

_BLOCK = 512
# A cluster larger than this share of all images is no set of copies: the line's pictures differ by less than a
# re-encoding does, as where a fixed camera sees the same part again and again. Then the distance is tightened.
_LARGEST_CLUSTER = 0.2
_SMALL = 8


def near_pairs(fingerprints: Sequence[bytes]) -> NDArray[np.int64]:
    """``(P, 2)`` pairs (i, j), i < j, of near-duplicates among N fingerprints; b"" is near to nothing.

    Exact: blocks of fingerprints sorted by mean are compared by brute force, and blocks whose means differ by more than
    the limit are passed over, for the difference of means never exceeds the root mean square difference.
    """
    which = np.array([place for place, data in enumerate(fingerprints) if len(data) == SIDE * SIDE], dtype=np.int64)
    if len(which) < 2:
        return np.empty((0, 2), np.int64)
    values = np.stack([np.frombuffer(fingerprints[place], np.uint8) for place in which]).astype(np.float32)
    order = np.argsort(values.mean(axis=1), kind="stable")
    found = list(_block_pairs(values[order]))
    pairs, distances = np.concatenate([pair for pair, _ in found]), np.concatenate([far for _, far in found])
    pairs = which[order[pairs]]
    for limit in (NEAR, NEAR / 2, NEAR / 4):
        close = pairs[distances <= limit]
        if largest_cluster(close, len(fingerprints)) <= max(_SMALL, _LARGEST_CLUSTER * len(which)):
            return np.sort(close, axis=1)
    return np.empty((0, 2), np.int64)


def _block_pairs(values: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Pairs within `NEAR` and their distances, for fingerprints sorted by their mean."""
    means = values.mean(axis=1)
    contrast = values.std(axis=1)
    squares = (values**2).sum(axis=1)
    for low in range(0, len(values), _BLOCK):
        rows = slice(low, low + _BLOCK)
        for start in range(low, len(values), _BLOCK):
            if means[start] - means[rows][-1] > NEAR:
                break
            columns = slice(start, start + _BLOCK)
            total = squares[rows, None] + squares[None, columns] - 2 * values[rows] @ values[columns].T
            square = np.maximum(total, 0) / (SIDE * SIDE)
            centred = np.maximum(square - (means[rows, None] - means[None, columns]) ** 2, 0)
            least = np.minimum(contrast[rows, None], contrast[None, columns])
            near = (square <= NEAR**2) & (centred <= (NEAR_OF_CONTRAST * least) ** 2)
            first, second = np.nonzero(near)
            ahead = first + low < second + start
            pairs = np.stack([first[ahead] + low, second[ahead] + start], axis=1)
            yield pairs.astype(np.int64), np.sqrt(square[first[ahead], second[ahead]])


def largest_cluster(pairs: NDArray[np.int64], n: int) -> int:
    """Members of the largest set that `pairs` connect among `n`; 1 where there are none."""
    return int(np.bincount(clusters(pairs, n)).max(initial=1))


def clusters(pairs: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """``(n,)``: the number of the connected set that each of `n` items belongs to.

    >>> clusters(np.array([[0, 2]]), 3).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = pairs.reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, names = connected_components(graph, directed=False)
    return np.asarray(names, dtype=np.int64)

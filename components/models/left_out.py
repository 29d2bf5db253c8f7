"""Scores of training images by what a memory knows from the others: what it would have said had it not seen them.

After EAGLE's distribution-based threshold (2026, arXiv 2602.17419), which scores normal patches that the coreset left
out against the bank. Those lie beside chosen patches of their own image, none farther than the covering radius, so
their scores have no tail to speak of. Here all patches of an image as it is, chosen ones too, are compared with the
centres that other images gave. These scores run slightly high: a bank thinned without the image would cover its
surroundings better.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .inference import Floats
from .nearest import Bank
from .sampling import Sampled

IMAGES = 200
"""Of more training images, so many evenly spaced ones are scored: a tail needs no more, and time stays bounded."""

_AT_ONCE = 16  # images; bounds memory
_SPARE = 8  # nearest centres beyond those asked for, in case some are the image's own
_WIDER = 4  # times as many are asked for where these were not enough

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]


def left_out_scores(
    bank: Bank,
    origins: Places,
    sampled: Sampled,
    *,
    neighbours: int,
    score: Callable[[Doubles], float],
) -> Doubles | None:
    """Of each of at most `IMAGES` training images, its score ``(N,)`` by the centres of the others.

    Args:
        bank: The M centres.
        origins: ``(M,)`` the image that each comes from, as in `sampled`.
        sampled: The training images' patches.
        neighbours: Centres that a patch is compared with.
        score: Of an image from its patches' mean distances ``(P,)`` to them.

    Returns:
        None where fewer than two images gave centres.
    """
    if len(np.unique(origins)) < 2:
        return None
    chosen = np.unique(np.linspace(0, sampled.read - 1, min(sampled.read, IMAGES)).astype(np.intp))
    found = []
    for part in np.array_split(chosen, -(-len(chosen) // _AT_ONCE)):
        rows = np.flatnonzero(sampled.plain & np.isin(sampled.images, part))
        images = sampled.images[rows]
        distances = distances_to_others(
            bank, sampled.patches[rows], images=images, origins=origins, neighbours=neighbours
        )
        found += [score(distances[images == image]) for image in part]
    return np.array(found)


def distances_to_others(bank: Bank, patches: Floats, *, images: Places, origins: Places, neighbours: int) -> Doubles:
    """Mean distances ``(P,)`` of `patches` to the nearest centres that other images than their own gave.

    Args:
        bank: The M centres.
        patches: ``(P, E)``.
        images: ``(P,)`` where these come from.
        origins: ``(M,)`` where the centres do; from two images at least.
        neighbours: How many centres.

    >>> bank = Bank(np.array([[0.0], [1.0], [5.0]], np.float32))
    >>> queries, images = np.array([[0.0], [4.0]], np.float32), np.array([0, 0])
    >>> distances_to_others(bank, queries, images=images, origins=np.array([0, 1, 1]), neighbours=1)
    array([1., 1.])
    """
    found, rows, wide = np.empty(len(patches)), np.arange(len(patches)), neighbours + _SPARE
    while len(rows):
        distances, places = bank.nearest(patches[rows], neighbours=wide)
        others = origins[places] != images[rows, None]
        first = others & (np.cumsum(others, axis=1) <= neighbours)
        found[rows] = np.where(first, distances, 0).sum(axis=1) / np.maximum(first.sum(axis=1), 1)
        # Of a bank without the image's own the search would have to be made anew: of a large one it takes seconds.
        rows, wide = rows[first.sum(axis=1) < neighbours] if wide < len(bank) else rows[:0], _WIDER * wide
    return found

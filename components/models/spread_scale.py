"""How much scores differ between banks of other images, beside what halves of one bank say.

A coreset is no random sample: its centres keep off each other, so that a half of it may leave holes that no bank would
have. On parts whose camera view repeats, halves say three times too much; on textures, whose banks differ by the rare
patches that they happened to see, too little. So a fit makes two small banks of disjoint images, scores a third set of
images by both, and takes what they differ by as the measure's unit.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .coreset import k_centres
from .inference import Floats
from .nearest import Bank
from .resampled import Halves
from .sampling import Sampled

IMAGES = 32
"""Of each of the three sets, at most."""
FEWEST = 3
"""With fewer images in a set halves are taken at their word."""

_PATCHES = 8192  # of each set at most; bounds time

Doubles = NDArray[np.float64]


def spread_scale(
    sampled: Sampled,
    *,
    ratio: float,
    neighbours: int,
    scaled: Callable[[Doubles], Doubles],
    highest: Callable[[Doubles], NDArray[np.intp]],
    rng: np.random.Generator,
) -> float:
    """Root mean square of the two banks' differences, by sqrt(2), in units of that of the halves' deviations.

    Args:
        sampled: The training images' patches.
        ratio: Share of the patches that a bank keeps.
        neighbours: Centres that a patch is compared with.
        scaled: Distances as scores.
        highest: Places of the patches whose mean is an image's score.
        rng: Draws the sets.

    Returns:
        1 where there are too few images to tell.
    """
    images = rng.permutation(sampled.read)[: 3 * IMAGES]
    if len(images) < 3 * FEWEST:
        return 1.0
    rows = [_drawn(sampled, part) for part in np.array_split(images, 3)]
    banks = [_bank(sampled.patches[some], ratio, neighbours, rng) for some in rows[:2]]
    new, origins = sampled.patches[rows[2]], sampled.images[rows[2]]
    one, other = (scaled(bank.distances(new, neighbours=neighbours)) for bank in banks)
    by_half = scaled(Halves(banks[0], seed=0).distances(new, neighbours=neighbours))
    between, within = [], []
    for image in np.unique(origins):
        own = origins == image
        top = highest(one[own])
        between.append((one[own][top].mean() - other[own][highest(other[own])].mean()) ** 2 / 2)
        within.append(by_half[:, own][:, top].mean(axis=1).var(ddof=1))
    return float(np.float32(np.sqrt(np.mean(between) / np.mean(within)))) if np.mean(within) > 0 else 1.0


def _drawn(sampled: Sampled, images: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows of these images' patches as they are, whole images, as many as there is room for."""
    sizes = np.bincount(sampled.images[sampled.plain], minlength=sampled.read)[images]
    kept = images[: max(1, int(np.searchsorted(np.cumsum(sizes), _PATCHES, side="right")))]
    return np.flatnonzero(sampled.plain & np.isin(sampled.images, kept))


def _bank(patches: Floats, ratio: float, neighbours: int, rng: np.random.Generator) -> Bank:
    count = max(neighbours, round(ratio * len(patches)))
    return Bank(patches[k_centres(patches, count=count, rng=rng).chosen])

"""How much a memory's score depends on which patches it happens to hold: the score by random halves of the bank.

Half-sampling (McCarthy 1969; the delete-half jackknife of Shao and Wu 1989): a statistic of half of a sample, drawn
without replacement, varies as that of the whole does from sample to sample. Halves come in pairs that share no centre,
so every centre is in half of them. A coreset is no random sample, so the deviation is in a unit that the fit found (see
`spread_scale`). What is measured is the bank's part of the error alone, neither the camera's noise nor the backbone's.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..core.seeds import generator
from .inference import Floats
from .nearest import Bank

HALVES = 8
SPARE = 16  # nearest centres beyond twice those asked for: a half lacks one in 2^16 times

Doubles = NDArray[np.float64]


class Halves:
    """Random halves of a bank's M centres, the same for the same bank and seed.

    Args:
        bank: Its centres.
        seed: Draws the halves.
        scale: What deviations between them are multiplied by.
    """

    def __init__(self, bank: Bank, *, seed: int, scale: float = 1.0) -> None:
        self._bank, self._seed, self.scale = bank, seed, scale

    def distances(self, patches: Floats, *, neighbours: int) -> Doubles:
        """Mean distances ``(HALVES, P)`` of `patches` to their nearest centres in each half.

        They are found among the nearest of all centres. Where a half holds too few of these, the farthest of them
        stands for the rest: a little too near.
        """
        distances, places = self._bank.nearest(patches, neighbours=2 * neighbours + SPARE)
        inside = self.masks[:, places]
        first = inside & (np.cumsum(inside, axis=2) <= neighbours)
        missing = neighbours - first.sum(axis=2)
        return np.asarray((np.where(first, distances, 0).sum(axis=2) + missing * distances[:, -1]) / neighbours)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """``(HALVES, M)``: whether each centre is in it."""
        count = len(self._bank)
        rng = generator(self._seed, "halves")
        found = np.zeros((HALVES, count), np.bool_)
        for pair in range(0, HALVES, 2):
            found[pair, rng.permutation(count)[: count // 2]] = True
            found[pair + 1] = ~found[pair]
        return found

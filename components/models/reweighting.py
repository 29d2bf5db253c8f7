"""PatchCore's weight of an image's score: how alone the centre is that its most anomalous patch is nearest to."""

import numpy as np

from .inference import Floats
from .nearest import Bank


def weight(bank: Bank, patch: Floats, *, around: int) -> float:
    """In [0, 1): 1 less the softmax, among `around` centres, of the patch's distance to the nearest of the bank.

    Roth et al. 2022, equation 7: with m* the centre nearest to `patch` ``(E,)``, the softmax is over the distances from
    the patch to the `around` centres that are nearest to m*, m* one of them. Where these are far, m* is itself a rare
    patch, and the score stands as it is; where they are as near as m*, it is lowered.

    >>> weight(Bank(np.array([[0.0], [0.0]], np.float32)), np.array([1.0], np.float32), around=2)
    0.5
    """
    nearest = bank.nearest(patch[None], neighbours=1)[1][0]
    surrounding = bank.nearest(bank.patches[nearest], neighbours=around)[1][0]
    first, others = (
        np.linalg.norm((bank.patches[places] - patch).astype(np.float64), axis=1) for places in (nearest, surrounding)
    )
    highest = max(float(others.max()), float(first[0]))
    return float(1 - np.exp(first[0] - highest) / np.exp(others - highest).sum())

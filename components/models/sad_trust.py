"""How far DeepSAD's networks are trusted beside the remembered samples: as far as anomalies they never saw say.

Each network leaves out a fold of its own of the labelled anomalies, as in cross-validation, and their scores choose the
weight. The networks together have seen all of them.
"""

from statistics import fmean

import torch
from torch import Tensor

LEAST_FOLD = 4
"""Labelled anomalies that each network leaves out at least, or none is left out."""

UNSEEN = 0.1
"""Weight of the networks beside the remembered samples where no anomaly is labelled."""

TRUSTS = (0.25, UNSEEN, 0.0, 0.5, 0.75, 0.9)
"""Weights where some are: the one that too few of them leave, then all that more may choose."""


class Folds:
    """Which of A labelled anomalies which of S networks learns from: all, or all but its own S-th of them.

    Attributes:
        learned: ``(S, A)``, 1 where the network learns from the anomaly.
        left_out: ``(S, A)``, 1 where it does not; all 0 where there are too few networks or anomalies.
    """

    def __init__(self, *, members: int, anomalies: int) -> None:
        whole = members == 1 or anomalies < LEAST_FOLD * members
        own = torch.arange(anomalies) % members == torch.arange(members)[:, None]
        self.left_out = (own & (not whole)).float()
        self.learned = 1 - self.left_out


def trusted(*, normal: tuple[Tensor, Tensor], strange: tuple[Tensor, Tensor], folds: Folds) -> float:
    """The weight of the networks by which unseen anomalies stand out most; a fixed one where none was left out.

    Args:
        normal: Of held-out normal samples the distances ``(S, V)`` to each network's centre, and ``(V,)`` to the
            remembered samples.
        strange: The same of the labelled anomalies, ``(S, A)`` and ``(A,)``.
        folds: Each network is judged by those that it left out.
    """
    if not folds.left_out.any():
        return TRUSTS[0] if folds.learned.any() else UNSEEN

    def found(trust: float) -> float:
        usual, odd = (trust * apart + (1 - trust) * near for apart, near in (normal, strange))
        every = zip(usual, odd, folds.left_out.bool(), strict=True)
        return fmean(_in_order(one, other[own]) for one, other, own in every)

    return max(TRUSTS, key=found)


def _in_order(low: Tensor, high: Tensor) -> float:
    """AUROC: share of pairs of ``(V,)`` and ``(A,)`` in order, ties counted half."""
    below = torch.searchsorted(low := low.sort().values, high) + torch.searchsorted(low, high, right=True)
    return float(below.double().mean()) / (2 * len(low))

"""Ranking metrics over counts, so that one pass serves every bootstrap resample at once.

A metric gets ``(R, K)`` counts of anomalous (`pos`) and normal (`neg`) samples at K distinct scores, the highest first,
one row a resample, and returns ``(R,)``. Higher scores are more anomalous.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
RankMetric = Callable[[Counts, Counts, NDArray[np.float64]], NDArray[np.float64]]
"""(pos ``(R, K)``, neg ``(R, K)``, distinct scores ``(K,)`` descending) → ``(R,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Samples in the order of their scores.

    Attributes:
        order: ``(N,)`` samples, the highest score first.
        starts: ``(K,)`` where each distinct score begins in `order`.
        values: ``(K,)`` the distinct scores, descending.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> "Ranked":
        """The ranking of ``(N,)`` scores."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return cls(order=order, starts=starts, values=ranked[starts])

    def counts(self, weights: Counts) -> Counts:
        """``(R, K)`` sums of the sample weights ``(R, N)`` at each distinct score."""
        ranked: Counts = np.take(weights, self.order, axis=1)
        # Without ties there is nothing to add up, which would take longer than all else.
        return ranked if len(self.starts) == len(self.order) else np.add.reduceat(ranked, self.starts, axis=1)


def auroc(pos: Counts, neg: Counts, _values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of (anomalous, normal) pairs in order, ties counted half (Hanley and McNeil 1982).

    >>> one = np.array([[1.0, 0.0]])
    >>> auroc(one, one[:, ::-1], np.array([2.0, 1.0]))
    array([1.])
    """
    normal = neg.sum(axis=1, keepdims=True)
    below = normal - neg.cumsum(axis=1) + neg / 2
    area: NDArray[np.float64] = (pos * below).sum(axis=1) / (pos.sum(axis=1) * normal[:, 0])
    return area


def average_precision(pos: Counts, neg: Counts, _values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean precision over the anomalous samples, without interpolation."""
    found, alarms = pos.cumsum(axis=1), (pos + neg).cumsum(axis=1)
    precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
    area: NDArray[np.float64] = (pos * precision).sum(axis=1) / pos.sum(axis=1)
    return area


def f1_above(threshold: float) -> RankMetric:
    """F1 of calling every sample above `threshold` anomalous; 0 where nothing is found."""

    def f1(pos: Counts, neg: Counts, values: NDArray[np.float64]) -> NDArray[np.float64]:
        above = values > threshold
        hits, alarms = pos[:, above].sum(axis=1), (pos + neg)[:, above].sum(axis=1)
        score: NDArray[np.float64] = 2 * hits / (alarms + pos.sum(axis=1))
        return score

    return f1

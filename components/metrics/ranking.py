"""How well scores rank samples, and what a threshold makes of them. Higher scores are more anomalous; label 1 is anomalous."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Metric(Protocol):
    """A figure of N scores and N labels (1 anomalous, 0 normal)."""

    def __call__(self, scores: Floats, labels: NDArray[np.bool_]) -> float:
        """The figure; NaN where it is not defined."""
        ...


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """`scores` and `labels` as ``(N,)`` arrays.

    Raises:
        ValueError: Their shapes differ, they are not one-dimensional, or a score is not finite.
    """
    values, marks = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != marks.shape:
        raise ValueError(f"scores and labels must both be (N,), got {values.shape} and {marks.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not finite")
    return values, marks != 0


def auroc(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Chance that an anomalous sample scores above a normal one, ties counting one half; NaN with one class only.

    The area under the ROC curve equals the Mann-Whitney statistic over its maximum (Hanley & McNeil 1982, section III).

    >>> auroc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    normal, anomalous = np.sort(scores[~labels]), scores[labels]
    if not len(normal) or not len(anomalous):
        return float("nan")
    below = np.searchsorted(normal, anomalous, side="left")
    at_most = np.searchsorted(normal, anomalous, side="right")
    return float((below + at_most).sum() / (2 * len(normal) * len(anomalous)))


def average_precision(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Mean precision over recall, `sum (R_i - R_(i-1)) P_i` over distinct thresholds; NaN with one class only.

    No interpolation, as it flatters (Davis & Goadrich 2006, section 4); tied scores share one threshold.

    >>> average_precision(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]))
    0.8333333333333333
    """
    if labels.all() or not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precision = hits[last] / (last + 1)
    return float(np.sum(np.diff(hits[last], prepend=0) * precision) / hits[-1])


def recall(scores: Floats, labels: NDArray[np.bool_], *, threshold: float) -> float:
    """Share of anomalous samples above `threshold`; NaN if there are none."""
    return float(np.mean(scores[labels] > threshold)) if labels.any() else float("nan")


def false_alarm_rate(scores: Floats, labels: NDArray[np.bool_], *, threshold: float) -> float:
    """Share of normal samples above `threshold`; NaN if there are none."""
    return float(np.mean(scores[~labels] > threshold)) if not labels.all() else float("nan")


def f1(scores: Floats, labels: NDArray[np.bool_], *, threshold: float) -> float:
    """Harmonic mean of precision and recall of "above `threshold`": 2TP / (2TP + FP + FN); NaN without anomalous ones.

    >>> f1(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]), threshold=2.5)
    0.6666666666666666
    """
    if not labels.any():
        return float("nan")
    alarms = scores > threshold
    return float(2 * np.sum(alarms & labels) / (alarms.sum() + labels.sum()))

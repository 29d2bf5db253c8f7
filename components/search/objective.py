"""What a search maximises, and when another configuration may replace the default one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.core.errors import ModelError, NotEnoughDataError
from components.metrics.bootstrap import interval, lower_bounds
from components.metrics.ranking import auroc

LEVEL = 0.05
"""Share of searches among equals that may replace the default: at most about so many."""


def objective(
    scores: ArrayLike, labels: ArrayLike, *, seed: int, groups: NDArray[np.str_] | None = None
) -> tuple[float, float, float]:
    """Validation AUROC of `scores` ``(N,)`` (higher is more anomalous; labels 1 anomalous) and its 95 % interval.

    Samples of one of the `groups` ``(N,)`` count as one in the interval; None: each counts.

    Raises:
        ModelError: The scores are not finite, or not as many as the labels.
        NotEnoughDataError: One of the two classes is missing.

    >>> objective([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], seed=0)
    (1.0, 0.579..., 1.0)
    """
    classes = np.asarray(labels, dtype=np.int8)
    metric = interval(auroc, _checked(scores, classes), classes, seed=seed, groups=groups)
    if metric.value is None or metric.low is None or metric.high is None:
        raise NotEnoughDataError(
            f"Validation has {np.sum(classes == 1)} anomalous and {np.sum(classes != 1)} normal samples.",
            hint="AUROC needs both.",
        )
    return metric.value, metric.low, metric.high


def better_beyond_error(
    candidates: Sequence[ArrayLike],
    default: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> NDArray[np.bool_]:
    """Which of the `candidates` ``(C,)`` have an AUROC above the default's by more than chance on the same samples.

    The best of many is lucky: all are compared at once, see `lower_bounds`, so that a default that is as good as any
    is replaced in at most about `LEVEL` of searches, however many were tried.
    """
    classes = np.asarray(labels, dtype=np.int8)
    if not candidates or len(np.unique(classes)) < 2:
        return np.zeros(len(candidates), np.bool_)
    every = [_checked(scores, classes) for scores in candidates]
    return lower_bounds(auroc, every, _checked(default, classes), classes, seed=seed, level=LEVEL, groups=groups) > 0


def _checked(scores: ArrayLike, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != labels.shape:
        raise ModelError(
            f"{values.shape} scores came for {labels.shape} validation samples.", hint="Mend the detector."
        )
    if not np.isfinite(values).all():
        raise ModelError("The detector gave scores that are not finite.", hint="Check its parameters and the data.")
    return values

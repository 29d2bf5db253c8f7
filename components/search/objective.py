"""What a search maximises, and when another configuration may replace the default one."""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.core.errors import ModelError, NotEnoughDataError
from components.metrics.bootstrap import LEVEL, interval, paired_difference
from components.metrics.ranking import auroc


def objective(scores: ArrayLike, labels: ArrayLike, *, seed: int) -> tuple[float, float, float]:
    """Validation AUROC of `scores` ``(N,)`` (higher is more anomalous; labels 1 anomalous) and its 95 % interval.

    Raises:
        ModelError: The scores are not finite, or not as many as the labels.
        NotEnoughDataError: One of the two classes is missing.

    >>> objective([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], seed=0)
    (1.0, 1.0, 1.0)
    """
    classes = np.asarray(labels, dtype=np.int8)
    metric = interval(auroc, _checked(scores, classes), classes, seed=seed)
    if metric.value is None or metric.low is None or metric.high is None:
        raise NotEnoughDataError(
            f"Validation has {np.sum(classes == 1)} anomalous and {np.sum(classes != 1)} normal samples.",
            hint="AUROC needs both.",
        )
    return metric.value, metric.low, metric.high


def better_beyond_error(
    candidate: ArrayLike, default: ArrayLike, labels: ArrayLike, *, seed: int, comparisons: int = 1
) -> bool:
    """Whether the candidate's AUROC is above the default's by more than chance on the same samples ``(N,)``.

    The lower end of the paired bootstrap interval of the difference must be above 0. The best of many is lucky: with
    `comparisons` made against one default the interval's lower half is widened as Bonferroni's level asks for, by the
    ratio of the normal quantiles, since a bootstrap of few resamples has no tail that far out.
    """
    classes = np.asarray(labels, dtype=np.int8)
    found = paired_difference(auroc, _checked(candidate, classes), _checked(default, classes), classes, seed=seed)
    if found.value is None or found.low is None or found.value <= 0:
        return False
    normal = NormalDist()
    wider = normal.inv_cdf(1 - LEVEL / 2 / comparisons) / normal.inv_cdf(1 - LEVEL / 2)
    return found.value - wider * (found.value - found.low) > 0


def _checked(scores: ArrayLike, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != labels.shape:
        raise ModelError(
            f"{values.shape} scores came for {labels.shape} validation samples.", hint="Mend the detector."
        )
    if not np.isfinite(values).all():
        raise ModelError("The detector gave scores that are not finite.", hint="Check its parameters and the data.")
    return values

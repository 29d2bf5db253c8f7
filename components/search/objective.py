"""What a search maximises, and when another configuration may replace the default one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.core.errors import ModelError, NotEnoughDataError
from components.core.seeds import generator

RESAMPLES = 4000
"""Bootstrap resamples. The tail of one in 280 that eight comparisons leave of 2.5 % still holds 14 of them."""

LEVEL = 0.05
"""Chance that an interval misses, and that a search replaces a default that nothing beats."""

_BLOCK = 250
_MOST = 1500
"""Samples of one class that the bootstrap draws from at most: more cost time and sharpen the interval little."""


def objective(scores: ArrayLike, labels: ArrayLike, *, seed: int) -> tuple[float, float, float]:
    """Validation AUROC of `scores` ``(N,)`` (higher is more anomalous; labels 1 anomalous) and its 95 % interval.

    AUROC is the share of pairs (anomalous, normal) in order, ties counted half (Hanley and McNeil 1982). The interval
    is the percentile bootstrap over samples, classes apart (Efron and Tibshirani 1993, chapter 13).

    Raises:
        ModelError: A score is not finite.
        NotEnoughDataError: One of the two classes is missing.

    >>> objective([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], seed=0)
    (1.0, 1.0, 1.0)
    """
    kernel = _pairs(scores, labels, seed=seed)
    low, high = np.quantile(_resampled(kernel, seed=seed), [LEVEL / 2, 1 - LEVEL / 2])
    return float(kernel.mean()), float(low), float(high)


def better_beyond_error(
    candidate: ArrayLike, default: ArrayLike, labels: ArrayLike, *, seed: int, comparisons: int = 1
) -> bool:
    """Whether the candidate's AUROC is above the default's by more than chance on the same samples ``(N,)``.

    The lower bound of the paired bootstrap interval of the difference must be above 0, at a level divided by the
    `comparisons` that are made against the same default (Bonferroni): the best of many is lucky.
    """
    difference = _pairs(candidate, labels, seed=seed) - _pairs(default, labels, seed=seed)
    if difference.mean() <= 0:
        return False
    return bool(np.quantile(_resampled(difference, seed=seed), LEVEL / 2 / comparisons) > 0)


def _pairs(scores: ArrayLike, labels: ArrayLike, *, seed: int) -> NDArray[np.float32]:
    """``(P, Q)``: 1 where anomalous sample p scores above normal sample q, 1/2 where equal, 0 below."""
    values, classes = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if values.shape != classes.shape:
        raise ModelError(
            f"{values.shape} scores came for {classes.shape} validation samples.", hint="Mend the detector."
        )
    if not np.isfinite(values).all():
        raise ModelError("The detector gave scores that are not finite.", hint="Check its parameters and the data.")
    anomalous, normal = values[_some(classes == 1, seed)], values[_some(classes != 1, seed)]
    if not len(anomalous) or not len(normal):
        raise NotEnoughDataError(
            f"Validation has {len(anomalous)} anomalous and {len(normal)} normal samples; AUROC needs both.",
            hint="Add normal samples.",
        )
    over = np.sign(anomalous[:, None] - normal[None, :])
    kernel: NDArray[np.float32] = ((over + 1) / 2).astype(np.float32)
    return kernel


def _some(wanted: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    found = np.flatnonzero(wanted)
    if len(found) <= _MOST:
        return found
    return np.sort(generator(seed, "bootstrap-subset").choice(found, _MOST, replace=False))


def _resampled(kernel: NDArray[np.float32], *, seed: int) -> NDArray[np.float64]:
    """Means of `kernel` ``(P, Q)`` over resampled rows and columns, ``(RESAMPLES,)``."""
    rng = generator(seed, "bootstrap", *kernel.shape)
    rows, columns = kernel.shape
    means: list[NDArray[np.float64]] = []
    for _ in range(RESAMPLES // _BLOCK):
        left = rng.multinomial(rows, np.full(rows, 1 / rows), size=_BLOCK).astype(np.float32)
        right = rng.multinomial(columns, np.full(columns, 1 / columns), size=_BLOCK).astype(np.float32)
        means.append(((left @ kernel) * right).sum(axis=1, dtype=np.float64) / (rows * columns))
    return np.concatenate(means)

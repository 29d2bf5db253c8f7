"""Intervals: the stratified percentile bootstrap, and the exact interval of a rate.

The percentile bootstrap (Efron & Tibshirani 1993, chapter 13) resamples normal and anomalous samples apart, so that
every resample has as many of each as the data. It cannot see past the data: where every anomalous sample outranks
every normal one, the interval of the AUROC is [1, 1]; read it together with `n`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from ..core import contracts
from ..core.seeds import generator
from .ranking import Metric, checked

LEVEL = 0.95
"""Share of resamples within every interval of this module."""


def interval(
    metric: Metric, scores: ArrayLike, labels: ArrayLike, *, seed: int, resamples: int = 500
) -> contracts.Metric:
    """`metric` of ``(N,)`` scores and labels with its 95 % interval; value None where the metric is not defined.

    >>> from .ranking import auroc
    >>> interval(auroc, [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], seed=0).value
    1.0
    """
    values, marks = checked(scores, labels)
    value = metric(values, marks) if len(values) else float("nan")
    if not np.isfinite(value):
        return contracts.Metric(value=None, n=len(values), note=_missing(marks))
    drawn = [metric(values[index], marks[index]) for index in stratified(marks, seed=seed, resamples=resamples)]
    low, high = percentiles(np.asarray(drawn))
    return contracts.Metric(value=value, low=low, high=high, n=len(values))


def paired_difference(
    metric: Metric, scores_a: ArrayLike, scores_b: ArrayLike, labels: ArrayLike, *, seed: int, resamples: int = 500
) -> contracts.Metric:
    """`metric` of a minus `metric` of b, both on the same samples and the same resamples; above 0 a is the higher.

    Resampling pairs keeps what both find hard common to both, so the interval is narrower than that of two
    independent figures (Efron & Tibshirani 1993, section 8.3 on data more complicated than one sample).
    """
    first, marks = checked(scores_a, labels)
    second, _ = checked(scores_b, labels)

    def difference(index: NDArray[np.intp]) -> float:
        return metric(first[index], marks[index]) - metric(second[index], marks[index])

    value = difference(np.arange(len(first))) if len(first) else float("nan")
    if not np.isfinite(value):
        return contracts.Metric(value=None, n=len(first), note=_missing(marks))
    drawn = [difference(index) for index in stratified(marks, seed=seed, resamples=resamples)]
    low, high = percentiles(np.asarray(drawn))
    return contracts.Metric(value=value, low=low, high=high, n=len(first))


def rate_interval(successes: int, n: int) -> contracts.Metric:
    """`successes / n` with its 95 % Clopper-Pearson interval (Clopper & Pearson 1934): never too narrow, at any n.

    Raises:
        ValueError: `successes` is not within 0 and `n`.

    >>> rate = rate_interval(0, 10)
    >>> rate.value, rate.low, round(rate.high, 4)  # the upper end is 1 - 0.025 ** (1 / 10)
    (0.0, 0.0, 0.3085)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} are impossible")
    if n == 0:
        return contracts.Metric(value=None, n=0, note="no samples")
    tail = (1 - LEVEL) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return contracts.Metric(value=successes / n, low=low, high=high, n=n)


def stratified(labels: NDArray[np.bool_], *, seed: int, resamples: int) -> Iterator[NDArray[np.intp]]:
    """`resamples` draws of ``(N,)`` indices with replacement, each with as many of either label as `labels`."""
    random = generator(seed, "bootstrap")
    groups = [np.flatnonzero(~labels), np.flatnonzero(labels)]
    for _ in range(resamples):
        yield np.concatenate([group[random.integers(0, len(group), len(group))] for group in groups if len(group)])


def percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the central 95 % of the finite `values`; a resample may lack what a metric needs."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values[np.isfinite(values)], [tail, 1 - tail])
    return float(low), float(high)


def _missing(labels: NDArray[np.bool_]) -> str:
    if not len(labels):
        return "no samples"
    if labels.all():
        return "no normal samples"
    return "not defined on these samples" if labels.any() else "no anomalous samples"

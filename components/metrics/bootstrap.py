"""95 % intervals: percentile bootstrap over samples, classes apart, and exact ones for rates."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from ..core.contracts import Metric
from ..core.seeds import generator
from .ranking import Counts, Ranked, RankMetric

RESAMPLES = 1000
RESAMPLES_OF_MANY = 200
MANY = 5_000
"""More samples than this have narrow intervals, whose ends fewer resamples find well enough."""
LEVEL = 0.05
_CELLS = 4_000_000
"""Numbers of one block of resamples: bounds memory."""

ONE_CLASS = "needs both normal and anomalous samples"


def interval(metric: RankMetric, scores: NDArray[np.float64], labels: NDArray[np.int8], *, seed: int) -> Metric:
    """`metric` of ``(N,)`` scores and labels (1 anomalous), with its stratified percentile bootstrap interval.

    Source: Efron and Tibshirani 1993, chapter 13. Where every resample ranks perfectly the interval has no width; that
    says that the classes do not overlap in this sample, not that they never will.
    """
    if not _both(labels):
        return Metric(value=None, n=len(labels), note=ONE_CLASS)
    ranked = Ranked.of(scores)
    value = float(_measure(metric, ranked, np.ones((1, len(scores))), labels)[0])
    drawn = [_measure(metric, ranked, weights, labels) for weights in _resamples(labels, seed=seed)]
    low, high = np.quantile(np.concatenate(drawn), [LEVEL / 2, 1 - LEVEL / 2])
    return Metric(value=value, low=float(low), high=float(high), n=len(labels))


def paired_difference(
    metric: RankMetric,
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    seed: int,
) -> Metric:
    """`metric` of the candidate's ``(N,)`` scores minus that of the champion's, both over the same resamples."""
    if not _both(labels):
        return Metric(value=None, n=len(labels), note=ONE_CLASS)
    ours, theirs = Ranked.of(candidate), Ranked.of(champion)

    def difference(weights: Counts) -> NDArray[np.float64]:
        return _measure(metric, ours, weights, labels) - _measure(metric, theirs, weights, labels)

    value = float(difference(np.ones((1, len(labels))))[0])
    drawn = np.concatenate([difference(weights) for weights in _resamples(labels, seed=seed)])
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Metric(value=value, low=float(low), high=float(high), n=len(labels))


def rate_interval(successes: int, n: int) -> Metric:
    """A rate with its exact interval (Clopper and Pearson 1934).

    >>> rate_interval(0, 20)
    Metric(value=0.0, low=0.0, high=0.1684..., n=20, note='')
    """
    if n == 0:
        return Metric(value=None, note="no sample of that class")
    low = beta.ppf(LEVEL / 2, successes, n - successes + 1) if successes else 0.0
    high = beta.ppf(1 - LEVEL / 2, successes + 1, n - successes) if successes < n else 1.0
    return Metric(value=successes / n, low=float(low), high=float(high), n=n)


def _both(labels: NDArray[np.int8]) -> bool:
    return bool((labels == 1).any() and (labels != 1).any())


def _measure(metric: RankMetric, ranked: Ranked, weights: Counts, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    return metric(ranked.counts(weights * (labels == 1)), ranked.counts(weights * (labels != 1)), ranked.values)


def _resamples(labels: NDArray[np.int8], *, seed: int) -> Iterator[Counts]:
    """Blocks of ``(R, N)``: how often each sample was drawn, anomalous and normal ones apart."""
    rng = generator(seed, "bootstrap", len(labels))
    wanted = RESAMPLES if len(labels) <= MANY else RESAMPLES_OF_MANY
    block = max(1, min(wanted, _CELLS // len(labels)))
    classes = [np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)]
    for start in range(0, wanted, block):
        size = min(block, wanted - start)
        weights = np.zeros((size, len(labels)))
        for members in classes:
            weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=size)
        yield weights

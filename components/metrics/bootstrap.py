"""95 % intervals: percentile bootstrap over samples, classes apart, and exact ones for rates.

Samples of one group (`groups`, names ``(N,)``) are drawn together: a normal image and the anomalies that were drawn on
it say one thing, not many.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm
from scipy.stats import t as student

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

_ANOMALOUS, _NORMAL = 1, 2
"""Bits that say which classes a group holds."""

ONE_CLASS = "needs both normal and anomalous samples"


def interval(
    metric: RankMetric,
    scores: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> Metric:
    """`metric` of ``(N,)`` scores and labels (1 anomalous), with its stratified percentile bootstrap interval.

    Source: Efron and Tibshirani 1993, chapter 13. Where every resample ranks perfectly the interval has no width; that
    says that the classes do not overlap in this sample, not that they never will.
    """
    if not _both(labels):
        return Metric(value=None, n=len(labels), note=ONE_CLASS)
    ranked = [Ranked.of(scores)]
    ((value,),) = _measured(metric, ranked, np.ones((1, len(scores))), labels)
    drawn = [_measured(metric, ranked, weights, labels)[0] for weights in _resamples(labels, groups, seed=seed)]
    low, high = np.quantile(np.concatenate(drawn), [LEVEL / 2, 1 - LEVEL / 2])
    return Metric(value=float(value), low=float(low), high=float(high), n=len(labels))


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
    values, drawn = _differences(metric, [candidate], champion, labels, seed=seed)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Metric(value=float(values[0]), low=float(low), high=float(high), n=len(labels))


def lower_bounds(
    metric: RankMetric,
    candidates: Sequence[NDArray[np.float64]],
    champion: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    level: float,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> NDArray[np.float64]:
    """What all `candidates` are better by than the champion, ``(C,)``, at once but for a share `level` of samplings.

    Each is the lower end of its own interval, moved away from the difference by the one factor that lets all of them
    lie below at once in that share of the resamples. Candidates that err alike need no more room than one of them,
    where Bonferroni's level would treat them as strangers. After Romano and Wolf 2005 ("Stepwise multiple testing as
    formalized data snooping", Econometrica 73), with percentiles for standard errors, since an AUROC near 1 is skewed;
    and as Hansen 2005 does ("A test for superior predictive ability", J. Business & Economic Statistics 23), those that
    are worse than the champion beyond their error take no room from the others.

    Few groups vary less in resamples than they would if others came: as of a mean, the room is that of Student's t and
    of the unbiased deviation, with the fewer of the groups that hold anomalous and normal samples. Of a single one
    nothing is known, the bounds are minus infinity. There must be samples of both classes.
    """
    _, holds = _units(labels, groups)
    fewest = min(int(((holds & kind) > 0).sum()) for kind in (_ANOMALOUS, _NORMAL))
    if fewest < 2:
        return np.full(len(candidates), -np.inf)
    values, drawn = _differences(metric, candidates, champion, labels, seed=seed, groups=groups)
    low, high = np.quantile(drawn, [level, 1 - level], axis=0)
    room, short = values - low, values - drawn
    ratios = np.divide(short, room, out=np.zeros_like(short), where=(room > 0) & (high > 0))
    together = max(1.0, float(np.quantile(ratios.max(axis=1), 1 - level)))
    few = student.ppf(1 - level, fewest - 1) / norm.ppf(1 - level) * np.sqrt(fewest / (fewest - 1))
    bounds: NDArray[np.float64] = values - together * few * room
    return bounds


def _differences(
    metric: RankMetric,
    candidates: Sequence[NDArray[np.float64]],
    champion: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each candidate the difference to the champion, ``(C,)``, and over the resamples, ``(R, C)``."""
    ours, theirs = [Ranked.of(scores) for scores in candidates], Ranked.of(champion)

    def differences(weights: Counts) -> NDArray[np.float64]:
        base, *measured = _measured(metric, [theirs, *ours], weights, labels)
        return np.stack([one - base for one in measured], axis=1)

    drawn = [differences(weights) for weights in _resamples(labels, groups, seed=seed)]
    return differences(np.ones((1, len(labels))))[0], np.concatenate(drawn)


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


def _measured(
    metric: RankMetric, ranked: Sequence[Ranked], weights: Counts, labels: NDArray[np.int8]
) -> list[NDArray[np.float64]]:
    """Of each of `ranked` the metric ``(R,)`` under weights ``(R, N)``, whose classes are told apart once for all."""
    pos, neg = weights * (labels == 1), weights * (labels != 1)
    return [metric(one.counts(pos), one.counts(neg), one.values) for one in ranked]


def _resamples(labels: NDArray[np.int8], groups: NDArray[np.str_] | None = None, *, seed: int) -> Iterator[Counts]:
    """Blocks of ``(R, N)``: how often each sample was drawn.

    Groups of anomalous samples, of normal ones and of both are drawn apart, so that no resample lacks a class.
    """
    rng = generator(seed, "bootstrap", len(labels))
    wanted = RESAMPLES if len(labels) <= MANY else RESAMPLES_OF_MANY
    block = max(1, min(wanted, _CELLS // len(labels)))
    group_of, holds = _units(labels, groups)
    strata = [np.flatnonzero(holds == kind) for kind in np.unique(holds)]
    for start in range(0, wanted, block):
        size = min(block, wanted - start)
        weights = np.zeros((size, len(holds)))
        for members in strata:
            weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=size)
        yield weights if groups is None else weights[:, group_of]


def _units(labels: NDArray[np.int8], groups: NDArray[np.str_] | None) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Which unit each of the N samples belongs to, ``(N,)``, and which classes each of the G units holds, ``(G,)``."""
    holds = np.where(labels == 1, _ANOMALOUS, _NORMAL)
    if groups is None:
        return np.arange(len(labels)), holds
    names, group_of = np.unique(groups, return_inverse=True)
    joined = np.zeros(len(names), np.int64)
    np.bitwise_or.at(joined, group_of, holds)
    return group_of, joined

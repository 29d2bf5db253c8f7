"""95 % intervals: percentile bootstrap over samples, classes apart, and exact ones for rates.

Samples of one group (`groups`, names ``(N,)``) are drawn together: a normal image and the anomalies that were drawn on
it say one thing, not many, and so do windows of one stretch of time. A sample without a group is one of its own. Few
groups vary less in resamples than they would if others came: as of a mean, intervals are as much wider as Student's t
and the unbiased deviation say, with the fewer of the groups that hold anomalous and normal samples. Of a single one
nothing is known.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
BLIND = 0.5
"""What a ranking metric loses on samples that it is blind to: from the best to that of chance."""
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

    Source: Efron and Tibshirani 1993, chapter 13. Resamples of a perfect ranking are all perfect; what they do not hold
    is as in `between`.
    """
    if not _both(labels):
        return Metric(value=None, n=len(labels), note=ONE_CLASS)
    groups = _shared(groups)
    ranked = [Ranked.of(scores)]
    ((value,),) = _measured(metric, ranked, np.ones((1, len(scores))), labels)
    drawn = [_measured(metric, ranked, weights, labels)[0] for weights in resamples(labels, groups, seed=seed)]
    fewest = min(holding(labels, groups))
    return between(float(value), np.concatenate(drawn), n=len(labels), fewest=fewest)


def paired_difference(
    metric: RankMetric,
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> Metric:
    """`metric` of the candidate's ``(N,)`` scores minus that of the champion's, both over the same resamples.

    Samples that both rank alike differ in no resample, and yet the next ones may: of a kind that none of n groups is
    of, the share is Beta(1, n) (see `_unseen`). To that kind one of the two models may be blind and rank it at random,
    `BLIND` lower than one that sees it; n are the groups of the rarer class.
    """
    if not _both(labels):
        return Metric(value=None, n=len(labels), note=ONE_CLASS)
    groups = _shared(groups)
    values, drawn = _differences(metric, [candidate], champion, labels, seed=seed, groups=groups)
    value, n, fewest = float(values[0]), len(labels), min(holding(labels, groups))
    room = widened(fewest, level=LEVEL / 2)
    if room == np.inf:
        return Metric(value=value, low=-1.0, high=1.0, n=n)
    drawn = value + room * (drawn[:, 0] - value)
    evenly = (np.arange(len(drawn)) + 0.5) / len(drawn)
    unseen = generator(seed, "unseen").permutation(_unseen(evenly, fewest))
    low = np.quantile((1 - unseen) * drawn - BLIND * unseen, LEVEL / 2)
    high = np.quantile((1 - unseen) * drawn + BLIND * unseen, 1 - LEVEL / 2)
    return Metric(value=value, low=float(max(min(low, value), -1.0)), high=float(min(max(high, value), 1.0)), n=n)


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

    Of a single group of a class the bounds are minus infinity. There must be samples of both classes.
    """
    few = widened(min(holding(labels, groups)), level=level)
    if few == np.inf:
        return np.full(len(candidates), -np.inf)
    values, drawn = _differences(metric, candidates, champion, labels, seed=seed, groups=groups)
    low, high = np.quantile(drawn, [level, 1 - level], axis=0)
    room, short = values - low, values - drawn
    ratios = np.divide(short, room, out=np.zeros_like(short), where=(room > 0) & (high > 0))
    together = max(1.0, float(np.quantile(ratios.max(axis=1), 1 - level)))
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

    drawn = [differences(weights) for weights in resamples(labels, groups, seed=seed)]
    return differences(np.ones((1, len(labels))))[0], np.concatenate(drawn)


def rate_interval(hits: NDArray[np.bool_], *, groups: NDArray[np.str_] | None = None, overlap: float = 1.0) -> Metric:
    """Share of the ``(N,)`` samples that are hits with its exact interval (Clopper and Pearson 1934).

    Where samples of one of the `groups` are alike, or `overlap` windows hold one row, the interval is that of as many
    as vary so much without (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology 24). How far samples of a group are alike is told
    by the groups that have a hit: of none, or of one, each group counts as a single sample.

    >>> rate_interval(np.zeros(20, bool))
    Metric(value=0.0, low=0.0, high=0.1684..., n=20, note='')
    """
    n = len(hits)
    if n == 0:
        return Metric(value=None, note="no sample of that class")
    share, told = float(hits.mean()), _told(hits, groups, most=n / overlap)
    low = beta.ppf(LEVEL / 2, share * told, told - share * told + 1) if share > 0 else 0.0
    high = beta.ppf(1 - LEVEL / 2, share * told + 1, told - share * told) if share < 1 else 1.0
    return Metric(value=share, low=float(low), high=float(high), n=n)


def _told(hits: NDArray[np.bool_], groups: NDArray[np.str_] | None, *, most: float) -> float:
    """How many samples that do not depend on each other vary as much as these ``(N,)``, at most `most`.

    No fewer than if each group were all hits or none: as many as groups, of unlike sizes fewer (Kish 1965, "Survey
    sampling", section 8.2).
    """
    if (shared := _shared(groups)) is None:
        return most
    _, group_of, sizes = np.unique(shared, return_inverse=True, return_counts=True)
    n, count, share = len(hits), len(sizes), hits.mean()
    alike = min(most, n**2 / float(sizes @ sizes))
    found = np.bincount(group_of, hits)
    # Whether hits, or where these are more what is none, come together is told by the groups that have any.
    telling = min(int((found > 0).sum()), int((found < sizes).sum()))
    if telling < 2:
        return alike
    away = found - share * sizes
    spread = count / (count - 1) * float(away @ away) / n**2
    if spread > 0:
        most = min(most, share * (1 - share) / spread)
    # Few groups say little of how much they vary.
    few = student.ppf(1 - LEVEL / 2, n - 1) / student.ppf(1 - LEVEL / 2, telling - 1)
    return max(alike, float(most * few**2))


def widened(fewest: int, *, level: float) -> float:
    """How many times as wide as its percentiles an interval is by so few groups; infinitely by a single one.

    Args:
        fewest: Groups that were drawn from.
        level: Share beyond either end.
    """
    if fewest < 2:
        return np.inf
    return float(student.ppf(1 - level, fewest - 1) / norm.ppf(1 - level) * np.sqrt(fewest / (fewest - 1)))


def _unseen(quantile: ArrayLike, groups: int) -> NDArray[np.float64]:
    """The share of a kind that none of so many groups is of, at these quantiles of Beta(1, groups).

    At 97.5 % it is the exact bound of Clopper and Pearson for 0 of them; as in the Bayesian bootstrap of Rubin 1981
    with one more unit.
    """
    share: NDArray[np.float64] = beta.ppf(quantile, 1, groups)
    return share


def holding(labels: NDArray[np.int8], groups: NDArray[np.str_] | None) -> tuple[int, int]:
    """How many groups hold anomalous samples, and how many normal ones."""
    _, holds = _units(labels, groups)
    return int(((holds & _ANOMALOUS) > 0).sum()), int(((holds & _NORMAL) > 0).sum())


def _shared(groups: NDArray[np.str_] | None) -> NDArray[np.str_] | None:
    """`groups`; None where each sample has its own."""
    return None if groups is None or len(np.unique(groups)) == len(groups) else groups


def between(value: float, drawn: NDArray[np.float64], *, n: int, fewest: int) -> Metric:
    """`value` in [0, 1] of `n` samples with the interval that its resamples say, as wide as so few groups ask for.

    It reaches down at least to what a detector has that is blind to a kind that none of these groups is of. Without
    that a perfect ranking would be certain, of however few: of 20 anomalies and 20 normal samples the interval begins
    at 0.916, where Newcombe's for the AUROC (2006, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", Statistics in Medicine 25, method 5) begins at 0.899.

    Args:
        value: Of all samples.
        drawn: ``(R,)`` of the resamples.
        n: Samples.
        fewest: Groups of the rarer class.
    """
    room = widened(fewest, level=LEVEL / 2)
    if room == np.inf:
        return Metric(value=value, low=0.0, high=1.0, n=n)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    low, high = value - room * (value - low), value + room * (high - value)
    low = min(low, 1 - BLIND * float(_unseen(1 - LEVEL / 2, fewest)))
    return Metric(value=value, low=float(max(low, 0.0)), high=float(min(high, 1.0)), n=n)


def _both(labels: NDArray[np.int8]) -> bool:
    return bool((labels == 1).any() and (labels != 1).any())


def _measured(
    metric: RankMetric, ranked: Sequence[Ranked], weights: Counts, labels: NDArray[np.int8]
) -> list[NDArray[np.float64]]:
    """Of each of `ranked` the metric ``(R,)`` under weights ``(R, N)``, whose classes are told apart once for all."""
    pos, neg = weights * (labels == 1), weights * (labels != 1)
    return [metric(one.counts(pos), one.counts(neg), one.values) for one in ranked]


def resamples(labels: NDArray[np.int8], groups: NDArray[np.str_] | None = None, *, seed: int) -> Iterator[Counts]:
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

"""Extreme-value theory: the tail of normal scores beyond the largest ones seen (peaks over threshold).

Scores above a high level follow a generalised Pareto distribution (Pickands 1975). The level is the upper decile, with
at least `FEWEST` and at most `MOST` exceedances. Shape and scale are probability-weighted moments, which beat maximum
likelihood below 500 samples (Hosking and Wallis 1987). A quantile of that one tail is exceeded more often than it says:
too light a tail adds more false alarms than too heavy a one saves. A threshold therefore has its rate on average over
all tails that the scores leave possible. Intervals are by profile likelihood, which is not symmetric, as uncertainty is
not where a tail is extrapolated.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import ks_2samp

from ..core.contracts import Tail
from ..core.seeds import generator

DECILE, FEWEST, MOST = 0.1, 30, 500
"""Share of the scores that are the tail, and bounds of how many."""

SAMPLES = 3 * FEWEST
"""Fewer scores have no tail to fit: more than their upper third would be it."""

REACH = 10
"""How much rarer than one in n an extrapolated false alarm may be."""

LEVEL = 0.05
"""A fit with a smaller p-value is a bad one."""

MATCHED = 20
"""Fewer calibration scores cannot place the left-out scores of a memory bank."""

_DRAWS = 500
_SHAPES = np.linspace(-0.5, 1.0, 151)
"""Where maximum likelihood is regular (Smith 1985) and the mean finite."""
_POSSIBLE = np.linspace(-1.0, 1.0, 81)
"""Below -1 the likelihood has no bound."""
_CUT = 2.6
"""By how much the logarithm of the likelihood may fall within the interval. Half the 95 % quantile of chi-squared with
one degree of freedom, 1.92, holds for many exceedances of a level that is known; with thirty to a hundred above one of
the scores themselves it covered 87 to 94 %, and this covers 94 to 97 % (normal, Gumbel, exponential, log-normal)."""

_EXPONENTIAL = 1e-9
"""Shapes closer to 0 have the same tail to eight digits."""

_FACTORS = 16
"""So many are multiplied before a logarithm is taken, which costs most: a product of all would leave the range."""

Floats = NDArray[np.float64]


def fit_tail(scores: Floats, *, seed: int) -> Tail:
    """The tail of ``(n,)`` scores, n at least `SAMPLES`; its `fit_p` is 0 where ties or constants leave no tail."""
    n = len(scores)
    count = min(max(FEWEST, round(DECILE * n)), MOST)
    ordered = np.sort(scores)
    level = float(ordered[-count - 1])
    excess = ordered[-count:] - level
    excess = excess[excess > 0]
    if len(np.unique(excess)) < FEWEST // 2:
        return Tail(level=level, shape=0, scale=0, exceedances=len(excess), samples=n, fit_p=0)
    shape, scale = (float(part[0]) for part in _moments(excess[None]))
    fit_p = _fit_p(excess, shape=shape, scale=scale, rng=generator(seed, "tail"))
    return Tail(level=level, shape=shape, scale=scale, exceedances=len(excess), samples=n, fit_p=fit_p)


def quantile(tail: Tail, *, rate: float) -> float:
    """Score that a share `rate` of normal samples exceeds, `rate` at most the tail's share."""
    return tail.level + tail.scale * float(_growth(np.array(tail.shape), rate=rate / tail.share))


def predicted(scores: Floats, tail: Tail, *, rate: float, overlap: float = 1.0) -> float:
    """Score that a new normal sample exceeds with probability `rate`, whichever tail the ``(n,)`` fitted scores are of.

    The posterior predictive quantile (Coles 2001, section 9.1.2); beforehand every shape, and every logarithm of the
    scale, is as likely. Where `overlap` scores tell as much as one, the likelihood counts each so many times.
    """
    excess = scores[scores > tail.level] - tail.level
    scales = excess.mean() * np.geomspace(0.1, 10, 161)
    logs = np.stack([_log_likelihoods(excess, scales, shape=shape) for shape in _POSSIBLE]) / overlap
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()

    def exceeded(by: float) -> float:
        return float((weights * _survival(by / scales, _POSSIBLE[:, None])).sum())

    most = float(excess.max())
    while exceeded(most) > rate / tail.share:
        most *= 2
    return tail.level + float(brentq(lambda by: exceeded(by) - rate / tail.share, 0.0, most))


def quantile_interval(scores: Floats, tail: Tail, *, rate: float, overlap: float = 1.0) -> tuple[float, float]:
    """95 % profile-likelihood interval of `quantile` (Coles 2001, section 4.3.3), from the ``(n,)`` fitted scores.

    Where `overlap` scores tell as much as one, the likelihood counts each so many times.
    """
    excess = scores[scores > tail.level] - tail.level
    point = quantile(tail, rate=rate) - tail.level
    reached = max(point, float(excess.max())) * np.geomspace(0.1, 40, 400)
    grown = zip(_SHAPES, _growth(_SHAPES, rate=rate / tail.share), strict=True)
    profile = np.max([_log_likelihoods(excess, reached / growth, shape=shape) for shape, growth in grown], axis=0)
    inside = reached[profile >= profile.max() - _CUT * overlap]
    return tail.level + min(float(inside[0]), point), tail.level + max(float(inside[-1]), point)


def matched(left_out: Floats, scores: Floats) -> Floats | None:
    """Left-out scores of a memory bank moved and stretched to the median and mean deviation of calibration scores.

    The bank was thinned with the image present, so that what it holds of the others covers it less well than a bank
    made without it: these scores lie somewhat high, and are placed by those of images that no bank knew. None where
    fewer than `MATCHED` calibration scores could place them, or the two differ in shape all the same
    (Kolmogorov-Smirnov).
    """
    if len(scores) < MATCHED or len(left_out) < MATCHED or not np.isfinite(left_out).all() or not _spread(left_out):
        return None
    stretch = _spread(scores) / _spread(left_out)
    moved = np.median(scores) + stretch * (left_out - np.median(left_out))
    return moved if ks_2samp(moved, scores).pvalue >= LEVEL else None


def matching_error(left_out: Floats, scores: Floats, *, at: float, seed: int) -> float:
    """Standard deviation that drawing other calibration and left-out scores gives a matched score of value `at`."""
    rng = generator(seed, "matching")
    own = np.median(left_out) + (at - np.median(scores)) * _spread(left_out) / _spread(scores)
    found = []
    for _ in range(_DRAWS // 2):
        one, other = rng.choice(left_out, len(left_out)), rng.choice(scores, len(scores))
        found.append(np.median(other) + (own - np.median(one)) * _spread(other) / max(_spread(one), 1e-300))
    return float(np.std(found))


def _spread(scores: Floats) -> float:
    return float(np.abs(scores - np.median(scores)).mean())


def _log_likelihoods(excess: Floats, scales: Floats, *, shape: float) -> Floats:
    """Of a generalised Pareto tail of each of ``(S,)`` scales; -inf where it would end below the largest."""
    shape = float(_never_zero(np.array(shape)))
    found = np.full(len(scales), -np.inf)
    long = 1 + shape * excess.max() / scales > 0
    kept = scales[long]
    factors = 1 + shape / kept * excess[:, None]
    logs = np.log(np.multiply.reduceat(factors, np.arange(0, len(excess), _FACTORS), axis=0)).sum(axis=0)
    found[long] = -len(excess) * np.log(kept) - (1 + 1 / shape) * logs
    return found


def _never_zero(shape: Floats) -> Floats:
    """`shape`, and where it is 0, whose tail is exponential, one that is so close to it that its tail is the same."""
    return np.where(np.abs(shape) < _EXPONENTIAL, _EXPONENTIAL, shape)


def _survival(reached: Floats, shape: Floats) -> Floats:
    """Chance that a generalised Pareto variable of scale 1 exceeds `reached`."""
    safe = _never_zero(shape)
    with np.errstate(divide="ignore"):  # beyond the end of a tail of negative shape it is 0
        return np.asarray(np.exp(-np.log1p(np.maximum(safe * reached, -1)) / safe))


def _growth(shape: Floats, *, rate: float | Floats) -> Floats:
    """Quantile of a generalised Pareto of scale 1 at tail probability `rate`, by shape."""
    safe, log = _never_zero(shape), np.log(rate)
    return np.asarray(np.expm1(-safe * log) / safe)


def _moments(excess: Floats) -> tuple[Floats, Floats]:
    """Shape and scale ``(R,)`` from ``(R, k)`` exceedances (Hosking and Wallis 1987, section 3), sign as in `Tail`.

    Where their upper end would lie below the largest exceedance it is moved there (Dupuis and Tsao 1998).
    """
    ordered = np.sort(excess, axis=1)
    k = ordered.shape[1]
    first = ordered.mean(axis=1)
    second = (ordered * (1 - (np.arange(1, k + 1) - 0.35) / k)).mean(axis=1)
    shape = 2 - first / (first - 2 * second)
    scale = 2 * first * second / (first - 2 * second)
    return np.maximum(shape, -scale / ordered[:, -1]), scale


def _fit_p(excess: Floats, *, shape: float, scale: float, rng: np.random.Generator) -> float:
    """Parametric-bootstrap p-value of Cramér-von Mises' statistic (Stute, González Manteiga and Presedo 1993)."""
    uniform = rng.random((_DRAWS, len(excess)))
    drawn = scale * _growth(np.array(shape), rate=uniform)
    own = _cramer(excess[None], np.array([shape]), np.array([scale]))[0]
    return float((1 + (_cramer(drawn, *_moments(drawn)) >= own).sum()) / (_DRAWS + 1))


def _cramer(excess: Floats, shape: Floats, scale: Floats) -> Floats:
    k = excess.shape[1]
    reached = 1 - _survival(np.sort(excess, axis=1) / scale[:, None], shape[:, None])
    return np.asarray(((reached - (2 * np.arange(1, k + 1) - 1) / (2 * k)) ** 2).sum(axis=1) + 1 / (12 * k))

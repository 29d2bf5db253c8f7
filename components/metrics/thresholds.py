"""Thresholds from normal scores alone, for a declared false-alarm rate: conformal, or by an extreme-value tail.

The rule: conformal where n scores support the rate (n >= 1 / rate - 1), with its finite-sample guarantee. Else the tail
of the scores is extrapolated, if there are enough of them (`tails.SAMPLES`), the rate is at most `tails.REACH` times
rarer than they show, and the tail fits; the rate then holds on average over the tails that the scores leave possible. A
memory bank's left-out scores, matched to the calibration scores, join them where these alone are too few for the tail.
Else the rate is refused, and the message says how many samples would do.

Windows that overlap are not so many samples: where each row is in `overlap` of them, n of them count as n / `overlap`.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from ..core.budgets import shown_rate
from ..core.contracts import Calibration, Costs, Tail
from ..core.errors import NotEnoughDataError
from ..core.seeds import generator
from . import tails
from .conformal import counted, needed_samples, rank_of, reference, smallest_rate

USUAL = 0.01
"""What is allowed where nothing is declared: it stays as data grow, where the smallest rate would cost more and more
recall with each sample."""

RESAMPLES = 2000
_BLOCK = 2_000_000

Method = Literal["split", "cross"]
Floats = NDArray[np.float64]


def usual_rate(samples: int) -> float:
    """The false-alarm rate where none is declared: `USUAL`, or the smallest that so few calibration samples support.

    >>> usual_rate(49), usual_rate(4_999)
    (0.02, 0.01)
    """
    return max(USUAL, smallest_rate(samples))


def needed_for_tail(rate: float) -> int:
    """The fewest scores whose tail may be extrapolated to a false-alarm rate.

    >>> needed_for_tail(0.01), needed_for_tail(0.0001)
    (90, 999)
    """
    return max(tails.SAMPLES, needed_samples(min(tails.REACH * rate, 0.5)))


def require_samples(samples: float, *, rate: float, left_out: int = 0) -> None:
    """Refuse a false-alarm rate that so many calibration samples cannot support by either rule.

    Args:
        samples: Normal calibration samples, of overlapping ones as many as they count as.
        rate: Declared false-alarm rate.
        left_out: Training samples that the detector can score as if it had not seen them; see `LeftOut`.

    Raises:
        NotEnoughDataError: They are too few; the message says how many would do.
    """
    joined = samples + (left_out if samples >= tails.MATCHED else 0)
    if samples < needed_samples(rate) and joined < needed_for_tail(rate):
        raise _refused(int(samples), rate=rate, why="")


def far_beyond(scores: Floats) -> NDArray[np.bool_]:
    """Which of the scores ``(N,)`` lie so far above the others that they may be of anomalies that nobody labelled.

    Beyond the 95 % quantile by more than three times what this lies above the median: of a thousand normal scores none
    does, of as many exponential ones any in one of twenty samples. Of more than a twentieth of anomalies none is found.
    """
    centre, high = np.quantile(scores, [0.5, 0.95])
    found: NDArray[np.bool_] = (scores > high + 3 * (high - centre)) & (high > centre)
    return found


def calibrate(
    scores: Floats,
    *,
    rate: float | None,
    method: Method,
    seed: int,
    left_out: Floats | None = None,
    costs: Costs | None = None,
    overlap: float = 1.0,
    in_time: bool = False,
) -> Calibration:
    """The threshold above which a share `rate` of normal samples lies at most; see the module for the rule.

    Args:
        scores: ``(n,)`` of normal samples that the model did not see; higher is more anomalous.
        rate: Declared false-alarm rate in (0, 1); None: `usual_rate`.
        method: "split": one model; "cross": each sample scored by a model fitted without its fold.
        seed: Of the bootstraps.
        left_out: ``(M,)`` of training samples, by what a memory bank holds of the others, or None.
        costs: Of wrong and of unsure verdicts; None: the defaults.
        overlap: How many of the samples hold one row of a table, at least 1.
        in_time: Whether the samples follow each other, so that neighbours may be alike: nothing is guaranteed then.

    Raises:
        NotEnoughDataError: There is no score, one is not finite, or they cannot support `rate`.
    """
    n = len(scores)
    if n == 0 or not np.isfinite(scores).all():
        raise NotEnoughDataError(
            f"A threshold needs finite scores of normal samples, got {n} of which {int((~np.isfinite(scores)).sum())} "
            "are not finite.",
            hint="Add normal samples to the source.",
        )
    told = counted(n, overlap=overlap)
    chosen = usual_rate(told) if rate is None else rate
    tail = None
    if told >= needed_samples(chosen):
        threshold, low, high = _conformal(scores, rate=chosen, overlap=overlap, seed=seed)
        guarantee = _guarantee(chosen, n=n, told=told, method=method, in_time=in_time)
    else:
        threshold, low, high, tail = _extrapolated(scores, rate=chosen, left_out=left_out, overlap=overlap, seed=seed)
        guarantee = _tail_guarantee(chosen, tail)
    return Calibration(
        threshold=threshold,
        low=min(low, threshold),
        high=max(high, threshold),
        false_alarm_rate=chosen,
        samples=told,
        method=method,
        rule="conformal" if tail is None else "extreme-value",
        guarantee=guarantee,
        centre=float(np.median(scores)),
        reference=reference(scores, overlap=overlap),
        tail=tail,
        costs=costs or Costs(),
    )


def _extrapolated(
    scores: Floats, *, rate: float, left_out: Floats | None, overlap: float, seed: int
) -> tuple[float, float, float, Tail]:
    """Threshold, its interval and the tail that they come from."""
    needed, n, error = needed_for_tail(rate), counted(len(scores), overlap=overlap), 0.0
    require_samples(n, rate=rate, left_out=0 if left_out is None else len(left_out))
    used = scores
    if n < needed:
        assert left_out is not None
        moved = tails.matched(left_out, scores)
        if moved is None:
            why = "the training samples, each left out in turn, have scores that are distributed otherwise than theirs"
            raise _refused(n, rate=rate, why=why)
        used = np.concatenate([scores, moved])
    tail = tails.fit_tail(used, seed=seed)
    if tail.fit_p < tails.LEVEL:
        why = f"the tail of the scores is no generalised Pareto one (p = {tail.fit_p:.3g}), so it is not extrapolated"
        raise _refused(n, rate=rate, why=why)
    if rate >= tail.share:  # of very many windows that overlap much
        why = f"the {tail.exceedances} largest of {len(used)} scores, which are the tail, are fewer than that share"
        raise _refused(n, rate=rate, why=why)
    threshold = tails.predicted(used, tail, rate=rate, overlap=overlap)
    low, high = tails.quantile_interval(used, tail, rate=rate, overlap=overlap)
    if used is not scores and left_out is not None:
        tail = tail.model_copy(update={"source": "left out"})
        error = 1.96 * tails.matching_error(left_out, scores, at=threshold, seed=seed)
    return (
        threshold,
        threshold - math.hypot(threshold - low, error),
        threshold + math.hypot(high - threshold, error),
        tail,
    )


def _refused(samples: int, *, rate: float, why: str) -> NotEnoughDataError:
    message = (
        f"A false-alarm rate of {rate:g} needs {needed_samples(rate)} normal calibration samples, there are {samples}"
    )
    tail = "" if why else f" ({needed_for_tail(rate)} are enough if their extreme-value tail fits)"
    return NotEnoughDataError(
        f"{message}; {why}." if why else f"{message}.",
        hint=f"Add normal samples{tail}, or declare {smallest_rate(samples):.3g} or more.",
    )


def _conformal(scores: Floats, *, rate: float, overlap: float, seed: int) -> tuple[float, float, float]:
    """Threshold, and the 95 % interval of the score that a share `rate` exceeds, whatever the distribution.

    How many of n scores lie below that one is binomial, so that two of them bound it (David and Nagaraja 2003, section
    7.1). Where a lower or a higher one than there is would be needed, which is above where n is below 3.7 / `rate`,
    that end comes from the tail as for a rate beyond the scores, and where there is none to fit from the bootstrap.
    """
    n, ordered = len(scores), np.sort(scores)
    told = counted(n, overlap=overlap)

    def smallest(rank: int) -> float:
        """Of that rank among those that count, each of which stands for n / `told` of the scores."""
        return float(ordered[-(-rank * n // told) - 1])

    threshold = smallest(rank_of(rate, samples=told))
    below, above = (int(binom.ppf(share, told, 1 - rate)) for share in (0.025, 0.975))  # of `told`, below that score
    low = smallest(below) if below > 0 else None
    high = smallest(above + 1) if above < told else None
    if low is None or high is None:
        around = _tail_interval(scores, rate=rate, overlap=overlap, seed=seed)
        around = around or _bootstrapped(scores, rate=rate, size=told, seed=seed)
        low, high = around[0] if low is None else low, around[1] if high is None else high
    return threshold, low, high


def _tail_interval(scores: Floats, *, rate: float, overlap: float, seed: int) -> tuple[float, float] | None:
    if len(scores) < tails.SAMPLES * overlap:
        return None
    tail = tails.fit_tail(scores, seed=seed)
    if tail.fit_p < tails.LEVEL or rate >= tail.share:
        return None
    return tails.quantile_interval(scores, tail, rate=rate, overlap=overlap)


def _bootstrapped(scores: Floats, *, rate: float, size: int, seed: int) -> tuple[float, float]:
    """Smoothed bootstrap of the order statistic of `size` scores (Silverman and Young 1987).

    The plain one sees nothing beyond the largest score.
    """
    rng, rank = generator(seed, "threshold"), rank_of(rate, samples=size)
    away = scores - scores[0]  # or the mean of equal scores, which rounds, would leave them a deviation
    quartiles = np.subtract(*np.percentile(away, [75, 25])) / 1.34
    spread = min(float(away.std()), float(quartiles)) or float(away.std())
    width = 0.9 * spread * size ** (-1 / 5)  # Silverman 1986, equation 3.31
    drawn: list[Floats] = []
    block = max(1, _BLOCK // size)
    for start in range(0, RESAMPLES, block):
        shape = (min(block, RESAMPLES - start), size)
        sample = rng.choice(scores, size=shape) + width * rng.standard_normal(shape)
        drawn.append(np.partition(sample, rank - 1, axis=1)[:, rank - 1])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def _guarantee(rate: float, *, n: int, told: int, method: Method, in_time: bool) -> str:
    share = shown_rate(rate)
    if told < n:
        return (
            f"about {share} of normal windows is a false alarm, if they are like the {n} calibration windows; these "
            f"overlap and count as {told}, so that no finite-sample bound holds ({method} conformal)"
        )
    if in_time:
        return (
            f"about {share} of normal samples is a false alarm, if they are like the {n} calibration samples; these "
            f"follow each other in time, so that no finite-sample bound holds ({method} conformal)"
        )
    if method == "split":
        return (
            f"at most {share} of normal samples is a false alarm on average, if they are like the {n} calibration "
            "samples (split conformal)"
        )
    # The bound of twice the rate (Barber, Candès, Ramdas and Tibshirani 2021, "Predictive inference with the
    # jackknife+", theorem 4) is for scoring with the models of the folds, not with one fitted on all samples.
    return (
        f"about {share} of normal samples is a false alarm, if the model scores like those fitted without a fold; "
        f"no finite-sample bound holds for the {n} calibration samples scored across folds (cross-conformal)"
    )


def _tail_guarantee(rate: float, tail: Tail) -> str:
    where = "calibration scores" if tail.source == "calibration" else "calibration and matched left-out scores"
    return (
        f"about {shown_rate(rate)} of normal samples is a false alarm, extrapolated from the {tail.exceedances} "
        f"largest of {tail.samples} {where} on average over the generalised Pareto tails that these may have (fit p = "
        f"{tail.fit_p:.2f}); no finite-sample bound holds"
    )

"""Conformal thresholds from normal calibration scores alone, for a declared false-alarm rate."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Calibration
from ..core.errors import NotEnoughDataError
from ..core.seeds import generator

RESAMPLES = 2000
_ROUNDING = 1e-9
_BLOCK = 2_000_000


def smallest_rate(samples: int) -> float:
    """The smallest false-alarm rate that so many calibration samples support.

    >>> smallest_rate(99)
    0.01
    """
    return 1 / (samples + 1)


def needed_samples(rate: float) -> int:
    """The fewest calibration samples that support a false-alarm rate.

    >>> needed_samples(0.001)
    999
    """
    return max(1, math.ceil(1 / rate - 1 - _ROUNDING))


def require_samples(samples: int, *, rate: float) -> None:
    """Refuse a false-alarm rate that so many calibration samples cannot support.

    Raises:
        NotEnoughDataError: They are too few; the message says how many would do.
    """
    if samples < needed_samples(rate):
        raise NotEnoughDataError(
            f"A false-alarm rate of {rate:g} needs {needed_samples(rate)} normal calibration samples, there are "
            f"{samples}.",
            hint=f"Add normal samples, or declare {smallest_rate(samples):.3g} or more.",
        )


def calibrate(
    scores: NDArray[np.float64], *, rate: float | None, method: Literal["split", "cross"], seed: int
) -> Calibration:
    """The threshold above which a share `rate` of normal samples lies at most.

    It is the k-th smallest of n scores, k = ceil((n + 1)(1 - rate)) (Vovk, Gammerman and Shafer 2005, section 2.2). The
    interval is a smoothed bootstrap of that order statistic (Silverman and Young 1987): the plain one cannot see
    beyond the largest score.

    Args:
        scores: ``(n,)`` of normal samples that the model did not see; higher is more anomalous.
        rate: Declared false-alarm rate in (0, 1); None: the smallest that n samples support.
        method: "split": one model; "cross": each sample scored by a model fitted without its fold.
        seed: Of the bootstrap.

    Raises:
        NotEnoughDataError: There is no score, one is not finite, or n is too small for `rate`.
    """
    n = len(scores)
    if n == 0 or not np.isfinite(scores).all():
        raise NotEnoughDataError(
            f"A threshold needs finite scores of normal samples, got {n} of which {int((~np.isfinite(scores)).sum())} "
            "are not finite.",
            hint="Add normal samples to the source.",
        )
    chosen = smallest_rate(n) if rate is None else rate
    require_samples(n, rate=chosen)
    rank = math.ceil((n + 1) * (1 - chosen) - _ROUNDING)
    threshold = float(np.partition(scores, rank - 1)[rank - 1])
    low, high = _interval(scores, rank=rank, seed=seed)
    return Calibration(
        threshold=threshold,
        low=min(low, threshold),
        high=max(high, threshold),
        false_alarm_rate=chosen,
        samples=n,
        method=method,
        guarantee=_guarantee(chosen, n=n, method=method),
    )


def verdict_of(score: float, calibration: Calibration) -> Literal["OK", "NG", "unsure"]:
    """NG above the threshold, OK at or below it, unsure within the threshold's interval."""
    if calibration.low <= score <= calibration.high and calibration.low < calibration.high:
        return "unsure"
    return "NG" if score > calibration.threshold else "OK"


def _interval(scores: NDArray[np.float64], *, rank: int, seed: int) -> tuple[float, float]:
    rng = generator(seed, "threshold")
    n = len(scores)
    quartiles = np.subtract(*np.percentile(scores, [75, 25])) / 1.34
    spread = min(float(scores.std()), float(quartiles)) or float(scores.std())
    width = 0.9 * spread * n ** (-1 / 5)  # Silverman 1986, equation 3.31
    drawn: list[NDArray[np.float64]] = []
    block = max(1, _BLOCK // n)
    for start in range(0, RESAMPLES, block):
        size = (min(block, RESAMPLES - start), n)
        sample = rng.choice(scores, size=size) + width * rng.standard_normal(size)
        drawn.append(np.partition(sample, rank - 1, axis=1)[:, rank - 1])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def _guarantee(rate: float, *, n: int, method: str) -> str:
    if method == "split":
        return (
            f"at most {rate:.2%} of normal samples are false alarms on average, if they are like the {n} calibration "
            "samples (split conformal)"
        )
    # The bound of twice the rate (Barber, Candès, Ramdas and Tibshirani 2021, "Predictive inference with the
    # jackknife+", theorem 4) is for scoring with the models of the folds, not with one fitted on all samples.
    return (
        f"about {rate:.2%} of normal samples are false alarms, if the model scores like those fitted without a fold; "
        f"no finite-sample bound holds for the {n} calibration samples scored across folds (cross-conformal)"
    )

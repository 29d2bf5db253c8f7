"""Conformal thresholds from scores of normal samples, and verdicts.

With n exchangeable normal scores and one more, the chance that the new one lies above the k-th smallest of the n is
at most 1 - k / (n + 1); so k = ceil((n + 1)(1 - a)) holds the rate a, and no rate below 1 / (n + 1) can be held
(Vovk, Gammerman & Shafer 2005, section 2.2; Angelopoulos & Bates 2023, appendix D).
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.contracts import Calibration
from ..core.errors import ConfigError, NotEnoughDataError
from ..core.seeds import generator

_DRAWS = 2000
_ROUNDING = 1e-9  # keeps (n + 1)(1 - a) from being lifted over an integer by the last bit of a


def smallest_rate(n: int) -> float:
    """The smallest false-alarm rate that `n` normal samples support.

    >>> smallest_rate(19)
    0.05
    """
    return 1 / (n + 1)


def samples_needed(rate: float) -> int:
    """The fewest normal samples that support the false-alarm rate `rate`.

    >>> samples_needed(0.05), samples_needed(0.01)
    (19, 99)
    """
    return max(1, math.ceil(1 / rate - 1 - _ROUNDING))


def calibrate(
    scores: ArrayLike, *, rate: float | None = None, method: Literal["split", "cross"] = "split", seed: int = 0
) -> Calibration:
    """The threshold that normal samples exceed at most at `rate`; None: at the smallest rate that `scores` support.

    Args:
        scores: ``(N,)`` scores of normal samples, none of which the scoring model was fitted on.
        rate: Declared false-alarm rate, within (0, 1).
        method: "split": one model scored all; "cross": each was scored by a model fitted without its fold.
        seed: Of the threshold's bootstrap interval; see `_spread`.

    Raises:
        ConfigError: `rate` is not within (0, 1).
        NotEnoughDataError: There are no scores, or too few for `rate`; the message says how many it takes.

    >>> calibrate([float(i) for i in range(1, 20)], rate=0.1).threshold  # k = ceil(20 * 0.9)
    18.0
    """
    ranked = np.sort(np.asarray(scores, dtype=np.float64))
    n = _check(ranked, rate)
    wanted = smallest_rate(n) if rate is None else rate
    k = math.ceil((n + 1) * (1 - wanted) - _ROUNDING)
    k = max(k, 1)
    low, high = _spread(ranked, k, seed=seed)
    return Calibration(
        threshold=float(ranked[k - 1]),
        low=low,
        high=high,
        false_alarm_rate=wanted,
        samples=n,
        method=method,
        guarantee=_guarantee(method, wanted),
    )


def verdict(score: float, calibration: Calibration) -> Literal["OK", "NG", "unsure"]:
    """Within the threshold's interval (ends included) unsure, above it NG, below it OK."""
    if calibration.low <= score <= calibration.high:
        return "unsure"
    return "NG" if score > calibration.threshold else "OK"


def _check(scores: NDArray[np.float64], rate: float | None) -> int:
    if rate is not None and not 0 < rate < 1:
        raise ConfigError(f"A false-alarm rate of {rate} is impossible.", hint="Give one between 0 and 1.")
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite and (N,), got shape {scores.shape}")
    needed = 1 if rate is None else samples_needed(rate)
    if len(scores) >= needed:
        return len(scores)
    asked = "A threshold" if rate is None else f"A false-alarm rate of {rate:g}"
    raise NotEnoughDataError(
        f"{asked} needs at least {needed} normal calibration samples, there are {len(scores)}.",
        hint=f"Add samples, or declare a rate of at least {smallest_rate(len(scores)):.3g}."
        if len(scores)
        else "Add normal samples.",
    )


def _spread(ranked: NDArray[np.float64], k: int, *, seed: int) -> tuple[float, float]:
    """95 % semi-parametric bootstrap interval of the k-th smallest of `ranked` ``(N,)``, the threshold itself included.

    The plain bootstrap fails at an extreme order statistic: it never exceeds the largest value and sits on it with
    probability 0.63 (Bickel & Freedman 1981, section 6). So resamples are drawn from a fitted distribution: linear
    between the order statistics at i / (n + 1), exponential in the upper tail with the mean excess of the top values
    (Breiman, Stone & Kooperberg 1990, "Robust confidence bounds for extreme upper quantiles", J. Stat. Comput. Simul.
    37). The k-th smallest of n uniform draws has the law Beta(k, n + 1 - k), so one draw stands for a resample.
    """
    n, threshold = len(ranked), float(ranked[k - 1])
    shares = generator(seed, "threshold").beta(k, n + 1 - k, _DRAWS)
    top = min(max(5, round(math.sqrt(n))), n - 1)
    if top < 1:
        return threshold, threshold
    start = float(ranked[n - top - 1])
    scale = float(np.mean(ranked[n - top :]) - start)
    values = np.interp(shares, np.arange(1, n + 1) / (n + 1), ranked)
    beyond = 1 - (n - top) / (n + 1)
    in_tail = 1 - shares < beyond
    values[in_tail] = start + scale * np.log(beyond / (1 - shares[in_tail]))
    low, high = np.quantile(values, [0.025, 0.975])
    return min(float(low), threshold), max(float(high), threshold)


def _guarantee(method: str, rate: float) -> str:
    if method == "split":
        return (
            f"P(false alarm) <= {rate:.3g} for a new normal sample exchangeable with the calibration samples"
            " (split conformal)."
        )
    return (
        f"P(false alarm) <= {min(2 * rate, 1):.3g}, twice the declared rate, where new samples are judged against the"
        " folds' models (cross-conformal, CV+; Barber et al. 2021, theorem 4 up to a term that vanishes with n); for the"
        " final model, fitted on all folds, it holds as far as leaving a fold out hardly moves a score."
    )

"""Conformal p-values from normal calibration scores, and which of a batch they flag at a false-discovery rate."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, NotEnoughDataError

EXACT = 256
"""Largest calibration scores that a reference keeps one by one."""

STEP = 1.02
"""Below them, each kept score has this many times as many above it: p-values are at most 2 % too large there."""

Reference = Sequence[tuple[float, int]]
"""Pairs of a calibration score and how many are larger, ascending by score."""

_ROUNDING = 1e-9


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


def rank_of(rate: float, *, samples: int) -> int:
    """Which smallest of `samples` scores is the threshold: k = ceil((n + 1)(1 - rate)).

    Source: Vovk, Gammerman and Shafer 2005, section 2.2.
    """
    return math.ceil((samples + 1) * (1 - rate) - _ROUNDING)


def counted(samples: int, *, overlap: float) -> int:
    """How many samples so many windows count as where `overlap` of them hold one row.

    >>> counted(10, overlap=4.0), counted(3, overlap=4.0)
    (2, 1)
    """
    return max(1, int(samples / overlap))


def reference(scores: NDArray[np.float64], *, overlap: float = 1.0) -> tuple[tuple[float, int], ...]:
    """What p-values need of ``(n,)`` calibration scores, in a few hundred pairs whatever n is.

    Where `overlap` windows hold one row, so many count as one, rounded up, but never more than all of them count as.
    """
    ordered = np.sort(scores)[::-1]
    ranks = list(range(min(EXACT, len(ordered))))
    while ranks and ranks[-1] < len(ordered) - 1:
        ranks.append(min(math.ceil(ranks[-1] * STEP), len(ordered) - 1))
    kept = np.unique(ordered[ranks])
    larger = len(ordered) - np.searchsorted(ordered[::-1], kept, side="right")
    counts = np.minimum(np.ceil(larger / overlap - _ROUNDING).astype(int), counted(len(scores), overlap=overlap))
    return tuple((float(score), int(count)) for score, count in zip(kept, counts, strict=True))


def p_values(scores: NDArray[np.float64], *, reference: Reference, samples: int) -> NDArray[np.float64]:
    """``(N,)`` chances that a normal sample scores as high: (1 + calibration scores at or above) / (n + 1).

    For a normal sample exchangeable with the n calibration `samples`, P(p <= a) <= a for every a in (0, 1); where the
    reference left scores out, p is rounded up.
    """
    kept = np.array([score for score, _ in reference])
    above = np.array([samples, *(count for _, count in reference)])
    return np.asarray((1 + above[np.searchsorted(kept, scores, side="left")]) / (samples + 1), dtype=np.float64)


def discoveries(p: NDArray[np.float64], *, rate: float) -> NDArray[np.bool_]:
    """``(N,)`` which samples of a batch Benjamini and Hochberg's step-up procedure flags.

    At most a share `rate` of the flagged is normal, on average over batches and calibration sets: conformal p-values
    depend on each other positively (Benjamini and Hochberg 1995; Bates, Candès, Lei, Romano and Sesia 2023, theorem 2).
    """
    order = np.sort(p)
    passed = np.flatnonzero(order <= rate * np.arange(1, len(p) + 1) / max(len(p), 1) + 1e-15)
    return p <= order[passed[-1]] if len(passed) else np.zeros(len(p), dtype=np.bool_)


def fewest_discoveries(batch: int, *, rate: float, samples: int) -> int:
    """How many of a batch must score above all calibration samples before any can be flagged.

    Raises:
        ConfigError: `rate` is not in (0, 1).
        NotEnoughDataError: Not even a batch of anomalies alone could be flagged.
    """
    if not 0 < rate < 1:
        raise ConfigError(f"A false-discovery rate lies between 0 and 1, got {rate:g}.", hint="Use for example 0.1.")
    if samples < needed_samples(rate):
        raise NotEnoughDataError(
            f"A false-discovery rate of {rate:g} needs {needed_samples(rate)} normal calibration samples, there are "
            f"{samples}.",
            hint=f"Retrain with more normal samples, or use {smallest_rate(samples):.3g} or more.",
        )
    return max(1, math.ceil(batch * smallest_rate(samples) / rate - _ROUNDING))

"""The one rule that turns a score into a verdict: used where scores are served, explained and exported."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Calibration, Severity, Word
from .conformal import p_values

NINETY_FIVE = NormalDist().inv_cdf(1 - 0.025)
"""Standard deviations of half a 95 % interval."""

USUAL = 0.1
"""A score that a larger share of normal samples reaches is `OK` however noisy it is; see `verdict_of`."""

BEYOND = 1.01
"""So many times as far away as the threshold's interval reaches, at least, noise alone counts: the interval ends at a
calibration score, on which rounding would decide."""

MEDIUM, HIGH = 1.5, 3.0
"""Severity's bounds: how many times as far above the median calibration score as the threshold is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said of one score; see `components.core.contracts.Verdict` for the fields."""

    word: Word
    uncertainty: float
    p_value: float | None
    severity: Severity | None


def answers(
    scores: NDArray[np.float64], calibration: Calibration, *, uncertainty: NDArray[np.float64] | None = None
) -> list[Answer]:
    """What is said of each of ``(N,)`` scores with their standard deviations ``(N,)``, None where unknown."""
    known = bool(calibration.reference)
    p = p_values(scores, reference=calibration.reference, samples=calibration.samples) if known else None
    found = []
    for index, score in enumerate(scores.tolist()):
        spread = 0.0 if uncertainty is None else float(uncertainty[index])
        answer = Answer(
            word=verdict_of(score, calibration, uncertainty=spread),
            uncertainty=math.hypot((calibration.high - calibration.low) / 2, NINETY_FIVE * spread),
            p_value=None if p is None else float(p[index]),
            severity=severity_of(score, calibration),
        )
        found.append(answer)
    return found


def verdict_of(score: float, calibration: Calibration, *, uncertainty: float = 0.0) -> Word:
    """NG above the threshold, OK at or below it, unsure where a person's look is cheaper than the risk.

    The risk of the sharp word is its cost when wrong times the chance that it is: that the threshold, known without
    error, lies on the other side of the score, known without noise. Both errors count as normal and independent; the
    threshold's may differ in width to either side. A look is chosen where it costs less (Chow 1970). Costs never make a
    score at or below the threshold NG, so the declared false-alarm rate holds whatever they are.

    Where scores are noisy, that of any normal sample might lie above the threshold by chance; without noise it would be
    a false alarm, and to call it OK misses nothing. So noise alone makes no score unsure that more than a share `USUAL`
    of the calibration samples reach.

    Args:
        score: Higher is more anomalous.
        calibration: Threshold, its interval and the costs.
        uncertainty: Standard deviation of the score.
    """
    above = score > calibration.threshold
    wrong = calibration.costs.false_alarm if above else calibration.costs.miss
    chance = calibration.costs.unsure / wrong
    if chance < 0.5:
        wider, away = NormalDist().inv_cdf(1 - chance) / NINETY_FIVE, abs(score - calibration.threshold)
        half = _half(score, calibration, uncertainty) * wider
        by_noise = not above and away > BEYOND * _half(score, calibration, 0.0) * wider
        if half > 0 and away <= half and not (by_noise and score <= usual_up_to(calibration)):
            return "unsure"
    return "NG" if above else "OK"


def usual_up_to(calibration: Calibration) -> float:
    """The score up to which more than `USUAL` of normal samples score as high; minus infinity where none is known.

    It lies midway between two calibration scores: on one of them rounding would decide.
    """
    before = [calibration.samples, *(larger for _, larger in calibration.reference)]
    scores = [score for score, _ in calibration.reference]
    count = sum((1 + above) / (calibration.samples + 1) > USUAL for above in before[: len(scores)])
    return (scores[count - 1] + scores[min(count, len(scores) - 1)]) / 2 if count else -math.inf


def clearness_of(score: float, calibration: Calibration, *, uncertainty: float = 0.0) -> float:
    """How clear of the threshold a score is: its distance in halves of the 95 % interval that `verdict_of` judges by.

    Below 1 the interval reaches across; infinite where there is no interval at all.
    """
    half = _half(score, calibration, uncertainty)
    return abs(score - calibration.threshold) / half if half > 0 else math.inf


def _half(score: float, calibration: Calibration, uncertainty: float) -> float:
    """Half the 95 % interval between score and threshold, on the side that the score lies on."""
    above = score > calibration.threshold
    interval = (calibration.high - calibration.threshold) if above else (calibration.threshold - calibration.low)
    return math.hypot(interval, NINETY_FIVE * uncertainty)


def severity_of(score: float, calibration: Calibration) -> Severity | None:
    """Severity: none up to the threshold; low, medium, high by the score's distance from the median calibration score.

    The distance is in units of the threshold's own, so that it means the same whatever scale the detector has; None for
    a calibration of an earlier release, which kept no median.
    """
    if calibration.centre is None:
        return None
    if score <= calibration.threshold:
        return "none"
    unit = calibration.threshold - calibration.centre
    times = (score - calibration.centre) / unit if unit > 0 else math.inf
    return "high" if times >= HIGH else "medium" if times >= MEDIUM else "low"

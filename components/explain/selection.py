"""Which samples are worth explaining: the most anomalous, the most uncertain, and normal ones to compare with."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Scores, Word
from components.metrics.verdicts import clearness_of, verdict_of

Reason = Literal["anomalous", "uncertain", "normal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A sample to explain: its number, why it was chosen, its score and verdict."""

    index: int
    reason: Reason
    score: float
    verdict: Word


def choose(scores: Scores, *, labels: NDArray[np.int8], calibration: Calibration, each: int) -> tuple[Chosen, ...]:
    """At most `each` samples for each reason, no sample twice.

    The most anomalous have the highest scores, the most uncertain are the least clear of the threshold, by its interval
    and the scores' own uncertainty, the normal ones are labelled 0 and spread evenly over their scores, the lowest and
    the highest among them. The verdicts are those that `linewright score` gives.

    Args:
        scores: Of N samples.
        labels: ``(N,)``; 1 anomalous, 0 normal or unknown.
        calibration: The threshold.
        each: Samples for each reason, at least 1.
    """
    found = scores.image
    spreads = np.zeros(len(found)) if scores.uncertainty is None else scores.uncertainty

    def clearness(index: int) -> tuple[float, float]:
        clear = clearness_of(float(found[index]), calibration, uncertainty=float(spreads[index]))
        return clear, abs(float(found[index]) - calibration.threshold)

    ranked = [int(index) for index in np.argsort(-found, kind="stable")]
    anomalous = ranked[:each]
    left = [index for index in ranked if index not in set(anomalous)]
    uncertain = sorted(left, key=clearness)[:each]
    rest = [index for index in left if index not in set(uncertain) and labels[index] == 0]
    spread = np.unique(np.linspace(0, len(rest) - 1, min(each, len(rest))).round().astype(int))
    normal = [rest[place] for place in spread]
    reasons: list[tuple[Reason, list[int]]] = [("anomalous", anomalous), ("uncertain", uncertain), ("normal", normal)]
    return tuple(
        Chosen(
            index=index,
            reason=reason,
            score=float(found[index]),
            verdict=verdict_of(float(found[index]), calibration, uncertainty=float(spreads[index])),
        )
        for reason, indices in reasons
        for index in indices
    )

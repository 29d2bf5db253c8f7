"""Which samples are worth explaining: the most anomalous, the most uncertain, and normal ones to compare with."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Word
from components.metrics.verdicts import verdict_of

Reason = Literal["anomalous", "uncertain", "normal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A sample to explain: its number, why it was chosen, its score and verdict."""

    index: int
    reason: Reason
    score: float
    verdict: Word


def choose(
    scores: NDArray[np.float64], *, labels: NDArray[np.int8], calibration: Calibration, each: int
) -> tuple[Chosen, ...]:
    """At most `each` samples for each reason, no sample twice.

    The most anomalous have the highest scores, the most uncertain lie closest to the threshold, the normal ones are
    labelled 0 and spread evenly over their scores, the lowest and the highest among them.

    Args:
        scores: ``(N,)``; higher is more anomalous.
        labels: ``(N,)``; 1 anomalous, 0 normal or unknown.
        calibration: The threshold.
        each: Samples for each reason, at least 1.
    """
    ranked = [int(index) for index in np.argsort(-scores, kind="stable")]
    anomalous = ranked[:each]
    left = [index for index in ranked if index not in set(anomalous)]
    uncertain = sorted(left, key=lambda index: abs(scores[index] - calibration.threshold))[:each]
    rest = [index for index in left if index not in set(uncertain) and labels[index] == 0]
    spread = np.unique(np.linspace(0, len(rest) - 1, min(each, len(rest))).round().astype(int))
    normal = [rest[place] for place in spread]
    reasons: list[tuple[Reason, list[int]]] = [("anomalous", anomalous), ("uncertain", uncertain), ("normal", normal)]
    return tuple(
        Chosen(
            index=index,
            reason=reason,
            score=float(scores[index]),
            verdict=verdict_of(float(scores[index]), calibration),
        )
        for reason, indices in reasons
        for index in indices
    )

"""Scores become verdicts."""

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Scores, Verdict, now
from components.core.names import as_utf8
from components.metrics.conformal import discoveries, fewest_discoveries
from components.metrics.verdicts import answers

MANY, LEAST_MANY = 5, 10
"""So many times the declared rate, and so many samples, are told: of independent ones one batch in 20,000 by chance."""


def verdicts(
    *,
    line: str,
    model_version: int,
    calibration: Calibration,
    samples: Sequence[str],
    paths: Sequence[str],
    scores: Scores,
    bounds: NDArray[np.int64] | None = None,
) -> list[Verdict]:
    """One verdict a sample, in order.

    Args:
        line: Name of the line.
        model_version: The champion's number.
        calibration: Its threshold, with the interval and the costs that decide what is `unsure`.
        samples: N sample names (SHA-256).
        paths: N places, for people; bytes of a name that are no UTF-8 are written as escapes, which every store holds.
        scores: Of N samples; higher is more anomalous.
        bounds: ``(N, 2)`` first row and end (excluded) of windows; None for images.
    """
    time = now()
    said = answers(scores.image, calibration, uncertainty=scores.uncertainty)
    return [
        Verdict(
            verdict_id=uuid.uuid4().hex,
            line=line,
            sample=samples[index],
            path=as_utf8(paths[index]),
            score=float(scores.image[index]),
            threshold=calibration.threshold,
            verdict=answer.word,
            uncertainty=answer.uncertainty,
            p_value=answer.p_value,
            severity=answer.severity,
            model_version=model_version,
            start=None if bounds is None else int(bounds[index, 0]),
            end=None if bounds is None else int(bounds[index, 1]),
            created=time,
        )
        for index, answer in enumerate(said)
    ]


def many_above(found: Sequence[Verdict], calibration: Calibration) -> str:
    """That far more of a batch lie above the threshold than of normal samples would, or "".

    Whether they are anomalies or the line changed, scores do not tell.
    """
    above, rate = sum(verdict.score > verdict.threshold for verdict in found), calibration.false_alarm_rate
    if above < max(LEAST_MANY, MANY * rate * len(found)):
        return ""
    return (
        f"{above} of {len(found)} score above the threshold ({above / len(found):.1%}), of normal samples "
        f"{rate:.2%} would: these are anomalies, or what is measured changed"
    )


def flagged(found: Sequence[Verdict], calibration: Calibration, *, rate: float) -> tuple[frozenset[str], int]:
    """Ids of the verdicts that are flagged as a batch at a false-discovery rate, and the fewest that can be.

    A verdict without a p-value, of a model of an earlier release, is never flagged.

    Raises:
        ConfigError: `rate` is not in (0, 1).
        NotEnoughDataError: The calibration samples cannot support `rate`.
    """
    fewest = fewest_discoveries(len(found), rate=rate, samples=calibration.samples)
    p = np.array([1.0 if verdict.p_value is None else verdict.p_value for verdict in found])
    chosen = discoveries(p, rate=rate)
    return frozenset(verdict.verdict_id for verdict, yes in zip(found, chosen, strict=True) if yes), fewest

"""Scores become verdicts."""

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Verdict, now
from components.metrics.thresholds import verdict_of


def verdicts(
    *,
    line: str,
    model_version: int,
    calibration: Calibration,
    samples: Sequence[str],
    paths: Sequence[str],
    scores: NDArray[np.float64],
    bounds: NDArray[np.int64] | None = None,
) -> list[Verdict]:
    """One verdict a sample, in order.

    Args:
        line: Name of the line.
        model_version: The champion's number.
        calibration: Its threshold, with the interval within which the answer is `unsure`.
        samples: N sample names (SHA-256).
        paths: N places, for people.
        scores: ``(N,)``; higher is more anomalous.
        bounds: ``(N, 2)`` first row and end (excluded) of windows; None for images.
    """
    spread = (calibration.high - calibration.low) / 2
    time = now()
    return [
        Verdict(
            verdict_id=uuid.uuid4().hex,
            line=line,
            sample=samples[index],
            path=paths[index],
            score=float(scores[index]),
            threshold=calibration.threshold,
            verdict=verdict_of(float(scores[index]), calibration),
            uncertainty=spread,
            model_version=model_version,
            start=None if bounds is None else int(bounds[index, 0]),
            end=None if bounds is None else int(bounds[index, 1]),
            created=time,
        )
        for index in range(len(samples))
    ]

"""Scores of a whole sample set, batch by batch, so that the set may be larger than memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .contracts import Scores
from .ports import Batch, Detector, PlainScores, Progress, Samples, batches, silent

BATCH = {"image": 8, "table": 4096}
"""Samples scored at once; scores do not depend on it beyond a detector's `batch_tolerance`."""


def score_all(detector: Detector, samples: Samples, *, maps: bool = False, progress: Progress = silent) -> Scores:
    """Scores of every sample in order; `maps` are kept only when asked for, as they are large."""
    size = BATCH[detector.modality]
    parts: list[Scores] = []
    for batch in batches(samples, size=size):
        scores = detector.score(batch)
        parts.append(scores if maps else Scores(image=scores.image, uncertainty=scores.uncertainty))
        progress("scoring", min(len(parts) * size, len(samples)), len(samples))
    return join(parts)


def plain_scores(detector: Detector, batch: Batch) -> NDArray[np.float64]:
    """``(N,)`` scores of `batch` without their uncertainty, at less cost where the detector can."""
    return detector.plain_scores(batch) if isinstance(detector, PlainScores) else detector.score(batch).image


def join(parts: Sequence[Scores]) -> Scores:
    """The scores of several batches of one detector as one."""
    kept = [part.maps for part in parts if part.maps is not None]
    spreads = [part.uncertainty for part in parts if part.uncertainty is not None]
    return Scores(
        image=np.concatenate([part.image for part in parts]) if parts else np.empty(0),
        maps=np.concatenate(kept) if kept else None,
        uncertainty=np.concatenate(spreads) if spreads else None,
    )

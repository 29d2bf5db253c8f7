"""Scores of a whole sample set, batch by batch, so that the set may be larger than memory."""

import numpy as np

from .contracts import Scores
from .ports import Detector, Progress, Samples, batches, silent

BATCH = {"image": 8, "table": 4096}
"""Samples scored at once; scores do not depend on it beyond a detector's `batch_tolerance`."""


def score_all(detector: Detector, samples: Samples, *, maps: bool = False, progress: Progress = silent) -> Scores:
    """Scores of every sample in order; `maps` are kept only when asked for, as they are large."""
    size = BATCH[detector.modality]
    parts: list[Scores] = []
    for batch in batches(samples, size=size):
        scores = detector.score(batch)
        parts.append(scores if maps else Scores(image=scores.image))
        progress("scoring", min(len(parts) * size, len(samples)), len(samples))
    image = np.concatenate([part.image for part in parts]) if parts else np.empty(0)
    kept = [part.maps for part in parts if part.maps is not None]
    return Scores(image=image, maps=np.concatenate(kept) if maps and kept else None)

"""Whether a detector's verdicts hold in f32, found out while a host with its own precision is at hand."""

from collections.abc import Mapping

import numpy as np

from components.core.ports import Detector, Portable, Samples
from components.core.subset import Subset

NEAREST = 64
"""Samples that are compared: those whose scores lie nearest to the threshold, where a verdict would flip first."""


def prove_precision(detector: Detector, *, samples: Samples, scores: Mapping[str, float]) -> None:
    """Have a calibrated `detector` compare its verdicts with those in f32, on the samples nearest to its threshold.

    Args:
        detector: Keeps what it finds; one that computes in f32 has nothing to find.
        samples: Among them those of `scores`.
        scores: Sample → score that its threshold comes from.
    """
    if not isinstance(detector, Portable) or detector.calibration is None:
        return
    threshold, names = detector.calibration.threshold, samples.ids
    known = [place for place, name in enumerate(names) if name in scores]
    known.sort(key=lambda place: abs(scores[names[place]] - threshold))
    detector.prove_f32(Subset(samples, np.array(known[:NEAREST], np.intp)))

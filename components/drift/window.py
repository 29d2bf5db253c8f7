"""One side of a drift comparison: monitored columns, scores and exchangeable groups of N samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Family = Literal["optics", "embedding", "feature", "score", "alarm-rate", "constant", "left-out"]
SCORE, ALARM_RATE = "anomaly score", "alarm rate"
"""Quantities that every check measures beside the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWindow:
    """What is compared. The two windows of a check come from the same champion and the same feature functions.

    The scores of the reference must come from a model that did not see those samples (calibration samples, or
    cross-calibrated ones): a memory bank scores its own training samples near zero, and every new sample would drift.

    Attributes:
        name: Dataset tag or tags, for people.
        features: ``(N, F)``; float columns are measured as numbers, others as categories; NaN where missing.
        families: Column of `features` → its family.
        groups: ``(N,)`` names of exchangeable units: a time block, a part, a batch, or the sample itself.
            Samples of one unit may depend on each other; units must not.
        scores: ``(N,)`` finite champion's scores; higher is more anomalous.
        threshold: Scores above it are alarms.
        constants: Column that had one value → that value; compared as text.
        ignored: Column that is not measured → why (time stamp, free text, identifier, ...); named in the verdict.
    """

    name: str
    features: pd.DataFrame
    families: Mapping[str, Family]
    groups: NDArray[Any]
    scores: NDArray[np.float64]
    threshold: float
    constants: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compare lengths and names."""
        count = len(self.features)
        if self.groups.shape != (count,) or self.scores.shape != (count,):
            raise ValueError(
                f"groups and scores must be ({count},) like the features, got {self.groups.shape}, {self.scores.shape}"
            )
        if not np.isfinite(self.scores).all():
            raise ValueError(f"scores must be finite, got {np.count_nonzero(~np.isfinite(self.scores))} that are not")
        if taken := sorted({SCORE, ALARM_RATE} & set(self.features.columns)):
            raise ValueError(f"{taken} name the model's own quantities: give the columns other names")
        if unknown := [name for name in self.features.columns if name not in self.families]:
            raise ValueError(f"no family is declared for columns {unknown[:5]}")

    def __len__(self) -> int:
        return len(self.features)

"""What a drift check found: records that are stored and shown."""

from typing import Literal

from .contracts import Record


class DriftFeature(Record):
    """One monitored quantity. `distance` above `threshold` is drift; `effect` is the shift in reference deviations.

    Where there are too few groups for a verdict, `threshold` is the largest distance of an old group from the others,
    and nothing drifted.
    """

    name: str
    family: Literal["optics", "embedding", "feature", "score", "alarm-rate", "constant", "left-out"]
    distance: float
    threshold: float
    effect: float
    drifted: bool


class DriftReport(Record):
    """Verdict of one drift check.

    Attributes:
        verdict: "drift", "no drift" or "not enough data".
        kind: What drifted, for people: images "camera or lighting", "product" or "both", tables "sensor or process" or
            "scores only", "" where nothing did.
        method: Name of the distance.
        false_alarm_rate: Declared chance of a false verdict over `horizon` checks.
        check: Number of this check since the champion came, from 1.
        detail: One sentence.
    """

    line: str
    reference: str
    current: str
    verdict: Literal["drift", "no drift", "not enough data"]
    kind: str
    method: str
    reference_samples: int
    current_samples: int
    false_alarm_rate: float
    horizon: int
    check: int
    features: tuple[DriftFeature, ...]
    detail: str

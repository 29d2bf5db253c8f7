"""What is said of one sample."""

from datetime import datetime
from typing import Literal

from .records import Record

Word = Literal["OK", "NG", "unsure"]
"""What a verdict says."""

Severity = Literal["none", "low", "medium", "high"]
"""How far beyond the threshold a score lies; see `components.metrics.verdicts`."""


class Verdict(Record):
    """A detector's answer for one sample.

    Attributes:
        uncertainty: Half the width of the 95 % interval of score minus threshold: the threshold's own interval and,
            where the detector tells it, the score's standard deviation.
        p_value: Conformal: the chance that a normal sample scores as high; None of models of earlier releases.
        severity: How far beyond the threshold; None of models of earlier releases.
        start, end: Rows of the window in the file, end excluded; None for images.
        overlay: Heat-map picture relative to the workspace, or "".
    """

    verdict_id: str
    line: str
    sample: str
    path: str
    score: float
    threshold: float
    verdict: Word
    uncertainty: float
    p_value: float | None = None
    severity: Severity | None = None
    model_version: int
    start: int | None = None
    end: int | None = None
    overlay: str = ""
    created: datetime

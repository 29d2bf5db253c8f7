"""The score job: the champion's verdicts on files, stored, with heat maps for images."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from components.core.contracts import Calibration, Modality, ModelVersion, Verdict, now
from components.core.errors import SourceError
from components.core.lines import LineConfig
from components.core.ports import Detector
from components.metrics.thresholds import verdict_of
from components.samples.unusable import UnusableSample
from flows.jobs.models import champion_of, load_model
from flows.wiring import Linewright


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Verdicts of one call, in the order of the files; `refused` holds `path: reason` of files without one."""

    verdicts: list[Verdict]
    model_version: int
    overlays: str = ""
    refused: list[str] = field(default_factory=list)

    def raise_if_refused(self) -> None:
        """Raise SourceError if a file could not be scored; verdicts of the others are stored all the same."""
        if self.refused:
            more = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            raise SourceError(f"Not scored: {self.refused[0]}{more}.", hint="The other files have their verdicts.")

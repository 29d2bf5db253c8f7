"""Everything that explains one model, in one folder: what image and table reports share."""

import json
from collections.abc import Sequence
from pathlib import Path

from components.core.contracts import Calibration, Condition, Record, Scores
from components.core.errors import NotEnoughDataError
from components.core.hashing import folder_hashes
from components.core.ports import Samples
from components.explain.selection import Chosen, choose

EACH = 4
"""Samples explained for each reason."""


class Explanations(Record):
    """What was written.

    Attributes:
        files: POSIX path within the folder → SHA-256.
        figures: Figures of the checks, by name.
        checks: Whether the explanations can be trusted.
        notes: What a reader must know of them.
    """

    files: dict[str, str]
    figures: dict[str, float]
    checks: tuple[Condition, ...]
    notes: tuple[str, ...]


def chosen_samples(samples: Samples, scores: Scores, calibration: Calibration, each: int) -> tuple[Chosen, ...]:
    """See `choose`.

    Raises:
        NotEnoughDataError: There is no sample.
    """
    if not len(samples):
        raise NotEnoughDataError("There is no sample to explain.", hint="Ingest samples first.")
    return choose(scores, labels=samples.labels, calibration=calibration, each=each)


def known_label(samples: Samples, index: int) -> str:
    """What is known of a sample, in words."""
    return "labelled anomalous" if samples.labels[index] == 1 else "normal or unknown"


def finished(
    directory: Path, *, figures: dict[str, float], checks: Sequence[Condition], notes: Sequence[str]
) -> Explanations:
    """Write `checks.json` beside what is in `directory`, and say what is there."""
    text = json.dumps([check.model_dump(mode="json") for check in checks], indent=1, ensure_ascii=False)
    (directory / "checks.json").write_text(text + "\n", encoding="utf-8")
    return Explanations(files=folder_hashes(directory), figures=figures, checks=tuple(checks), notes=tuple(notes))

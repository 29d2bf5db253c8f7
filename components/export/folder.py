"""The folder of an export: the network, `linewright.json`, a runner in plain Python, and what to install for it.

model.onnx, or model.xml and model.bin
linewright.json      state of the version, threshold, labels, preparation, figures of the gate, SHA-256 of every file
run.py               python run.py FILE..., with detector.py and reading.py
requirements.txt, README.txt
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from components.core.contracts import Calibration, Modality, TableSchema, Word
from components.core.hashing import folder_hashes, sha256_file, sha256_json
from components.core.lines import LineConfig
from components.core.network import WholeNetwork
from components.export.formats import Format
from components.export.gate import Figures, Limits
from components.metrics.verdicts import HIGH, MEDIUM

DESCRIPTION = "linewright.json"
FORMAT = 2

_RUNNER = Path(__file__).parent / "runner"
_READING = {Modality.IMAGE: ("images", "pillow"), Modality.TABLE: ("tables", "")}
"""Modality → module that reads samples, and a package that it needs."""

_README = """Linewright export: {detector} of line {line}, version {version}, as {name}.
When it was exported, this version was {status}, {approval}.

    pip install -r requirements.txt
    python run.py FILE...

prints one JSON object a sample: path, score (higher is more anomalous), threshold, uncertainty (half the width of the
95 % interval of score minus threshold), p_value, verdict, severity, model_version{places}.
The verdict is OK at or below the threshold, NG above it, unsure where a person's look costs less than the risk of being
wrong. Where a file of this folder is not the one that was exported, nothing is scored.

It takes {takes}.

linewright.json holds the threshold and its promise, how a sample is prepared, and how the gate found this export beside
the model that it was made of. Nothing here needs Linewright.
"""
_TAKES = {
    Modality.IMAGE: "PNG, JPEG, BMP and TIFF images of any size, of the aspect that was learned if one is declared",
    Modality.TABLE: "CSV files with a header, points or commas for decimals, and times as numbers or ISO 8601",
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is exported.

    Attributes:
        line: Its file.
        version: Of the model.
        detector: Its registered name.
        dataset: That it was trained on, `<line>/v<N>`.
        source: SHA-256 over the model's recorded files.
        status: Of the version, when it is exported.
        approved_by: Who approved it, "" where nobody did.
        schema: Of a table line.
    """

    line: LineConfig
    version: int
    detector: str
    dataset: str
    source: str
    status: str
    approved_by: str
    schema: TableSchema | None

    @property
    def approval(self) -> str:
        """Whether a person approved the version, in words."""
        return f"approved by {self.approved_by}" if self.approved_by else "which nobody has approved"


def write_runner(folder: Path, subject: Subject, *, name: str, chosen: Format) -> None:
    """Write `run.py`, the `reading.py` and `detector.py` that it needs, and what goes with them."""
    modality = subject.line.modality
    module, package = _READING[modality]
    for file in ("run.py", "detector.py"):
        shutil.copyfile(_RUNNER / file, folder / file)
    shutil.copyfile(_RUNNER / f"{module}.py", folder / "reading.py")
    needed = sorted(filter(None, ["numpy", package, chosen.runtime]))
    pins = "".join(f"{distribution}=={version(distribution)}\n" for distribution in needed)
    (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    text = _README.format(
        detector=subject.detector,
        line=subject.line.name,
        version=subject.version,
        name=name,
        status=subject.status,
        approval=subject.approval,
        takes=_TAKES[modality],
        places=", start, end" if modality is Modality.TABLE else "",
    )
    (folder / "README.txt").write_text(text, encoding="utf-8")


def describe(
    folder: Path,
    subject: Subject,
    *,
    name: str,
    chosen: Format,
    outputs: tuple[str, ...],
    preparation: Mapping[str, Any],
    calibration: Calibration,
) -> dict[str, Any]:
    """What `linewright.json` says of the files in `folder` before the gate has seen them."""
    return {
        "format": FORMAT,
        "line": subject.line.name,
        "version": subject.version,
        "status": subject.status,
        "approved_by": subject.approved_by,
        "detector": subject.detector,
        "dataset": subject.dataset,
        "source_sha256": subject.source,
        "modality": subject.line.modality.value,
        "export": name,
        "model": chosen.file,
        "outputs": list(outputs),
        "labels": list(get_args(Word)),
        "preparation": dict(preparation),
        "calibration": calibration.model_dump(mode="json"),
        "severity": {"medium": MEDIUM, "high": HIGH},
        "files": {path: digest for path, digest in folder_hashes(folder).items() if path != DESCRIPTION},
    }


def write_description(folder: Path, description: Mapping[str, Any]) -> str:
    """Write `linewright.json`, with the digest of all that it says; return its SHA-256, which stands for the export."""
    path, described = folder / DESCRIPTION, {**description, "sha256": sha256_json(dict(description))}
    path.write_text(json.dumps(described, indent=1, allow_nan=False), encoding="utf-8")
    return sha256_file(path)


def judged(
    description: Mapping[str, Any], *, calibration: Calibration, figures: Figures, limits: Limits
) -> dict[str, Any]:
    """The description with the threshold that is exported and what the gate found."""
    gate = {**figures.model_dump(mode="json"), "limits": limits.model_dump(mode="json")}
    return {**description, "calibration": calibration.model_dump(mode="json"), "gate": gate}


def preparation_of(subject: Subject, network: WholeNetwork) -> dict[str, Any]:
    """How a file becomes the network's inputs: how it is read, then what the detector itself does."""
    if subject.schema is None:
        image = subject.line.image
        limits = {"min_side": image.min_side, "max_pixels": image.max_pixels}
        return {"white_level": image.white_level or 65535, **limits, **network.preparation}
    schema = subject.schema
    return {
        "columns": [column.model_dump(mode="json") for column in schema.features],
        "window": schema.window,
        "stride": schema.stride,
        "timestamp": schema.timestamp or "",
        "group": subject.line.table.group,
        **network.preparation,
    }

"""Frozen records that the stages hand to each other, and that are stored.

Stages never import each other: what one knows, the next learns from a record of this module.
Scores always point one way: higher is more anomalous.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Params = Mapping[str, Any]


def now() -> datetime:
    """The time now, in UTC, with whole microseconds: what every record is stamped with."""
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of every record: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Modality(StrEnum):
    """What a line's samples are."""

    IMAGE = "image"
    TABLE = "table"


class Label(StrEnum):
    """What is known of a sample."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"


class Split(StrEnum):
    """What a sample may be used for; it never changes once given."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    VALIDATION = "validation"
    TEST = "test"


# ------------------------------------------------------------------------------------------------ samples


class ManifestColumn:
    """Column names of a manifest: one row a sample, sorted by `sample`.

    `sample`: SHA-256 of the sample's content (the file's bytes; for a window its values).
    `file`: SHA-256 of the stored file that holds it (for an image the same as `sample`).
    `path`: where the file was first seen, relative to the source, for people.
    `label`: a `Label`; `label_source`: folder, labels-file, column, assumed or an actor; `defect`: kind or "".
    `mask`: SHA-256 of the ground-truth mask's file or "".
    `group`: what must stay in one split (part, batch, time block, near-duplicates).
    `split`: a `Split`; `sealed`: true for test samples, whose labels only the final evaluation reads.
    `start`, `end`: rows of a window within its file, end excluded; 0, 0 for images.
    `fingerprint`: bytes that near-duplicates share almost, b"" for tables.
    `added_in`: number of the dataset version that brought the sample.
    """

    SAMPLE = "sample"
    FILE = "file"
    PATH = "path"
    LABEL = "label"
    LABEL_SOURCE = "label_source"
    DEFECT = "defect"
    MASK = "mask"
    GROUP = "group"
    SPLIT = "split"
    SEALED = "sealed"
    START = "start"
    END = "end"
    FINGERPRINT = "fingerprint"
    ADDED_IN = "added_in"


class Column(Record):
    """One feature column of a table line; `categories` are the values seen first, for kind "categorical"."""

    name: str
    kind: Literal["numeric", "categorical"]
    categories: tuple[str, ...] = ()


class TableSchema(Record):
    """What a table line's files must look like, pinned by its first dataset version.

    Attributes:
        features: Columns that detectors see, in this order.
        ignored: Column name → why detectors do not see it (time stamp, label, identifier, constant, free text, ...).
        constants: Column name → the one value it had; a change of it is drift.
        timestamp: Column that orders rows, or None.
        label: Column with 0/1 (1 is anomalous), or None.
        delimiter: Field separator of CSV files.
        window, stride: Rows a sample has, and rows between the starts of two samples.
        block_rows: Rows of one time block; splits are drawn over blocks. 1: rows are independent.
    """

    features: tuple[Column, ...]
    ignored: dict[str, str] = {}
    constants: dict[str, str] = {}
    timestamp: str | None = None
    label: str | None = None
    delimiter: str = ","
    window: int = 1
    stride: int = 1
    block_rows: int = 1


class Quarantined(Record):
    """A file or sample that was refused, and why. `reason` is a short fixed word, `detail` a sentence."""

    path: str
    sha256: str
    reason: str
    detail: str


class DatasetVersion(Record):
    """One immutable version of a line's data.

    Attributes:
        line, number: Its name is `tag`, `<line>/v<number>`.
        revision: Git commit in the data registry.
        manifest_sha256: Of the manifest's Parquet file.
        counts: split → label → samples.
        table: Schema, for table lines.
    """

    line: str
    number: int
    modality: Modality
    revision: str
    manifest_sha256: str
    created: datetime
    counts: dict[str, dict[str, int]]
    quarantined: int = 0
    table: TableSchema | None = None

    @property
    def tag(self) -> str:
        """Git tag in the data registry."""
        return f"{self.line}/v{self.number}"


class IngestSummary(Record):
    """What one ingest did.

    Attributes:
        version: The line's newest dataset version, new or not; None if there is none.
        purged: New windows left out, because they overlap or touch a time block of another split.
    """

    line: str
    version: DatasetVersion | None
    created_version: bool
    found: int
    added: int
    duplicates: int
    skipped: int
    quarantined: tuple[Quarantined, ...]
    purged: int = 0


# ------------------------------------------------------------------------------------------------ detection


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of N samples; higher is more anomalous.

    Attributes:
        image: ``(N,)`` float64, one score a sample (image or window).
        maps: ``(N, H, W)`` float32 or None: the same scale, by place.
        uncertainty: ``(N,)`` float64, standard deviation of each score in units of the score; finite and not negative.
            None where the detector cannot tell.
    """

    image: NDArray[np.float64]
    maps: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Compare the shapes."""
        if self.image.ndim != 1:
            raise ValueError(f"scores must be (N,), got {self.image.shape}")
        if self.maps is not None and (self.maps.ndim != 3 or len(self.maps) != len(self.image)):
            raise ValueError(f"maps must be ({len(self.image)}, H, W), got {self.maps.shape}")
        if self.uncertainty is not None and self.uncertainty.shape != self.image.shape:
            raise ValueError(f"uncertainty must be {self.image.shape}, got {self.uncertainty.shape}")

    def __len__(self) -> int:
        return len(self.image)


class Costs(Record):
    """What a verdict costs where it is wrong or asks a person, in any unit; only ratios matter.

    The defaults make `unsure` exactly the 95 % interval: a verdict may be wrong with a chance of 1 in 40.

    Attributes:
        miss: Of an OK that should have been NG.
        false_alarm: Of an NG that should have been OK.
        unsure: Of a person's look.
    """

    miss: float = Field(1.0, gt=0, allow_inf_nan=False)
    false_alarm: float = Field(1.0, gt=0, allow_inf_nan=False)
    unsure: float = Field(0.025, gt=0, allow_inf_nan=False)


class Tail(Record):
    """A generalised Pareto tail above a level: P(score > x) = share (1 + shape (x - level) / scale) ** (-1 / shape).

    Attributes:
        level: Score above which it holds.
        shape, scale: Of the generalised Pareto distribution; a shape below 0 has an upper end.
        exceedances: Scores above `level`, of `samples` in all; `share` is their ratio.
        fit_p: p-value of its goodness of fit (Cramér-von Mises); small is a bad fit.
        source: "calibration" scores, or those "left out" of a memory bank together with them.
    """

    level: float
    shape: float
    scale: float
    exceedances: int
    samples: int
    fit_p: float
    source: Literal["calibration", "left out"] = "calibration"

    @property
    def share(self) -> float:
        """Share of the scores that lie above `level`."""
        return self.exceedances / self.samples


class Calibration(Record):
    """A threshold and where it comes from.

    Attributes:
        threshold: A sample is NG or unsure when its score is above it.
        low, high: 95 % interval of the threshold.
        false_alarm_rate: The declared share of normal samples above the threshold.
        samples: Normal calibration samples used.
        method: "split" (samples the model never saw) or "cross" (each scored by a model that did not see it).
        rule: "conformal" (an order statistic) or "extreme-value" (extrapolated by `tail`).
        guarantee: What holds, in one sentence.
        centre: Median calibration score, None in models of earlier releases.
        reference: Pairs of a calibration score and how many are larger, ascending; every one of the largest 256, then
            ever fewer. p-values come from them; empty in models of earlier releases.
        tail: What an extreme-value threshold was extrapolated by.
        costs: Of wrong and of unsure verdicts.
    """

    threshold: float
    low: float
    high: float
    false_alarm_rate: float
    samples: int
    method: Literal["split", "cross"]
    rule: Literal["conformal", "extreme-value"] = "conformal"
    guarantee: str
    centre: float | None = None
    reference: tuple[tuple[float, int], ...] = ()
    tail: Tail | None = None
    costs: Costs = Costs()


class Metric(Record):
    """A figure with its 95 % bootstrap interval; `value` is None where it cannot be measured, `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""


class Evaluation(Record):
    """What a model did on one split.

    Attributes:
        metrics: Name → figure: image_auroc, average_precision, pixel_auroc, aupro, f1, recall, false_alarm_rate,
            latency_ms.
        looks: How often this sealed split has been looked at by now, this look included.
    """

    split: Split
    dataset: str
    metrics: dict[str, Metric]
    looks: int


# ------------------------------------------------------------------------------------------------ search


class Trial(Record):
    """One tried configuration. `value` is the validation objective (higher is better), `low`/`high` its interval."""

    number: int
    params: dict[str, Any]
    state: Literal["complete", "failed"]
    value: float | None
    low: float | None = None
    high: float | None = None
    seconds: float
    proposed_by: str
    why: str


class Proposal(Record):
    """How one configuration came to be tried: an entry of a search's transcript.

    Attributes:
        number: Of the trial.
        params: The searched parameters.
        answer_sha256: Of a language model's raw answer, "" where none was asked.
        fallback: Why that answer was not used, "" if it was or none was asked.
        money: Spent on the answer.
        seconds: Spent on the proposal.
    """

    number: int
    params: dict[str, Any]
    proposed_by: str
    why: str
    answer_sha256: str = ""
    fallback: str = ""
    money: float = 0.0
    seconds: float = 0.0


class SearchOutcome(Record):
    """Result of a search. `best` is replaced from trial 0 only by one better beyond its bootstrap error."""

    study: str
    best: Trial
    trials: tuple[Trial, ...]
    stopped_by: str
    fallbacks: int = 0
    synthetic: bool = False
    money: float = 0.0
    proposals: tuple[Proposal, ...] = ()


# ------------------------------------------------------------------------------------------------ promotion


class Condition(Record):
    """One declared condition of a gate, or one check of an explanation, with its figures."""

    name: str
    status: Literal["met", "failed", "unmeasured"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    detail: str = ""


class GateReport(Record):
    """All conditions of one candidate; `champion`: version it was compared with, None where there was none."""

    conditions: tuple[Condition, ...]
    champion: int | None = None

    @property
    def status(self) -> Literal["met", "failed", "unmeasured"]:
        """The worst of the conditions: failed, then unmeasured, then met."""
        found = {condition.status for condition in self.conditions}
        return "failed" if "failed" in found else "unmeasured" if "unmeasured" in found else "met"


class Role(StrEnum):
    """What an actor may do; roles live in the workspace's actors.yaml."""

    VIEWER = "viewer"
    ENGINEER = "engineer"
    OVERRIDER = "overrider"


class Decision(Record):
    """One signed act of a person on a model version."""

    line: str
    version: int
    action: Literal["approve", "reject", "rollback"]
    actor: str
    reason: str
    time: datetime
    override: bool = False
    accept_unmeasured: bool = False
    signature: str = ""


class ModelVersion(Record):
    """A registered model and everything that led to it.

    Attributes:
        status: candidate, champion, previous, rejected or archived (was champion or candidate before).
        folder: Model folder relative to the artifact root (see `components.adapters.tracking`).
        files: POSIX path within the folder → SHA-256; compared before anything is loaded.
        trainer: Actor who started the retrain.
        mlflow_run, mlflow_model, mlflow_version: Where MLflow keeps it.
        explanations: Artifact path in the MLflow run → SHA-256.
        checks: Whether these explanations can be trusted; a failed one is kept and shown, it does not stop a candidate.
        code: What it was made with: commit, lock file's digest, package versions.
        request: Why the retrain was asked for, "" when a person started it.
        timings: Stage → seconds of its own work, and `total`.
        facts: What the fit did, as the detector tells it: samples read, what was kept of them, estimate of its memory.
    """

    line: str
    version: int
    status: Literal["candidate", "champion", "previous", "rejected", "archived"]
    created: datetime
    retrain: str
    trainer: str
    dataset: int
    detector: str
    params: dict[str, Any]
    seed: int
    calibration: Calibration
    evaluation: Evaluation
    champion_evaluation: Evaluation | None = None
    gate: GateReport
    search: SearchOutcome
    folder: str
    files: dict[str, str]
    mlflow_run: str
    mlflow_model: str
    mlflow_version: int
    explanations: dict[str, str] = {}
    checks: tuple[Condition, ...] = ()
    code: dict[str, str] = {}
    request: str = ""
    timings: dict[str, float] = {}
    facts: dict[str, float | int | str] = {}


# ------------------------------------------------------------------------------------------------ serving


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

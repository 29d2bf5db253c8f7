"""A registered model version, its gate, and what people decided."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from .detection import Calibration, Evaluation
from .records import Record
from .search import SearchOutcome


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
    explanations: dict[str, str] = Field({})
    checks: tuple[Condition, ...] = ()
    code: dict[str, str] = Field({})
    request: str = ""
    timings: dict[str, float] = Field({})
    facts: dict[str, float | int | str] = Field({})

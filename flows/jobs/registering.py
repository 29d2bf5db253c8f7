"""The register stage: the model folder goes to MLflow, the record into our own tables, in that order."""

import importlib.metadata
import subprocess
from typing import Any

import pandas as pd

from components.core.contracts import (
    Calibration,
    Label,
    ManifestColumn,
    Modality,
    ModelVersion,
    SearchOutcome,
    Split,
    now,
)
from components.core.hashing import canonical_json, sha256_file
from components.models.bundle import read_header
from components.register.package import build_package
from components.samples.tables import read_table
from flows.data import LineData
from flows.jobs.explaining import Explained
from flows.jobs.kept_scores import copy_scores
from flows.jobs.modelling import configured
from flows.jobs.plan import ROOT, code_digest
from flows.jobs.promote import sync_aliases
from flows.jobs.retrain import RetrainJob
from flows.jobs.stages import Judged

PACKAGES = ("torch", "timm", "numpy", "pandas", "scikit-learn", "mlflow", "prefect", "dvc", "evidently", "optuna")
"""Packages whose versions go into the lineage beside the lock file's digest."""


def register(
    job: RetrainJob,
    *,
    outcome: SearchOutcome,
    calibration: Calibration,
    judged: Judged,
    explained: Explained,
) -> ModelVersion:
    """Log the model, register it, and make it a candidate. Every step finds what a killed try of it left."""
    tracker, name = job.app.tracker, job.line.name
    folder = job.fresh_folder("package")
    chosen, params = configured(job.line, outcome.best.params)
    detector = job.folder / "model" / "detector"
    build_package(detector, folder, line=job.line, schema=job.data.schema, example=example_of(job.data))
    copy_scores(job.folder / "model", folder)
    logged = tracker.log_model(job.run_id, line=name, retrain_id=job.id, model_dir=folder)
    number = tracker.create_version(name, model_id=logged.model_id, run_id=job.run_id, retrain_id=job.id)
    model = job.app.records.models.register(
        job.lease,
        ModelVersion(
            line=name,
            version=0,
            status="candidate",
            created=now(),
            retrain=job.id,
            trainer=job.plan.actor,
            dataset=job.plan.version.number,
            detector=chosen,
            params=dict(params),
            seed=job.seed,
            calibration=calibration,
            evaluation=judged.evaluation,
            champion_evaluation=judged.champion,
            gate=judged.gate,
            search=outcome,
            folder=logged.folder,
            files=logged.files,
            mlflow_run=job.run_id,
            mlflow_model=logged.model_id,
            mlflow_version=number,
            explanations=explained.files,
            checks=explained.checks,
            code=provenance(),
            request=job.plan.request,
            timings=job.account(),
            facts=read_header(detector).state.get("facts", {}),
        ),
    )
    sync_aliases(job.app, name)
    _log_record(job, model)
    tracker.finish(job.run_id, "FINISHED")
    return model


def example_of(data: LineData) -> pd.DataFrame:
    """Raw input of one normal training sample: an encoded image, or a table's rows."""
    row = data.rows(Split.TRAIN, label=Label.NORMAL).iloc[0]
    content = data.read(row[ManifestColumn.FILE])
    if data.line.modality is Modality.IMAGE:
        return pd.DataFrame({"image": [content]})
    return read_table(content).iloc[row[ManifestColumn.START] : row[ManifestColumn.END]]


def provenance() -> dict[str, str]:
    """What the model was made with: commit, digests of code and lock file, versions of the packages that matter."""
    return {
        "commit": _commit(),
        "code": code_digest(),
        "requirements.lock": sha256_file(ROOT / "requirements.lock"),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:  # a whole search must not be lost for it
        return f"unknown: {type(error).__name__}"
    return found.strip() or "not a git checkout"


def _log_record(job: RetrainJob, model: ModelVersion) -> None:
    metrics = {name: metric.value for name, metric in model.evaluation.metrics.items() if metric.value is not None}
    job.app.tracker.log_metrics(job.run_id, metrics)
    job.app.tracker.log_params(job.run_id, {f"best.{key}": value for key, value in model.params.items()})
    record: dict[str, Any] = model.model_dump(mode="json")
    path = job.folder / "model_version.json"
    path.write_text(canonical_json(record), encoding="utf-8")
    job.app.tracker.log_file(job.run_id, path, "record")

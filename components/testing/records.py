"""Records with plausible values, for tests that need some and care about few of their fields."""

from typing import Any

from components.core.contracts import (
    Calibration,
    Condition,
    DatasetVersion,
    Decision,
    Evaluation,
    GateReport,
    Metric,
    Modality,
    ModelVersion,
    SearchOutcome,
    Split,
    Trial,
    Verdict,
    now,
)
from components.core.drift_report import DriftReport


def an_evaluation(**metrics: Metric) -> Evaluation:
    """AUROC 0.95, false alarms 5 %, 20 ms, with `metrics` in place of these or beside them."""
    usual = {
        "image_auroc": Metric(value=0.95, low=0.92, high=0.97, n=200),
        "false_alarm_rate": Metric(value=0.05, low=0.01, high=0.1, n=100),
        "latency_ms": Metric(value=20.0, low=19.0, high=22.0, n=200),
    }
    return Evaluation(split=Split.TEST, dataset="press/v1", metrics={**usual, **metrics}, looks=1)


def a_calibration(**changes: Any) -> Calibration:
    """Threshold 1.0 at a budget of 5 %."""
    usual = {"threshold": 1.0, "low": 0.9, "high": 1.1, "false_alarm_rate": 0.05, "samples": 40, "method": "split"}
    return Calibration.model_validate({**usual, "guarantee": "at most 5 % on average", **changes})


def a_gate(status: str = "met", *, champion: int | None = None) -> GateReport:
    """The comparison with `champion` met, and one more condition of the status."""
    compared = Condition(name="non_inferior_auroc", status="met")
    other = Condition.model_validate({"name": "latency_ms", "status": status, "value": 20.0, "limit": 1000.0})
    return GateReport(conditions=(compared, other), champion=champion)


def a_model(line: str = "press", *, retrain: str = "r1", **changes: Any) -> ModelVersion:
    """A candidate that met its gate while there was no champion."""
    trial = Trial(number=0, params={"k": 3}, state="complete", value=0.9, seconds=1.5, proposed_by="default", why="")
    usual: dict[str, Any] = {
        "line": line,
        "version": 0,
        "status": "candidate",
        "created": now(),
        "retrain": retrain,
        "trainer": "operator",
        "dataset": 1,
        "detector": "memory-bank",
        "params": {"k": 3, "share": 0.02},
        "seed": 7,
        "calibration": a_calibration(),
        "evaluation": an_evaluation(),
        "gate": a_gate(),
        "search": SearchOutcome(study=f"{line}-1", best=trial, trials=(trial,), stopped_by="budget"),
        "folder": f"{line}/models/{retrain}",
        "files": {"detector.json": "0" * 64},
        "mlflow_run": "run",
        "mlflow_model": "m-1",
        "mlflow_version": 1,
    }
    return ModelVersion.model_validate({**usual, **changes})


def a_decision(version: int, *, line: str = "press", **changes: Any) -> Decision:
    """An unsigned approval by the operator."""
    usual = {"action": "approve", "actor": "operator", "reason": "looks right", "time": now()}
    return Decision.model_validate({"line": line, "version": version, **usual, **changes})


def a_verdict(identity: str, *, line: str = "press", **changes: Any) -> Verdict:
    """NG of sample `s` by version 1."""
    usual = {"sample": "s", "path": "a/b.png", "score": 1.5, "threshold": 1.0, "verdict": "NG", "uncertainty": 0.1}
    rest = {"model_version": 1, "created": now()}
    return Verdict.model_validate({"verdict_id": identity, "line": line, **usual, **rest, **changes})


def a_drift_report(line: str = "press", **changes: Any) -> DriftReport:
    """A first check that found drift."""
    usual: dict[str, Any] = {
        "line": line,
        "reference": f"{line}/v1",
        "current": f"{line}/v2",
        "verdict": "drift",
        "kind": "camera or lighting",
        "method": "normed Wasserstein",
        "reference_samples": 100,
        "current_samples": 40,
        "false_alarm_rate": 0.05,
        "horizon": 20,
        "check": 1,
        "features": (),
        "detail": "brightness fell",
    }
    return DriftReport.model_validate({**usual, **changes})


def a_dataset(line: str = "press", *, number: int = 1) -> DatasetVersion:
    """A version of 100 normal training images."""
    return DatasetVersion(
        line=line,
        number=number,
        modality=Modality.IMAGE,
        revision="a" * 40,
        manifest_sha256="b" * 64,
        created=now(),
        counts={"train": {"normal": 100}},
    )

"""One model version as plain values: what `linewright show` prints."""

from typing import Any

from components.approve.gate import gate_today
from components.core.contracts import GateReport, ModelVersion
from flows.wiring import Linewright


def current_gate(app: Linewright, model: ModelVersion) -> GateReport:
    """The gate of a candidate against today's champion; of any other version as it was judged."""
    if model.status != "candidate":
        return model.gate
    champion = app.records.models.champion(model.line)
    return gate_today(model, champion=champion.version if champion else None)


def approval(gate: GateReport) -> str:
    """The options that approving a candidate of this gate takes, each behind a blank."""
    found = {condition.status for condition in gate.conditions}
    options = {"unmeasured": " --accept-unmeasured", "failed": " --override"}
    return "".join(option for status, option in options.items() if status in found)


def describe(app: Linewright, model: ModelVersion) -> dict[str, Any]:
    """Everything a person asks of a version: the object that `show --json` prints."""
    gate = current_gate(app, model)
    metrics = {name: metric.model_dump() for name, metric in model.evaluation.metrics.items()}
    history = [
        {"time": model.created.isoformat(), "action": "register", "actor": model.trainer, "reason": model.request},
        *(
            decision.model_dump(mode="json", include={"action", "actor", "reason", "override", "accept_unmeasured"})
            | {"time": decision.time.isoformat()}
            for decision in app.records.decisions.history(model.line, model.version)
        ),
    ]
    return {
        "line": model.line,
        "version": model.version,
        "status": model.status,
        "created": model.created.isoformat(),
        "detector": model.detector,
        "dataset_version": f"{model.line}/v{model.dataset}",
        "params": model.params,
        "seed": model.seed,
        "threshold": model.calibration.threshold,
        "calibration": model.calibration.model_dump(exclude={"reference"}),
        "metrics": metrics,
        "looks": model.evaluation.looks,
        "champion_metrics": (
            {name: metric.model_dump() for name, metric in model.champion_evaluation.metrics.items()}
            if model.champion_evaluation
            else None
        ),
        "gate": {"status": gate.status, "conditions": [item.model_dump() for item in gate.conditions]},
        "search": {
            "stopped_by": model.search.stopped_by,
            "synthetic": model.search.synthetic,
            "lent": model.search.lent,
            "trials": len(model.search.trials),
        },
        "explanations": model.explanations,
        "checks": [item.model_dump() for item in model.checks],
        "timings": model.timings,
        "facts": model.facts,
        "mlflow": {"run": model.mlflow_run, "model": model.mlflow_model, "version": model.mlflow_version},
        "history": history,
    }

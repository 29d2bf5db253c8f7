"""The drift flow: a verdict, and what the line's file says must follow from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from prefect import flow, tags

from flows.ingestion import SCHEDULE
from flows.jobs.drift import DriftOutcome, check_drift, show_in_mlflow
from flows.progress import logged
from flows.runtime.crashes import TAG, line_tag
from flows.runtime.events import emit_drift
from flows.runtime.server import prefect_api, up_is_running
from flows.wiring import Linewright

Follows = Literal["nothing", "event", "request", "retrain"]
"""What a verdict leads to: an event for `linewright up`, a stored request, or a retrain at once."""


def what_follows(verdict: str, *, action: str, up: Callable[[], bool]) -> Follows:
    """What a verdict leads to on a line whose drift action is `action`; `up`, asked on drift: `linewright up` runs."""
    if verdict != "drift" or action == "off":
        return "nothing"
    if up():
        return "event"
    return "retrain" if action == "on" else "request"


@flow(name="drift", persist_result=False)
def drift_flow(home: str, line: str, actor: str = SCHEDULE) -> tuple[DriftOutcome, Follows]:
    """Compare the newest samples of `line` with its champion's; ask for a retrain where that is wanted and may help."""
    app = Linewright.open(Path(home))
    with logged():
        outcome = check_drift(app, line, actor=actor)
    report = outcome.report
    action = app.line(line).drift.action
    families = {feature.family for feature in report.features if feature.drifted}
    helps = families != {"left-out"}
    follows = what_follows(report.verdict, action=action if helps else "off", up=lambda: up_is_running(app.settings))
    if follows != "nothing":
        app.records.requests.request_retrain(line, reason=_reason(outcome), drift_check=outcome.check_id, actor=actor)
    if follows == "event":
        emit_drift(line, check=_reason(outcome), detail=report.detail)
    # Last, since what follows from a stored verdict must not be lost with MLflow: no later check would ask again.
    show_in_mlflow(app, outcome)
    return outcome, follows


def run_drift(app: Linewright, name: str, *, actor: str) -> tuple[DriftOutcome, str]:
    """Run the flow now, and the retrain where one follows at once; what it found, and one sentence on what follows."""
    with prefect_api(app.settings), tags(TAG, line_tag(name)):
        outcome, follows = drift_flow(str(app.home), name, actor)
    if follows == "event":
        return outcome, "A retrain is starting on the running server: linewright status"
    if follows == "request":
        return outcome, f"A retrain is asked for: linewright retrain {name}"
    if follows == "nothing":
        return outcome, ""
    from flows.jobs.plan import plan_retrain
    from flows.training import run_retrain

    model = run_retrain(plan_retrain(app, name, budget=None, seed=None, actor=actor, request=_reason(outcome)))
    return outcome, f"Retrained at once: candidate v{model.version}"


def _reason(outcome: DriftOutcome) -> str:
    """Why a retrain is asked for, whoever starts it; no two checks have the same number."""
    return f"drift check {outcome.check_id}: {outcome.report.kind}"

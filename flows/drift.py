"""The drift flow: a verdict, and what the line's file says must follow from it."""

from pathlib import Path

from prefect import flow, tags

from flows.ingestion import SCHEDULE
from flows.jobs.drift import DriftOutcome, check_drift
from flows.runtime.crashes import TAG, line_tag
from flows.runtime.events import emit_drift
from flows.runtime.server import prefect_api, up_is_running
from flows.wiring import Linewright


@flow(name="drift", persist_result=False)
def drift_flow(home: str, line: str, actor: str = SCHEDULE) -> DriftOutcome:
    """Compare the newest samples of `line` with its champion's; ask for a retrain where that is wanted."""
    app = Linewright.open(Path(home))
    outcome = check_drift(app, line, actor=actor)
    action = app.line(line).drift.action
    if outcome.report.verdict == "drift" and action != "off":
        reason = f"drift check {outcome.check_id}: {outcome.report.kind}"
        app.records.requests.request_retrain(line, reason=reason, drift_check=outcome.check_id, actor=actor)
        if up_is_running(app.settings):
            emit_drift(line, check=f"{line} drift check {outcome.check_id}", detail=outcome.report.detail)
    return outcome


def run_drift(app: Linewright, name: str, *, actor: str) -> tuple[DriftOutcome, str]:
    """Run the flow now; return what it found and one sentence on what follows.

    With `linewright up` running, a positive verdict is an event that an automation turns into a retrain. Without it a
    line whose action is "ask" has a stored request, and one whose action is "on" is retrained at once. "off": nothing.
    """
    with prefect_api(app.settings), tags(TAG, line_tag(name)):
        outcome = drift_flow(str(app.home), name, actor)
    action = app.line(name).drift.action
    if outcome.report.verdict != "drift" or action == "off":
        return outcome, ""
    if up_is_running(app.settings):
        return outcome, "A retrain is starting on the running server: linewright status"
    if action == "ask":
        return outcome, f"A retrain is asked for: linewright retrain {name}"
    from flows.jobs.plan import plan_retrain
    from flows.training import run_retrain

    reason = f"drift check {outcome.check_id}: {outcome.report.kind}"
    model = run_retrain(plan_retrain(app, name, budget=None, seed=None, actor=actor, request=reason))
    return outcome, f"Retrained at once: candidate v{model.version}"

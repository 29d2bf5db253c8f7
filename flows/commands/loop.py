"""`linewright ingest | drift | retrain`: the loop by hand; `linewright up` runs the same flows on a schedule."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from components.core.errors import ConfigError
from flows.commands.common import (
    AsActor,
    Json,
    LineName,
    bars,
    coloured,
    console,
    figure,
    open_workspace,
    print_conditions,
    print_json,
    print_outlying,
    table,
)
from flows.runtime.server import start_early
from flows.workspace import OPERATOR

if TYPE_CHECKING:
    from components.core.contracts import IngestSummary, ModelVersion
    from components.core.drift_report import DriftReport

SHOWN = 10
"""Rows that a table shows of a long list; `--json` prints all."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (ingest, drift, retrain):
        app.command()(command)


def ingest(name: LineName, actor: AsActor = OPERATOR, json: Json = False) -> None:
    """Bring new files into a new dataset version."""
    app = open_workspace()
    app.line(name)
    start_early(app.settings)
    from flows.ingestion import run_ingest

    with bars():
        summary = run_ingest(app, name, actor=actor)
    if json:
        print_json(summary.model_dump(mode="json"))
    else:
        print_ingest(summary)


def print_ingest(summary: "IngestSummary") -> None:
    """Counts of an ingest, and every refused file with its reason."""
    version = summary.version
    made = "new version" if summary.created_version else "nothing new, still at"
    console.print(
        f"[bold]{summary.line}[/]: {made} [bold]{version.tag if version else '-'}[/]; {summary.found} samples found, "
        f"{summary.added} added, {summary.duplicates} known already or copies, {summary.skipped} other files skipped, "
        f"{len(summary.quarantined)} quarantined"
    )
    if summary.purged:
        console.print(f"  {summary.purged} windows beside borders of splits are left out: no split may see another")
    for notice in summary.notices:
        console.print(f"  [yellow]note:[/] {escape(notice)}", soft_wrap=True)
    if version is not None and summary.created_version:
        rows = [[split, *(str(labels.get(name, 0)) for name in ("normal", "anomalous"))]
                for split, labels in version.counts.items()]  # fmt: skip
        table("Splits", ["split", "normal", "anomalous"], rows, empty="")
        for column, why in (version.table.ignored if version.table else {}).items():
            console.print(f"  column {escape(column)!r} is not a feature: {escape(why)}")
    refused = [[escape(item.path), item.reason, escape(item.detail)] for item in summary.quarantined[:SHOWN]]
    if refused:
        table(f"Quarantined (first {len(refused)})", ["file", "reason", "detail"], refused, empty="")


def drift(name: LineName, actor: AsActor = OPERATOR, json: Json = False) -> None:
    """Compare the newest data with the champion's."""
    app = open_workspace()
    app.line(name)
    start_early(app.settings)
    from flows.drift import run_drift

    with bars():
        outcome, follows = run_drift(app, name, actor=actor)
    path = str(app.home / outcome.html) if outcome.html else ""
    if json:
        print_json(outcome.report.model_dump(mode="json") | {"html": path, "next": follows})
    else:
        print_drift(outcome.report, path=path, follows=follows)


def print_drift(report: "DriftReport", *, path: str, follows: str) -> None:
    """The verdict, what moved most, and what follows."""
    tested = report.verdict != "not enough data"
    if tested:
        console.print(f"[bold]{report.line}[/]: {coloured(report.verdict)}  {report.kind}\n  {escape(report.detail)}")
    else:
        console.print(f"[bold]{report.line}[/]: {coloured(report.verdict)}: {escape(report.detail)}", soft_wrap=True)
    rows = [
        [escape(item.name), item.family, f"{item.distance:.3f}", f"{item.threshold:.3f}", f"{item.effect:+.2f}",
         "[red]drift[/]" if item.drifted else ""]
        for item in report.features[:SHOWN]
    ]  # fmt: skip
    bound = "threshold" if tested else "most among old groups"
    title = "What moved most" if tested else "What differs most, untested"
    if rows:
        table(title, ["quantity", "family", "distance", bound, "effect (sd)", ""], rows, empty="")
    if path:
        console.print(f"  report: {path}", soft_wrap=True)
    if follows:
        console.print(f"  {follows}")


def retrain(
    name: LineName,
    budget: Annotated[int | None, typer.Option(metavar="TRIALS", help="Trials of the search.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    actor: AsActor = OPERATOR,
    json: Json = False,
) -> None:
    """Search, train, evaluate, explain and register a candidate; nothing runs if nothing changed."""
    from flows.jobs.plan import plan_retrain, settle_request

    if budget is not None and budget < 1:
        raise ConfigError(f"A budget of {budget} trials trains nothing.", hint="Use --budget 1 or more.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ConfigError(f"Seed {seed} is out of range.", hint="Use a whole number from 0 to 4294967295.")
    plan = plan_retrain(open_workspace(), name, budget=budget, seed=seed, actor=actor)
    if plan.done is not None:
        settle_request(plan, plan.done)
        if json:
            print_json(_answer(plan.done, changed=False))
            return
        console.print(
            f"[bold]{name}[/]: nothing changed since v{plan.done.version} (same data, configuration, seed and code). "
            f"Look at it: linewright show {name} {plan.done.version}"
        )
        return
    start_early(plan.app.settings)
    from flows.training import run_retrain

    with bars():
        model = run_retrain(plan)
    if json:
        print_json(_answer(model, changed=True))
    else:
        print_candidate(model)


def _answer(model: "ModelVersion", *, changed: bool) -> dict[str, object]:
    checks = {check.name: check.status for check in model.checks}
    gate = model.gate.status
    return {"line": model.line, "version": model.version, "changed": changed, "gate": gate, "checks": checks}


def print_candidate(model: "ModelVersion") -> None:
    """A new candidate's figures, gate and next steps."""
    from flows.jobs.show import approval

    trials = [trial for trial in model.search.trials if trial.state == "complete"]
    console.print(
        f"[bold]{model.line} v{model.version}[/] is a {coloured('candidate')}: {model.detector}, "
        f"{len(trials)} of {len(model.search.trials)} trials complete, stopped by {model.search.stopped_by}"
    )
    rows = [
        [
            name,
            figure(metric),
            figure(model.champion_evaluation.metrics.get(name)) if model.champion_evaluation else "-",
        ]
        for name, metric in model.evaluation.metrics.items()
    ]
    table(f"Sealed test split, look {model.evaluation.looks}", ["metric", "candidate", "champion"], rows, empty="")
    print_conditions("Gate", model.gate.conditions, empty="The gate declares no condition.")
    print_conditions("Checks of the explanations", model.checks, empty="")
    rate = model.calibration.false_alarm_rate
    console.print(f"False-alarm budget {rate:.3%}: {escape(model.calibration.guarantee)}")
    print_outlying(model.line, model.calibration)
    console.print(f"Next: linewright approve {model.line} {model.version} --reason TEXT{approval(model.gate)}")

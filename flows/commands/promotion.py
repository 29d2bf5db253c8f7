"""`linewright status | candidates | show | approve | reject | rollback | key add`: people decide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from components.core.names import as_utf8
from flows.commands.common import (
    MOST_VERSION,
    AsActor,
    Json,
    LineName,
    Version,
    coloured,
    complete_line,
    console,
    figure,
    open_workspace,
    print_conditions,
    print_json,
    print_outlying,
    table,
)
from flows.workspace import OPERATOR

if TYPE_CHECKING:
    from components.core.contracts import ModelVersion
    from flows.wiring import Linewright

keys = typer.Typer(help="Signing keys of the people who decide.", no_args_is_help=True)
Reason = Annotated[str, typer.Option(parser=as_utf8, metavar="TEXT", help="Why; it is kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (status, candidates, show, approve, reject, rollback):
        app.command()(command)
    app.add_typer(keys, name="key")


def status(json: Json = False) -> None:
    """Show each line's data, champion, candidates, drift and retrain."""
    from flows.jobs.status import line_status

    app = open_workspace()
    found = [line_status(app, name) for name in app.line_names()]
    if json:
        for item in found:
            print_json(item)
        return
    rows = [
        [
            item["line"],
            item["dataset"] or "[yellow]none[/]",
            f"v{item['champion']}" if item["champion"] else "[yellow]none[/]",
            ", ".join(f"v{number}" for number in item["candidates"]) or "-",
            coloured(item["drift"]) if item["drift"] else "-",
            coloured(item["retrain"]) if item["retrain"] else "-",
            escape(item["next"]),
        ]
        for item in found
    ]
    empty = "No lines yet. Add one: linewright line add NAME --modality image --source FOLDER"
    table("Lines", ["line", "data", "champion", "waiting", "drift", "last retrain", "next"], rows, empty=empty)


def candidates(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", autocompletion=complete_line)] = None,
    json: Json = False,
) -> None:
    """List the model versions that wait for approval, the newest first."""
    app = open_workspace()
    if name is not None:
        app.line(name)
    empty = "Nothing waits for approval. Make a candidate with: linewright retrain NAME"
    _list(app, app.records.models.list(name, status="candidate"), "Candidates", json=json, empty=empty)


def _list(app: "Linewright", found: Sequence["ModelVersion"], title: str, *, json: bool, empty: str) -> None:
    from flows.jobs.show import current_gate

    gates = [current_gate(app, model).status for model in found]
    if json:
        for model, gate in zip(found, gates, strict=True):
            print_json(_summary(model, gate=gate))
        return
    rows = [
        [
            model.line,
            f"v{model.version}",
            coloured(model.status),
            f"{model.created:%Y-%m-%d %H:%M}",
            f"v{model.dataset}",
            model.detector,
            figure(model.evaluation.metrics.get("image_auroc")),
            coloured(gate),
        ]
        for model, gate in zip(found, gates, strict=True)
    ]
    table(title, ["line", "version", "status", "created", "data", "detector", "AUROC", "gate"], rows, empty=empty)


def _summary(model: "ModelVersion", *, gate: str) -> dict[str, object]:
    return {
        "line": model.line,
        "version": model.version,
        "status": model.status,
        "created": model.created.isoformat(),
        "dataset_version": f"{model.line}/v{model.dataset}",
        "detector": model.detector,
        "gate": gate,
    }


def show(
    name: LineName,
    version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]", min=1, max=MOST_VERSION, help="The model version's number; all are listed without."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show one model version: figures, gate, parameters, history. Without its number, list them all."""
    app = open_workspace()
    app.line(name)
    if version is None:
        empty = f"Line {name} has no model version yet. Make one: linewright retrain {name}"
        _list(app, app.records.models.list(name), f"Versions of {name}", json=json, empty=empty)
    else:
        _show(app, app.records.models.get(name, version), json=json)


def _show(app: "Linewright", model: "ModelVersion", *, json: bool) -> None:
    from flows.jobs.show import current_gate, describe

    described = describe(app, model)
    if json:
        print_json(described)
        return
    console.print(
        f"[bold]{model.line} v{model.version}[/]  {coloured(model.status)}  {model.detector},"
        f" data {model.line}/v{model.dataset}"
    )
    rows = [
        [key, figure(metric), "" if metric.value is None else escape(metric.note)]
        for key, metric in model.evaluation.metrics.items()
    ]
    table(f"Sealed test split, look {model.evaluation.looks}", ["metric", "value", ""], rows, empty="")
    gate = current_gate(app, model)
    print_conditions("Gate", gate.conditions, empty="The gate declares no condition.")
    print_conditions("Checks of the explanations", model.checks, empty="")
    console.print(f"Threshold {model.calibration.threshold:.6g}: {escape(model.calibration.guarantee)}")
    print_outlying(model.line, model.calibration)
    console.print(f"Parameters {escape(str(model.params))}")
    if model.facts:
        console.print(f"The fit {escape(str(model.facts))}")
    for event in described["history"]:
        flags = [name.replace("_", " ") for name in ("override", "accept_unmeasured") if event.get(name)]
        action = f"{event['action']} ({', '.join(flags)})" if flags else event["action"]
        console.print(f"  {event['time'][:16]}  {action} by {event['actor']}: {escape(event['reason'])}")


def approve(
    name: LineName,
    version: Version,
    reason: Reason,
    actor: AsActor = OPERATOR,
    override: Annotated[bool, typer.Option("--override", help="Approve although the gate failed.")] = False,
    accept_unmeasured: Annotated[
        bool, typer.Option("--accept-unmeasured", help="Approve although conditions could not be measured.")
    ] = False,
) -> None:
    """Make a candidate the champion."""
    from flows.jobs.promote import approve_version

    approve_version(
        open_workspace(),
        name,
        version=version,
        actor=actor,
        reason=reason,
        override=override,
        accept_unmeasured=accept_unmeasured,
    )
    console.print(f"[green]{name} v{version} is the champion.[/] Next: linewright score {name} PATH")


def reject(name: LineName, version: Version, reason: Reason, actor: AsActor = OPERATOR) -> None:
    """Refuse a candidate, and record why."""
    from flows.jobs.promote import reject_version

    reject_version(open_workspace(), name, version=version, actor=actor, reason=reason)
    console.print(f"{name} v{version} is rejected.")


def rollback(name: LineName, reason: Reason, actor: AsActor = OPERATOR) -> None:
    """Make the previous champion the champion again."""
    from flows.jobs.promote import roll_back

    model = roll_back(open_workspace(), name, actor=actor, reason=reason)
    console.print(f"[green]{name} v{model.version} is the champion again.[/]")


@keys.command("add")
def add_key(
    person: Annotated[str, typer.Argument(metavar="ACTOR", help="The person's name here.")],
    role: Annotated[str, typer.Option(help="viewer, engineer or overrider.")] = "engineer",
    actor: AsActor = OPERATOR,
) -> None:
    """Make a signing key for a person, and give that person a role."""
    from flows.jobs.promote import add_actor

    app = open_workspace()
    identity = add_actor(app, person, role=role, by=actor)
    console.print(f"[bold]{person}[/] is {role}; key {identity[:16]} in {app.settings.keys}", soft_wrap=True)

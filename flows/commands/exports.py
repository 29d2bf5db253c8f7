"""`linewright export`: a model as a folder that runs without Linewright."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.commands.common import (
    AsActor,
    Json,
    LineName,
    Version,
    console,
    named_path,
    open_workspace,
    print_json,
)
from flows.workspace import OPERATOR


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(export)


def export(
    name: LineName,
    version: Version,
    format_name: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="onnx, openvino or openvino-int8.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="FOLDER", help="Folder; must be empty or missing.", show_default="exports/"
        ),
    ] = None,
    actor: AsActor = OPERATOR,
    json: Json = False,
) -> None:
    """Write a model version as a folder that runs without Linewright, if its verdicts stay the same."""
    from flows.commands.common import bars
    from flows.jobs.export import export_model

    app = open_workspace()
    with bars():
        found = export_model(app, name, version=version, format_name=format_name, out=out, actor=actor)
    made, subject = found.made, found.subject
    if json:
        figures = made.figures.model_dump(mode="json")
        state = {"status": subject.status, "approved_by": subject.approved_by}
        print_json({"folder": str(found.folder), "sha256": made.digest, **state, "figures": figures})
        return
    colour = "green" if subject.approved_by else "yellow"
    console.print(
        f"[{colour}]{name} v{version} as {format_name}:[/] {found.folder}\n"
        f"  {subject.status}, [{colour}]{escape(subject.approval)}[/]\n  {made.figures}\n"
        f"Next: python {found.folder}/run.py FILE...",
        soft_wrap=True,
    )

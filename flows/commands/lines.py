"""`linewright line add | list | remove`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from components.core.contracts import Modality
from components.core.errors import ConfigError
from components.core.names import check_slug
from flows.commands.common import AsActor, Json, LineName, console, open_workspace, print_json, table
from flows.workspace import OPERATOR

group = typer.Typer(help="Lines: what is inspected, and where its data come from.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    app.add_typer(group, name="line")


@group.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, '-' and '_'.")],
    modality: Annotated[Modality, typer.Option(help="What its samples are.")],
    source: Annotated[str, typer.Option(help="Folder, CSV or Parquet file, or s3://bucket/prefix.")],
    label: Annotated[str, typer.Option(help="Table: column with 0/1, 1 is anomalous.")] = "",
    timestamp: Annotated[str, typer.Option(help="Table: column that orders rows.")] = "",
    exclude: Annotated[list[str] | None, typer.Option(help="Table: column no detector may see; repeatable.")] = None,
    include: Annotated[list[str] | None, typer.Option(help="Table: column that is a feature; repeatable.")] = None,
    group: Annotated[str, typer.Option(help="Table: column whose rows of one value stay together.")] = "",
    window: Annotated[int, typer.Option(help="Table: rows of one sample.")] = 1,
    stride: Annotated[int, typer.Option(help="Table: rows between the starts of two samples; 0: the window.")] = 0,
    labels_file: Annotated[str, typer.Option(help="Image: CSV below the source with columns path,label.")] = "",
    detector: Annotated[str, typer.Option(help="The only one to search; all: slow ones too; empty: quick ones.")] = "",
    actor: AsActor = OPERATOR,
) -> None:
    """Declare a line; its file in the workspace holds every further option."""
    from components.core.lines import declare_line
    from components.models.registry import check_detector

    for_tables: dict[str, Any] = {
        "label": label,
        "timestamp": timestamp,
        "exclude": exclude or [],
        "include": include or [],
        "group": group,
        "stride": stride,
    }
    foreign = {"labels-file": labels_file} if modality is Modality.TABLE else {**for_tables, "window": window > 1}
    if strange := [option for option, value in foreign.items() if value]:
        raise ConfigError(f"--{strange[0]} says nothing of a line of {modality}s.", hint="Leave it out.")
    app = open_workspace()
    values: dict[str, Any] = {"name": check_slug(name), "modality": modality, "source": _absolute(source)}
    if modality is Modality.TABLE:
        values["table"] = {**for_tables, "window": window}
    else:
        values["image"] = {"labels_file": labels_file}
    if detector:
        check_detector(detector, modality=modality)
        values["detector"] = detector
    line = declare_line(values, origin=f"line {name!r}")
    app.store(line)  # a source that is not there is refused now, not at the first ingest
    path = app.add_line(line, actor=actor)
    console.print(f"Line [bold]{name}[/] added: {path}\nNext: linewright ingest {name}", soft_wrap=True)


def _absolute(source: str) -> str:
    return source if "://" in source or not source else str(Path(source).expanduser().absolute())


@group.command("list")
def list_lines(json: Json = False) -> None:
    """Show the lines of this workspace."""
    app = open_workspace()
    found = [app.line(name) for name in app.line_names()]
    if json:
        for line in found:
            print_json(line.model_dump(mode="json"))
        return
    rows = [
        [line.name, line.modality.value, escape(line.source), _schedule(line.schedule.model_dump())] for line in found
    ]
    empty = "No lines yet. Add one: linewright line add NAME --modality image --source FOLDER"
    table("Lines", ["line", "modality", "source", "schedule"], rows, empty=empty)


def _schedule(crons: dict[str, str]) -> str:
    return ", ".join(f"{flow} {cron}" for flow, cron in crons.items() if cron) or "none"


@group.command("remove")
def remove(name: LineName, actor: AsActor = OPERATOR) -> None:
    """Take a line out of service. Its data, models and ledger stay."""
    kept = open_workspace().remove_line(name, actor=actor)
    console.print(f"Line [bold]{name}[/] removed. Its file is kept as {kept}; data and models stay.", soft_wrap=True)

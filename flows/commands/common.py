"""What all commands share: the open workspace, the acting person, bars, tables and JSON lines."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core.contracts import Calibration, Condition, Metric
from components.core.errors import ConfigError, LinewrightError
from components.settings import default_home

if TYPE_CHECKING:
    from flows.wiring import Linewright

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ACTOR_VARIABLE = "LINEWRIGHT_ACTOR"
MOST_VERSION = 2**31 - 1
"""What a database takes for a number."""

COLOURS = {
    "OK": "green", "NG": "red", "unsure": "yellow",
    "champion": "green", "candidate": "cyan", "rejected": "red",
    "met": "green", "failed": "red", "unmeasured": "yellow",
    "done": "green", "crashed": "red", "running": "cyan", "unfinished": "yellow",
    "drift": "red", "no drift": "green", "not enough data": "yellow",
}  # fmt: skip


def complete_line(incomplete: str) -> list[str]:
    """Names of lines for the shell's completion."""
    folder = default_home() / "lines"
    return [path.stem for path in sorted(folder.glob(f"{incomplete}*.yaml"))]


def named_path(text: str) -> Path:
    """The path that `text` names. A script's variable that is not set names none, though `Path` takes it for `.`.

    Raises:
        ConfigError: There is no text.
    """
    if not text:
        raise ConfigError("An empty path names no file or folder.", hint="Name one; . is the current folder.")
    return Path(text)


LineName = Annotated[str, typer.Argument(metavar="NAME", help="The line's name.", autocompletion=complete_line)]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=1, max=MOST_VERSION, help="The model version's number.")]
AsActor = Annotated[
    str, typer.Option("--as", metavar="ACTOR", envvar=ACTOR_VARIABLE, help="Who acts; what is signed needs their key.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, instead of a table.")]


def open_workspace() -> "Linewright":
    """The workspace that `LINEWRIGHT_HOME` or the current folder names."""
    from flows.wiring import Linewright

    return Linewright.open(default_home())


def use_home(home: Path | None) -> None:
    """Make `home` the workspace of this process and of those it starts."""
    if home is not None:
        os.environ["LINEWRIGHT_HOME"] = str(home.expanduser().absolute())


def tell(error: LinewrightError) -> None:
    """One clear line on standard error: what was wrong, and what to do next."""
    text = " ".join(f"{error.message} {error.hint}".split())
    errors.print(f"[bold red]Error:[/] {escape(text)}", soft_wrap=True)


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def coloured(word: str) -> str:
    """`word` in the colour it has everywhere."""
    return f"[{COLOURS[word]}]{word}[/]" if word in COLOURS else escape(word)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table, or `empty`, which says what to do when there is nothing to show."""
    if not rows:
        console.print(empty)
        return
    console.print(f"[italic]{title}[/]")  # a title of rich's own wraps at the width of its table
    grid = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def print_conditions(title: str, conditions: Sequence[Condition], *, empty: str) -> None:
    """A row each: whether it is met, and its figures."""
    rows = [[item.name, coloured(item.status), escape(item.detail)] for item in conditions]
    if rows or empty:
        table(title, ["condition", "", "figures"], rows, empty=empty)


def print_outlying(line: str, calibration: Calibration) -> None:
    """What to look at where calibration samples may be anomalies that nobody labelled."""
    if calibration.outlying:
        console.print(
            f"[yellow]note:[/] {calibration.outlying} calibration samples score far beyond the others. If they are "
            "anomalies, label or remove them: they raise the threshold. Where each comes from: "
            f"linewright lineage {line} ID, of {', '.join(name[:12] for name in calibration.furthest)}",
            soft_wrap=True,
        )


def figure(metric: Metric | None) -> str:
    """A figure with its interval: `0.982 [0.951, 1.000]`."""
    if metric is None or metric.value is None:
        return f"[yellow]unmeasured[/] {escape(metric.note) if metric else ''}".strip()
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} [dim]\\[{metric.low:.3f}, {metric.high:.3f}][/]"


@contextmanager
def bars() -> Iterator[None]:
    """Show the progress that flows report: on a terminal as bars, which vanish when the work is done, else as lines."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from flows.progress import in_lines, listening

    if not errors.is_terminal:
        with listening(in_lines(partial(errors.print, markup=False, highlight=False, soft_wrap=True))):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total or None)
            progress.update(tasks[what], completed=done, total=total or None)
            if total and done >= total:
                progress.remove_task(tasks.pop(what))

        with listening(show):
            yield

"""`linewright init | upgrade | doctor | up | demo`: the installation itself."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.commands.common import console, named_path, open_workspace, table, use_home


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (init, upgrade, up, doctor, demo):
        app.command()(command)


def init(
    directory: Annotated[
        Path | None, typer.Argument(parser=named_path, metavar="[DIR]", help="Default: LINEWRIGHT_HOME.")
    ] = None,
) -> None:
    """Make a workspace: data registry, databases, keys, configuration."""
    from components.settings import default_home
    from flows.jobs.setup import make_workspace

    use_home(directory)
    home = default_home()
    done = make_workspace(home)
    console.print(f"Workspace {done}: {home}", soft_wrap=True)
    if directory is not None:
        console.print(f"Use it with: export LINEWRIGHT_HOME={escape(shlex.quote(str(home)))}", soft_wrap=True)
    console.print("Next: linewright line add NAME --modality image --source FOLDER")


def upgrade() -> None:
    """Bring a workspace of an older version up to date, after a backup."""
    from components.settings import default_home
    from flows.jobs.setup import upgrade_workspace

    kept = upgrade_workspace(default_home())
    console.print(f"Up to date. Backup: {kept}" if kept else "Up to date already.", soft_wrap=True)


def up() -> None:
    """Run the Prefect server, the MLflow server and the schedules until Ctrl-C."""
    from flows.runtime.up import up as run

    run(open_workspace().settings)


def doctor() -> None:
    """Check the installation; say what is missing and how to mend it."""
    from components.settings import default_home
    from flows.jobs.doctor import diagnose

    found = diagnose(default_home())
    rows = [
        [item.name, "[green]ok[/]" if item.ok else "[red]not ok[/]", item.detail, "" if item.ok else item.mend]
        for item in found
    ]
    table("Installation", ["what", "", "found", "how to mend it"], rows, empty="")
    if not all(item.ok for item in found):
        raise typer.Exit(1)


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", parser=named_path, metavar="FOLDER", help="Workspace of the demo; made anew.")
    ] = Path("build/demo/workspace"),
) -> None:
    """Run the whole loop on the two embedded lines."""
    from flows.demo import run_demo

    run_demo(directory.absolute())

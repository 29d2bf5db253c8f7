"""The command line. It loads nothing heavy before a command runs, and turns every named error into one line."""

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from components.core.errors import LinewrightError, system_error
from flows.commands import audit, exports, lines, loop, promotion, verdicts, workspace
from flows.commands.common import errors, named_path, tell, use_home
from flows.runtime import garbage

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes that typer turns Ctrl-C into, and that a shell gives to what SIGTERM ended."""

app = typer.Typer(
    name="linewright",
    help="Keeps industrial anomaly detectors true while the line they watch changes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _settle(
    home: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar="FOLDER",
            help="The workspace's folder.",
            envvar="LINEWRIGHT_HOME",
            show_default="./workspace",
        ),
    ] = None,
) -> None:
    use_home(home)


for group in (workspace, lines, loop, verdicts, promotion, exports, audit):
    group.register(app)


def main() -> None:
    """Entry point of `linewright`."""
    garbage.look_rarely()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, would fill the screen
    try:
        app()
    except LinewrightError as error:
        tell(error)
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # of a library's own making
            raise
        tell(system_error(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code in {INTERRUPTED, TERMINATED}:
            errors.print("Interrupted. What was finished is kept; the command can be given again.")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        garbage.look_no_more()


if __name__ == "__main__":
    main()

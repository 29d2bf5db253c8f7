"""Run `linewright demo` and record its last screens as `docs/demo.svg`: `python docs/record_demo.py`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 118
SHOWN = 62
"""Lines of the recording, from its end."""


def main() -> None:
    """Record the demo; its own exit code is kept."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from flows.cli import main; main()", "demo", "--dir", f"{folder}/workspace"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        shown = done.stdout.replace(folder, "build/demo").splitlines()[-SHOWN:]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text.from_ansi("\n".join(shown)))
        console.save_svg(str(Path(__file__).with_name("demo.svg")), title="make demo")


if __name__ == "__main__":
    main()

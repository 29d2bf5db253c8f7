"""Record the demo's last screens as `docs/demo.svg`.

`FORCE_COLOR=1 COLUMNS=118 make --silent demo | .venv/bin/python docs/record_demo.py`
"""

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 118
SHOWN = 62
"""Lines of the recording, from its end."""


def main() -> None:
    """Draw what comes on standard input; folders of this machine are left out."""
    root = str(Path(__file__).resolve().parents[1]) + os.sep
    shown = [line.replace(root, "") for line in sys.stdin.read().splitlines()[-SHOWN:]]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text.from_ansi("\n".join(shown)))
        console.save_svg(str(Path(__file__).with_name("demo.svg")), title="make demo")


if __name__ == "__main__":
    main()

"""What a retrain costs beside its own work, and how fast one that changes nothing is answered.

`python -m benchmarks.orchestration --root FOLDER` makes a workspace in a temporary folder, ingests the MVTec-shaped
folder, retrains it through the command line, and retrains it again. Waiting for MLflow, DVC, databases and Prefect is
overhead. Two shares are printed: of the flow, from its start to the registered candidate, and of the whole command,
which also loads the libraries and waits for Prefect's server.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LINE = "bench"
WORK = ("search", "train", "evaluate", "explain")


def run(home: Path, *arguments: str) -> tuple[float, str]:
    """Seconds and output of one command."""
    environment = {**os.environ, "LINEWRIGHT_HOME": str(home)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"linewright {' '.join(arguments)}: {done.stderr.strip()}")
    return time.perf_counter() - start, done.stdout


def measure(root: Path, *, budget: int) -> dict[str, Any]:
    """Figures of one ingest, one retrain and one that changes nothing."""
    # Prefect's server outlives the last command by a few seconds, and may write while the folder is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "workspace"
        run(home, "init")
        run(home, "line", "add", LINE, "--modality", "image", "--source", str(root.absolute()))
        ingest, _ = run(home, "ingest", LINE)
        wall, _ = run(home, "retrain", LINE, "--budget", str(budget))
        unchanged, answer = run(home, "retrain", LINE, "--budget", str(budget), "--json")
        if json.loads(answer)["changed"]:
            raise SystemExit("The second retrain was no repetition: nothing was measured.")
        _, shown = run(home, "show", LINE, "1", "--json")
    timings = json.loads(shown)["timings"]
    work = sum(timings[stage] for stage in WORK)
    return {
        "ingest_s": ingest,
        "retrain_s": wall,
        "work_s": work,
        "flow_s": timings["total"],
        "flow_overhead_share": (timings["total"] - work) / timings["total"],
        "command_overhead_share": (wall - work) / wall,
        "unchanged_s": unchanged,
        **{f"{stage}_s": timings[stage] for stage in WORK},
    }


def main() -> None:
    """Print the figures as a table, or as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="MVTec-shaped folder")
    parser.add_argument("--budget", type=int, default=8, help="trials of the search")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.root, budget=options.budget)
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("figure", "value", title=f"Retrain of {options.root.name}, {options.budget} trials")
    for name, value in figures.items():
        table.add_row(name, f"{value:.1%}" if name.endswith("share") else f"{value:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

"""A drift check of large tables, ours against Evidently called directly: `python -m benchmarks.drift [--json]`.

Both windows hold half of `--rows`; both sides read the same Parquet files in a process of their own, ours runs
`components.drift.check` as `linewright drift` does, Evidently's default preset runs without HTML. Rates are over
smaller draws of 10 columns: a shift of the mean of one of them by the named share of its deviation is found if that
column is called drifted; a false alarm is any column called drifted where nothing changed. `preset` is Evidently's own
verdict over the whole data set (half of the columns drifted).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SHIFTS = (0.3, 0.5, 1.0)
DRAWS, SMALL_ROWS, SMALL_COLUMNS = 20, 400, 10


def draw(rows: int, columns: int, *, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Numbers of three shapes (normal, skewed, heavy-tailed) in turn; column 0 is moved by `shift` deviations."""
    rng = np.random.default_rng(seed)
    names = [f"c{index}" for index in range(columns)]
    shapes = (rng.standard_normal, lambda count: rng.gamma(2.0, size=count), lambda count: rng.standard_t(5, count))
    frame = pd.DataFrame({name: shapes[index % 3](rows) for index, name in enumerate(names)})
    frame["c0"] += shift
    return frame


def ours(old: pd.DataFrame, new: pd.DataFrame) -> tuple[set[str], bool]:
    """Columns that our check calls drifted, and its verdict."""
    from components.core.lines import DriftOptions
    from components.drift.check import check
    from components.drift.window import DriftWindow

    windows = [
        DriftWindow(
            name=name,
            features=frame,
            families=dict.fromkeys(frame.columns, "feature"),
            groups=np.arange(len(frame)),
            scores=frame.iloc[:, -1].abs().to_numpy(dtype=np.float64),
            threshold=3.0,
        )
        for name, frame in (("old", old), ("new", new))
    ]
    report = check(*windows, line="benchmark", options=DriftOptions(), number=1, decided=0, seed=0)
    return {feature.name for feature in report.features if feature.drifted}, report.verdict == "drift"


def peer(old: pd.DataFrame, new: pd.DataFrame) -> tuple[set[str], bool]:
    """Columns that Evidently's default preset calls drifted, and its verdict over the data set."""
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    run = Report([DataDriftPreset()]).run(Dataset.from_pandas(new), Dataset.from_pandas(old))
    whole, *columns = run.dict()["metrics"]
    drifted = set()
    for entry in columns:
        value, config = float(entry["value"]), entry["config"]
        # A p-value falls with drift, a distance grows.
        by_p = "p_value" in str(config["method"])
        if value < config["threshold"] if by_p else value >= config["threshold"]:
            drifted.add(str(config["column"]))
    return drifted, float(whole["value"]["share"]) >= float(whole["config"]["drift_share"])


SIDES = {"ours": ours, "peer": peer}


def _large(side: str, folder: Path) -> dict[str, Any]:
    frames = [pd.read_parquet(folder / f"{name}.parquet") for name in ("old", "new")]
    began = time.perf_counter()
    drifted, verdict = SIDES[side](*frames)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "drifted": sorted(drifted), "verdict": verdict}


def _rates(side: str, draws: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for shift in (0.0, *SHIFTS):
        columns = verdicts = 0
        for number in range(draws):
            old = draw(SMALL_ROWS, SMALL_COLUMNS, seed=2 * number)
            new = draw(SMALL_ROWS, SMALL_COLUMNS, seed=2 * number + 1, shift=shift)
            drifted, verdict = SIDES[side](old, new)
            columns += "c0" in drifted if shift else bool(drifted)
            verdicts += verdict
        name = f"found at {shift:g}" if shift else "false alarms"
        found |= {name: columns / draws, f"{name}, whole": verdicts / draws}
    return found


def _apart(side: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.drift", "--side", side, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(*, rows: int, columns: int, draws: int) -> dict[str, dict[str, Any]]:
    """Both sides' figures on the same data, one after the other, and how many times better ours are."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seed, shift in (("old", 1, 0.0), ("new", 2, 0.4)):
            draw(rows // 2, columns, seed=seed, shift=shift).to_parquet(Path(folder, f"{name}.parquet"))
        for side in SIDES:
            found[side] = _apart(side, "--folder", folder) | _apart(side, "--draws", str(draws))
    ratio = {key: found["peer"][key] / found["ours"][key] for key in ("seconds", "peak_mb")}
    return {**found, "ratio": ratio}


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of both windows together")
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--draws", type=int, default=DRAWS, help="smaller draws for each rate")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        one = _large(options.side, options.folder) if options.folder else _rates(options.side, options.draws)
        print(json.dumps(one))
        return
    found = compare(rows=options.rows, columns=options.columns, draws=options.draws)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{options.rows} rows by {options.columns} columns; rates over {options.draws} draws of {SMALL_ROWS} rows")
    print(f"{'':<22}{'ours':>10}{'peer':>10}{'ratio':>8}")
    for key in found["ours"]:
        shown = [", ".join(one[key]) if isinstance(one[key], list) else f"{one[key]:.3g}" for one in
                 (found["ours"], found["peer"])]  # fmt: skip
        ratio = f"{found['ratio'][key]:.1f}" if key in found["ratio"] else ""
        print(f"{key:<22}{shown[0]:>10}{shown[1]:>10}{ratio:>8}")


if __name__ == "__main__":
    main()

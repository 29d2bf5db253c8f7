"""Declared against observed false-alarm rate, and recall, of every data set given, with exact intervals.

    python -m benchmarks.thresholds --root PATH [PATH ...] [--false-alarms "1 per 50"] [--window 20] [--json]

PATH is a folder of MVTec's shape, or a table: a CSV or Parquet file, a folder of them, or an .npz with X and y. Each is
ingested, split and calibrated as a line of the same settings would be; the sealed test split is scored once.

A rate counts as held, or as broken, only where its 95 % interval (Clopper-Pearson) is narrower than ten points; else it
is inconclusive. Broken: the whole interval lies above the declared rate, and so many alarms have a chance below 2.5 %
(`chance`) though the guarantee holds, which it does on average over calibration sets, not for each. Alarms above the
declared rate that one calibration set may well give are inconclusive.

Samples of a run follow each other and count for less than as many independent ones: `n` is divided by 1 + 2 times the
sum of the autocorrelations of the scores' ranks, in order of time, up to the first pair that is not positive (after
Geyer 1992), which gives `n_eff`; intervals are those of the observed rate at `n_eff`, of recall as of false alarms.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta, betabinom, rankdata

from components.adapters.objects import open_store
from components.core.budgets import parse_rate
from components.core.contracts import Calibration, DatasetVersion, ManifestColumn, Modality, Split, now
from components.core.errors import LinewrightError
from components.core.hashing import sha256_file
from components.core.lines import LineConfig
from components.core.scoring import score_all
from components.ingest.collect import collect
from components.metrics.conformal import rank_of
from components.metrics.verdicts import answers
from components.settings import ObjectSettings
from components.version.splits import assign_splits
from flows.data import LineData
from flows.jobs import modelling

WIDE = 0.1
"""An interval that is not narrower decides nothing."""

UNLIKELY = 0.025
"""A smaller chance of so many alarms is taken for a broken rate."""

SHARES = {"train": 0.4, "calibration": 0.25, "validation": 0.05, "test": 0.3}


def effective_size(scores: NDArray[np.float64]) -> float:
    """How many independent samples ``(N,)`` scores in order of time are worth; at most N, at least 1.

    >>> effective_size(np.repeat(np.random.default_rng(0).normal(size=100), 10)) < 150
    True
    """
    n = len(scores)
    ranks = rankdata(scores) - (n + 1) / 2
    if n < 4 or not ranks.any():
        return float(n)
    power = np.abs(np.fft.rfft(ranks, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n]
    correlation /= correlation[0]
    pairs = correlation[1 : n - n % 2 - 1 : 2] + correlation[2 : n - n % 2 : 2]
    stop = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    return float(np.clip(n / (1 + 2 * pairs[:stop].sum()), 1, n))


def rate_of(alarms: NDArray[np.bool_], *, size: float) -> dict[str, float | None]:
    """Share of alarms and its Clopper-Pearson interval at `size` independent samples; None without samples."""
    if len(alarms) == 0:
        return {"value": None, "low": None, "high": None}
    value = float(alarms.mean())
    hits = value * size
    low = float(beta.ppf(0.025, hits, size - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, size - hits)) if hits < size else 1.0
    return {"value": value, "low": low, "high": high}


def chance_of(alarms: NDArray[np.bool_], limits: Calibration, *, size: float, calibrated: float) -> float:
    """Chance of as many alarms or more where the rate is held on average over calibration sets.

    The rate of one split-conformal threshold is Beta distributed, so alarms are beta-binomial (Vovk 2012, "Conditional
    validity of inductive conformal predictors", proposition 2). For the other rules that is a stand-in.

    Args:
        alarms: ``(N,)`` of normal samples.
        limits: The calibration.
        size: How many independent samples N are worth.
        calibrated: The same of the calibration samples.
    """
    share = limits.false_alarm_rate
    if limits.rule == "conformal":
        share = 1 - rank_of(share, samples=limits.samples) / (limits.samples + 1)
    above = share * (calibrated + 1)
    hits = round(float(alarms.mean()) * size) if len(alarms) else 0
    return float(betabinom.sf(hits - 1, round(size), above, calibrated + 1 - above))


def ruling(found: dict[str, float | None], *, declared: float, chance: float) -> str:
    """held, broken or inconclusive."""
    low, high = found["low"], found["high"]
    if low is None or high is None or high - low >= WIDE:
        return "inconclusive"
    if low <= declared:
        return "held"
    return "broken" if chance < UNLIKELY else "inconclusive"


def measure(root: Path, *, rate: float | None, window: int, detector: str, seed: int) -> dict[str, Any]:
    """Figures of one data set."""
    with tempfile.TemporaryDirectory() as folder:
        data = ingested(root, window=window, detector=detector, folder=Path(folder))
        modelling.require_calibration(data, rate=rate, params={})
        model, calibrated = modelling.fit_and_calibrate(data, params={}, seed=seed, rate=rate)
        rows = data.rows(Split.TEST).sort_values([ManifestColumn.PATH, ManifestColumn.START])
        samples = data.samples(rows)
        scores, labels = score_all(model, samples), np.asarray(samples.labels)
    limits = calibrated.calibration
    normal = labels == 0
    alarms = scores.image > limits.threshold
    ordered = data.line.modality is Modality.TABLE and data.schema is not None and data.schema.block_rows > 1
    worth = effective_size if ordered else _each
    size, own = worth(scores.image[normal]), worth(_in_order(data, calibrated.scores))
    chance = chance_of(alarms[normal], limits, size=size, calibrated=own)
    said = [answer.word for answer in answers(scores.image, limits, uncertainty=scores.uncertainty)]
    observed = rate_of(alarms[normal], size=size)
    return {
        "rule": f"{limits.rule}/{limits.method}",
        "calibration": limits.samples,
        "declared": limits.false_alarm_rate,
        "false_alarm_rate": observed,
        "n": int(normal.sum()),
        "n_eff": round(size, 1),
        "chance": chance,
        "held": ruling(observed, declared=limits.false_alarm_rate, chance=chance),
        "recall": rate_of(alarms[~normal], size=worth(scores.image[~normal])),
        "anomalies": int((~normal).sum()),
        "unsure": said.count("unsure") / max(1, len(said)),
        "unsure_normal": float(np.mean([word == "unsure" for word in np.array(said)[normal]])) if normal.any() else 0.0,
    }


def _each(scores: NDArray[np.float64]) -> float:
    return float(len(scores))


def _in_order(data: LineData, scores: dict[str, float]) -> NDArray[np.float64]:
    """Calibration scores in order of time."""
    rows = data.manifest.sort_values([ManifestColumn.PATH, ManifestColumn.START])
    return np.array([scores[name] for name in rows[ManifestColumn.SAMPLE] if name in scores])


def ingested(root: Path, *, window: int, detector: str, folder: Path) -> LineData:
    """The data set as one dataset version, its files below `folder`."""
    source = root
    if root.suffix == ".npz":
        source = folder / "table.csv"
        content = np.load(root)
        frame = pd.DataFrame(content["X"]).add_prefix("x").assign(label=content["y"].astype(int))
        frame.to_csv(source, index=False)
    image = (source / "train").is_dir()
    name = "".join(letter if letter.isalnum() else "-" for letter in root.stem.lower()).strip("-")
    line = LineConfig.model_validate(
        {"name": f"data-{name}", "modality": "image" if image else "table", "source": str(source.absolute()),
         "shares": SHARES, "table": {"window": 1 if root.suffix == ".npz" else window}, "detector": detector}
    )  # fmt: skip
    staging = folder / "files"
    staging.mkdir()
    found = collect(line, store=open_store(line.source, ObjectSettings()), manifest=None, staging=staging)
    manifest, _ = assign_splits(found.rows, previous=None, line=line, schema=found.schema)
    manifest.to_parquet(folder / "manifest.parquet", index=False)
    version = DatasetVersion(
        line=line.name, number=1, modality=line.modality, revision="", counts={}, table=found.schema, created=now(),
        manifest_sha256=sha256_file(folder / "manifest.parquet"),
    )  # fmt: skip
    kept = {digest: Path(path) for digest, path in found.files.items()}
    return LineData(line=line, version=version, manifest=manifest, read=lambda digest: kept[digest].read_bytes())


def _shown(found: dict[str, float | None]) -> str:
    if found["value"] is None or found["low"] is None or found["high"] is None:
        return "-"
    return f"{100 * found['value']:.2f} [{100 * found['low']:.2f}, {100 * found['high']:.2f}]"


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, nargs="+", required=True, help="folder, CSV, Parquet or .npz file")
    parser.add_argument(
        "--false-alarms", default=None, help="e.g. '1 per 50'; default: 1 per 100, or the fewest supported"
    )
    parser.add_argument("--window", type=int, default=20, help="rows of one sample of a table")
    parser.add_argument("--detector", default="", help="default: the modality's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rate = None if given.false_alarms is None else float(str(parse_rate(given.false_alarms)))
    every: dict[str, Any] = {}
    if not given.json:
        print(
            f"{'data':<16}{'rule':<22}{'cal.':>6}{'declared %':>11}  {'false alarms % [95 %]':<24}{'n':>6}"
            f"{'n_eff':>8}{'chance':>8}  {'':<13}{'recall % [95 %]':<24}{'unsure %':>9}{'of normal':>10}"
        )
    for root in given.root:
        try:
            row = measure(root, rate=rate, window=given.window, detector=given.detector, seed=given.seed)
        except LinewrightError as error:
            row = {"refused": str(error)}
        every[root.stem] = row
        if not given.json:
            _print(root.stem, row)
    if given.json:
        print(json.dumps({"ours": every}))


def _print(name: str, row: dict[str, Any]) -> None:
    if "refused" in row:
        print(f"{name:<16}refused: {row['refused']}", flush=True)
        return
    print(
        f"{name:<16}{row['rule']:<22}{row['calibration']:>6}{100 * row['declared']:>11.3g}  "
        f"{_shown(row['false_alarm_rate']):<24}{row['n']:>6}{row['n_eff']:>8g}{row['chance']:>8.3f}  {row['held']:<13}"
        f"{_shown(row['recall']):<24}{100 * row['unsure']:>9.2f}{100 * row['unsure_normal']:>10.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""Mean AUROC of DeepSAD and of PyOD's detectors over a folder of .npz tables with X and y (1 anomalous), as ADBench's.

    python -m benchmarks.tables --root FOLDER [--seeds 3] [--json]

Each table is split 70 : 30, stratified, once a seed; all detectors see the same rows. `clean` trains on the normal rows
of the training part, `contaminated` on all of them as if they were normal. DeepSAD is also given labelled anomalies of
the training part, as many as make 1 and 5 % of its training rows (Ruff et al. 2020, section 4), never more than there
are; in `contaminated` those lose their place among the unlabelled rows. Nothing is tuned: every detector runs by its
defaults, PyOD's on columns of mean 0 and deviation 1. The peer is the one of PyOD's with the best mean over the tables,
chosen by the test labels, which favours it. `ratio` is ours over the peer's; for seconds the peer's over ours.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Column, TableSchema
from components.core.ports import Windows
from components.models import registry

SHARES = {"0 %": 0.0, "1 %": 0.01, "5 %": 0.05}
"""Labelled anomalies among DeepSAD's training rows."""

TRAINING = 0.7
MOST_ROWS = 10_000
"""Of a table; larger ones are drawn from, as ADBench does."""

SETTINGS = ("clean", "contaminated")

Rows = NDArray[np.float64]
Found = dict[str, dict[str, float]]


class Table:
    """Windows in memory as `Samples`."""

    def __init__(self, windows: Windows, labels: NDArray[np.int8]) -> None:
        self._windows, self.labels = windows, labels
        self.ids = [str(number) for number in range(len(windows))]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Any) -> Windows:
        """See `Samples.take`."""
        return self._windows[list(indices)]


def peers(seed: int) -> dict[str, Callable[[], Any]]:
    """PyOD's detectors by their defaults."""
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.inne import INNE
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.mcd import MCD
    from pyod.models.pca import PCA

    return {
        "ECOD": ECOD,
        "IForest": lambda: IForest(random_state=seed),
        "KNN": KNN,
        "LOF": LOF,
        "COPOD": COPOD,
        "HBOS": HBOS,
        "INNE": lambda: INNE(random_state=seed),
        "MCD": lambda: MCD(random_state=seed),
        "PCA": lambda: PCA(random_state=seed),
    }


def split(
    labels: NDArray[np.int8], *, setting: str, share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows trained on as normal, labelled anomalies, and test rows, of ``(N,)`` labels.

    >>> normal, labelled, test = split(np.array([0] * 90 + [1] * 10, np.int8), setting="clean", share=0.05, seed=0)
    >>> len(normal), len(labelled), len(test)
    (63, 3, 30)
    """
    drawn = np.random.default_rng(seed)
    parts = [drawn.permutation(np.flatnonzero(labels == one)) for one in (0, 1)]
    cuts = [round(TRAINING * len(part)) for part in parts]
    (normal, anomalous), test = ([part[:cut] for part, cut in zip(parts, cuts, strict=True)], [
        part[cut:] for part, cut in zip(parts, cuts, strict=True)
    ])  # fmt: skip
    labelled = anomalous[: round(share / (1 - share) * len(normal))]
    unlabelled = normal if setting == "clean" else np.concatenate([normal, anomalous[len(labelled) :]])
    return unlabelled, labelled, np.concatenate(test)


def schema_of(rows: Rows) -> TableSchema:
    """Of rows ``(N, D)``, each column a number."""
    return TableSchema(features=tuple(Column(name=f"x{place}", kind="numeric") for place in range(rows.shape[1])))


def ours(rows: Rows, labels: NDArray[np.int8], *, setting: str, seed: int) -> Found:
    """AUROC, fit and score seconds of DeepSAD for each share of labels."""
    schema, found = schema_of(rows), {}
    for name, share in SHARES.items():
        normal, labelled, test = split(labels, setting=setting, share=share, seed=seed)
        given = np.concatenate([np.zeros(len(normal), np.int8), np.ones(len(labelled), np.int8)])
        detector = registry.create("deepsad", {}, schema=schema)
        started = time.perf_counter()
        detector.fit(Table(rows[np.concatenate([normal, labelled])][:, None, :], given), seed=seed)
        fitted = time.perf_counter()
        scores = detector.score(rows[test][:, None, :]).image
        found[f"DeepSAD {name}"] = _row(scores, labels[test], fitted - started, time.perf_counter() - fitted)
    return found


def theirs(rows: Rows, labels: NDArray[np.int8], *, setting: str, seed: int) -> Found:
    """The same of PyOD's detectors, which have no use for labels."""
    normal, _, test = split(labels, setting=setting, share=0.0, seed=seed)
    mean, deviation = rows[normal].mean(axis=0), rows[normal].std(axis=0)
    scaled = (rows - mean) / np.where(deviation > 0, deviation, 1.0)
    found = {}
    for name, make in peers(seed).items():
        started = time.perf_counter()
        with warnings.catch_warnings(action="ignore"):
            detector = make().fit(scaled[normal])
            fitted = time.perf_counter()
            scores = detector.decision_function(scaled[test])
        found[name] = _row(scores, labels[test], fitted - started, time.perf_counter() - fitted)
    return found


def _row(scores: Rows, labels: NDArray[np.int8], fit: float, score: float) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    return {"auroc": float(roc_auc_score(labels, np.nan_to_num(scores))), "fit_s": fit, "score_s": score}


def load(path: Path, *, seed: int) -> tuple[Rows, NDArray[np.int8]]:
    """Rows and labels of one file, `MOST_ROWS` at most."""
    content = np.load(path, allow_pickle=False)
    rows, labels = content["X"].astype(np.float64), content["y"].astype(np.int8)
    if len(rows) > MOST_ROWS:
        kept = np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False)
        rows, labels = rows[kept], labels[kept]
    return rows, labels


def measure(paths: list[Path], *, setting: str, seeds: int, told: Callable[[str], None] | None) -> dict[str, Found]:
    """Means over the seeds: table → detector → figures."""
    every: dict[str, Found] = {}
    for path in paths:
        runs = []
        for seed in range(seeds):
            rows, labels = load(path, seed=seed)
            runs.append(
                ours(rows, labels, setting=setting, seed=seed) | theirs(rows, labels, setting=setting, seed=seed)
            )
        every[path.stem] = {
            name: {key: float(np.mean([run[name][key] for run in runs])) for key in runs[0][name]} for name in runs[0]
        }
        if told is not None:
            told(_line(path.stem, every[path.stem]))
    return every


def summary(every: dict[str, Found]) -> dict[str, Any]:
    """Means over the tables, ours beside the peer that is best by them."""
    names = list(next(iter(every.values())))
    mean = {
        name: {
            key: float(np.mean([found[name][key] for found in every.values()])) for key in ("auroc", "fit_s", "score_s")
        }
        for name in names
    }
    best = max((name for name in names if not name.startswith("DeepSAD")), key=lambda name: mean[name]["auroc"])
    own = {name: mean[name] for name in names if name.startswith("DeepSAD")}
    ratio = {
        name: {"auroc": one["auroc"] / mean[best]["auroc"]}
        | {key: mean[best][key] / one[key] for key in ("fit_s", "score_s")}
        for name, one in own.items()
    }
    others = {name: mean[name]["auroc"] for name in names if name not in own}
    return {"ours": own, "peer": {"name": best, **mean[best], "all": others}, "ratio": ratio}


def _line(name: str, found: Found) -> str:
    return f"{name[:16]:<16}" + "".join(f"{one['auroc']:>9.3f}" for one in found.values())


def main() -> None:
    """Print a table a setting, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=Path("../shared/data/tabular/adbench"), help="folder of .npz files"
    )
    parser.add_argument("--seeds", type=int, default=3, help="splits")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    paths = sorted(given.root.glob("*.npz"))
    if not paths:
        parser.error(f"{given.root} holds no .npz file; name another folder with --root")
    result: dict[str, dict[str, Any]] = {"ours": {}, "peer": {}, "ratio": {}}
    for setting in SETTINGS:
        if not given.json:
            header = [*(f"SAD {name}" for name in SHARES), *peers(0)]
            print(f"\n{setting:<16}" + "".join(f"{name:>9}" for name in header), flush=True)
        every = measure(
            paths,
            setting=setting,
            seeds=given.seeds,
            told=None if given.json else print,
        )
        found = summary(every)
        for side, kept in result.items():
            kept[setting] = found[side]
        result["ours"][setting]["tables"] = every
        if not given.json:
            _print(found)
    if given.json:
        print(json.dumps(result))


def _print(found: dict[str, Any]) -> None:
    means = [one["auroc"] for name, one in found["ours"].items() if name != "tables"]
    print(f"{'mean':<16}" + "".join(f"{one:>9.3f}" for one in (*means, *found["peer"]["all"].values())))
    print(f"best of PyOD by the mean: {found['peer']['name']}, fit {found['peer']['fit_s']:.2f} s a table")
    for name, ratio in found["ratio"].items():
        fit, score = found["ours"][name]["fit_s"], found["ours"][name]["score_s"]
        print(f"{name}: AUROC {ratio['auroc']:.3f} times the peer's; fit {fit:.2f} s, score {score:.2f} s")


if __name__ == "__main__":
    main()

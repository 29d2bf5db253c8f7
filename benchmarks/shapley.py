"""Shapley values by walks beside the library shap's Kernel SHAP, at the same number of evaluations.

    python -m benchmarks.shapley --root FOLDER [--evaluations 256] [--samples 3] [--seeds 3] [--json]

FOLDER holds .npz tables with X and y (1 anomalous), as ADBench's. On each with more than 8 columns DeepSAD is fitted to
the first half of the normal rows; the rows that it scores highest of the others are explained against 20 of the fitted
ones. `error` is the mean over rows and seeds of the sum of absolute differences to the values that 20 times as many
evaluations give, over the sum of their absolute values; `seconds` a row. `ratio` is the peer's over ours.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import Table, load, schema_of
from components.core.scoring import plain_scores
from components.explain.agreement import EXACT_PLAYERS, relative
from components.explain.exact import ValueFunction
from components.explain.games import columns_play, window_game
from components.explain.walks import coalitions, sampled_shapley
from components.models import registry

BACKGROUND, TRUE_TIMES = 20, 20

Values = NDArray[np.float64]
Estimator = Callable[[ValueFunction, int, int, int], Values]
"""Game, players, evaluations and seed → ``(P,)``."""


def ours(game: ValueFunction, players: int, evaluations: int, seed: int) -> Values:
    """What Linewright explains tables with."""
    return sampled_shapley(game, players, evaluations=evaluations, seed=seed)


def kernel(game: ValueFunction, players: int, evaluations: int, seed: int) -> Values:
    """Kernel SHAP (Lundberg and Lee, 2017), without the regularisation that picks a few columns."""
    from shap import KernelExplainer

    np.random.seed(seed)
    explainer = KernelExplainer(lambda who: game(who > 0), np.zeros((1, players)))
    values = explainer.shap_values(np.ones(players), nsamples=evaluations, l1_reg=False, silent=True)
    return np.asarray(values, dtype=np.float64).reshape(players)


SIDES: dict[str, Estimator] = {"ours": ours, "peer": kernel}


def games(rows: Values, labels: NDArray[np.int8], *, samples: int) -> list[ValueFunction]:
    """Of the rows that a DeepSAD scores highest."""
    normal = np.flatnonzero(labels == 0)
    fitted = normal[: len(normal) // 2]
    others = np.setdiff1d(np.arange(len(labels)), fitted)
    detector = registry.create("deepsad", {}, schema=schema_of(rows))
    detector.fit(Table(rows[fitted][:, None, :], np.zeros(len(fitted), np.int8)), seed=0)
    highest = others[np.argsort(-plain_scores(detector, rows[others][:, None, :]), kind="stable")[:samples]]
    background, players = rows[fitted[:BACKGROUND]][:, None, :], columns_play(1, rows.shape[1])
    return [
        window_game(lambda windows: plain_scores(detector, windows), rows[one][None, :], background, players)
        for one in highest
    ]


def compare(found: list[ValueFunction], players: int, *, evaluations: int, seeds: int) -> dict[str, dict[str, float]]:
    """Error and seconds of each side."""
    evaluations = coalitions(players, wanted=evaluations)
    true = [ours(game, players, TRUE_TIMES * evaluations, seeds) for game in found]
    sides = {}
    for name, estimate in SIDES.items():
        started = time.perf_counter()
        errors = [
            relative(values, estimate(game, players, evaluations, seed))
            for seed in range(seeds)
            for game, values in zip(found, true, strict=True)
        ]
        sides[name] = {"error": float(np.mean(errors)), "seconds": (time.perf_counter() - started) / len(errors)}
    return sides


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--evaluations", type=int, default=256)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    import_module("shap")  # which takes seconds, and is nobody's work
    every: dict[str, dict[str, dict[str, float]]] = {}
    if not given.json:
        print(f"{'table':<24}{'columns':>8}{'error':>10}{'shap':>10}{'ratio':>8}{'seconds':>10}{'shap':>10}")
    for path in sorted(given.root.glob("*.npz")):
        rows, labels = load(path, seed=0)
        if rows.shape[1] <= EXACT_PLAYERS:
            continue
        found = compare(
            games(rows, labels, samples=given.samples),
            rows.shape[1],
            evaluations=given.evaluations,
            seeds=given.seeds,
        )
        every[path.stem] = found
        if not given.json:
            one, peer = found["ours"], found["peer"]
            print(
                f"{path.stem:<24}{rows.shape[1]:>8}{one['error']:>10.3f}{peer['error']:>10.3f}"
                f"{peer['error'] / one['error']:>8.2f}{one['seconds']:>10.3f}{peer['seconds']:>10.3f}",
                flush=True,
            )
    if not every:
        parser.error(f"there is no table of more than {EXACT_PLAYERS} columns in {given.root}")
    mean: dict[str, Any] = {
        side: {name: float(np.mean([one[side][name] for one in every.values()])) for name in ("error", "seconds")}
        for side in SIDES
    }
    mean["ratio"] = {name: mean["peer"][name] / mean["ours"][name] for name in mean["ours"]}
    if given.json:
        print(json.dumps(mean))
    else:
        print(
            f"mean error {mean['ours']['error']:.3f} beside {mean['peer']['error']:.3f}: {mean['ratio']['error']:.2f}x"
        )


if __name__ == "__main__":
    main()

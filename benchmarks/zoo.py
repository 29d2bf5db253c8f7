"""Every image detector on folders of MVTec's shape, one chosen without a test label, beside anomalib's best.

    python -m benchmarks.zoo --root FOLDER [FOLDER ...] [--detectors a,b] [--peers a,b] [--seconds 1800] [--json]

A random `share` of train/good is fitted on, with the parameters that a search would first try (the defaults, or on
large images tiles); the rest, with synthetic anomalies drawn on it, validates. One detector is chosen as the search
chooses: the first one unless others are better beyond their bootstrap error, then the best of those. It is fitted again
on all of train/good, on either side, since nothing is left to validate. Only then is the sealed test split scored, by
all, for the figures alone; what was not chosen is scored as it was validated.

The peer is anomalib alone: its models by its own Engine, at its own scores, on the same weights, images, image sizes
and numbers of steps as ours of that name, chosen by the same rule, Patchcore first. Ours of these names are built from
the same networks, so the peer differs most in the choice that it has: no `memory-bank`, `gaussian`, `dino-memory` or
`ensemble`, but Patchcore. `hindsight` is the best on test, which nobody could have chosen; a test of one class has no
AUROC. `--seconds` bounds the fitting and validating of each side on each folder: what is expected not to fit is left
out and named.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.knowledge.heuristics import DataFacts, beginning, image_facts
from benchmarks.anomalib_models import PEERS, fitted_peer
from benchmarks.images import Files, listed, of_kinds
from benchmarks.memory_bank import auroc_of, ratio_of
from components.core.contracts import Modality
from components.core.errors import LinewrightError
from components.core.ports import Samples
from components.core.scoring import score_all
from components.core.seeds import derive_seed, generator
from components.models import registry
from components.models.catalogue import DETECTORS
from components.search.objective import better_beyond_error, objective
from components.search.synthetic import drawn_on, with_synthetic

_PATCHCORE = 5.0
"""Minutes expected of anomalib's greedy coreset, which no entry of ours tells."""

Score = Callable[[Samples], NDArray[np.float64]]
Fit = Callable[[str, Samples], Score]


@dataclass(frozen=True)
class Data:
    """One folder, split; `normal` is what `train` and `validation` are made of."""

    normal: Samples
    train: Samples
    validation: Samples
    test: Samples
    facts: DataFacts


@dataclass(frozen=True)
class Tried:
    """One detector, fitted and validated; `score` scores other samples."""

    value: float
    seconds: float
    scores: NDArray[np.float64]
    score: Score


def read(root: Path, *, share: float, seed: int) -> Data:
    """The folder's images; validation with synthetic anomalies, as a search draws them."""
    good, kinds = listed(root)
    order = generator(seed, "benchmark").permutation(len(good))
    first = max(1, min(len(good) - 1, round(share * len(good))))
    train, held = (Files([good[index] for index in sorted(part)]) for part in (order[:first], order[first:]))
    validation, _ = with_synthetic(held, groups=np.array(held.ids), seed=derive_seed(seed, "synthetic"))
    facts = DataFacts(
        modality=Modality.IMAGE,
        train_samples=len(train),
        validation_samples=len(validation),
        synthetic=True,
        **image_facts(train),
    )
    return Data(Files(good), train, validation, of_kinds(kinds), facts)


def tried(
    names: Sequence[str], fit: Fit, data: Data, *, seconds: float, seed: int
) -> tuple[dict[str, Tried], list[str]]:
    """Each of `names` that the budget lets us try, and why others are not there."""
    found: dict[str, Tried] = {}
    left_out: list[str] = []
    began = time.perf_counter()
    for name in names:
        expected = 60 * _minutes(name)
        if found and time.perf_counter() - began + expected > seconds:
            left_out.append(f"{name}: about {expected:.0f} s do not fit into --seconds")
            continue
        started = time.perf_counter()
        try:
            score = fit(name, data.train)
            scores = score(data.validation)
        except LinewrightError as error:
            left_out.append(f"{name}: {error.message}")
            continue
        value = objective(scores, data.validation.labels, seed=seed)[0]
        print(f"{name}: validation AUROC {value:.4f} after {time.perf_counter() - began:.0f} s", file=sys.stderr)
        found[name] = Tried(value, time.perf_counter() - started, scores, score)
    return found, left_out


def choose(
    found: Mapping[str, Tried], labels: NDArray[np.int8], *, seed: int, groups: NDArray[np.str_] | None = None
) -> str:
    """The first, unless others are better beyond their error: then the best of those, of equals the first.

    Those that drawn anomalies flatter are tried for their figures alone, as a search would leave them out.
    """
    first, *rest = found
    others = [name for name in rest if not (name in DETECTORS and DETECTORS[name].flattered)]
    scores = [found[name].scores for name in others]
    beats = better_beyond_error(scores, found[first].scores, labels, seed=seed, groups=groups)
    better = [name for name, beyond in zip(others, beats, strict=True) if beyond]
    return min(better, key=lambda name: -found[name].value, default=first)


def side(names: Sequence[str], fit: Fit, data: Data, *, seconds: float, seed: int) -> dict[str, Any]:
    """One side's figures on one folder; the test split is scored once the choice is made."""
    found, left_out = tried(names, fit, data, seconds=seconds, seed=seed)
    if not found:
        raise SystemExit("; ".join(left_out) or "No detector was named.")
    labels, groups = data.validation.labels, np.array([drawn_on(name) for name in data.validation.ids])
    chosen = choose(found, labels, seed=derive_seed(seed, "choice"), groups=groups)
    final = {name: one.score for name, one in found.items()} | {chosen: fit(chosen, data.normal)}
    tested = {}
    for name, score in final.items():
        tested[name] = auroc_of(score(data.test), data.test.labels)
        print(f"{name}: test AUROC {_shown(tested[name])}", file=sys.stderr)
    rows = {
        name: {"validation_auroc": one.value, "test_auroc": tested[name], "seconds": one.seconds}
        for name, one in found.items()
    }
    return {
        "chosen": chosen,
        "auroc": tested[chosen],
        "hindsight": max((value for value in tested.values() if value is not None), default=None),
        "detectors": rows,
        "left_out": left_out,
    }


def ours(name: str, train: Samples, *, facts: DataFacts, seed: int) -> Score:
    """One of our detectors, fitted on `train` with what a search first tries on data of such `facts`."""
    model = registry.create(name, beginning(name, facts=facts), schema=None)
    model.fit(train, seed=seed)
    return lambda samples: score_all(model, samples).image


def our_names(samples: int) -> tuple[str, ...]:
    """Every image detector that needs no labels and may learn from so many images; first what a search begins with."""
    return registry.portfolio(registry.EVERY, modality=Modality.IMAGE, labels=False, synthetic=False, samples=samples)


def _minutes(name: str) -> float:
    return DETECTORS[name].minutes if name in DETECTORS else _PATCHCORE


def measure(root: Path, *, given: argparse.Namespace) -> dict[str, Any]:
    """Both sides on one folder."""
    data = read(root, share=given.share, seed=given.seed)
    budget = {"seconds": given.seconds, "seed": given.seed}
    names = given.detectors or our_names(len(data.train))
    mine = side(names, partial(ours, facts=data.facts, seed=given.seed), data, **budget)
    if not given.peers:
        return {"ours": mine}
    theirs = side(given.peers, partial(fitted_peer, seed=given.seed), data, **budget)
    return {"ours": mine, "peer": theirs, "ratio": {"auroc": ratio_of("auroc", mine["auroc"], theirs["auroc"])}}


def main() -> None:
    """Print the tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, nargs="+", required=True, help="folder with train/good and test/KIND")
    parser.add_argument("--detectors", type=_names, help="ours, first what is kept unless others are better; else all")
    parser.add_argument("--peers", type=_names, default=tuple(PEERS), help=f"of {', '.join(PEERS)}; '' for none")
    parser.add_argument("--seconds", type=float, default=1800.0, help="for each side and folder")
    parser.add_argument("--share", type=float, default=0.8, help="share of train/good that is fitted on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    every: dict[str, dict[str, Any]] = {}
    for root in given.root:
        every[root.name] = measure(root, given=given)
        if not given.json:
            _print(root.name, every[root.name])
    if given.json:
        parts = {part for found in every.values() for part in found}
        print(json.dumps({part: {name: found[part] for name, found in every.items()} for part in sorted(parts)}))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _print(name: str, found: Mapping[str, Any]) -> None:
    for part in ("ours", "peer"):
        if part not in found:
            continue
        print(f"{name}, {part if part == 'ours' else 'anomalib alone'}")
        print(f"  {'detector':<16}{'validation AUROC':>18}{'test AUROC':>12}{'seconds':>9}")
        for detector, row in found[part]["detectors"].items():
            mark = "  chosen, fitted on all" if detector == found[part]["chosen"] else ""
            figures = f"{row['validation_auroc']:>18.4f}{_shown(row['test_auroc']):>12}{row['seconds']:>9.1f}"
            print(f"  {detector:<16}{figures}{mark}")
        for reason in found[part]["left_out"]:
            print(f"  left out: {reason}")
    if "ratio" in found:
        print(f"{name}: ratio of the chosen ones' test AUROC {_shown(found['ratio']['auroc'])}")
    print(flush=True)


if __name__ == "__main__":
    main()

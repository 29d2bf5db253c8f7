"""The memory bank beside anomalib's Patchcore: same images, backbone, layers, size and share of patches, on the CPU.

    python -m benchmarks.memory_bank --root FOLDER [--ratio 0.1] [--size 256] [--stages 2-3] [--images N]
        [--precision f32] [--skip-peer | --peer-picks N] [--json]

FOLDER is of MVTec's shape: train/good and test/KIND, with images at any depth below these. Each side runs in a process
of its own, one after the other:

fit_s           seconds to fit on train/good, reading and scaling its files included
images_per_s    over all of test, reading included, the second time that it is scored
peak_mb         most memory that the process held until then (VmHWM)
auroc           of the images of test; nothing is chosen by it
covering_radius largest distance of a training patch to the bank: with the peer's whole greedy, of what each side
                chooses of the same patches (the peer's, which scales images and pads borders its own way); else of ours

The peer's greedy takes as long for each patch that it chooses: at a ratio of 0.1 of 200 images about half an hour. With
--peer-picks N it chooses N, the seconds of the others are extrapolated from those, and what depends on its bank is left
out; the bank is filled up to its size, so that the speed of scoring is that of a whole one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.images import Files, listed, of_kinds
from components.core.ports import batches
from components.core.scoring import score_all
from components.metrics.bootstrap import interval
from components.metrics.ranking import auroc

T = TypeVar("T")

BETTER = {"fit_s": -1, "images_per_s": 1, "peak_mb": -1, "auroc": 1, "covering_radius": -1}
"""Figures; 1: more is better, -1: less is."""


def timed(act: Callable[[], T]) -> tuple[float, T]:
    """Seconds that `act` took, and what it returned."""
    started = time.perf_counter()
    found = act()
    return time.perf_counter() - started, found


def peak_mb() -> float:
    """Most memory that this process has held, MB of 10^6 bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def auroc_of(scores: NDArray[np.float64], labels: NDArray[Any]) -> float | None:
    """Area under the ROC curve; None where test has one class only."""
    return interval(auroc, scores, np.asarray(labels).astype(np.int8), seed=0).value


def ours(root: Path, *, size: int, stages: str, ratio: float, precision: str) -> dict[str, Any]:
    """Figures of ours, and the training patches and bank that radii are taken from."""
    from components.models import registry

    # As Patchcore has it: images made square, patches averaged over 3 x 3, every training patch considered once.
    params = {
        "image_size": size, "stages": stages, "pooling": 3, "coreset_ratio": ratio, "max_patches": 10**9,
        "precision": precision, "resize": "stretch", "augment": "none",
    }  # fmt: skip
    detector: Any = registry.create("memory-bank", params, schema=None)
    normal, kinds = listed(root)
    train, test = Files(normal), of_kinds(kinds)
    fit_s, _ = timed(lambda: detector.fit(train, seed=0))
    score_all(detector, test)
    seconds, scores = timed(lambda: score_all(detector, test).image)
    found = {"fit_s": fit_s, "images_per_s": len(test) / seconds, "peak_mb": peak_mb()}
    patches = [one for batch in batches(train, size=8) for one in detector._patches(batch)]
    return {
        **found,
        "auroc": auroc_of(scores, test.labels),
        "patches": np.concatenate(patches),
        "bank": detector._bank.patches,
    }


def compare(root: Path, *, options: Sequence[str], peer: bool) -> dict[str, dict[str, Any]]:
    """Figures of each side, run with `options` of the command line, and how many times better ours are."""
    with tempfile.TemporaryDirectory() as folder:
        sides = {side: _run(side, root, options, Path(folder)) for side in ("ours", "peer")[: 1 + peer]}
    _add_radii(sides)
    if peer:
        sides["ratio"] = {name: ratio_of(name, sides["ours"][name], sides["peer"][name]) for name in BETTER}
    return sides


def _add_radii(sides: dict[str, dict[str, Any]]) -> None:
    from components.models.coreset import k_centres

    patches, bank = (sides["ours"].pop(name) for name in ("patches", "bank"))
    sides["ours"]["covering_radius"] = _radius(patches, bank)
    if "peer" in sides:
        patches, bank = (sides["peer"].pop(name, None) for name in ("patches", "bank"))
        sides["peer"]["covering_radius"] = None
        if bank is not None:
            ours = k_centres(patches, count=len(bank), rng=np.random.default_rng(0))
            sides["ours"]["covering_radius"] = _radius(patches, patches[ours.chosen])
            sides["peer"]["covering_radius"] = _radius(patches, bank)


def _run(side: str, root: Path, options: Sequence[str], folder: Path) -> dict[str, Any]:
    print(f"{side}: fitting and scoring ...", file=sys.stderr, flush=True)
    target = folder / f"{side}.npz"
    command = [sys.executable, "-m", "benchmarks.memory_bank", "--root", str(root), *options]
    subprocess.run([*command, "--side", side, "--out", str(target)], check=True, stdout=sys.stderr)
    with np.load(target) as kept:
        arrays = {name: kept[name] for name in kept.files if name != "figures"}
        return {**json.loads(str(kept["figures"])), **arrays}


def _keep(found: dict[str, Any], target: Path) -> None:
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    figures = {name: value for name, value in found.items() if name not in arrays}
    with target.open("wb") as file:
        np.savez(file, allow_pickle=False, figures=np.array(json.dumps(figures)), **arrays)


def _radius(patches: NDArray[np.float32], bank: NDArray[np.float32]) -> float:
    from components.models.nearest import Bank

    return float(Bank(bank).distances(patches, neighbours=1).max())


def ratio_of(name: str, one: float | None, other: float | None) -> float | None:
    """How many times better the figure `one` is than `other`; None where one is missing, or the divisor is 0."""
    over, under = (one, other) if BETTER[name] > 0 else (other, one)
    return over / under if over is not None and under else None


def _view(root: Path, *, images: int, folder: Path) -> Path:
    """The same folder with images and the first training ones only, by links: both sides see the same files."""
    view = folder / root.resolve().name
    normal, kinds = listed(root)
    parts = {"train/good": normal[:images] if images else normal} | {f"test/{kind}": kinds[kind] for kind in kinds}
    for part, paths in parts.items():
        (view / part).mkdir(parents=True)
        for path in paths:
            inside = path.relative_to(root / part).parts
            (view / part / "__".join(inside)).symlink_to(path.resolve())
    return view


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with train/good and test/KIND")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the training patches that is kept")
    parser.add_argument("--size", type=int, default=256, help="side of the images, pixels")
    parser.add_argument("--stages", default="2-3", choices=["2-3", "3", "3-4", "2-3-4"], help="of the backbone")
    parser.add_argument("--images", type=int, default=0, help="of train/good at most; 0: all")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"], help="of our backbone; the peer has f32")
    parser.add_argument("--skip-peer", action="store_true", help="ours alone")
    parser.add_argument("--peer-picks", type=int, default=0, help="extrapolate the peer's greedy from so many picks")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not (given.root / "train" / "good").is_dir() or not (given.root / "test").is_dir():
        parser.error(f"{given.root} has no train/good and test; name a folder of MVTec's shape")
    if not 0 < given.ratio <= 1:
        parser.error(f"--ratio {given.ratio:g} is no share; use more than 0 and at most 1")
    if not all(listed(given.root)):
        parser.error(f"{given.root} has no images in train/good or below test")
    return given


def main() -> None:
    """Print the table, or one JSON object."""
    given = _arguments()
    if given.side:
        _keep(_side(given), given.out)
        return
    options = ["--size", str(given.size), "--stages", given.stages, "--ratio", str(given.ratio)]
    options += ["--precision", given.precision, "--peer-picks", str(given.peer_picks)]
    with tempfile.TemporaryDirectory() as folder:
        root = _view(given.root, images=given.images, folder=Path(folder))
        found = compare(root, options=options, peer=not given.skip_peer)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':<17}" + "".join(f"{side:>10}" for side in found))
    for name in BETTER:
        print(f"{name:<17}" + "".join(f"{_shown(side[name]):>10}" for side in found.values()))
    if given.peer_picks and not given.skip_peer:
        print(f"The peer's fit_s is extrapolated from {given.peer_picks} picks.")


def _side(given: argparse.Namespace) -> dict[str, Any]:
    if given.side == "ours":
        return ours(given.root, size=given.size, stages=given.stages, ratio=given.ratio, precision=given.precision)
    from benchmarks.patchcore_peer import run

    stages = [int(stage) for stage in given.stages.split("-")]
    return run(given.root, size=given.size, stages=stages, ratio=given.ratio, picks=given.peer_picks)


if __name__ == "__main__":
    main()

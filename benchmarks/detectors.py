"""Fit and score an image detector on a folder of MVTec's shape, and print what it costs and how well it ranks.

    python -m benchmarks.detectors --root FOLDER [FOLDER ...] [--detector NAME] [--share 0.7] [--seed 0]

It is fitted on a random `share` of train/good and ranks all of test; test labels are read for the figures alone.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from components.core.contracts import Metric, Modality
from components.core.ports import Image
from components.core.scoring import score_all
from components.core.seeds import generator
from components.metrics.bootstrap import interval
from components.metrics.ranking import auroc
from components.models import registry


class Files:
    """Images of a list of files, read when asked for; a `Samples`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.ids = [str(path) for path in paths]
        self.labels: NDArray[np.int8] = np.array([path.parent.name != "good" for path in paths], dtype=np.int8)

    def __len__(self) -> int:
        return len(self._paths)

    def take(self, indices: Sequence[int]) -> list[Image]:
        """The images at `indices`, in colour."""
        return [np.asarray(Pictures.open(self._paths[index]).convert("RGB")) for index in indices]


def measure(root: Path, *, detector: str, params: dict[str, Any], share: float, seed: int) -> str:
    """One row of the table."""
    good = sorted((root / "train" / "good").iterdir())
    chosen = generator(seed, "benchmark").permutation(len(good))[: round(share * len(good))]
    train, test = Files([good[index] for index in sorted(chosen)]), Files(sorted((root / "test").glob("*/*")))
    model = registry.create(detector, params, schema=None)
    started = time.perf_counter()
    model.fit(train, seed=seed)
    fitted = time.perf_counter()
    scores = score_all(model, test).image
    rate = len(test) / (time.perf_counter() - fitted)
    return (
        f"{root.name:<16}{len(train):>6}{len(test):>6}{fitted - started:>8.1f}{rate:>10.1f}   "
        f"{_shown(interval(auroc, scores, test.labels, seed=seed))}"
    )


def _shown(metric: Metric) -> str:
    return metric.note if metric.value is None else f"{metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, nargs="+", required=True, help="folder with train/good and test/KIND")
    parser.add_argument("--detector", default=registry.default_detector(Modality.IMAGE))
    parser.add_argument("--params", type=json.loads, default={}, help="JSON object that replaces defaults")
    parser.add_argument("--share", type=float, default=0.7, help="share of train/good that is fitted on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{'data':<16}{'train':>6}{'test':>6}{'fit s':>8}{'images/s':>10}   image AUROC [95 %]")
    for root in given.root:
        print(
            measure(root, detector=given.detector, params=given.params, share=given.share, seed=given.seed), flush=True
        )


if __name__ == "__main__":
    main()

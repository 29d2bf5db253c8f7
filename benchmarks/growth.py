"""How the memory bank's fit grows with the number of training images: seconds and memory, and their exponents.

    python -m benchmarks.growth [--sizes 100 300 1000 2000 5000] [--size 256] [--max-patches N] [--json]

Images are cuts of a photograph of gravel, drawn as they are asked for. Each number of images is fitted in a process of
its own, by the detector's defaults but that few images are not mirrored. The exponent is the slope of a straight line
through the logarithms (least squares): 1 is linear. Of `fit_s`, `read_s` goes to images and their features, `coreset_s`
to choosing patches, and `rest_s` to what the memory says of training images by the others (200 of them at most).
`peak_mb` is the most memory that the process held, its libraries included; `over_mb` is how much more that is than
before the fit.

The detector keeps at most `max_patches` patches, so from some size on (`kept` below `seen`) only reading grows, the
coreset does not. A larger --max-patches shows the growth without that bound. There is no peer: `peer` and `ratio` of
the object that --json prints are empty.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory_bank import peak_mb
from components.core.ports import Image
from components.core.seeds import generator
from components.testing.texture_line import read_photograph

SIZES = (100, 300, 1000, 2000, 5000)
GROWING = ("fit_s", "read_s", "coreset_s", "rest_s", "peak_mb", "over_mb")


class Gravel:
    """Cuts of a photograph, each drawn by its index; a `Samples` of normal images.

    Args:
        count: Images.
        side: Of an image, pixels; at most 512.
    """

    def __init__(self, count: int, *, side: int) -> None:
        self.ids = [str(number) for number in range(count)]
        self.labels: NDArray[np.int8] = np.zeros(count, np.int8)
        self._side = side
        self._photograph = np.asarray(read_photograph(), np.float32)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> list[Image]:
        """The images at `indices`: each from a place, turned and lit as its index decides."""
        return [self._cut(generator(index, "growth")) for index in indices]

    def _cut(self, rng: np.random.Generator) -> Image:
        top, left = (int(rng.integers(1 + length - self._side)) for length in self._photograph.shape[:2])
        grey = self._photograph[top : top + self._side, left : left + self._side]
        lit = np.clip(np.rot90(grey, int(rng.integers(4))) * rng.uniform(0.9, 1.1), 0, 255).astype(np.uint8)
        return np.repeat(lit[:, :, None], 3, axis=2)


def measure(images: int, *, size: int, max_patches: int) -> dict[str, Any]:
    """Figures of one fit in this process."""
    from components.models import registry

    params = {"image_size": size, "augment": "none"} | ({"max_patches": max_patches} if max_patches else {})
    detector: Any = registry.create("memory-bank", params, schema=None)
    detector.embed(Gravel(1, side=size).take([0]))  # libraries are loaded and the network is compiled
    before, started = peak_mb(), time.perf_counter()
    steps: dict[str, float] = {}

    def note(step: str, _done: int, _whole: int) -> None:
        steps[step] = time.perf_counter()

    detector.fit(Gravel(images, side=size), seed=0, progress=note)
    seconds, facts = time.perf_counter() - started, detector.facts
    read = steps["reading patches"] - started
    chosen = steps["choosing patches"] - started - read
    return {
        "images": images, "seen": facts["patches_seen"], "kept": facts["patches_kept"], "centres": facts["centres"],
        "fit_s": seconds, "read_s": read, "coreset_s": chosen, "rest_s": seconds - read - chosen,
        "peak_mb": peak_mb(), "over_mb": peak_mb() - before,
    }  # fmt: skip


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the logarithms of `values` over those of `sizes`.

    >>> round(exponent([100, 200, 400], [1, 4, 16]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _apart(images: int, options: Sequence[str]) -> dict[str, Any]:
    print(f"{images} images ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.growth", "--only", str(images), *options]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(found.stdout)
    return row


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of training images, two at least")
    parser.add_argument("--size", type=int, default=256, help="side of the images, pixels; at most 512")
    parser.add_argument("--max-patches", type=int, default=0, help="0: the detector's default")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, size=given.size, max_patches=given.max_patches)))
        return
    if len(set(given.sizes)) < 2:
        parser.error(f"--sizes needs two different numbers, got {given.sizes}")
    options = ["--size", str(given.size), "--max-patches", str(given.max_patches)]
    rows = [_apart(images, options) for images in sorted(set(given.sizes))]
    sizes = [row["images"] for row in rows]
    slopes = {name: exponent(sizes, [row[name] for row in rows]) for name in GROWING}
    if given.json:
        print(json.dumps({"ours": {"sizes": rows, "exponent": slopes}, "peer": {}, "ratio": {}}))
        return
    _print(rows, slopes)


def _print(rows: Sequence[dict[str, Any]], slopes: dict[str, float]) -> None:
    counts = ("images", "seen", "kept", "centres")
    print("".join(f"{name:>10}" for name in (*counts, *GROWING)))
    for row in rows:
        print("".join(f"{row[name]:>10}" for name in counts) + "".join(f"{row[name]:>10.2f}" for name in GROWING))
    print(f"{'exponent':>40}" + "".join(f"{slopes[name]:>10.2f}" for name in GROWING))
    bounded = [row["images"] for row in rows if row["kept"] < row["seen"]]
    if bounded:
        print(f"From {bounded[0]} images on the patches are sampled: the coreset's part no longer grows.")


if __name__ == "__main__":
    main()

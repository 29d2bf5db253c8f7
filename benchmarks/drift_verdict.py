"""How long the first drift verdict takes on a line of bottle's size: `python -m benchmarks.drift_verdict`.

Measured in this process from a cold start: optics of all images, principal components, distances (with Evidently's
import), permutation null and verdict; then once more warm, then the HTML report. Images, embeddings and scores are
generated; the backbone's time is not part of it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.drift_report import DriftReport
from components.core.lines import DriftOptions
from components.core.ports import Image

REFERENCE, CURRENT, WIDTH = 209, 60, 1_280


def _images(count: int, side: int, *, light: float, rng: np.random.Generator) -> list[Image]:
    base = np.random.default_rng(0).normal(120, 30, size=(side, side, 3))
    gains = light * rng.normal(1, 0.01, size=count)
    return [np.clip(base * gain, 0, 255).astype(np.uint8) for gain in gains]


def _verdict(old: list[Image], new: list[Image], embeddings: NDArray[np.float64], page: Path | None) -> DriftReport:
    import pandas as pd

    from components.drift.check import check
    from components.drift.evidently_report import write_html
    from components.drift.features import OPTICS, embedding_features, optics
    from components.drift.window import DriftWindow

    scores = np.linalg.norm(embeddings, axis=1)
    windows = []
    for images, components, own, start in zip(
        (old, new),
        embedding_features(embeddings[: len(old)], embeddings[len(old) :]),
        ("old", "new"),
        (0, len(old)),
        strict=True,
    ):
        frame = pd.concat([optics(images), components], axis=1)
        windows.append(
            DriftWindow(
                name=own,
                features=frame,
                families={**OPTICS, **dict.fromkeys(components.columns, "embedding")},
                groups=np.arange(len(images)),
                scores=scores[start : start + len(images)],
                threshold=float(np.quantile(scores[: len(old)], 0.95)),
            )
        )
    report = check(*windows, line="bottle", options=DriftOptions(), number=1, decided=0, seed=0)
    if page is not None:
        write_html(*windows, report=report, path=page)
    return report


def main() -> None:
    """Print the times and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=900, help="height and width of the images in pixels")
    parser.add_argument("--light", type=float, default=0.9, help="light of the new images, 1 is the old ones'")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    old = _images(REFERENCE, arguments.side, light=1.0, rng=rng)
    new = _images(CURRENT, arguments.side, light=arguments.light, rng=rng)
    embeddings = rng.normal(size=(REFERENCE + CURRENT, WIDTH))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "drift.html"
        print(f"{REFERENCE} old and {CURRENT} new images of {arguments.side} x {arguments.side}, {WIDTH} numbers each")
        for name, target in (("first verdict", None), ("second verdict", None), ("verdict and HTML", page)):
            started = time.perf_counter()
            report = _verdict(old, new, embeddings, target)
            print(f"{name:<18}{time.perf_counter() - started:6.2f} s")
        print(f"{'HTML':<18}{page.stat().st_size / 1e6:6.2f} MB")
    print(f"{report.verdict} ({report.kind}): {report.detail}")


if __name__ == "__main__":
    main()

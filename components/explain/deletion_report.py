"""The deletion test of a model's heat maps on a sample set, with its data and a sheet of pictures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Condition
from components.core.ports import Detector, Image, Progress, Samples, silent
from components.core.seeds import derive_seed
from components.explain.deletion import Deletion, deletion, judge, untested, worth_testing
from components.explain.deletion_sheet import write_sheet
from components.explain.filling import NormalImages
from components.explain.overlays import Scale, overlay
from components.explain.pictures import shrink


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """Number of a tested sample, its overlay, made small, and its test."""

    number: int
    drawn: Image
    result: Deletion


def check_maps(
    samples: Samples,
    *,
    detector: Detector,
    scores: NDArray[np.float64],
    calibration: Calibration,
    normal: NormalImages | None,
    scale: Scale,
    titles: Sequence[str],
    directory: Path,
    seed: int,
    progress: Progress = silent,
) -> Condition:
    """Test the maps of the most anomalous samples; write `deletion.json` and `deletion.png` where any was tested.

    Args:
        samples: N images.
        detector: Whose maps they are.
        scores: ``(N,)`` of it.
        calibration: Its threshold, the maps' cut.
        normal: What regions are filled with; None leaves the test unmeasured.
        scale: Colours of the overlays.
        titles: N names for people.
        directory: Existing folder.
        seed: Of random regions and bootstrap.
        progress: Told of every image.
    """
    if normal is None:
        return untested("there is no normal image outside of the explained ones to fill regions from")
    numbers, found = worth_testing(scores, calibration), []
    for done, number in enumerate(numbers):
        image = np.asarray(samples.take([number])[0])
        heat = detector.explain([image])[0]
        own = derive_seed(seed, samples.ids[number])
        result = deletion(detector, image, heat, normal=normal, threshold=calibration.threshold, seed=own)
        if result is not None:
            drawn = overlay(shrink(image), heat, low=scale.low, high=scale.high, outline=scale.threshold)
            found.append(_Test(number=number, drawn=drawn, result=result))
        progress("deletion test", done + 1, len(numbers))
    check = judge([one.result for one in found], usual=usual_score(detector, calibration, normal), seed=seed)
    if found:
        _write(found, check, samples=samples, titles=titles, directory=directory)
    return check


def usual_score(detector: Detector, calibration: Calibration, normal: NormalImages) -> float:
    """Median score of normal samples: of the calibration, or of `normal` where an earlier release kept none."""
    if calibration.centre is not None:
        return calibration.centre
    return float(np.median([detector.score([normal.image(number)]).image[0] for number in range(len(normal))]))


def _write(
    found: Sequence[_Test], check: Condition, *, samples: Samples, titles: Sequence[str], directory: Path
) -> None:
    entries = [
        {
            "sample": samples.ids[one.number],
            "path": titles[one.number],
            "score": one.result.score,
            "marked_filled": one.result.marked,
            "random_filled": list(one.result.random),
            "marked_area": one.result.area,
        }
        for one in found
    ]
    text = json.dumps({"check": check.model_dump(mode="json"), "samples": entries}, indent=1, ensure_ascii=False)
    (directory / "deletion.json").write_text(text + "\n", encoding="utf-8")
    title = f"Deletion test of the heat maps: {check.status}"
    pictures, results = [one.drawn for one in found], [one.result for one in found]
    write_sheet(pictures, results, title=title, path=directory / "deletion.png")

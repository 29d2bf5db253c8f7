"""Heat maps of an image model and their deletion test, as pictures and as data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Scores
from components.core.ports import Detector, Image, Progress, Samples, silent
from components.explain.deletion_report import check_maps
from components.explain.filling import NormalImages
from components.explain.gallery import write_overlays
from components.explain.overlays import Scale, anchored_scale
from components.explain.report import EACH, Explanations, chosen_samples, finished, known_label
from components.explain.selection import Chosen

_COLOURS = (
    "Colours begin half-way from the usual value of normal maps to the threshold; above the threshold is outlined, and"
    " in black the upper half of what lies beyond the hottest colour."
)


def explain_images(
    samples: Samples,
    *,
    detector: Detector,
    scores: Scores,
    calibration: Calibration,
    normal: NormalImages | None,
    directory: Path,
    seed: int,
    names: Sequence[str] = (),
    each: int = EACH,
    progress: Progress = silent,
) -> Explanations:
    """Heat-map overlays for the most anomalous, the most uncertain and some normal of N images, and their check.

    Writes `<reason>-<n>.png` (image beside overlay), `maps.npy`, `index.json` and `sheet.png`; of the deletion test
    `checks.json` and, where an image was tested, `deletion.json` and `deletion.png`.

    Args:
        samples: N images.
        detector: Whose maps are drawn.
        scores: Of that detector.
        calibration: Its threshold, to which the colours are anchored.
        normal: Normal images to fill regions from, none of them among `samples`; None where there is none.
        directory: Empty or missing folder.
        seed: Of the deletion test.
        names: N names for people, such as paths; sample names by default.
        each: Samples for each reason.
        progress: Told of every map.

    Raises:
        NotEnoughDataError: There is no sample.
    """
    chosen = chosen_samples(samples, scores, calibration, each)
    images, maps = _mapped(samples, detector, chosen, progress)
    titles = names or samples.ids
    scale = _scale(maps, chosen, calibration)
    directory.mkdir(parents=True, exist_ok=True)
    write_overlays(
        images,
        maps=np.stack(maps),
        chosen=chosen,
        ids=[samples.ids[item.index] for item in chosen],
        titles=[titles[item.index] for item in chosen],
        labels=[known_label(samples, item.index) for item in chosen],
        scale=scale,
        directory=directory,
    )
    check = check_maps(
        samples,
        detector=detector,
        scores=scores.image,
        calibration=calibration,
        normal=normal,
        scale=scale,
        titles=titles,
        directory=directory,
        seed=seed,
        progress=progress,
    )
    figures = {} if check.value is None else {check.name: check.value}
    return finished(directory, figures=figures, checks=[check], notes=[_COLOURS])


def _mapped(
    samples: Samples, detector: Detector, chosen: Sequence[Chosen], progress: Progress
) -> tuple[list[Image], list[NDArray[np.float32]]]:
    """The chosen images, and the heat map of each."""
    images: list[Image] = []
    maps: list[NDArray[np.float32]] = []
    for number, item in enumerate(chosen):
        images.append(np.asarray(samples.take([item.index])[0]))
        maps.append(detector.explain([images[-1]])[0])
        progress("explain", number + 1, len(chosen))
    return images, maps


def _scale(maps: Sequence[NDArray[np.float32]], chosen: Sequence[Chosen], calibration: Calibration) -> Scale:
    calm = [one for one, item in zip(maps, chosen, strict=True) if item.reason == "normal"] or list(maps)
    return anchored_scale(calibration.threshold, background=float(np.median(np.stack(calm))))

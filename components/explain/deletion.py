"""The deletion test of heat maps: without what a map marks, the score must fall, and more than without other places.

After Petsiuk et al. 2018 ("RISE"), section 4.3, with two changes: what is deleted becomes normal instead of grey, and
the measure is the drop beside that of regions of the same shape elsewhere, not a curve over sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Condition
from components.core.ports import Detector, Image
from components.core.seeds import generator
from components.explain.filling import NormalImages, elsewhere, marked_region
from components.explain.pictures import shrink
from components.metrics.bootstrap import widened

NAME = "heat_map_deletion"
DRAWS = 5
"""Random regions of each image."""
LEAST, MOST = 5, 12
"""Images tested. Fewer than five that all agree are no evidence: a map drawn at random does so once in 2**4."""
LARGEST = 0.25
"""Share of an image that may be marked: of more, hardly any other place is left to compare with."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One image; higher scores are more anomalous.

    Attributes:
        score: Of the image itself.
        marked: Score once the marked region is filled.
        random: Scores once each of R random regions of the same shape is.
        area: Share of the image that is marked.
        pictures: The image with its marked region filled, and with the first random one filled, made small.
    """

    score: float
    marked: float
    random: tuple[float, ...]
    area: float
    pictures: tuple[Image, Image]

    @property
    def drop(self) -> float:
        """By how much the score falls without the marked region."""
        return self.score - self.marked

    @property
    def usual_drop(self) -> float:
        """Mean fall without a random region; a filling that raises the score counts as 0, not in the map's favour."""
        return float(np.maximum(self.score - np.array(self.random), 0.0).mean())


def deletion(
    detector: Detector,
    image: Image,
    heat: NDArray[np.float32],
    *,
    normal: NormalImages,
    threshold: float,
    seed: int,
) -> Deletion | None:
    """Score `image` with its marked region filled, and with `DRAWS` random regions filled; None for a flat map.

    Args:
        detector: Whose map it is.
        image: ``(H, W, 3)``; not changed.
        heat: ``(h, w)``, its map.
        normal: What regions are filled with.
        threshold: The map's cut; see `marked_region`.
        seed: Of the random regions.
    """
    region = marked_region(heat, threshold=threshold, largest=LARGEST)
    if region is None:
        return None
    rng = generator(seed, "deletion")
    filled = [normal.fill(image, region)]
    filled += [normal.fill(image, elsewhere(region, rng=rng)) for _ in range(DRAWS)]
    scores = detector.score([image, *filled]).image.tolist()
    return Deletion(
        score=scores[0],
        marked=scores[1],
        random=tuple(scores[2:]),
        area=float(region.mean()),
        pictures=(shrink(filled[0]), shrink(filled[1])),
    )


def worth_testing(scores: NDArray[np.float64], calibration: Calibration) -> list[int]:
    """Which of ``(N,)`` samples to test: the highest of those above the threshold, others below it to make five."""
    above = int((scores > calibration.threshold).sum())
    ranked = np.argsort(-scores, kind="stable")
    return [int(index) for index in ranked[: min(max(above, LEAST), MOST)]]


def judge(found: Sequence[Deletion], *, usual: float, seed: int) -> Condition:
    """Whether filling what maps mark lowers the score more than filling other places, beyond the error over images.

    The value is the mean fall of the marked regions less that of the random ones, as a share of what the scores exceed
    `usual` by; its interval is a 95 % percentile bootstrap over images, as much wider as these are few, and its low end
    must lie above 0.

    Args:
        found: One for each image.
        usual: Score of a usual normal sample.
        seed: Of the bootstrap.
    """
    if len(found) < LEAST:
        return untested(f"{len(found)} images with a mark are too few: it takes {LEAST}")
    excess = float(np.mean([one.score for one in found])) - usual
    if not excess > 0:
        return untested("no image has a higher score than normal ones usually have: there is nothing to delete")
    marked = np.array([one.drop for one in found]) / excess
    random = np.array([one.usual_drop for one in found]) / excess
    gains = marked - random
    drawn = generator(seed, "bootstrap").integers(len(gains), size=(RESAMPLES, len(gains)))
    ends = np.quantile(gains[drawn].mean(axis=1), [0.025, 0.975])
    # Of 5 images the percentiles alone let every twelfth map pass that marks at random, in place of every fortieth.
    low, high = (float(end) for end in gains.mean() + widened(len(gains), level=0.025) * (ends - gains.mean()))
    detail = (
        f"normal content in the marked region takes away {marked.mean():.1%} of what the score exceeds the usual by, "
        f"in random regions of its shape {random.mean():.1%}; the marked one takes more in {(gains > 0).sum()} of "
        f"{len(gains)} images"
    )
    status = "met" if low > 0 else "failed"
    return Condition(name=NAME, status=status, value=float(gains.mean()), low=low, high=high, limit=0.0, detail=detail)


def untested(why: str) -> Condition:
    """The check where it could not be made."""
    return Condition(name=NAME, status="unmeasured", limit=0.0, detail=why)

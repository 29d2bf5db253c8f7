"""Fit a detector, and calibrate its threshold on normal samples that it did not see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Costs, Modality, Params, TableSchema
from components.core.errors import NotEnoughDataError
from components.core.ports import Detector, LeftOut, Progress, Samples, silent
from components.core.scoring import score_all
from components.core.seeds import derive_seed, generator
from components.core.subset import Subset, normal_only
from components.metrics.thresholds import calibrate, far_beyond
from components.models import registry
from components.models.catalogue import DETECTORS
from components.train.preflight import require_memory

FOLDS, MOST_FOLDS = 5, 20
"""Models that cross-conformal calibration fits beside the final one: see `fold_count`."""

_WORK = 1_000
"""Samples of all folds' fits together, about: those of five folds of 200."""

_SLOW = 1.0
"""Minutes of a fit (see `Entry`) from which on there are no more folds than `FOLDS`."""

_NAMED = 3
"""Outlying calibration samples that are named."""

SMALL = 100
"""With fewer independent groups of normal samples, calibrate across folds, so that all of them count."""


def fit(
    name: str,
    *,
    params: Params,
    schema: TableSchema | None,
    samples: Samples,
    seed: int,
    progress: Progress = silent,
) -> Detector:
    """A detector of that name fitted on `samples`; anomalous ones are left out unless it learns from labels.

    Raises:
        NotEnoughDataError: No normal sample is left.
        ModelError: The detector cannot learn from these samples, or it would take more memory than there is.
    """
    detector = registry.create(name, params, schema=schema)
    normal = normal_only(samples)
    if len(normal) == 0:
        raise NotEnoughDataError("There is no normal sample to train on.", hint="Add normal samples to the source.")
    used = samples if detector.uses_labels else normal
    require_memory(detector, used)
    detector.fit(used, seed=seed, progress=progress)
    return detector


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A threshold and what it came from.

    Attributes:
        calibration: The threshold.
        scores: Of each calibration sample, by a model that did not see it.
        left_out: Of training samples, if they joined those; see `LeftOut`.
    """

    calibration: Calibration
    scores: dict[str, float]
    left_out: tuple[float, ...] = ()


def calibrate_split(
    detector: Detector,
    *,
    samples: Samples,
    rate: float | None,
    seed: int,
    costs: Costs | None = None,
    overlap: float = 1.0,
    in_time: bool = False,
) -> Calibrated:
    """Threshold from normal `samples` that `detector` never saw; see `components.metrics.thresholds`.

    Where they are too few for the rate, its training samples, each scored without itself, join them.

    Raises:
        NotEnoughDataError: The samples cannot support `rate`; the message says how many would.
    """
    normal = normal_only(samples)
    scores = score_all(detector, normal).image
    left_out = detector.left_out_scores if isinstance(detector, LeftOut) else None
    calibration = calibrate(
        scores,
        rate=rate,
        method="split",
        seed=derive_seed(seed, "calibration"),
        left_out=left_out,
        costs=costs,
        overlap=overlap,
        in_time=in_time,
    )
    joined = left_out if calibration.tail and calibration.tail.source == "left out" else None
    return _calibrated(calibration, _by_name(normal, scores), left_out=() if joined is None else tuple(joined.tolist()))


def calibrate_cross(
    name: str,
    *,
    params: Params,
    schema: TableSchema | None,
    samples: Samples,
    groups: NDArray[np.str_],
    rate: float | None,
    seed: int,
    costs: Costs | None = None,
    progress: Progress = silent,
) -> Calibrated:
    """Threshold from all normal `samples`, each scored by a model fitted without its fold.

    Whole groups are held out: a window that overlaps a training window would be scored too well. What folds' models
    lack of few samples raises their scores: of 54 images of parts that lie at any angle, with five folds, `memory-bank`
    had all of 100 new normal images below the median calibration score, and a threshold far above its declared rate.
    So the fewer there are, the more folds; see `fold_count`.

    Args:
        name: Of the detector.
        params: Its parameters.
        schema: Of a table line.
        samples: N samples for training and calibration.
        groups: ``(N,)`` names of what belongs together (part, batch, time block), or of the sample itself.
        rate: Declared false-alarm rate; None: the smallest that the samples support.
        seed: Of the folds, the fits and the bootstrap.
        costs: Of wrong and of unsure verdicts; None: the defaults.
        progress: Told of every fold, and of the steps within.

    Raises:
        NotEnoughDataError: There are fewer than two groups with normal samples, or too few samples for `rate`.
    """
    folds = _folds(samples, groups, count=fold_count(name, int((samples.labels == 0).sum())), seed=seed)
    scores: dict[str, float] = {}
    for number, fold in enumerate(folds):
        progress("calibrating across folds", number, len(folds))
        kept = Subset(samples, np.setdiff1d(np.arange(len(samples)), fold))
        own = derive_seed(seed, "fold", number)
        model = fit(name, params=params, schema=schema, samples=kept, seed=own, progress=progress)
        held_out = Subset(samples, fold)
        scores |= _by_name(held_out, score_all(model, held_out, progress=progress).image)
    progress("calibrating across folds", len(folds), len(folds))
    values = np.array(list(scores.values()))
    calibration = calibrate(
        values,
        rate=rate,
        method="cross",
        seed=derive_seed(seed, "calibration"),
        costs=costs,
        overlap=1.0 if schema is None else schema.overlap,
        in_time=schema is not None and schema.in_time,
    )
    return _calibrated(calibration, scores)


def _calibrated(calibration: Calibration, scores: dict[str, float], *, left_out: tuple[float, ...] = ()) -> Calibrated:
    """With what may be unlabelled anomalies among the samples."""
    names, values = np.array(list(scores)), np.array(list(scores.values()))
    far = np.flatnonzero(far_beyond(values))
    furthest = tuple(names[far[np.argsort(-values[far], kind="stable")][:_NAMED]].tolist())
    told = calibration.model_copy(update={"outlying": len(far), "furthest": furthest})
    return Calibrated(calibration=told, scores=scores, left_out=left_out)


def fold_count(name: str, samples: int) -> int:
    """How many folds so many normal samples are calibrated in: more of few images, unless a fit takes minutes.

    Detectors of tables say of new rows what they say of a fold's, with five as with twenty.

    >>> [fold_count("memory-bank", samples) for samples in (30, 100, 300)], fold_count("dinomaly", 30)
    ([20, 10, 5], 5)
    """
    entry = DETECTORS[name]
    if entry.modality is not Modality.IMAGE or entry.minutes > _SLOW:
        return FOLDS
    return min(MOST_FOLDS, max(FOLDS, _WORK // max(samples, 1)))


def _folds(samples: Samples, groups: NDArray[np.str_], *, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Places of the normal samples of each of at most `count` folds, whole groups."""
    normal = np.flatnonzero(samples.labels == 0)
    names = np.unique(groups[normal])
    if len(names) < 2:
        raise NotEnoughDataError(
            f"{len(normal)} normal samples in {len(names)} groups cannot be trained on and calibrated on.",
            hint="Add normal samples.",
        )
    parts = np.array_split(generator(seed, "folds").permutation(names), min(count, len(names)))
    return [normal[np.isin(groups[normal], part)] for part in parts]


def _by_name(samples: Samples, scores: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(samples.ids, (float(score) for score in scores), strict=True))

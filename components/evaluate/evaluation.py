"""Figures of a model on a sealed split, each with a bootstrap interval."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Calibration, Evaluation, Metric, Scores, Split
from components.core.ports import Detector, Progress, Samples, silent
from components.core.scoring import score_all
from components.core.seeds import derive_seed
from components.metrics.bootstrap import interval, paired_difference, rate_interval
from components.metrics.ranking import auroc, average_precision, f1_above
from components.metrics.verdicts import answers
from components.models.feature_memo import forgetting

LATENCY_SAMPLES = 16
"""Samples timed one by one."""

Mask = NDArray[np.bool_] | None


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a model said of a split: the figures, the scores that they come from, and which samples count as one."""

    evaluation: Evaluation
    scores: Scores
    labels: NDArray[np.int8]
    groups: NDArray[np.str_] | None = None


def evaluate(
    detector: Detector,
    samples: Samples,
    *,
    masks: Sequence[Mask],
    dataset: str,
    looks: int,
    seed: int,
    groups: NDArray[np.str_] | None = None,
    overlap: float = 1.0,
    progress: Progress = silent,
) -> Scored:
    """Score the sealed test `samples` with the calibrated `detector`.

    Args:
        detector: Carries its threshold.
        samples: N samples; their labels are read here and nowhere before.
        masks: N ground-truth masks at image size, None where there is none; empty for tables.
        dataset: Tag of the dataset version.
        looks: How often this split has been looked at, this time included.
        seed: Of the bootstrap.
        groups: N names of what belongs together (part, batch, time block), or of the sample itself; None: each counts.
        overlap: How many of the samples hold one row of a table, at least 1.
        progress: Told how far the scoring is.
    """
    calibration = _calibration(detector)
    scores = score_all(detector, samples, maps=bool(masks), progress=progress)
    labels = np.asarray(samples.labels)
    metrics = image_metrics(
        scores.image, labels, threshold=calibration.threshold, seed=seed, groups=groups, overlap=overlap
    )
    said = answers(scores.image, calibration, uncertainty=scores.uncertainty)
    unsure = np.array([one.word == "unsure" for one in said], np.bool_)
    metrics |= _by_class(unsure, labels, names=("unsure_normal", "unsure_anomalous"), groups=groups, overlap=overlap)
    metrics["latency_ms"] = latency(detector, samples)
    if masks and scores.maps is not None:
        from components.evaluate.pixels import pixel_metrics

        metrics |= pixel_metrics(scores.maps, masks, labels, seed=seed, groups=groups)
    evaluation = Evaluation(split=Split.TEST, dataset=dataset, metrics=metrics, looks=looks)
    return Scored(evaluation=evaluation, scores=scores, labels=labels, groups=groups)


def _calibration(detector: Detector) -> Calibration:
    if detector.calibration is None:
        raise ValueError(f"{detector.name} must be calibrated before it is evaluated")
    return detector.calibration


def image_metrics(
    scores: NDArray[np.float64],
    labels: NDArray[np.int8],
    *,
    threshold: float,
    seed: int,
    groups: NDArray[np.str_] | None = None,
    overlap: float = 1.0,
) -> dict[str, Metric]:
    """AUROC, average precision, F1, false-alarm rate and recall of ``(N,)`` scores; see `evaluate`.

    The last three are of the threshold alone, whatever verdicts say: `unsure` ones are counted beside them.
    """
    alarms = scores > threshold
    found = {
        name: interval(metric, scores, labels, seed=derive_seed(seed, stream), groups=groups)
        for name, metric, stream in (
            ("image_auroc", auroc, "auroc"),
            ("average_precision", average_precision, "ap"),
            ("f1", f1_above(threshold), "f1"),
        )
    }
    return found | _by_class(alarms, labels, names=("false_alarm_rate", "recall"), groups=groups, overlap=overlap)


def _by_class(
    hits: NDArray[np.bool_],
    labels: NDArray[np.int8],
    *,
    names: tuple[str, str],
    groups: NDArray[np.str_] | None,
    overlap: float,
) -> dict[str, Metric]:
    """By these `names` the shares of the normal and of the anomalous ones of ``(N,)`` samples that are hits."""
    return {
        name: rate_interval(hits[kept], groups=None if groups is None else groups[kept], overlap=overlap)
        for name, kept in zip(names, (labels == 0, labels != 0), strict=True)
    }


def difference(candidate: Scored, champion: Scored, *, seed: int) -> Metric:
    """AUROC of the candidate minus the champion's, on the same samples, by a paired bootstrap."""
    return paired_difference(
        auroc,
        candidate.scores.image,
        champion.scores.image,
        candidate.labels,
        seed=derive_seed(seed, "difference"),
        groups=candidate.groups,
    )


def latency(detector: Detector, samples: Samples) -> Metric:
    """Milliseconds to score one sample alone: median and the central 95 % of at most `LATENCY_SAMPLES`."""
    count = min(len(samples), LATENCY_SAMPLES)
    if count == 0:
        return Metric(value=None, note="no sample to time")
    taken: list[float] = []
    with forgetting():
        detector.score(samples.take([0]))  # the first call pays for lazy initialisation
        for index in range(count):
            batch = samples.take([index])
            start = time.perf_counter()
            detector.score(batch)
            taken.append(1000 * (time.perf_counter() - start))
    low, middle, high = np.percentile(taken, [2.5, 50, 97.5])
    return Metric(value=float(middle), low=float(low), high=float(high), n=count)

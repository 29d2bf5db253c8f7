"""Fit, evaluate and keep a model of one dataset version: what the retrain flow and `dvc repro` both do."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Label, ManifestColumn, Params, Split
from components.core.lines import LineConfig
from components.core.ports import Detector
from components.core.seeds import derive_seed
from components.evaluate.evaluation import Scored, evaluate
from components.metrics.conformal import needed_samples
from components.metrics.thresholds import USUAL, require_samples
from components.models import registry
from components.models.feature_memo import remembering
from components.samples.sets import ImageSamples
from components.search.portfolio import DETECTOR
from components.train.fitting import SMALL, Calibrated, calibrate_cross, calibrate_split, fit
from components.train.precision import prove_precision
from components.train.preflight import spare_memory
from flows.data import LineData, SampleSet
from flows.jobs.kept_scores import write_scores
from flows.progress import report, steps


def detector_name(line: LineConfig) -> str:
    """The one detector that the line names, else its modality's default."""
    named = "" if line.detector == registry.EVERY else line.detector
    return named or registry.default_detector(line.modality)


def configured(line: LineConfig, params: Params) -> tuple[str, Params]:
    """Detector and parameters of a searched configuration, which names its detector where there was a choice."""
    own = {name: value for name, value in params.items() if name != DETECTOR}
    return params.get(DETECTOR, detector_name(line)), own


def settled(data: LineData, name: str, params: Params) -> Params:
    """`params` with what depends on the number of training samples decided as for the model that will be kept."""
    splits = (Split.TRAIN, Split.CALIBRATION) if is_small(data) else (Split.TRAIN,)
    return registry.settled(name, params, samples=len(data.rows(*splits, label=Label.NORMAL)))


def train(data: LineData, *, params: Params, seed: int, rate: float | None, folder: Path) -> Calibrated:
    """Fit and calibrate a detector, and keep it in `folder`/detector with its calibration scores beside it."""
    with remembering(spare_memory()):
        detector, calibrated = fit_and_calibrate(data, params=params, seed=derive_seed(seed, "train"), rate=rate)
    detector.calibration = calibrated.calibration
    seen = data.samples(data.rows(Split.TRAIN, Split.CALIBRATION, label=Label.NORMAL))
    prove_precision(detector, samples=seen, scores=calibrated.scores)
    detector.save(folder / "detector")
    write_scores(calibrated, folder)
    return calibrated


def fit_and_calibrate(data: LineData, *, params: Params, seed: int, rate: float | None) -> tuple[Detector, Calibrated]:
    """A detector fitted on train, calibrated on normal samples it did not see; small lines across folds."""
    name, own = configured(data.line, params)
    own, schema = settled(data, name, own), data.schema
    if not is_small(data):
        samples = data.split(Split.TRAIN)
        with steps() as progress:
            detector = fit(name, params=own, schema=schema, samples=samples, seed=seed, progress=progress)
        held_out = data.split(Split.CALIBRATION)
        calibrated = calibrate_split(
            detector,
            samples=held_out,
            rate=rate,
            seed=seed,
            costs=data.line.costs,
            overlap=data.overlap,
            in_time=data.in_time,
        )
        return detector, calibrated
    rows = data.rows(Split.TRAIN, Split.CALIBRATION)
    samples = data.samples(rows)
    with steps() as progress:
        detector = fit(name, params=own, schema=schema, samples=samples, seed=seed, progress=progress)
    with steps() as progress:
        calibrated = calibrate_cross(
            name,
            params=own,
            schema=schema,
            samples=samples,
            groups=data.groups(rows),
            rate=rate,
            seed=seed,
            costs=data.line.costs,
            progress=progress,
        )
    return detector, calibrated


def is_small(data: LineData) -> bool:
    """Whether the threshold is calibrated across folds rather than on a split of its own.

    So it is where groups are few, and where that split alone could not support the usual rate: of 120 images it would
    hold 30, with which 1 in 31 is the least that can be promised. It is empty where every group holds an anomaly, as
    machines do that ran until they failed.
    """
    rows = data.rows(Split.TRAIN, Split.CALIBRATION, label=Label.NORMAL)
    held_out = len(data.rows(Split.CALIBRATION, label=Label.NORMAL))
    return len(np.unique(data.groups(rows))) < SMALL or held_out / data.overlap < needed_samples(USUAL)


def require_calibration(data: LineData, *, rate: float | None, params: Params) -> None:
    """Refuse, before it is trained, a configuration whose samples cannot support a declared false-alarm rate.

    Whether an extreme-value tail fits is known after training alone, and refused then.

    Args:
        data: A dataset version of a line.
        rate: The declared one; None: the smallest that they support, which is never refused.
        params: As a search gives them; the detector decides how many training samples may join the calibration ones.

    Raises:
        NotEnoughDataError: They are too few; the message says how many would do.
    """
    if rate is not None:
        train = len(data.rows(Split.TRAIN, label=Label.NORMAL))
        held_out = len(data.rows(Split.CALIBRATION, label=Label.NORMAL))
        if is_small(data):
            require_samples((train + held_out) / data.overlap, rate=rate)
        else:
            name, own = configured(data.line, params)
            scored = registry.scored_left_out(name, own, samples=train)
            require_samples(held_out / data.overlap, rate=rate, left_out=scored)


def evaluate_on_test(data: LineData, detector: Detector, *, looks: int, seed: int) -> Scored:
    """The detector's figures on the sealed test split."""
    rows = data.rows(Split.TEST)
    samples = data.samples(rows)
    return evaluate(
        detector,
        samples,
        masks=masks_of(samples),
        dataset=data.version.tag,
        looks=looks,
        seed=derive_seed(seed, "evaluate"),
        groups=data.groups(rows),
        overlap=data.overlap,
        progress=report,
    )


def masks_of(samples: SampleSet) -> Sequence[NDArray[np.bool_] | None]:
    """Ground-truth masks of image samples; none for tables."""
    return samples.masks(range(len(samples))) if isinstance(samples, ImageSamples) else []


def count_leaks(data: LineData) -> int:
    """Samples and groups, near-duplicates among these, that stand in more than one split; 0 unless one is broken."""
    rows = data.manifest
    found = 0
    for column in (ManifestColumn.SAMPLE, ManifestColumn.GROUP):
        named = rows[rows[column] != ""]
        found += int((named.groupby(column)[ManifestColumn.SPLIT].nunique() > 1).sum())
    return found

"""The explain stage: what the candidate looks at, as pictures and as data, on samples it was not fitted on."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.core.contracts import Condition, Label, ManifestColumn, Split
from components.core.hashing import folder_hashes
from components.core.ports import Detector, Windows
from components.core.scoring import plain_scores, score_all
from components.core.seeds import derive_seed, generator
from components.explain.filling import NormalImages
from components.explain.image_report import explain_images
from components.explain.report import Explanations
from components.explain.table_report import explain_tables
from components.models import registry
from components.samples.sets import ImageSamples, TableSamples
from flows.data import LineData, SampleSet
from flows.jobs.retrain import RetrainJob
from flows.progress import report

MOST_SAMPLES = 2_000
"""Samples among which the most anomalous, the most uncertain and the normal ones are chosen."""

BACKGROUND_POOL = 500
"""Normal training windows from which the background of Shapley values is drawn."""

NORMAL_IMAGES = 16
"""Normal images that regions of a deletion test are filled from at most: each is compared with at every filling."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Artifact path → SHA-256 of what was logged to MLflow, and whether it can be trusted."""

    files: dict[str, str]
    checks: tuple[Condition, ...]


def explain(job: RetrainJob) -> Explained:
    """Explain the candidate and log everything to MLflow, failed checks too."""

    def act() -> dict[str, Any]:
        folder = job.fresh_folder("explanations")
        with job.timed("explain"):
            found = explain_model(
                job.data, registry.load(job.folder / "model" / "detector"), folder=folder, seed=job.seed
            )
        job.app.tracker.log_folder(job.run_id, folder, "explanations")
        job.app.tracker.log_metrics(job.run_id, {f"explain.{name}": value for name, value in found.figures.items()})
        job.app.tracker.log_params(job.run_id, {f"check.{check.name}": check.status for check in found.checks})
        return {"files": folder_hashes(folder), "checks": [check.model_dump(mode="json") for check in found.checks]}

    found = job.once("explain", act)
    return Explained(files=found["files"], checks=tuple(Condition.model_validate(check) for check in found["checks"]))


def explain_model(data: LineData, detector: Detector, *, folder: Path, seed: int) -> Explanations:
    """Write what `detector` looks at into `folder`, on test samples or, where there are none, on calibration ones."""
    samples = explained_samples(data, seed=seed)
    scores = score_all(detector, samples, progress=report)
    assert detector.calibration is not None
    names = [str(path) for path in samples.rows[ManifestColumn.PATH]]
    if isinstance(samples, ImageSamples):
        return explain_images(
            samples,
            detector=detector,
            scores=scores,
            calibration=detector.calibration,
            normal=normal_images(data, but=samples.ids, seed=seed),
            directory=folder,
            seed=derive_seed(seed, "explain"),
            names=names,
            progress=report,
        )
    starts = samples.rows[ManifestColumn.START]
    assert data.schema is not None
    return explain_tables(
        samples,
        score=lambda windows: plain_scores(detector, windows),
        scores=scores,
        calibration=detector.calibration,
        background=background(data, seed=seed),
        features=[column.name for column in data.schema.features],
        directory=folder,
        seed=derive_seed(seed, "explain"),
        names=[f"{name} row {start}" for name, start in zip(names, starts, strict=True)],
        options=data.line.explain,
        categories=data.schema.categories,
        progress=report,
    )


def explained_samples(data: LineData, *, seed: int) -> SampleSet:
    """At most `MOST_SAMPLES` samples that the model was not fitted on."""
    rows = data.rows(Split.TEST)
    if rows.empty:
        rows = data.rows(Split.CALIBRATION, Split.VALIDATION)
    if len(rows) > MOST_SAMPLES:
        chosen = np.sort(generator(seed, "explain").choice(len(rows), MOST_SAMPLES, replace=False))
        rows = rows.iloc[chosen]
    return data.samples(rows)


def normal_images(data: LineData, *, but: Collection[str], seed: int) -> NormalImages | None:
    """Some normal images that are not among the samples `but`, or None where there is none.

    Of the calibration split, since a memory holds the very patches of training images (on small lines of both); of the
    training split where there are none.
    """
    for split in (Split.CALIBRATION, Split.TRAIN):
        rows = data.rows(split, label=Label.NORMAL)
        rows = rows[~rows[ManifestColumn.SAMPLE].isin(list(but))]
        if not rows.empty:
            drawn = generator(seed, "normal images").permutation(len(rows))[:NORMAL_IMAGES]
            return NormalImages(data.samples(rows), sorted(drawn.tolist()))
    return None


def background(data: LineData, *, seed: int) -> Windows:
    """Normal training windows ``(B, W, D)`` that stand for the usual."""
    rows = data.rows(Split.TRAIN, label=Label.NORMAL)
    if len(rows) > BACKGROUND_POOL:
        rows = rows.iloc[np.sort(generator(seed, "pool").choice(len(rows), BACKGROUND_POOL, replace=False))]
    samples = data.samples(rows)
    assert isinstance(samples, TableSamples)
    return samples.take(range(len(samples)))

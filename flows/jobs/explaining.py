"""The explain stage: what the candidate looks at, as pictures and as data, on samples it was not fitted on."""

from pathlib import Path

import numpy as np

from components.core.contracts import Label, ManifestColumn, Split
from components.core.hashing import folder_hashes
from components.core.ports import Detector, Windows
from components.core.scoring import score_all
from components.core.seeds import derive_seed, generator
from components.explain.report import Explanations, explain_images, explain_tables
from components.models import registry
from components.samples.sets import ImageSamples, TableSamples
from flows.data import LineData, SampleSet
from flows.jobs.retrain import RetrainJob
from flows.progress import report

MOST_SAMPLES = 2_000
"""Samples among which the most anomalous, the most uncertain and the normal ones are chosen."""

BACKGROUND_POOL = 500
"""Normal training windows from which the background of Shapley values is drawn."""


def explain(job: RetrainJob) -> dict[str, str]:
    """Explain the candidate and log everything to MLflow; return artifact path → SHA-256."""

    def act() -> dict[str, str]:
        folder = job.fresh_folder("explanations")
        with job.timed("explain"):
            found = explain_model(
                job.data, registry.load(job.folder / "model" / "detector"), folder=folder, seed=job.seed
            )
        job.app.tracker.log_folder(job.run_id, folder, "explanations")
        job.app.tracker.log_metrics(job.run_id, {f"explain.{name}": value for name, value in found.figures.items()})
        return folder_hashes(folder)

    return job.once("explain", act)


def explain_model(data: LineData, detector: Detector, *, folder: Path, seed: int) -> Explanations:
    """Write what `detector` looks at into `folder`, on test samples or, where there are none, on calibration ones."""
    samples = explained_samples(data, seed=seed)
    scores = score_all(detector, samples, progress=report).image
    assert detector.calibration is not None
    names = [str(path) for path in samples.rows[ManifestColumn.PATH]]
    if isinstance(samples, ImageSamples):
        return explain_images(
            samples,
            detector=detector,
            scores=scores,
            calibration=detector.calibration,
            directory=folder,
            names=names,
            progress=report,
        )
    starts = samples.rows[ManifestColumn.START]
    assert data.schema is not None
    return explain_tables(
        samples,
        score=lambda windows: detector.score(windows).image,
        scores=scores,
        calibration=detector.calibration,
        background=background(data, seed=seed),
        features=[column.name for column in data.schema.features],
        directory=folder,
        seed=derive_seed(seed, "explain"),
        names=[f"{name} row {start}" for name, start in zip(names, starts, strict=True)],
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


def background(data: LineData, *, seed: int) -> Windows:
    """Normal training windows ``(B, W, D)`` that stand for the usual."""
    rows = data.rows(Split.TRAIN, label=Label.NORMAL)
    if len(rows) > BACKGROUND_POOL:
        rows = rows.iloc[np.sort(generator(seed, "pool").choice(len(rows), BACKGROUND_POOL, replace=False))]
    samples = data.samples(rows)
    assert isinstance(samples, TableSamples)
    return samples.take(range(len(samples)))

"""The drift job: the samples that came since the champion's data, against the champion's calibration samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Label, ManifestColumn, ModelVersion, Split, TableSchema
from components.core.drift_report import DriftReport
from components.core.ports import Detector, Embedder, Image
from components.core.scoring import score_all
from components.core.wording import listed
from components.drift import evidently_report
from components.drift.check import check
from components.drift.features import OPTICS, embedding_features, optics, table_features
from components.drift.window import DriftWindow, Family
from components.models import registry
from components.samples.constants import constants_in
from components.samples.sets import ImageSamples, TableSamples
from components.samples.tables import read_table
from flows.data import LineData, SampleSet
from flows.jobs.kept_scores import calibration_scores
from flows.jobs.models import as_trained, champion_of, load_model
from flows.progress import report as tell
from flows.wiring import Linewright

MOST_IMAGES = 2_000
"""Images of each side that a check reads; the newest are kept, and the report says how many were compared."""

MOST_CELLS = 25_000_000
"""Cells of each side of a table that a check reads, 200 MB: half a million rows of fifty columns."""

BATCH = 16


@dataclass(frozen=True, kw_only=True)
class DriftOutcome:
    """A stored check: its report, number, HTML file ("" unless it found drift), and which of the champion's it is."""

    report: DriftReport
    check_id: int
    html: str
    champion: ModelVersion
    number: int


def check_drift(app: Linewright, name: str, *, actor: str) -> DriftOutcome:
    """Compare the line's newest samples with its champion's, store the verdict, and write a report if it is drift.

    Raises:
        NotEnoughDataError: The line has no champion, or no data.
    """
    champion = champion_of(app, name)
    line = as_trained(app, app.line(name), champion)
    data = LineData.open(app, line)
    detector = load_model(app, champion)
    reference, current = _windows(app, data, champion, detector)
    number = app.records.drift.checks_since(name, champion.version) + 1
    decided = app.records.drift.checks_since(name, champion.version, decided=True)
    found = check(reference, current, line=name, options=line.drift, number=number, decided=decided, seed=line.seed)
    if found.verdict == "not enough data":
        unread = _unread(data.manifest, champion.dataset)
        found = found.model_copy(update={"detail": f"{found.detail} {unread}".strip()})
    html = ""
    if found.verdict == "drift":
        path = app.settings.reports / f"{name}-v{champion.version}-check{number}.html"
        html = str(evidently_report.write_html(reference, current, report=found, path=path).relative_to(app.home))
    check_id = app.records.drift.add(found, champion=champion.version, html=html, actor=actor)
    return DriftOutcome(report=found, check_id=check_id, html=html, champion=champion, number=number)


def _windows(
    app: Linewright, data: LineData, champion: ModelVersion, detector: Detector
) -> tuple[DriftWindow, DriftWindow]:
    folder = app.tracker.local_folder(champion.folder)
    known = calibration_scores(folder)
    manifest, most = _by_age(data.manifest), _most(data.schema)
    old = manifest[manifest[ManifestColumn.SAMPLE].isin(known)].tail(most)
    new = manifest[
        (manifest[ManifestColumn.ADDED_IN] > champion.dataset)
        & (manifest[ManifestColumn.SPLIT] != Split.TEST)
        & (manifest[ManifestColumn.LABEL] == Label.NORMAL)
    ].tail(most)
    old_samples, new_samples = data.samples(old), data.samples(new)
    old_features, new_features, families = _features(old_samples, new_samples, detector, data.schema)
    threshold = champion.calibration.threshold
    reference = DriftWindow(
        name=f"{data.line.name}/v{champion.dataset}",
        features=old_features,
        families=families,
        groups=data.groups(old),
        scores=np.array([known[sample] for sample in old[ManifestColumn.SAMPLE]]),
        threshold=threshold,
        constants=data.schema.constants if data.schema else {},
        ignored=data.schema.ignored if data.schema else {},
    )
    current = DriftWindow(
        name=f"{data.version.tag}, added since",
        features=new_features,
        families=families,
        groups=data.groups(new),
        scores=score_all(detector, new_samples, progress=tell).image,
        threshold=threshold,
        constants=_constants(data, new),
        ignored=data.schema.ignored if data.schema else {},
    )
    return reference, current


def _unread(manifest: pd.DataFrame, dataset: int) -> str:
    """Which samples that came since version `dataset` no check reads, in a sentence, or "" where there are none."""
    new = manifest[manifest[ManifestColumn.ADDED_IN] > dataset]
    test = new[ManifestColumn.SPLIT] == Split.TEST
    anomalous = ~test & (new[ManifestColumn.LABEL] != Label.NORMAL)
    parts = [f"{int(test.sum())} in the sealed test split"] if test.any() else []
    parts += [f"{int(anomalous.sum())} labelled anomalous"] if anomalous.any() else []
    return f"Not read of the {len(new)} that came since: {' and '.join(parts)}." if parts else ""


def _by_age(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order in which they came, those of one version by their files' names and their place in them.

    A manifest goes by the samples' digests: its last rows are not the newest, and its neighbours no neighbours in time.
    """
    order = [ManifestColumn.ADDED_IN, ManifestColumn.PATH, ManifestColumn.START]
    return manifest.sort_values(order, kind="stable", ignore_index=True)


def _most(schema: TableSchema | None) -> int:
    """Samples of each side that a check reads."""
    return MOST_IMAGES if schema is None else max(1, MOST_CELLS // (schema.window * len(schema.features)))


def _features(
    old: SampleSet, new: SampleSet, detector: Detector, schema: TableSchema | None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Family]]:
    if isinstance(old, TableSamples) and isinstance(new, TableSamples) and schema is not None:
        before, after = (table_features(part.take(range(len(part))), schema) for part in (old, new))
        return before, after, dict.fromkeys(before.columns, "feature")
    assert isinstance(old, ImageSamples)
    assert isinstance(new, ImageSamples)
    # What an image is like is no matter of the champion's kind: where it has no features of its own, the default has.
    embedder = detector if isinstance(detector, Embedder) else registry.default_embedder()
    (light_before, seen_before), (light_after, seen_after) = _look(old, embedder), _look(new, embedder)
    inner_before, inner_after = embedding_features(seen_before, seen_after)
    families: dict[str, Family] = {**OPTICS, **dict.fromkeys(inner_before.columns, "embedding")}
    return (
        pd.concat([light_before, inner_before], axis=1),
        pd.concat([light_after, inner_after], axis=1),
        families,
    )


def _look(samples: ImageSamples, detector: Embedder) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Optics ``(N, 6)`` and embeddings ``(N, E)`` of images, read once."""
    lights: list[pd.DataFrame] = []
    seen: list[NDArray[np.float64]] = []
    for start in range(0, len(samples), BATCH):
        images: list[Image] = list(samples.take(range(start, min(start + BATCH, len(samples)))))
        lights.append(optics(images))
        seen.append(np.asarray(detector.embed(images), dtype=np.float64))
        tell("looking at images", min(start + BATCH, len(samples)), len(samples))
    if not seen:
        return optics([]), np.zeros((0, detector.embed_size), dtype=np.float64)
    return pd.concat(lights, ignore_index=True), np.concatenate(seen)


def _constants(data: LineData, rows: pd.DataFrame) -> dict[str, str]:
    """What the columns that were constant in the first version hold in these windows; several values are listed."""
    if data.schema is None or not data.schema.constants or rows.empty:
        return {}
    found: dict[str, dict[str, None]] = {}
    for file, windows in rows.groupby(ManifestColumn.FILE, sort=False):
        frame = read_table(data.read(str(file)))
        inside = np.zeros(len(frame), np.bool_)
        for start, end in windows[[ManifestColumn.START, ManifestColumn.END]].to_numpy(np.int64):
            inside[start:end] = True
        for name, values in constants_in(frame[inside], data.schema.constants).items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: listed(list(values)) for name, values in found.items()}


def show_in_mlflow(app: Linewright, outcome: DriftOutcome) -> None:
    """The verdict beside the champion in MLflow; the HTML file only where it is worth opening.

    Raises:
        UnavailableError: MLflow does not answer; the verdict is stored all the same.
    """
    champion, number = outcome.champion, outcome.number
    run, place = champion.mlflow_run, f"drift/check{number}"
    path = app.settings.reports / f"{champion.line}-v{champion.version}-check{number}.json"
    path.write_text(outcome.report.model_dump_json(indent=2), encoding="utf-8")
    app.tracker.log_file(run, path, place)
    if outcome.html:
        app.tracker.log_file(run, app.home / Path(outcome.html), place)

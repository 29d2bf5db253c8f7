"""`linewright explain`: one sample or verdict, explained by the model that judged it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Calibration, ManifestColumn, Modality, Scores, Verdict
from components.core.errors import SourceError, UnknownVersionError
from components.core.hashing import means, sha256_bytes
from components.core.lines import LineConfig
from components.core.ports import Detector, Windows
from components.core.scoring import plain_scores
from components.explain.deletion import Deletion, deletion
from components.explain.overlays import anchored_scale, overlay
from components.explain.pictures import save_image
from components.explain.plots import bar_plot
from components.explain.shapley import explain_table, pick_background
from components.explain.timeline import Timeline, explain_timeline
from components.explain.timeline_plot import timeline_plot
from components.metrics.verdicts import answers
from components.samples.images import decode_image
from components.samples.tables import read_table, readings
from components.samples.unusable import UnusableSample
from components.samples.windows import cut, window_names
from flows.data import LineData
from flows.jobs.explaining import background, normal_images
from flows.jobs.models import as_trained, champion_of, load_model
from flows.wiring import Linewright


def explain_subject(app: Linewright, line: LineConfig, subject: str) -> dict[str, Any]:
    """Where the score of a sample or a verdict comes from, with a picture.

    Raises:
        UnknownVersionError: There is no verdict of that id and no sample of that name.
        SourceError: The file that the verdict is about has changed or is gone.
    """
    verdict = _verdict(app, line.name, subject)
    model = app.records.models.get(line.name, verdict.model_version) if verdict else champion_of(app, line.name)
    data = LineData.open(app, as_trained(app, line, model), number=model.dataset)
    content, path, bounds = _content(app, data, verdict, subject)
    detector = load_model(app, model)
    folder = app.settings.overlays / line.name
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"explain-{subject[:32]}-v{model.version}.png"
    if line.modality is Modality.IMAGE:
        found = _image(data, detector, model.calibration, content, picture, seed=model.seed)
    else:
        found = _table(data, detector, content, bounds, picture, seed=model.seed)
    scores: Scores = found.pop("scores")
    said = answers(scores.image, model.calibration, uncertainty=scores.uncertainty)[0]
    return {
        "line": line.name,
        "path": path,
        "score": float(scores.image[0]),
        "threshold": model.calibration.threshold,
        "verdict": said.word,
        "uncertainty": said.uncertainty,
        "p_value": said.p_value,
        "severity": said.severity,
        "model_version": model.version,
        "picture": str(picture),
        **found,
    }


def _verdict(app: Linewright, name: str, subject: str) -> Verdict | None:
    try:
        found = app.records.verdicts.get(subject)
    except UnknownVersionError:
        return app.records.verdicts.latest(name, subject)
    if found.line != name:
        raise UnknownVersionError(f"Verdict {subject} is of line {found.line!r}.", hint="Name that line.")
    return found


def _content(
    app: Linewright, data: LineData, verdict: Verdict | None, subject: str
) -> tuple[bytes, str, tuple[int, int]]:
    """Bytes of the file that holds the subject, its path, and the rows of a window."""
    if verdict is not None and Path(verdict.path).is_file():
        content, bounds = Path(verdict.path).read_bytes(), (verdict.start or 0, verdict.end or 0)
        if _name(data, content, bounds) == verdict.sample:
            return content, verdict.path, bounds
    sample = verdict.sample if verdict else subject
    newest = LineData.open(app, data.line)
    names = newest.manifest[ManifestColumn.SAMPLE]
    rows = newest.manifest[[means(sample, name) for name in names]]
    if rows.empty and verdict is not None:
        raise SourceError(
            f"{verdict.path} is gone or has changed since it was scored, and {sample[:12]} is in no dataset version.",
            hint="Bring the file back.",
        )
    if rows.empty:
        raise UnknownVersionError(
            f"There is no sample or verdict {subject!r} of line {data.line.name!r}.",
            hint=f"linewright score {data.line.name} PATH --json prints both.",
        )
    if rows[ManifestColumn.SAMPLE].nunique() > 1:
        raise UnknownVersionError(f"More than one sample begins with {subject!r}.", hint="Give more of its name.")
    row = rows.iloc[0]
    return newest.read(row[ManifestColumn.FILE]), row[ManifestColumn.PATH], (int(row["start"]), int(row["end"]))


def _name(data: LineData, content: bytes, bounds: tuple[int, int]) -> str:
    """The sample's name, by what the file holds now; "" where it holds no such sample any more."""
    if data.line.modality is Modality.IMAGE:
        return sha256_bytes(content)
    try:
        return window_names(_window(data, content, bounds))[0]
    except (UnusableSample, IndexError):
        return ""


def _window(data: LineData, content: bytes, bounds: tuple[int, int]) -> Windows:
    assert data.schema is not None
    values = readings(read_table(content), data.schema)
    return cut(values, np.array([bounds]), window=data.schema.window)


def _image(
    data: LineData, detector: Detector, calibration: Calibration, content: bytes, picture: Path, *, seed: int
) -> dict[str, Any]:
    image = decode_image(content, data.line.image)
    heat = detector.explain([image])[0]
    scale = anchored_scale(calibration.threshold, background=float(np.median(heat)))
    drawn = overlay(image, heat, low=scale.low, high=scale.high, outline=scale.threshold)
    save_image(np.concatenate([image, drawn], axis=1), picture)
    top = np.unravel_index(int(heat.argmax()), heat.shape)
    where = [round((place + 0.5) / size, 3) for place, size in zip(top, heat.shape, strict=True)]
    normal = normal_images(data, but=[sha256_bytes(content)], seed=seed)
    test = None
    if normal is not None:
        test = deletion(detector, image, heat, normal=normal, threshold=calibration.threshold, seed=seed)
    return {
        "scores": detector.score([image]),
        "hottest": {"row": where[0], "column": where[1]},
        "deletion": None if test is None else _deleted(test),
        "checks": [_words(test)],
    }


def _deleted(test: Deletion) -> dict[str, Any]:
    return {"marked_filled": test.marked, "random_filled": list(test.random), "marked_area": test.area}


def _words(test: Deletion | None) -> str:
    """One image is no evidence of a model's maps, so it gets figures and no verdict."""
    if test is None:
        return "deletion test: unmeasured, the map marks nothing or there is no normal image to fill regions from"
    others = ", ".join(f"{score:.4g}" for score in test.random)
    lower = sum(score < test.marked for score in test.random)
    doubt = f"; {lower} of these lower it more, so that the map does not show all that it comes from" if lower else ""
    return (
        f"deletion test: the score is {test.score:.4g}, with normal content in the marked {test.area:.1%} of the image "
        f"{test.marked:.4g}, in random regions of that shape {others}{doubt}"
    )


def _table(
    data: LineData, detector: Detector, content: bytes, bounds: tuple[int, int], picture: Path, *, seed: int
) -> dict[str, Any]:
    assert data.schema is not None
    window = _window(data, content, bounds)
    usual, options = pick_background(background(data, seed=seed), seed=seed), data.line.explain
    names, title = [column.name for column in data.schema.features], f"rows {bounds[0]} to {bounds[1] - 1}"

    def score(windows: Windows) -> NDArray[np.float64]:
        return plain_scores(detector, windows)

    found = explain_table(
        score,
        window,
        usual,
        names,
        seed=seed,
        evaluations=options.evaluations,
        limit=options.max_error,
        categories=data.schema.categories,
    )
    bar_plot(found, sample=0, title=title, path=picture)
    checks = [*found.conditions(limit=options.max_error)]
    over_time: dict[str, Any] = {}
    if data.schema.window > 1:
        evaluations = options.cell_evaluations
        course = explain_timeline(
            score, window, usual, names, by_column=found.values, seed=seed, evaluations=evaluations
        )
        drawn = timeline_plot(course, window=0, title=title, path=picture.with_name(f"{picture.stem}-time.png"))
        checks += course.conditions(limit=options.max_error)
        over_time = {"time_picture": str(drawn), "blocks": _blocks(course, first=bounds[0])}
    shap = pd.Series(found.values[0], index=list(found.features)).sort_values(key=abs, ascending=False)
    return {
        "scores": detector.score(window),
        "base": found.base,
        "rows": list(bounds),
        "shap": [{"feature": name, "value": float(value)} for name, value in shap.items()],
        "checks": [f"{check.name} {check.status}: {check.detail}" for check in checks],
        **over_time,
    }


def _blocks(course: Timeline, *, first: int) -> list[dict[str, Any]]:
    """Each block's rows in the file and its Shapley value, for the one window that was explained."""
    return [
        {"rows": [first + start, first + end], "value": float(value)}
        for (start, end), value in zip(course.bounds, course.blocks[0], strict=True)
    ]

"""`linewright explain`: one sample or verdict, explained by the model that judged it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core.contracts import Calibration, ManifestColumn, Modality, Scores, Verdict
from components.core.errors import SourceError, UnknownVersionError
from components.core.hashing import sha256_bytes
from components.core.lines import LineConfig
from components.core.ports import Detector, Windows
from components.explain.overlays import anchored_scale, overlay
from components.explain.pictures import save_image
from components.explain.plots import bar_plot
from components.explain.shapley import explain_table, pick_background
from components.metrics.verdicts import answers
from components.samples.images import decode_image
from components.samples.tables import encode_cells, read_table
from components.samples.windows import cut
from flows.data import LineData
from flows.jobs.explaining import background
from flows.jobs.models import champion_of, load_model
from flows.wiring import Linewright


def explain_subject(app: Linewright, line: LineConfig, subject: str) -> dict[str, Any]:
    """Where the score of a sample or a verdict comes from, with a picture.

    Raises:
        UnknownVersionError: There is no verdict of that id and no sample of that name.
        SourceError: The file that the verdict is about has changed or is gone.
    """
    verdict = _verdict(app, line.name, subject)
    model = app.records.models.get(line.name, verdict.model_version) if verdict else champion_of(app, line.name)
    data = LineData.open(app, line, number=model.dataset)
    content, path, bounds = _content(app, data, verdict, subject)
    detector = load_model(app, model)
    folder = app.settings.overlays / line.name
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"explain-{subject[:32]}-v{model.version}.png"
    if line.modality is Modality.IMAGE:
        found = _image(line, detector, model.calibration, content, picture)
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
        content = Path(verdict.path).read_bytes()
        if data.line.modality is Modality.TABLE or sha256_bytes(content) == verdict.sample:
            return content, verdict.path, (verdict.start or 0, verdict.end or 0)
    sample = verdict.sample if verdict else subject
    newest = LineData.open(app, data.line)
    rows = newest.manifest[newest.manifest[ManifestColumn.SAMPLE] == sample]
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
    row = rows.iloc[0]
    return newest.read(row[ManifestColumn.FILE]), row[ManifestColumn.PATH], (row["start"], row["end"])


def _image(
    line: LineConfig, detector: Detector, calibration: Calibration, content: bytes, picture: Path
) -> dict[str, Any]:
    image = decode_image(content, line.image)
    heat = detector.explain([image])[0]
    scale = anchored_scale(calibration.threshold, background=float(np.median(heat)))
    drawn = overlay(image, heat, low=scale.low, high=scale.high, outline=scale.threshold)
    save_image(np.concatenate([image, drawn], axis=1), picture)
    top = np.unravel_index(int(heat.argmax()), heat.shape)
    where = [round((place + 0.5) / size, 3) for place, size in zip(top, heat.shape, strict=True)]
    return {"scores": detector.score([image]), "hottest": {"row": where[0], "column": where[1]}}


def _table(
    data: LineData, detector: Detector, content: bytes, bounds: tuple[int, int], picture: Path, *, seed: int
) -> dict[str, Any]:
    assert data.schema is not None
    values = encode_cells(read_table(content), data.schema)
    if bounds[1] > len(values):
        raise SourceError(f"Rows {bounds[0]} to {bounds[1]} are not in the file any more.", hint="Score it again.")
    window: Windows = cut(values, np.array([bounds]), window=data.schema.window)
    found = explain_table(
        lambda windows: detector.score(windows).image,
        window,
        pick_background(background(data, seed=seed), seed=seed),
        [column.name for column in data.schema.features],
        seed=seed,
    )
    bar_plot(found, sample=0, title=f"rows {bounds[0]} to {bounds[1]}", path=picture)
    shap = pd.Series(found.values[0], index=list(found.features)).sort_values(key=abs, ascending=False)
    return {
        "scores": detector.score(window),
        "base": found.base,
        "rows": list(bounds),
        "shap": [{"feature": name, "value": float(value)} for name, value in shap.items()],
        "checks": [
            f"two seeds disagree by {found.checks.seed_disagreement:.2%}",
            f"differs from exact Shapley values of {found.checks.exact_players} columns by "
            f"{found.checks.exact_disagreement:.2%}",
        ],
    }

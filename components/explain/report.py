"""Everything that explains one model, in one folder: pictures for people, the data behind them for machines."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Calibration, Record
from components.core.errors import NotEnoughDataError
from components.core.hashing import folder_hashes
from components.core.ports import Batch, Detector, Image, Progress, Samples, Windows, silent
from components.explain.gallery import write_overlays
from components.explain.overlays import anchored_scale
from components.explain.plots import bar_plot, summary_plot
from components.explain.selection import Chosen, choose
from components.explain.shapley import EVALUATIONS, TableExplanation, explain_table, pick_background

EACH = 4
SUMMARY_SAMPLES = 60

__all__ = ["Explanations", "explain_images", "explain_tables"]


class Explanations(Record):
    """What was written.

    Attributes:
        files: POSIX path within the folder → SHA-256.
        figures: Figures of the checks, by name; empty for images.
        notes: What a reader must know of them.
    """

    files: dict[str, str]
    figures: dict[str, float]
    notes: tuple[str, ...]


def explain_images(
    samples: Samples,
    *,
    detector: Detector,
    scores: NDArray[np.float64],
    calibration: Calibration,
    directory: Path,
    names: Sequence[str] = (),
    each: int = EACH,
    progress: Progress = silent,
) -> Explanations:
    """Heat-map overlays for the most anomalous, the most uncertain and some normal of N images.

    Writes `<reason>-<n>.png` (image beside overlay), `maps.npy`, `index.json` and `sheet.png`.

    Args:
        samples: N images.
        detector: Whose maps are drawn.
        scores: ``(N,)`` of that detector; higher is more anomalous.
        calibration: Its threshold, to which the colours are anchored.
        directory: Empty or missing folder.
        names: N names for people, such as paths; sample names by default.
        each: Samples for each reason.
        progress: Told of every map.

    Raises:
        NotEnoughDataError: There is no sample.
    """
    chosen = _chosen(samples, scores, calibration, each)
    images: list[Image] = []
    maps = []
    for number, item in enumerate(chosen):
        batch = samples.take([item.index])
        images.append(_image(batch))
        maps.append(detector.explain(batch)[0])
        progress("explain", number + 1, len(chosen))
    stacked = np.stack(maps)
    calm = [one for one, item in zip(maps, chosen, strict=True) if item.reason == "normal"] or maps
    scale = anchored_scale(calibration.threshold, background=float(np.median(np.stack(calm))))
    directory.mkdir(parents=True, exist_ok=True)
    write_overlays(
        images,
        maps=stacked,
        chosen=chosen,
        ids=[samples.ids[item.index] for item in chosen],
        titles=[names[item.index] if names else samples.ids[item.index] for item in chosen],
        labels=[_label(samples, item) for item in chosen],
        scale=scale,
        directory=directory,
    )
    note = (
        "Colours begin half-way from the usual value of normal maps to the threshold; above the threshold is outlined."
    )
    return Explanations(files=folder_hashes(directory), figures={}, notes=(note,))


def explain_tables(
    samples: Samples,
    *,
    score: Callable[[Windows], NDArray[np.float64]],
    scores: NDArray[np.float64],
    calibration: Calibration,
    background: Windows,
    features: Sequence[str],
    directory: Path,
    seed: int,
    names: Sequence[str] = (),
    each: int = EACH,
    evaluations: int = EVALUATIONS,
    progress: Progress = silent,
) -> Explanations:
    """Shapley values of the most anomalous, the most uncertain, some normal and some more of N windows.

    Writes `<reason>-<n>.png` for each chosen window, `summary.png`, `values.parquet` (a row a window, with its score,
    base and a column a feature), `means.parquet` and `index.json`. The summary is of at most 60 windows.

    Args:
        samples: N windows.
        score: The detector's score, ``(n, W, D)`` → ``(n,)``.
        scores: ``(N,)`` of `samples`; higher is more anomalous.
        calibration: The detector's threshold.
        background: ``(B, W, D)`` normal training windows; at most 30 of them are drawn.
        features: D names.
        directory: Empty or missing folder.
        seed: Of the background, the coalitions and the windows of the summary.
        names: N names for people; sample names by default.
        each: Windows for each reason.
        evaluations: Coalitions evaluated a window.
        progress: Told of every stage.

    Raises:
        NotEnoughDataError: There is no sample or no background.
    """
    if not len(background):
        raise NotEnoughDataError(
            "There is no normal training sample to explain against.", hint="Ingest normal samples."
        )
    chosen = _chosen(samples, scores, calibration, each)
    indices = _with_more(chosen, count=len(samples))
    progress("explain", 0, 2)
    explanation = explain_table(
        score,
        np.asarray(samples.take(indices)),
        pick_background(background, seed=seed),
        features,
        seed=seed,
        evaluations=evaluations,
    )
    progress("explain", 1, 2)
    directory.mkdir(parents=True, exist_ok=True)
    titles = [names[index] if names else samples.ids[index] for index in indices]
    labels = [_label(samples, item) for item in chosen]
    entries = _bars(explanation, chosen, titles=titles, labels=labels, directory=directory)
    summary_plot(explanation, title=f"What moves the score, {len(indices)} samples", path=directory / "summary.png")
    _write_data(explanation, samples=[samples.ids[index] for index in indices], entries=entries, directory=directory)
    progress("explain", 2, 2)
    return Explanations(files=folder_hashes(directory), figures=_figures(explanation), notes=_notes(explanation))


def _chosen(samples: Samples, scores: NDArray[np.float64], calibration: Calibration, each: int) -> tuple[Chosen, ...]:
    if not len(samples):
        raise NotEnoughDataError("There is no sample to explain.", hint="Ingest samples first.")
    return choose(scores, labels=samples.labels, calibration=calibration, each=each)


def _with_more(chosen: Sequence[Chosen], *, count: int) -> list[int]:
    """Indices of the chosen, then of others of `count` samples, evenly spread, for the summary."""
    known = {item.index for item in chosen}
    spread = np.unique(np.linspace(0, count - 1, min(count, SUMMARY_SAMPLES)).round().astype(int))
    more = [int(index) for index in spread if index not in known][: max(0, SUMMARY_SAMPLES - len(chosen))]
    return [*(item.index for item in chosen), *more]


def _image(batch: Batch) -> Image:
    return np.asarray(batch[0])


def _label(samples: Samples, item: Chosen) -> str:
    return "labelled anomalous" if samples.labels[item.index] == 1 else "normal or unknown"


def _bars(
    explanation: TableExplanation,
    chosen: Sequence[Chosen],
    *,
    titles: Sequence[str],
    labels: Sequence[str],
    directory: Path,
) -> list[dict[str, Any]]:
    """One picture a chosen window; entries of the index."""
    entries: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for number, item in enumerate(chosen):
        counts[item.reason] = counts.get(item.reason, 0) + 1
        name = f"{item.reason}-{counts[item.reason]}.png"
        title = f"{_title(titles[number])}: {item.verdict}, score {item.score:.3g} ({labels[number]})"
        bar_plot(explanation, sample=number, title=title, path=directory / name)
        entries.append(
            {
                "picture": name,
                "row": number,
                "path": titles[number],
                "reason": item.reason,
                "score": item.score,
                "verdict": item.verdict,
                "label": labels[number],
            }
        )
    return entries


def _title(name: str) -> str:
    """Digests are cut, long paths keep their end; "$" would start a formula."""
    text = name[:12] if re.fullmatch(r"[0-9a-f]{64}", name) else name if len(name) <= 48 else f"…{name[-47:]}"
    return text.replace("$", r"\$")


def _write_data(
    explanation: TableExplanation, *, samples: Sequence[str], entries: list[dict[str, Any]], directory: Path
) -> None:
    keys = pd.DataFrame({"sample": list(samples), "score": explanation.scores, "base": explanation.base})
    for name, matrix in (("values", explanation.values), ("means", explanation.means)):
        columns = pd.DataFrame(matrix, columns=[f"feature:{feature}" for feature in explanation.features])
        pd.concat([keys, columns], axis=1).to_parquet(directory / f"{name}.parquet", index=False)
    index = {"checks": _figures(explanation), "notes": _notes(explanation), "samples": entries}
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (directory / "index.json").write_text(text + "\n", encoding="utf-8")


def _figures(explanation: TableExplanation) -> dict[str, float]:
    checks = explanation.checks
    return {
        "seed_disagreement": checks.seed_disagreement,
        "exact_disagreement": checks.exact_disagreement,
        "exact_columns": float(checks.exact_players),
        "additivity_residual": checks.additivity_residual,
        "evaluations": float(explanation.evaluations),
        "background": float(explanation.background),
    }


def _notes(explanation: TableExplanation) -> tuple[str, ...]:
    checks = explanation.checks
    columns = len(explanation.features)
    notes = [
        f"Two seeds disagree by {checks.seed_disagreement:.2%} of the values' sum.",
        f"In a game of {checks.exact_players} of {columns} columns the values differ from exact Shapley values by "
        f"{checks.exact_disagreement:.2%}.",
        "Additivity holds by construction of the method and proves nothing.",
    ]
    if checks.enumerated:
        notes.append("Every coalition of columns was evaluated, so two seeds cannot differ.")
    return tuple(notes)

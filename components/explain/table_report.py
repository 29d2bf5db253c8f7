"""Shapley values of a table model with their checks, as pictures and as data."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Calibration, Condition, Scores
from components.core.errors import NotEnoughDataError
from components.core.lines import ExplainOptions
from components.core.ports import Progress, Samples, Windows, silent
from components.explain.plots import bar_plot, summary_plot
from components.explain.report import EACH, Explanations, chosen_samples, finished, known_label
from components.explain.selection import Chosen
from components.explain.shapley import TableExplanation, explain_table, pick_background
from components.explain.timeline import Timeline, explain_timeline
from components.explain.timeline_plot import timeline_plot

SUMMARY_SAMPLES = 30
"""Windows of the summary at most."""

_ADDITIVITY = "Additivity holds by construction of the method and proves nothing."


def explain_tables(
    samples: Samples,
    *,
    score: Callable[[Windows], NDArray[np.float64]],
    scores: Scores,
    calibration: Calibration,
    background: Windows,
    features: Sequence[str],
    directory: Path,
    seed: int,
    names: Sequence[str] = (),
    each: int = EACH,
    options: ExplainOptions | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> Explanations:
    """Shapley values of the most anomalous, the most uncertain, some normal and some more of N windows.

    Writes `<reason>-<n>.png` for each chosen window, `summary.png`, `values.parquet` (a row a window, with its score,
    base and a column a feature), `means.parquet`, `index.json` and `checks.json`. Where windows have several rows, the
    most anomalous get `<reason>-<n>-time.png` too, and `blocks.parquet` and `cells.parquet` hold a row for each of
    their time blocks, and for each block and sensor. The summary is of at most `SUMMARY_SAMPLES` windows.

    Args:
        samples: N windows.
        score: The detector's score, ``(n, W, D)`` → ``(n,)``.
        scores: Of `samples`.
        calibration: The detector's threshold.
        background: ``(B, W, D)`` normal training windows; at most 20 of them are drawn.
        features: D names.
        directory: Empty or missing folder.
        seed: Of the background, the coalitions and the windows of the summary.
        names: N names for people; sample names by default.
        each: Windows for each reason.
        options: Evaluations and the error allowed; the defaults where there is none.
        categories: Of the columns that hold words, by name.
        progress: Told of every stage.

    Raises:
        NotEnoughDataError: There is no sample or no background.
    """
    if not len(background):
        raise NotEnoughDataError(
            "There is no normal training sample to explain against.", hint="Ingest normal samples."
        )
    allowed = options or ExplainOptions()
    chosen = chosen_samples(samples, scores, calibration, each)
    indices = _with_more(chosen, count=len(samples))
    progress("explain", 0, 3)
    windows = np.asarray(samples.take(indices), dtype=np.float64)
    usual = pick_background(background, seed=seed)
    explanation = explain_table(
        score,
        windows,
        usual,
        features,
        seed=seed,
        evaluations=allowed.evaluations,
        limit=allowed.max_error,
        categories=categories,
    )
    progress("explain", 1, 3)
    timeline = None
    if windows.shape[1] > 1:
        # Others have less of a moment to find; `linewright explain` looks for it in any of them.
        few = sum(item.reason == "anomalous" for item in chosen)
        by_column, evaluations = explanation.values[:few], allowed.cell_evaluations
        timeline = explain_timeline(
            score, windows[:few], usual, features, by_column=by_column, seed=seed, evaluations=evaluations
        )
    progress("explain", 2, 3)
    ids = [samples.ids[index] for index in indices]
    written = _write(
        explanation,
        timeline,
        chosen,
        ids=ids,
        titles=[names[index] for index in indices] if names else ids,
        labels=[known_label(samples, item.index) for item in chosen],
        directory=directory,
        limit=allowed.max_error,
    )
    progress("explain", 3, 3)
    return written


def _write(
    explanation: TableExplanation,
    timeline: Timeline | None,
    chosen: Sequence[Chosen],
    *,
    ids: Sequence[str],
    titles: Sequence[str],
    labels: Sequence[str],
    directory: Path,
    limit: float,
) -> Explanations:
    """All files of the folder; `ids` and `titles` are of every explained window, `labels` of the chosen ones."""
    directory.mkdir(parents=True, exist_ok=True)
    entries = _draw(explanation, timeline, chosen, titles=titles, labels=labels, directory=directory)
    summary_plot(explanation, title=f"What moves the score, {len(ids)} samples", path=directory / "summary.png")
    figures, checks = _figures(explanation, timeline), _checks(explanation, timeline, limit=limit)
    notes = [*(f"{check.name}: {check.status}, {check.detail}." for check in checks), _ADDITIVITY]
    _write_values(explanation, samples=ids, directory=directory)
    if timeline is not None:
        _write_timeline(timeline, samples=ids[: len(timeline.blocks)], directory=directory)
    index = json.dumps({"checks": figures, "notes": notes, "samples": entries}, indent=1, ensure_ascii=False)
    (directory / "index.json").write_text(index + "\n", encoding="utf-8")
    return finished(directory, figures=figures, checks=checks, notes=notes)


def _with_more(chosen: Sequence[Chosen], *, count: int) -> list[int]:
    """Indices of the chosen, then of others of `count` samples, evenly spread, for the summary."""
    known = {item.index for item in chosen}
    spread = np.unique(np.linspace(0, count - 1, min(count, SUMMARY_SAMPLES)).round().astype(int))
    more = [int(index) for index in spread if index not in known][: max(0, SUMMARY_SAMPLES - len(chosen))]
    return [*(item.index for item in chosen), *more]


def _draw(
    explanation: TableExplanation,
    timeline: Timeline | None,
    chosen: Sequence[Chosen],
    *,
    titles: Sequence[str],
    labels: Sequence[str],
    directory: Path,
) -> list[dict[str, Any]]:
    """Pictures of every chosen window; entries of the index."""
    entries: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for number, item in enumerate(chosen):
        counts[item.reason] = counts.get(item.reason, 0) + 1
        name = f"{item.reason}-{counts[item.reason]}"
        title = f"{_title(titles[number])}: {item.verdict}, score {item.score:.3g} ({labels[number]})"
        bar_plot(explanation, sample=number, title=title, path=directory / f"{name}.png")
        entry = {
            "picture": f"{name}.png",
            "row": number,
            "path": titles[number],
            "reason": item.reason,
            "score": item.score,
            "verdict": item.verdict,
            "label": labels[number],
        }
        if timeline is not None and number < len(timeline.blocks):
            timeline_plot(timeline, window=number, title=title, path=directory / f"{name}-time.png")
            entry["time_picture"] = f"{name}-time.png"
        entries.append(entry)
    return entries


def _title(name: str) -> str:
    """Digests are cut, long paths keep their end; "$" would start a formula."""
    text = name[:12] if re.fullmatch(r"[0-9a-f]{64}", name) else name if len(name) <= 48 else f"…{name[-47:]}"
    return text.replace("$", r"\$")


def _write_values(explanation: TableExplanation, *, samples: Sequence[str], directory: Path) -> None:
    keys = pd.DataFrame({"sample": list(samples), "score": explanation.scores, "base": explanation.base})
    for name, matrix in (("values", explanation.values), ("means", explanation.means)):
        columns = pd.DataFrame(matrix, columns=[f"feature:{feature}" for feature in explanation.features])
        pd.concat([keys, columns], axis=1).to_parquet(directory / f"{name}.parquet", index=False)


def _write_timeline(timeline: Timeline, *, samples: Sequence[str], directory: Path) -> None:
    spans = [{"block": number, "start": start, "end": end} for number, (start, end) in enumerate(timeline.bounds)]
    blocks = [
        {"sample": sample, **span, "value": value}
        for sample, row in zip(samples, timeline.blocks.tolist(), strict=True)
        for span, value in zip(spans, row, strict=True)
    ]
    cells = [
        {"sample": sample, **span, "sensor": sensor, "value": value}
        for sample, sensors, by_block in zip(samples, timeline.sensors, timeline.cells.tolist(), strict=True)
        for span, row in zip(spans, by_block, strict=True)
        for sensor, value in zip(sensors, row, strict=True)
    ]
    pd.DataFrame(blocks).to_parquet(directory / "blocks.parquet", index=False)
    pd.DataFrame(cells).to_parquet(directory / "cells.parquet", index=False)


def _figures(explanation: TableExplanation, timeline: Timeline | None) -> dict[str, float]:
    checks = explanation.checks
    figures = {
        "seed_disagreement": checks.seed_disagreement,
        "exact_disagreement": checks.exact_disagreement,
        "exact_columns": float(checks.exact_players),
        "additivity_residual": checks.additivity_residual,
        "evaluations": float(explanation.evaluations),
        "background": float(explanation.background),
    }
    if timeline is not None:
        figures |= {
            "cell_seed_disagreement": timeline.checks.seed_disagreement,
            "cell_exact_disagreement": timeline.checks.exact_disagreement,
            "cell_evaluations": float(timeline.evaluations),
            "block_evaluations": float(2 ** len(timeline.bounds)),
        }
    return figures


def _checks(explanation: TableExplanation, timeline: Timeline | None, *, limit: float) -> list[Condition]:
    return [*explanation.conditions(limit=limit), *(timeline.conditions(limit=limit) if timeline else ())]

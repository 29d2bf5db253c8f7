"""THE importer of Evidently: distances between two windows, and its HTML report of a verdict."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from components.core.drift_report import DriftReport
from components.core.errors import NotEnoughDataError
from components.drift.pooling import Quantity, pool
from components.drift.window import DriftWindow

Kind = Literal["numeric", "categorical"]

METHODS: dict[Kind, str] = {"numeric": "wasserstein", "categorical": "jensenshannon"}
"""How Evidently calls its distances."""
HTML_COLUMNS = 12
HTML_ROWS = 500


def distances(
    reference: pd.DataFrame, current: pd.DataFrame, *, columns: Sequence[str], kinds: Mapping[str, Kind]
) -> dict[str, float]:
    """One distance a column, as Evidently's `ValueDrift` measures it, without the figures that it draws of each.

    Args:
        reference: ``(N, F)`` old rows.
        current: ``(M, F)`` new rows.
        columns: What to measure; each has a value on both sides.
        kinds: Column → numeric (Wasserstein distance over the reference's deviation) or categorical (Jensen-Shannon).
    """
    if not columns:
        return {}
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    found = {}
    for name in columns:
        old, new = (side[name].replace([-np.inf, np.inf], np.nan).dropna() for side in (reference, current))
        kind = ColumnType.Numerical if kinds[name] == "numeric" else ColumnType.Categorical
        test = get_stattest(old, new, kind, METHODS[kinds[name]])
        found[name] = float(test(old, new, kind, threshold=None).drift_score)
    return found


def write_html(reference: DriftWindow, current: DriftWindow, *, report: DriftReport, path: Path) -> Path:
    """Write Evidently's HTML report of a verdict, with the verdict's own thresholds; it is read without a network.

    The first 12 measured columns of `report` are drawn (drifted ones lead there) from at most 500 evenly spread rows a
    side, so that the file stays near 5 MB. Its distances are those of the rows drawn; a line at its top says all this.

    Args:
        reference: Old window of `report`.
        current: New window of `report`.
        report: The verdict; "drift" is the one worth opening.
        path: File to write; its folder is made.

    Raises:
        NotEnoughDataError: No column was measured.
    """
    both = pool(reference, current)
    known = {quantity.name: quantity for quantity in both.quantities if quantity.kind != "rate"}
    shown = [feature for feature in report.features if feature.name in known][:HTML_COLUMNS]
    if not shown:
        raise NotEnoughDataError(f"{report.line}: no column of {report.current} was measured, so none can be drawn.")
    names = {feature.name: _harmless(feature.name) for feature in shown}
    kinds: dict[str, Kind] = {names[name]: _kind(known[name]) for name in names}
    old, new = (_drawn(both.frame(new=side, names=set(names)), names) for side in (False, True))
    thresholds = {names[feature.name]: feature.threshold for feature in shown}
    page = _run(old, new, kinds, thresholds).get_html_str(as_iframe=False)
    text = (
        f"{report.line}: {report.verdict}{f' ({report.kind})' if report.kind else ''}, {report.reference} against "
        f"{report.current}. {report.detail} Drawn here: {len(shown)} of {len(report.features)} quantities, "
        f"{len(old)} of {report.reference_samples} old and {len(new)} of {report.current_samples} new samples."
    )
    before, body, after = page.partition("<body>")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{body}<p style='font-family:sans-serif;margin:1em'>{escape(text)}</p>{after}", "utf-8")
    return path


def _kind(quantity: Quantity) -> Kind:
    return "numeric" if quantity.kind == "numeric" else "categorical"


def _drawn(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), HTML_ROWS)).round().astype(np.int64))
    drawn = frame.iloc[rows].reset_index(drop=True).rename(columns=dict(names))
    for name in drawn.select_dtypes(exclude="number"):
        drawn[name] = drawn[name].map(lambda value: None if value is None else _harmless(str(value)))
    return drawn


def _harmless(text: str) -> str:
    """Evidently writes names into a script unescaped, and names come from files: without brackets they end no tag."""
    return text.replace("<", "(").replace(">", ")")


def _run(
    reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, Kind], thresholds: Mapping[str, float]
) -> Any:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "numeric"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "categorical"],
    )
    metrics: list[Any] = [
        ValueDrift(column=name, method=METHODS[kind], threshold=thresholds.get(name)) for name, kind in kinds.items()
    ]
    sides = [Dataset.from_pandas(side[list(kinds)], data_definition=definition) for side in (current, reference)]
    return Report(metrics).run(*sides)

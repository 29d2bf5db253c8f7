"""Two windows → the list of quantities to compare, each over the pooled samples, and what is left out and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.drift.distances import Divisions, Vector, jensen_shannon, normed_wasserstein, rate_difference
from components.drift.permutation import units
from components.drift.window import ALARM_RATE, SCORE, DriftWindow, Family
from components.metrics.robust import HUGE, spread

MOST_ROWS = 1_000
"""Rows of each window that are divided one by one; larger windows are measured by blocks."""
MOST_CATEGORIES = 50
LEAST_VALUES = 8
_SMALLEST_SCALE = 1e-12
_FAR, _RARE = 10.0, 0.01
"""Values are cut at so many robust deviations, but not within what lies between the lowest and highest 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One monitored quantity over n pooled samples, old ones first.

    Attributes:
        kind: How it is compared: "numeric", "categorical" or "rate".
        values: ``(n,)``; numbers scaled by their pooled deviation, category numbers (NaN missing), or 0 and 1.
        labels: Names of the categories, by number.
    """

    name: str
    family: Family
    kind: Literal["numeric", "categorical", "rate"]
    values: Vector
    labels: tuple[str, ...] = ()

    def distance(self, new: Divisions) -> Vector:
        """Distances ``(P,)`` between old and new for P divisions ``(P, n)``."""
        if self.kind == "numeric":
            return normed_wasserstein(self.values, new=new)
        if self.kind == "categorical":
            return jensen_shannon(np.where(np.isnan(self.values), -1, self.values).astype(np.int64), new=new)
        return rate_difference(self.values, new=new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Both windows together.

    Attributes:
        quantities: What is compared.
        new: ``(n,)``: true for the current window's samples.
        groups: ``(n,)`` numbers of exchangeable groups; `old_groups` and `new_groups` count them.
        ignored: Column → why it is not compared.
        thinned: Whether not every row is measured.
    """

    quantities: tuple[Quantity, ...]
    new: NDArray[np.bool_]
    groups: NDArray[np.int64]
    old_groups: int
    new_groups: int
    ignored: Mapping[str, str]
    thinned: bool

    def frame(self, *, new: bool, names: set[str] | None = None) -> pd.DataFrame:
        """Rows of one side, a column for each numeric or categorical quantity (all, or those in `names`)."""
        side = self.new if new else ~self.new
        columns = {}
        for quantity in self.quantities:
            if quantity.kind == "rate" or (names is not None and quantity.name not in names):
                continue
            values = quantity.values[side]
            columns[quantity.name] = values if quantity.kind == "numeric" else _named(values, quantity.labels)
        return pd.DataFrame(columns)


def pool(reference: DriftWindow, current: DriftWindow) -> Pool:
    """Both windows as one list of quantities.

    Raises:
        ValueError: Their columns or thresholds differ, so that they do not come from the same champion.
    """
    if list(reference.features.columns) != list(current.features.columns):
        raise ValueError("reference and current window have different columns")
    if reference.threshold != current.threshold:
        raise ValueError(f"thresholds differ: {reference.threshold} and {current.threshold}")
    old, new = _thin(len(reference)), _thin(len(current))
    side = np.repeat([False, True], [len(old), len(new)])
    groups, old_groups, new_groups = units(reference.groups[old], current.groups[new])
    ignored = {**reference.ignored, **current.ignored}
    return Pool(
        quantities=tuple(quantities(reference, current, old=old, new=new, ignored=ignored)),
        new=side,
        groups=groups,
        old_groups=old_groups,
        new_groups=new_groups,
        ignored=ignored,
        thinned=len(old) < len(reference) or len(new) < len(current),
    )


def quantities(
    reference: DriftWindow,
    current: DriftWindow,
    *,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    ignored: dict[str, str],
) -> Iterator[Quantity]:
    """What is compared, one at a time, over rows `old` and `new`; `ignored` receives column → why it is not."""
    side = np.repeat([False, True], [len(old), len(new)])
    for name in reference.features.columns:
        parts = [reference.features[name].iloc[old], current.features[name].iloc[new]]
        found = _quantity(str(name), pd.concat(parts, ignore_index=True), reference.families[name], side)
        if isinstance(found, str):
            ignored[str(name)] = found
        else:
            yield found
    yield from _verdicts(np.concatenate([reference.scores[old], current.scores[new]]), reference.threshold, side)


def _thin(count: int) -> NDArray[np.int64]:
    """At most `MOST_ROWS` row numbers, evenly spread: the same rule for both windows keeps them comparable."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).round().astype(np.int64))


def _verdicts(scores: Vector, threshold: float, side: NDArray[np.bool_]) -> list[Quantity]:
    alarms = Quantity(name=ALARM_RATE, family="alarm-rate", kind="rate", values=(scores > threshold).astype(float))
    found = _quantity(SCORE, pd.Series(scores), "score", side)
    return [alarms] if isinstance(found, str) else [found, alarms]


def _quantity(name: str, column: "pd.Series[Any]", family: Family, side: NDArray[np.bool_]) -> Quantity | str:
    """The column as a quantity, or why it cannot be one."""
    numeric = pd.api.types.is_float_dtype(column.dtype)
    if numeric:
        column = column.where(np.isfinite(column))
    present = column.notna().to_numpy()
    least = min(int((present & side).sum()), int((present & ~side).sum()))
    if least < LEAST_VALUES:
        return f"only {least} values on one side"
    known = column[~side].dropna()
    if (known.min() == known.max()) if numeric else (known.nunique() == 1):
        return _constant(name, column, known.iloc[0], family)
    if numeric:
        values = np.clip(column.to_numpy(dtype=np.float64), -HUGE, HUGE)
        values[present] = _without_broken(values[present])
        scale = float(np.nanstd(values))
        if scale <= _SMALLEST_SCALE * float(np.nanmax(np.abs(values))):
            return "constant but for rounding"
        # Scaling changes no distance but keeps Evidently's floor of 0.001 away from columns of small numbers.
        return Quantity(name=name, family=family, kind="numeric", values=(values - np.nanmean(values)) / scale)
    return _categorical(name, column.astype("string"), family)


def _without_broken(values: Vector) -> Vector:
    """``(n,)`` finite values of both windows, of which those that are both far and rare come nearer.

    A broken reading or two would be the deviation by which distances are divided, and hide any drift of the others. As
    both windows are cut as one they stay exchangeable; what lies at the cut is still far off.
    """
    found = spread(values[:, None], rare=_RARE)
    reach = _FAR * found.deviation
    low, high = np.minimum(found.least, found.middle - reach), np.maximum(found.most, found.middle + reach)
    cut: Vector = np.clip(values, low, high)
    return cut


def _constant(name: str, column: "pd.Series[Any]", value: object, family: Family) -> Quantity | str:
    """A column with one value in the reference is compared as "still that value?", as a constant."""
    others = column[column.notna() & (column != value)]
    if others.empty:
        return "constant in both"
    labels = (_text(value), _text(others.iloc[0]) + (" and other values" if others.nunique() > 1 else ""))
    codes = np.where(column.isna(), np.nan, (column != value).astype(float))
    return Quantity(
        name=f"{name}: {labels[0]} → {labels[1]}",
        family="constant" if family == "feature" else family,
        kind="categorical",
        values=codes,
        labels=labels,
    )


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _categorical(name: str, text: "pd.Series[str]", family: Family) -> Quantity:
    ranked = text.value_counts()
    common = sorted(ranked.index[: MOST_CATEGORIES - 1]) if len(ranked) > MOST_CATEGORIES else sorted(ranked.index)
    codes = pd.Categorical(text, categories=common).codes.astype(np.float64)
    rare = (codes < 0) & text.notna().to_numpy()
    codes[codes < 0] = np.nan
    codes[rare] = len(common)
    labels = (*map(str, common), *(["(rare)"] if rare.any() else []))
    return Quantity(name=name, family=family, kind="categorical", values=codes, labels=labels)


def _named(codes: Vector, labels: tuple[str, ...]) -> NDArray[Any]:
    names = np.array([*labels, None], dtype=object)
    return np.asarray(names[np.where(np.isnan(codes), len(labels), codes).astype(np.int64)])

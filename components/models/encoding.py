"""Windows of a table become feature vectors: imputed, summarised, scaled, one-hot; learnt from training windows."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Record, TableSchema
from ..core.errors import ModelError
from ..core.ports import Windows
from ..metrics.robust import HUGE, spread

CLIP = 10.0
"""Scaled features are cut at so many deviations: one broken reading must not drown the others."""

FAR = 100.0
RARE = 0.005
"""Before mean and deviation are taken, training values are cut at `FAR` robust deviations, but not within what is left
without a share `RARE` of each end, the lowest and the highest value at least: what is both far and rare is a broken
reading, and would make all others look alike."""

GAP = 0.1
"""Sensors that are missing for a whole window where none was in training count as one deviation for so many. One that
died is then as far out as `CLIP` lets anything be, and a cell among the thirty of a window a third of a deviation."""

STATISTICS = ("mean", "std", "min", "max", "trend", "roughness")
"""What a window of more than one row says of a numeric column."""

SPECTRAL = ("mean", "std", "centroid", "low", "middle", "high", "top")
"""The same, seen by its Fourier transform: where its energy lies, and the logarithm of it in four bands."""

LEVEL = ("mean",)
"""The same, seen by where its values lie alone: slow faults move a level, and what else varies hides a small step."""

_BLOCK = 100_000
"""Cells of windows that are seen at once: what a processor's caches hold."""

Features = Literal["statistics", "level", "spectral", "raw"]
"""How windows of more than one row are seen; `raw`: as their statistics, and row by row for a convolution."""


class TableEncoder(Record):
    """Turns windows ``(N, W, D)`` into features ``(N, F)``; make it with `fit`.

    Attributes:
        table: Schema of the dataset version.
        medians: ``(D,)`` that stand in for missing values; of categories the most frequent.
        indicators: Columns that had missing values in training; each gets a feature that says so.
        centre, scale: ``(F,)`` of the numeric features; those that were constant in training have scale 1.
        features: How windows of more than one row are seen.
        complete: Numeric columns that had no missing value in training; one feature says how much of them all is
            missing, in units of `GAP`. Empty in models of earlier releases, which have no such feature.
    """

    table: TableSchema
    medians: tuple[float, ...]
    indicators: tuple[int, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    features: Features = "statistics"
    complete: tuple[int, ...] = ()

    @property
    def gaps(self) -> int:
        """How many features say what is missing of `complete`, one or none; the last ones before `rows`."""
        return 1 if self.complete else 0

    @property
    def rows(self) -> int:
        """How many of the features, the last ones, are the window's own values; columns one after the other."""
        numeric = sum(column.kind == "numeric" for column in self.table.features)
        return numeric * self.table.window if self.features == "raw" and self.table.window > 1 else 0

    @classmethod
    def fit(cls, windows: Windows, schema: TableSchema, *, features: Features = "statistics") -> "TableEncoder":
        """Learn from training windows.

        Raises:
            ModelError: No feature varies, so nothing can be learned.
        """
        values = _usable(windows)
        rows = values.reshape(-1, values.shape[2])
        missing = np.isnan(rows).any(axis=0)
        numeric = np.array([column.kind == "numeric" for column in schema.features], dtype=np.bool_)
        usual = [_usual(column, numeric=is_number) for column, is_number in zip(rows.T, numeric, strict=True)]
        draft = cls(
            table=schema.model_copy(update={"window": windows.shape[1]}),
            medians=tuple(usual),
            indicators=tuple(map(int, np.flatnonzero(missing))),
            centre=(),
            scale=(),
            features=features,
            complete=tuple(map(int, np.flatnonzero(numeric & ~missing))),
        )
        raw = draft.raw(values)
        centre, deviation = _place(raw)
        if not deviation.any():
            raise ModelError(
                f"All {len(schema.features)} feature columns are constant in the training samples.",
                hint="Check the columns that the line's file excludes, and the source.",
            )
        scale = np.where(deviation > 0, deviation, 1.0)
        last = raw.shape[1] - draft.rows
        scale[last - draft.gaps : last] = GAP
        return draft.model_copy(update={"centre": tuple(map(float, centre)), "scale": tuple(map(float, scale))})

    def encode(self, windows: Windows) -> NDArray[np.float64]:
        """``(N, F)`` scaled features; finite whatever is missing."""
        scaled = (self.raw(windows) - np.array(self.centre)) / np.array(self.scale)
        clipped: NDArray[np.float64] = np.clip(scaled, -CLIP, CLIP)
        return clipped

    def raw(self, windows: Windows) -> NDArray[np.float64]:
        """``(N, F)`` features before scaling."""
        size = max(1, _BLOCK // (windows.shape[1] * windows.shape[2]))
        return np.concatenate([self._raw(windows[start : start + size]) for start in range(0, len(windows) or 1, size)])

    def _raw(self, windows: Windows) -> NDArray[np.float64]:
        # Rows of time come first: numpy adds whole rows several times as fast as it adds along short windows.
        values = _usable(np.ascontiguousarray(windows.transpose(1, 2, 0)))
        numeric = [place for place, column in enumerate(self.table.features) if column.kind == "numeric"]
        known = values[:, numeric]
        known = np.where(np.isnan(known), np.array(self.medians)[numeric][:, None], known)
        summaries = iter(_summary(known, seen=self.features))
        parts: list[NDArray[np.float64]] = [
            next(summaries) if column.kind == "numeric" else _shares(values[:, place].T, len(column.categories))
            for place, column in enumerate(self.table.features)
        ]
        parts += [np.isnan(values[:, place]).mean(axis=0)[:, None] for place in self.indicators]
        if self.gaps:
            parts.append(np.isnan(values[:, list(self.complete)]).mean(axis=0).sum(axis=0)[:, None])
        if self.rows:
            parts += list(known.transpose(1, 2, 0))
        return np.concatenate(parts, axis=1)


def _usual(column: NDArray[np.float64], *, numeric: bool) -> float:
    """The median of numbers, the most frequent of categories; 0 of a column without a value."""
    known = column[~np.isnan(column)]
    if not len(known):
        return 0.0
    if numeric:
        return float(np.median(known))
    codes, counts = np.unique(known, return_counts=True)
    return float(codes[np.argmax(counts)])


def _usable(windows: Windows) -> Windows:
    """`windows` with NaN for what is infinite, the rest within `HUGE`."""
    return np.clip(np.where(np.isinf(windows), np.nan, windows), -HUGE, HUGE)


def _place(raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``(F,)`` mean and deviation of ``(N, F)`` features without what broken readings do to them.

    The quartiles alone would not do: where a machine has several modes they may see one of them, and the others would
    lie so far out that they are cut.
    """
    found = spread(raw, rare=RARE)
    away = raw - found.middle  # or the mean of equal values, which rounds, would leave them a deviation
    reach = FAR * found.deviation
    kept = np.clip(away, np.minimum(-reach, found.least - found.middle), np.maximum(reach, found.most - found.middle))
    return found.middle + kept.mean(axis=0), kept.std(axis=0)


def _summary(cells: NDArray[np.float64], *, seen: Features) -> NDArray[np.float64]:
    """``(D, N, S)`` of the columns of windows ``(W, D, N)``; the value itself where W is 1."""
    if len(cells) == 1:
        found = [cells[0]]
    elif seen == "level":
        found = [cells.mean(axis=0)]
    else:
        found = _spectrum(cells) if seen == "spectral" else _statistics(cells)
    return np.stack(found, axis=2)


def _statistics(cells: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """S times ``(D, N)`` of windows ``(W, D, N)``, see `STATISTICS`; by `_moved`."""
    first, moved = _moved(cells)
    steps = np.diff(cells, axis=0)
    time = np.arange(len(cells)) - (len(cells) - 1) / 2
    trend = np.tensordot(time, moved, axes=1) / (time @ time)
    return [
        first + moved.mean(axis=0),
        moved.std(axis=0),
        cells.min(axis=0),
        cells.max(axis=0),
        trend,
        steps.std(axis=0),
    ]


def _spectrum(cells: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """S times ``(D, N)`` of windows ``(W, D, N)``, see `SPECTRAL`.

    Bands are quarters of the frequencies above 0; one that has none, of a window of a few rows, is empty.
    """
    first, moved = _moved(cells)
    mean, deviation = moved.mean(axis=0), moved.std(axis=0)
    power = np.abs(np.fft.rfft(moved - mean, axis=0)[1:]) ** 2 / len(cells)
    total = power.sum(axis=0)
    centroid = np.tensordot(np.arange(1.0, len(power) + 1), power, axes=1) / np.where(total > 0, total, 1.0)
    bands = [np.log1p(band.sum(axis=0)) for band in np.array_split(power, 4)]
    return [first + mean, deviation, centroid, *bands]


def _moved(cells: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First values ``(D, N)`` of windows ``(W, D, N)``, and what each row is away from them: 0 where all are equal.

    Their mean rounds, and what they are away from that would be a deviation, a spectrum, and once scaled a feature.
    """
    return cells[0], cells - cells[0]


def _shares(codes: NDArray[np.float64], known: int) -> NDArray[np.float64]:
    """``(N, K + 1)`` share of each known category among a window's rows, then of all others."""
    shares = [(codes == code).mean(axis=1) for code in range(known)]
    other = ~np.isin(codes, np.arange(known))  # and not what is missing to 1, which rounds
    return np.stack([*shares, other.mean(axis=1)], axis=1)

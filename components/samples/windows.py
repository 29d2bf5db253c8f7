"""Rows of one file become windows: where they start and end, what they hold, and their names."""

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.contracts import TableSchema
from ..core.hashing import sha256_bytes
from ..core.ports import Windows
from .columns import as_categories, as_seconds

# A step between two rows that is larger than this many usual steps is a gap: the machine stood, or rows are lost.
GAP = 5.0


def window_starts(frame: pd.DataFrame, schema: TableSchema, *, group: str = "") -> NDArray[np.int64]:
    """``(N, 2)`` first row and end (excluded) of each window, so that every row is covered at least once.

    Windows never straddle a gap in time, a step backwards, or a change of the column `group`. The rows left at the end
    of a stretch are covered by one more window that ends with it; a stretch shorter than a window is one short window,
    whose last row is repeated when it is cut.

    >>> frame = pd.DataFrame({"t": [0, 1, 2, 3, 4, 90, 91]})
    >>> schema = TableSchema(features=(), timestamp="t", window=2, stride=2)
    >>> window_starts(frame, schema).tolist()
    [[0, 2], [2, 4], [3, 5], [5, 7]]
    """
    if schema.window == 1 and schema.stride == 1:
        rows = np.arange(len(frame), dtype=np.int64)
        return np.stack([rows, rows + 1], axis=1)
    borders = [0, *_breaks(frame, schema, group).tolist(), len(frame)]
    parts = [_of_stretch(low, high, schema) for low, high in pairwise(borders) if high > low]
    return np.concatenate(parts) if parts else np.empty((0, 2), np.int64)


def cut(values: NDArray[np.float64], bounds: NDArray[np.int64], *, window: int) -> Windows:
    """``(N, W, D)`` from values ``(R, D)`` and bounds ``(N, 2)``; short windows repeat their last row."""
    rows = np.minimum(bounds[:, :1] + np.arange(window), bounds[:, 1:] - 1)
    windows: Windows = values[rows]
    return windows


def window_names(windows: Windows) -> list[str]:
    """SHA-256 of each window's values, as little-endian float64 with one NaN and one zero."""
    plain = np.ascontiguousarray(windows + 0.0, dtype="<f8")
    plain[np.isnan(plain)] = np.nan
    return [sha256_bytes(memoryview(window).cast("B")) for window in plain]


def _of_stretch(low: int, high: int, schema: TableSchema) -> NDArray[np.int64]:
    starts = np.arange(low, max(high - schema.window, low) + 1, schema.stride, dtype=np.int64)
    ends = np.minimum(starts + schema.window, high)
    if ends[-1] < high:
        starts, ends = np.append(starts, high - schema.window), np.append(ends, high)
    return np.stack([starts, ends], axis=1)


def _breaks(frame: pd.DataFrame, schema: TableSchema, group: str) -> NDArray[np.int64]:
    broken = np.zeros(max(len(frame) - 1, 0), dtype=bool)
    seconds = as_seconds(frame[schema.timestamp]) if schema.timestamp in frame else None
    if seconds is not None:
        # From one known time to the next: a row without a time hides no gap beside it.
        known = np.flatnonzero(np.isfinite(seconds))
        broken[known[1:] - 1] |= _gaps(np.diff(seconds[known]) / np.diff(known))
    if group in frame:
        names = as_categories(frame[group]).to_numpy()
        broken |= names[1:] != names[:-1]
    return np.flatnonzero(broken) + 1


def _gaps(steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    moving = steps[steps != 0]
    if not len(moving):
        return np.zeros(len(steps), dtype=bool)
    usual = float(np.median(moving))
    along = steps * np.sign(usual)
    gaps: NDArray[np.bool_] = (along < 0) | (along > GAP * abs(usual))
    return gaps

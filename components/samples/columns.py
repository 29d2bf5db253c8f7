"""Cells of one column as numbers, times or words."""

import math
import re
import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_TRUTH = {"true": "1", "false": "0"}
_DATE_LIKE = re.compile(r"\d{1,4}[-/.:]\d{1,2}")
_SHORT_DATE = re.compile(r"^(\d{1,2})([-/.]) ?(\d{1,2})\2 ?(\d{4}|\d{2})(?!\d)(.*)")
_MISSING_WORDS = frozenset({"", "?", "-", "--", "nan", "null", "none", "n/a", "na"})


def as_numbers(column: pd.Series) -> NDArray[np.float64]:
    """``(R,)`` values of R rows: NaN where a cell is missing, infinite where it holds no finite number.

    >>> as_numbers(pd.Series(["1", " true", None, "?", "ERR"])).tolist()
    [1.0, 1.0, nan, nan, inf]
    """
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    words = as_words(column)
    numbers = pd.to_numeric(words.replace(_TRUTH), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(numbers) & words.notna().to_numpy() & (words != "nan").to_numpy(), np.inf, numbers)


def as_words(column: pd.Series) -> pd.Series:
    """Cells as stripped lower-case text, None where missing."""
    words = column.astype("string").str.strip().str.lower()
    return words.mask(words.isin(_MISSING_WORDS)).astype(object).where(lambda cell: cell.notna(), None)


def as_categories(column: pd.Series) -> pd.Series:
    """Cells as stripped text with their case, None where missing."""
    text = column.astype("string").str.strip()
    return text.mask(text == "").astype(object).where(lambda cell: cell.notna(), None)


def plain_word(word: str) -> str:
    """A category however its cell was written: a number in one notation, true and false in lower case.

    A table library reads 01 or 1.50 as a number in a file where all of the column are numbers, and as text in another.

    >>> [plain_word(word) for word in ("01", "1.0", "1.50", "1E5", "True", "A1", "nan", "1_0")]
    ['1', '1', '1.5', '100000', 'true', 'A1', 'nan', '1_0']
    """
    if word.lower() in _TRUTH:
        return word.lower()
    try:
        number = float(word) if "_" not in word else math.nan
    except ValueError:
        return word
    return f"{number:.15g}" if math.isfinite(number) else word


def as_seconds(column: pd.Series) -> NDArray[np.float64] | None:
    """``(R,)`` seconds since some fixed time, NaN where missing; None if the column holds no times.

    Numbers are taken as they are, in their own unit: only order and relative steps are used.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _seconds(column)
    if pd.api.types.is_bool_dtype(column.dtype):
        return None
    if pd.api.types.is_numeric_dtype(column.dtype):
        return as_numbers(column)
    text = as_categories(column)
    if not looks_like_times(text):
        return None
    times = _parse(text)
    return None if times.isna().sum() > 0.01 * len(text) + text.isna().sum() else _seconds(times)


def looks_like_times(text: pd.Series) -> bool:
    """Whether the first filled cells read as dates or times of day."""
    first = text.dropna().head(50)
    if first.empty or not all(isinstance(cell, str) and _DATE_LIKE.search(cell) for cell in first):
        return False
    return bool(_parse(first).notna().all())


def _parse(text: pd.Series) -> pd.Series:
    """Times of cells, NaT where one is missing or none.

    What 02.01.2026 means no cell tells, but the column does: of the orders of day, month and year the one that leaves
    the fewest cells unread counts, and of several such the one in which the steps from row to row are smallest.
    """
    parts = text.str.extract(_SHORT_DATE)
    if parts[0].isna().sum() > text.isna().sum():
        return _mixed(text, _read(text))
    first, second, last = (parts[place].str.zfill(2) for place in (0, 2, 3))
    year = last.where(last.str.len() == 4, "20" + last)
    orders = ((year, second, first), (year, first, second), ("20" + first, second, last))
    cells = [
        # pandas reads text of which the first cell is no date cell by cell, which takes minutes: it gets none.
        (years + "-" + months + "-" + days + parts[4]).where((months <= "12") & (days.str.zfill(4) <= "0031"), None)
        for years, months, days in orders
    ]
    readings = [_read(one) for one in cells]
    best = min(range(len(orders)), key=lambda one: (readings[one].isna().sum(), _way(_seconds(readings[one]))))
    return _mixed(cells[best], readings[best])


def _way(seconds: NDArray[np.float64]) -> float:
    """How far it is from row to row, there and back."""
    return float(np.abs(np.diff(seconds[~np.isnan(seconds)])).sum())


def _mixed(text: pd.Series, times: pd.Series) -> pd.Series:
    """`times` that were read of `text`, or where one format does not do, those that each cell gives on its own."""
    return _read(text, format="mixed") if times.isna().sum() > text.isna().sum() else times


def _read(text: pd.Series, *, format: str | None = None) -> pd.Series:  # noqa: A002 - as pandas calls it
    with warnings.catch_warnings():
        # pandas warns when it cannot guess one format; then each cell is read on its own, which is what we want. And it
        # warns, once a cell, of names of time zones, which it leaves out: but for summer time, no step changes.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return pd.to_datetime(text, errors="coerce", utc=True, format=format)


def _seconds(times: pd.Series) -> NDArray[np.float64]:
    naive = pd.to_datetime(times, utc=True).dt.tz_convert(None)
    stamps = naive.to_numpy(dtype="datetime64[ns]")
    seconds = stamps.astype(np.int64) / 1e9
    seconds[np.isnat(stamps)] = np.nan
    return np.asarray(seconds, dtype=np.float64)

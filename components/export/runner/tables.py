"""Windows of a CSV file as an exported network takes them: what `components.samples` does, for plain files."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

MISSING = {"", "?", "-", "--", "NaN", "nan", "NA", "N/A", "n/a", "null", "NULL", "None"}
"""A cell of any column that holds no value; where numbers belong, the same words in any case."""

_NO_NUMBERS = {word.lower() for word in MISSING}


def samples(data: bytes, spec: dict[str, Any]) -> Iterator[tuple[list[dict[str, int]], Any]]:
    """Rows of each window of a CSV file, and the network's input, some windows at a time."""
    rows, window = rows_of(data), spec["preparation"]["window"]
    if not rows:
        raise ValueError("the table has no rows")
    values, bounds = cells(rows, spec), list(window_bounds(rows, spec))
    for start in range(0, len(bounds), 4096):
        some = bounds[start : start + 4096]
        windows = np.stack([cut(values, low, high, window=window) for low, high in some])
        yield [{"start": low, "end": high} for low, high in some], prepared(windows, spec)


def rows_of(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file by column name; the delimiter is the one that the first line has most of."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    delimiter = max(",;\t|", key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    comma = "" if delimiter == "," else ","
    try:
        return [{name.strip(): _plain(cell or "", comma) for name, cell in row.items() if name} for row in rows]
    except csv.Error as error:
        raise ValueError(f"it is no CSV file: {error}") from error


def cells(rows: list[dict[str, str]], spec: dict[str, Any]) -> Any:
    """``(R, D)``: NaN where a value is missing or no finite number, categories by their number, -1 unknown ones."""
    columns = spec["preparation"]["columns"]
    if lost := [column["name"] for column in columns if rows and column["name"] not in rows[0]]:
        raise ValueError(f"column {lost[0]!r} is missing")
    return np.array([[_cell(row[column["name"]], column) for column in columns] for row in rows], dtype=np.float64)


def cut(values: Any, low: int, high: int, *, window: int) -> Any:
    """``(W, D)``: rows `low` to `high` of the values ``(R, D)``; a short window repeats its last row."""
    return values[np.minimum(np.arange(low, low + window), high - 1)]


def prepared(windows: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Windows ``(N, W, D)`` as the network's input: less the offset, by the unit, cut at the limit."""
    how = spec["preparation"]
    scaled = (windows - np.array(how["offset"])) / np.array(how["unit"])
    return {"window": np.clip(scaled, -how["limit"], how["limit"]).astype(np.float32)}


def window_bounds(rows: list[dict[str, str]], spec: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """First row and end of each window; none straddles a gap in time, a step backwards or a change of the group."""
    how = spec["preparation"]
    window, stride = how["window"], how["stride"]
    for low, high in pairwise([0, *_breaks(rows, how["timestamp"], how["group"]), len(rows)]):
        starts = list(range(low, max(high - window, low) + 1, stride))
        if starts[-1] + window < high:
            starts.append(high - window)
        yield from ((start, min(start + window, high)) for start in starts)


def _plain(cell: str, comma: str) -> str:
    """`cell` without blanks around it; a decimal comma as a point where commas do not part cells."""
    text = cell.strip()
    whole, found, part = text.partition(comma) if comma else (text, "", "")
    return f"{whole}.{part}" if found and whole.lstrip("+-").isdigit() and part.isdigit() else text


def _cell(text: str, column: dict[str, Any]) -> float:
    if column["kind"] == "categorical" and text not in MISSING:
        return column["categories"].index(text) if text in column["categories"] else -1
    if text.lower() in _NO_NUMBERS:
        return np.nan
    try:
        value = float({"true": "1", "false": "0"}.get(text.lower(), text))
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _breaks(rows: list[dict[str, str]], timestamp: str, group: str) -> list[int]:
    broken = np.zeros(max(len(rows) - 1, 0), dtype=bool)
    if timestamp and rows and timestamp in rows[0]:
        steps = np.diff([_seconds(row[timestamp]) for row in rows])
        moving = steps[np.isfinite(steps) & (steps != 0)]
        usual = np.median(moving) if len(moving) else 1.0
        along = steps * np.sign(usual)
        broken |= bool(len(moving)) & ((along < 0) | (along > 5 * abs(usual)))
    if group and rows and group in rows[0]:
        broken |= np.array([one[group] != other[group] for one, other in pairwise(rows)], dtype=bool)
    return [int(place) + 1 for place in np.flatnonzero(broken)]


def _seconds(text: str) -> float:
    """A number as it is, else seconds of an ISO 8601 time."""
    if text.lower() in _NO_NUMBERS:
        return np.nan
    try:
        return float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or UTC).timestamp()

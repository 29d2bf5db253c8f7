"""Windows of a CSV file as an exported network takes them: what `components.samples` does, for plain files."""

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

MISSING = {"", "?", "-", "--", "NaN", "nan", "NA", "N/A", "n/a", "null", "NULL", "None"}
"""A cell of any column that holds no value; where numbers belong, in any case."""

_EXCEL = re.compile(r"""\A"?sep=[,;\t|]"?\r?\n""")
"""What Excel writes before the header to tell itself the delimiter."""
_PLAIN_COMMA = re.compile(r"[-+]?(\d+,\d*|,\d+)([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?")
_WITH_POINT = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
_NO_TIMES = {word.lower() for word in MISSING}


@dataclass(frozen=True)
class Table:
    """What an export needs of a CSV file's R rows, whose text would take many times as much.

    Attributes:
        values: ``(R, D)``: NaN where a value is missing or no finite number, categories by number, -1 for unknown ones.
        times: Of each row, as it is written; "" where there is no such column.
        groups: Of each row, a number in one notation; "" where there is no such column.
    """

    values: Any
    times: list[str]
    groups: list[str]


def samples(data: bytes, spec: dict[str, Any]) -> Iterator[tuple[list[dict[str, int]], Any]]:
    """Rows of each window of a CSV file, and the network's input, some windows at a time."""
    table, window = table_of(data, spec), spec["preparation"]["window"]
    if not table.times:
        raise ValueError("the table has no rows")
    bounds = list(window_bounds(table, spec))
    for start in range(0, len(bounds), 4096):
        some = bounds[start : start + 4096]
        windows = np.stack([cut(table.values, low, high, window=window) for low, high in some])
        yield [{"start": low, "end": high} for low, high in some], prepared(windows, spec)


def table_of(data: bytes, spec: dict[str, Any]) -> Table:
    """The table in a CSV file; refused where it lacks a column that the network needs."""
    how, values = spec["preparation"], array("d")
    codes = [_codes(column) for column in how["columns"]]
    times: list[str] = []
    groups: list[str] = []
    for row in rows_of(data):
        if not times and (lost := [column["name"] for column in how["columns"] if column["name"] not in row]):
            raise ValueError(f"column {', '.join(map(repr, lost[:5]))} is missing")
        values.extend(_cell(row[column["name"]], known) for column, known in zip(how["columns"], codes, strict=True))
        times.append(row.get(how["timestamp"], ""))
        groups.append(_plain_word(row.get(how["group"], "")))
    return Table(np.array(values).reshape(len(times), len(how["columns"])), times, groups)


def rows_of(data: bytes) -> Iterator[dict[str, str]]:
    """The rows of a CSV file by column name; the delimiter is the one that parts the first line into most cells."""
    text = _EXCEL.sub("", _text(data))
    first = next((line for line in text[:65_536].splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        grouped = delimiter != "," and "," in text and _parts_thousands(text, delimiter)
        plain = str.strip if delimiter == "," else partial(_plain, grouped=grouped)
        filled = (row for row in rows if len(row) > 1 or "".join(row).strip())  # a line of blanks is no row
        names = [name.strip() for name in next(filled, [])]
        if twice := [name for place, name in enumerate(names) if name and name in names[:place]]:
            raise ValueError(f"two columns are called {twice[0]!r}")
        for row in filled:
            if "".join(row[len(names) :]).strip():
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, the header {len(names)}")
            yield {name: plain(cell) for name, cell in zip_longest(names, row[: len(names)], fillvalue="") if name}
    except csv.Error as error:
        raise ValueError(f"it is no CSV file: {error}") from error


def _text(data: bytes) -> str:
    """UTF-16 by its mark, else UTF-8 or Latin-1."""
    marked = data[:2] in {b"\xff\xfe", b"\xfe\xff"}
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if "\0" in text:
        raise ValueError("it is no CSV file: it holds zero bytes")
    return text


def cut(values: Any, low: int, high: int, *, window: int) -> Any:
    """``(W, D)``: rows `low` to `high` of the values ``(R, D)``; a short window repeats its last row."""
    return values[np.minimum(np.arange(low, low + window), high - 1)]


def prepared(windows: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Windows ``(N, W, D)`` as the network's input: less the offset, by the unit, cut at the limit."""
    how = spec["preparation"]
    scaled = (windows - np.array(how["offset"])) / np.array(how["unit"])
    return {"window": np.clip(scaled, -how["limit"], how["limit"]).astype(np.float32)}


def window_bounds(table: Table, spec: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """First row and end of each window; none straddles a gap in time, a step backwards or a change of the group."""
    how = spec["preparation"]
    window, stride = how["window"], how["stride"]
    # Rows that are scored one by one are the same whatever parts them, and their times need not be read.
    breaks = _breaks(table) if window > 1 else []
    for low, high in pairwise([0, *breaks, len(table.times)]):
        starts = list(range(low, max(high - window, low) + 1, stride))
        if starts[-1] + window < high:
            starts.append(high - window)
        yield from ((start, min(start + window, high)) for start in starts)


def _parts_thousands(text: str, delimiter: str) -> bool:
    """Whether a point parts thousands: there are decimal commas, and no number has a point anywhere else."""
    commas = False
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, skipinitialspace=True)
    next(rows, None)
    for cell in (cell.strip() for row in rows for cell in row):
        grouped = _THOUSANDS.fullmatch(cell)
        if _WITH_POINT.fullmatch(cell) and not grouped:
            return False
        commas |= bool(_PLAIN_COMMA.fullmatch(cell)) or bool(grouped and "," in cell)
    return commas


def _plain(cell: str, *, grouped: bool) -> str:
    """`cell` without blanks around it, with a point for a decimal comma and none between thousands."""
    text = cell.strip()
    if grouped and _THOUSANDS.fullmatch(text):
        text = text.replace(".", "")
    return text.replace(",", ".") if _PLAIN_COMMA.fullmatch(text) else text


def _codes(column: dict[str, Any]) -> dict[str, int] | None:
    """Category → its number; None for a column of numbers."""
    if column["kind"] == "numeric":
        return None
    return {_plain_word(word): place for place, word in reversed(list(enumerate(column["categories"])))}


def _cell(text: str, codes: dict[str, int] | None) -> float:
    if codes is not None and text not in MISSING:
        return codes.get(_plain_word(text), -1)
    value = _number(text)
    if value is None:
        value = {"true": 1.0, "false": 0.0}.get(text.lower(), math.nan)
    return value if math.isfinite(value) else math.nan


def _plain_word(word: str) -> str:
    """A category however its cell is written: a number in one notation, true and false in lower case."""
    number = _number(word)
    if number is None or not math.isfinite(number):
        return word.lower() if word.lower() in {"true", "false"} else word
    return f"{number:.15g}"


def _number(text: str) -> float | None:
    try:
        return float(text) if "_" not in text else None  # what Python reads 1_000 as is no number in a table
    except ValueError:
        return None


def _breaks(table: Table) -> list[int]:
    broken = np.array([one != other for one, other in pairwise(table.groups)], dtype=bool)
    seconds = np.array([_seconds(text) for text in table.times])
    known = np.flatnonzero(np.isfinite(seconds))
    steps = np.diff(seconds[known]) / np.diff(known)
    moving = steps[steps != 0]
    usual = np.median(moving) if len(moving) else 1.0
    along = steps * np.sign(usual)
    broken[known[1:] - 1] |= bool(len(moving)) & ((along < 0) | (along > 5 * abs(usual)))
    return [int(place) + 1 for place in np.flatnonzero(broken)]


def _seconds(text: str) -> float:
    """A number as it is, else seconds of an ISO 8601 time."""
    if text.lower() in _NO_TIMES:
        return np.nan
    try:
        return float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or UTC).timestamp()

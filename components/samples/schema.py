"""Which columns of a table detectors see, and why not the others: decided once, from content and names.

Nothing is dropped in silence: each column ends as a feature, a constant, or in `ignored` with a reason.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.contracts import Column, Label, TableSchema
from ..core.errors import ConfigError, SourceError
from ..core.lines import TableOptions
from ..core.wording import listed
from .alike import Following
from .columns import as_categories, as_numbers, as_seconds, looks_like_times, plain_word
from .labels import label_of_word
from .lots import names_a_lot

# Names of label columns, the surest first; compared without case, spaces and signs.
LABEL_NAMES = (
    "anomaly", "isanomaly", "anomalous", "label", "islabel", "target", "class", "y", "fault", "isfault", "faulty",
    "failure", "isfailure", "machinefailure", "defect", "isdefect", "defective", "outlier", "attack",
)  # fmt: skip
_ANNOTATION = re.compile(
    r"^(change_?points?|.*(anomaly|failure|fault|defect|attack)[ _-]?(type|kind|mode|class|id|cat|category|label)"
    r"|(root_?)?cause|annotation|comment|remarks?|rul)$"
)
_TIME_NAME = re.compile(r"(^|[ _-])(timestamp|datetime|date|time|ts|epoch)($|[ _-]?(utc|local|ms|s)?$)")
_ID_NAME = re.compile(r"^(index|uid|uuid|guid|id|row|no|nr|unnamed: 0|.*[ _-](id|uid|uuid|serial|no|nr))$")
_GROUPED = re.compile(r"[+-]?\d{1,3}([., '\u00a0\u202f]\d{3})*([.,]\d+)?")
_WINDOWS_OF_BLOCK = 10  # at least, so that what is purged at its borders stays the smaller part
_MAX_CATEGORIES = 50
_MOSTLY = 0.9
_FALLS = 0.001  # share of a counter's steps, those of 0 left out, that may fall
_ANEW = 0.1  # share of the files that a counter may begin anew with
_Rule = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


def infer_schema(
    frame: pd.DataFrame, options: TableOptions, *, files: Sequence[int] = (), rows: int = 0
) -> TableSchema:
    """The schema of a new line, from the rows of its first files.

    Args:
        frame: The rows, file after file; `frame.attrs["delimiter"]` is kept.
        options: What the line's file declares; it goes before what content and names say.
        files: Rows of each file within `frame`; empty: one file.
        rows: Rows that the line has in all, if `frame` is only a part of them.

    Raises:
        ConfigError: A declared column does not exist, or its values do not fit its role.
        SourceError: No column is left that a detector could learn from.
    """
    finder = _Finder(frame, options, _starts(len(frame), files))
    finder.sort_out()
    if not finder.features:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(finder.ignored.items())[:5])
        raise SourceError(f"No column can be a feature ({why}).", hint="Check the delimiter, or table.exclude.")
    stride = options.stride or options.window
    following = finder.following()
    ordered = finder.timestamp is not None or options.window > 1 or following.neighbours_are_alike()
    block = following.block(rows=rows or len(frame), least=_WINDOWS_OF_BLOCK * options.window) if ordered else 1
    return TableSchema(
        features=tuple(finder.features), ignored=finder.ignored, constants=finder.constants,
        timestamp=finder.timestamp, label=finder.label, delimiter=frame.attrs.get("delimiter") or ",",
        window=options.window, stride=stride, block_rows=block,
    )  # fmt: skip


def find_label(frame: pd.DataFrame, *, columns: Iterable[str]) -> str | None:
    """The column among `columns` that is called like a label and holds only 0 and 1, or None."""
    plain = {name: re.sub(r"[^a-z0-9]", "", name.lower()) for name in columns}
    for wanted in LABEL_NAMES:
        for name, words in plain.items():
            if words == wanted and _is_binary(as_numbers(frame[name])):
                return name
    return None


def is_annotation(name: str) -> bool:
    """Whether a column of this name says something about the label: kinds of faults, change points, comments."""
    return _ANNOTATION.fullmatch(name.strip().lower()) is not None


def row_labels(frame: pd.DataFrame, label: str) -> NDArray[np.int8]:
    """``(R,)``: 1 where the label column says anomalous, 0 where normal or nothing.

    Raises:
        ConfigError: A cell is no label; 0/1, true/false and words such as ok and ng are.
    """
    column = frame[label]
    numbers = as_numbers(column)
    if _is_binary(numbers):
        return np.nan_to_num(numbers).astype(np.int8)
    text = as_categories(column)
    words = {word: label_of_word(word) for word in text.dropna().unique()}
    strange = next((word for word, meaning in words.items() if meaning is None), None)
    if strange is not None:
        raise ConfigError(f"Label column {label!r} holds {strange!r}.", hint="Use 0 and 1; 1 is anomalous.")
    return np.asarray(text.map(lambda word: words.get(word) is Label.ANOMALOUS).to_numpy(dtype=np.int8))


@dataclass
class _Finder:
    """Sorts the columns out, each role before the next."""

    frame: pd.DataFrame
    options: TableOptions
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.ignored: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.features: list[Column] = []
        self.label: str | None = None
        self.timestamp: str | None = None

    def sort_out(self) -> None:
        options = self.options
        declared = [(role, getattr(options, role)) for role in ("label", "timestamp", "group")]
        for role, name in (*declared, *(("include", name) for name in options.include)):
            if name and name not in self.frame:
                known = listed([repr(column) for column in self.frame.columns], most=12)
                raise ConfigError(f"table.{role}: there is no column {name!r}.", hint=f"Columns are {known}.")
        for name in options.exclude:
            self.ignored[name] = f"excluded by the line's file{'' if name in self.frame else ', and in no file yet'}"
        self.label = options.label or find_label(self.frame, columns=self._free())
        if self.label:
            self.ignored[self.label] = "label"
        if options.group:
            self.ignored[options.group] = "group"
        self._find_times()
        for name in self._open():
            if name in options.include:
                self._take(name)
            else:
                self._place(name)

    def following(self) -> Following:
        """The rows in their order, by the features that are numbers."""
        return Following(
            [as_numbers(self.frame[column.name]) for column in self.features if column.kind == "numeric"],
            anomalous=self._anomalous,
            file=np.searchsorted(self.starts, np.arange(len(self.frame)), side="right"),
        )

    @cached_property
    def _anomalous(self) -> NDArray[np.bool_]:
        """``(R,)``: true where the label column, once it is found, says so."""
        return row_labels(self.frame, self.label) == 1 if self.label else np.zeros(len(self.frame), dtype=bool)

    def _open(self) -> list[str]:
        return [name for name in self.frame.columns if name not in self.ignored]

    def _free(self) -> list[str]:
        """Open columns whose content and name may say what they are."""
        return [name for name in self._open() if name not in self.options.include]

    def _find_times(self) -> None:
        declared = self.options.timestamp
        if declared and as_seconds(self.frame[declared]) is None:
            raise ConfigError(f"table.timestamp: column {declared!r} holds no times.", hint="Name another, or none.")
        found = [name for name in self._free() if name == declared or self._is_time(name)]
        for name in found:
            self.ignored[name] = "time stamp"
        self.timestamp = declared or next(iter(found), None)

    def _is_time(self, name: str) -> bool:
        column = self.frame[name]
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return True
        if pd.api.types.is_numeric_dtype(column.dtype):
            # A number is a time only if it is called so and runs forward in every file.
            return bool(_TIME_NAME.search(name.lower())) and self._each_file(as_numbers(column), lambda step: step >= 0)
        return looks_like_times(as_categories(column)) and as_seconds(column) is not None

    def _each_file(self, values: NDArray[np.float64], holds: _Rule) -> bool:
        inner = np.ones(max(len(values) - 1, 0), dtype=bool)
        inner[self.starts[self.starts > 0] - 1] = False
        return len(values) > 1 and bool(np.all(holds(np.diff(values)[inner])))

    def _take(self, name: str) -> None:
        """As a feature, because the line's file says so."""
        numbers, words = as_numbers(self.frame[name]), as_categories(self.frame[name])
        distinct = words.dropna().unique()
        if np.isfinite(numbers).sum() >= _MOSTLY * max(int(words.notna().sum()), 1) > 0:
            self.features.append(Column(name=name, kind="numeric"))
        elif 0 < len(distinct) <= _MAX_CATEGORIES:
            self.features.append(_categorical(name, distinct))
        else:
            raise ConfigError(
                f"table.include: column {name!r} has {len(distinct)} different words and can be no feature.",
                hint=f"Numbers can, and up to {_MAX_CATEGORIES} words.",
            )

    def _place(self, name: str) -> None:
        column = self.frame[name]
        text = column if _holds_readings(column) else as_categories(column)
        distinct = text.dropna().unique()
        numbers = as_numbers(column)
        filled = max(int(text.notna().sum()), 1)
        numeric = bool(np.isfinite(numbers).sum() >= _MOSTLY * filled)
        if not len(distinct):
            self.ignored[name] = "no values"
        elif said := _said_by_name(name, distinct, numbers, numeric=numeric):
            self.ignored[name] = said
        elif len(distinct) == 1:
            self.constants[name] = str(distinct[0])
            self.ignored[name] = f"constant: always {str(distinct[0])!r} in the line's first version"
        elif _leaks(text.to_numpy(), self._anomalous, few=len(distinct) <= (2 if numeric else _MAX_CATEGORIES)):
            self.ignored[name] = "leaks the label: one value on all normal rows, others on anomalous rows only"
        elif not numeric and (grouped := _grouped(distinct)):
            self.ignored[name] = f"numbers with marks between thousands, such as {grouped!r}: write them without"
        elif self._is_identifier(name, text, numbers, numeric):
            self.ignored[name] = "identifier: it counts on, or has another value in every row"
        elif numeric and self._is_counter(numbers):
            self.ignored[name] = (
                "counter: it rises all the time, so that what comes next is always beyond what was learned;"
                " table.include makes it a feature all the same"
            )
        elif numeric:
            self.features.append(Column(name=name, kind="numeric"))
        elif len(distinct) <= min(_MAX_CATEGORIES, max(len(self.frame) // 4, 2)):
            self.features.append(_categorical(name, distinct))
        else:
            self.ignored[name] = f"free text: {len(distinct)} different values"

    def _is_identifier(self, name: str, text: pd.Series, numbers: NDArray[np.float64], numeric: bool) -> bool:
        if len(text) < 10:
            return False
        if not numeric:
            return text.nunique() >= 0.95 * len(text)
        if not np.all(np.isfinite(numbers)) or np.any(numbers != np.rint(numbers)):
            return False
        counts_up = self._each_file(numbers, lambda step: step > 0)
        return counts_up or (bool(_ID_NAME.match(name.lower())) and len(np.unique(numbers)) >= 0.95 * len(numbers))

    def _is_counter(self, numbers: NDArray[np.float64]) -> bool:
        """Whether it rises from the first file's begin to the last one's end: uptime, bytes sent, energy used.

        Only where rows come in an order of time: others may have been sorted by it. Of a hundred rows and twenty steps
        on: a set point that is raised a few times is none, nor is what begins anew with files. A fall in a thousand
        steps is a reading that failed or a meter that was replaced; where it ends with its largest value all the same,
        what comes next is as far beyond what was learned.
        """
        if self.timestamp is None and self.options.window == 1:
            return False
        places = np.flatnonzero(np.isfinite(numbers))
        known = numbers[places]
        steps = np.diff(known)
        moves = np.count_nonzero(steps)
        if len(known) < 100 or moves < 20:
            return False
        between = np.diff(np.searchsorted(self.starts, places, side="right")) > 0
        if between.any() and np.mean(steps[between] < 0) > _ANEW:
            return False
        return bool(np.count_nonzero(steps < 0) <= _FALLS * moves and known[-1] >= known.max())


def _holds_readings(column: pd.Series) -> bool:
    """Whether it is many fractional numbers: no rule asks how these are written, and to write them takes longest."""
    if not pd.api.types.is_float_dtype(column.dtype) or column.nunique() <= _MAX_CATEGORIES:
        return False
    numbers = as_numbers(column)
    known = numbers[np.isfinite(numbers)]
    return bool(np.any(known != np.rint(known)))


def _said_by_name(name: str, distinct: NDArray[np.object_], numbers: NDArray[np.float64], *, numeric: bool) -> str:
    """Why a column of this name is no feature, or ""."""
    if is_annotation(name):
        return "annotation: its name says that it describes the label"
    if names_a_lot(name, distinct, numbers, numeric=numeric):
        return (
            "names a batch or a time: what comes next has values that were never seen; table.group keeps the rows of"
            " one value together, table.include makes it a feature all the same"
        )
    return ""


def _categorical(name: str, distinct: NDArray[np.object_]) -> Column:
    words = {plain_word(word): word for word in sorted(map(str, distinct), reverse=True)}
    return Column(name=name, kind="categorical", categories=tuple(sorted(words.values())))


def _starts(rows: int, files: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(files)[:-1]]).astype(np.int64) if len(files) else np.zeros(min(rows, 1), int)


def _grouped(cells: NDArray[np.object_]) -> str:
    """One of the cells with marks between thousands if they are numbers so written, else ""."""
    found = [match for cell in cells if (match := _GROUPED.fullmatch(str(cell)))]
    marked = (match.group() for match in found if match.group(1))
    return next(marked, "") if len(found) >= _MOSTLY * len(cells) else ""


def _is_binary(numbers: NDArray[np.float64]) -> bool:
    filled = numbers[~np.isnan(numbers)]
    return len(filled) > 0 and bool(np.isin(filled, (0.0, 1.0)).all())


def _leaks(values: NDArray[np.object_], anomalous: NDArray[np.bool_], *, few: bool) -> bool:
    """Whether a column of few values tells anomalous rows by leaving the one value that all normal rows have."""
    if not few or not anomalous.any() or anomalous.all():
        return False
    usual = {value for value in values[~anomalous] if value is not None}
    seen = {value for value in values[anomalous] if value is not None}
    return len(usual) <= 1 and bool(seen - usual)

"""Bytes of a CSV or Parquet file become a table, and its feature columns become numbers."""

import csv
import io
import re
import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.contracts import Column, TableSchema
from ..core.errors import first_line
from ..core.wording import listed
from .columns import as_categories, as_numbers, plain_word
from .schema import infer_schema
from .unusable import UnusableSample
from .windows import cut, window_names, window_starts

__all__ = [
    "TABLE_SUFFIXES", "cut", "encode_cells", "infer_schema", "read_table", "readings", "sniff_delimiter",
    "window_names", "window_starts",
]  # fmt: skip

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq"})
_DELIMITERS = ",;\t|"
_EXCEL = re.compile(r"""\A"?sep=[,;\t|]"?\r?\n""")
"""What Excel writes before the header to tell itself the delimiter."""
_PLAIN_COMMA = re.compile(r"[-+]?(\d+,\d*|,\d+)([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?")
_WITH_COMMA = re.compile(rf"{_PLAIN_COMMA.pattern}|[-+]?[1-9]\d{{0,2}}(\.\d{{3}})+,\d*")
_WITH_POINT = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
_MISSING = ["", "?", "-", "--", "NaN", "nan", "NA", "N/A", "n/a", "null", "NULL", "None"]


def read_table(data: bytes) -> pd.DataFrame:
    """The table that `data` holds. `frame.attrs` says its `delimiter` and `encoding` ("" for Parquet).

    CSV: the delimiter is found among comma, semicolon, tab and bar, a first line `sep=;` is skipped, a decimal comma is
    understood where the delimiter leaves it free; the encoding is UTF-8 or UTF-16 by its mark, else UTF-8 or Latin-1.

    Raises:
        UnusableSample: `empty`, `not-a-table`, `damaged`, or `schema` where there is no row of column names.
    """
    if not data:
        raise UnusableSample("empty", "The file has no bytes.")
    frame = _parquet(data) if data.startswith(b"PAR1") else _csv(data)
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise UnusableSample("schema", f"Two columns are called {twice!r}.")
    if frame.empty:
        raise UnusableSample("empty", "The table has no rows.")
    return frame


def sniff_delimiter(text: str) -> str:
    """The delimiter that the first line holds most of; a comma if it holds none.

    >>> sniff_delimiter('"a,b";c;d')
    ';'
    """
    counts = {mark: len(next(csv.reader([text], delimiter=mark), [])) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark])


def encode_cells(frame: pd.DataFrame, schema: TableSchema) -> NDArray[np.float64]:
    """``(R, D)``: the D features of R rows; NaN is missing, infinite is no finite number, -1 an unknown category.

    Raises:
        UnusableSample: `schema`: a feature column is missing.
    """
    if lost := [repr(column.name) for column in schema.features if column.name not in frame]:
        raise UnusableSample("schema", f"Column {listed(lost)} is missing.")
    values = np.empty((len(frame), len(schema.features)))
    for place, column in enumerate(schema.features):
        values[:, place] = _encoded(frame[column.name], column)
    return values


def readings(frame: pd.DataFrame, schema: TableSchema) -> NDArray[np.float64]:
    """As `encode_cells`, but a cell that holds no finite number is a missing one: its row still gets a verdict.

    Raises:
        UnusableSample: `schema`: a feature column is missing.
    """
    values = encode_cells(frame, schema)
    values[np.isinf(values)] = np.nan
    return values


def name_cell(frame: pd.DataFrame, schema: TableSchema, *, row: int, place: int) -> str:
    """A sentence about a cell that holds no finite number."""
    name = schema.features[place].name
    return f"Column {name!r}, row {row}: {str(frame[name].iloc[row])!r} is no finite number."


def _encoded(column: pd.Series, declared: Column) -> NDArray[np.float64]:
    if declared.kind == "numeric":
        return as_numbers(column)
    text = as_categories(column)
    # Of two that are the same in another notation the first counts.
    places = {plain_word(word): place for place, word in reversed(list(enumerate(declared.categories)))}
    codes = {word: float(places.get(plain_word(word), -1)) for word in text.dropna().unique()}
    return np.asarray(text.map(codes).to_numpy(dtype=np.float64))


def _parquet(data: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, NotImplementedError) as error:
        raise UnusableSample("damaged", f"It does not read as Parquet: {first_line(error)}.") from error
    frame = frame.reset_index(drop=isinstance(frame.index, pd.RangeIndex) or frame.index.name is None)
    frame.attrs = {"delimiter": ",", "encoding": ""}
    return frame


def _csv(data: bytes) -> pd.DataFrame:
    text, encoding = _text(data)
    text = _EXCEL.sub("", text)
    first = next((line for line in text[:65_536].splitlines() if line.strip()), "")
    delimiter = sniff_delimiter(first)
    _check_header([name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])])
    frame = _parse(text, delimiter, ".")
    if delimiter != "," and any(cells.str.fullmatch(_WITH_COMMA).any() for cells in _words(frame).values()):
        frame = _with_decimal_commas(frame, _parse(text, delimiter, ","))
    frame.attrs = {"delimiter": delimiter, "encoding": encoding}
    return frame


def _parse(text: str, delimiter: str, decimal: str) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # Of rows that all have more cells than the header, as decimal commas between commas make, pandas would keep
            # the first ones, as if they were the columns, and warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text), sep=delimiter, decimal=decimal, na_values=_MISSING, keep_default_na=False,
                skipinitialspace=True, low_memory=False, index_col=False,
            )  # fmt: skip
    except pd.errors.ParserWarning as warning:
        raise UnusableSample(
            "damaged", "Its rows have more cells than its header; are there commas for decimals between commas?"
        ) from warning
    except (ValueError, pd.errors.ParserError, OverflowError) as error:
        raise UnusableSample("damaged", f"It does not read as CSV: {first_line(error)}.") from error


def _text(data: bytes) -> tuple[str, str]:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "latin-1")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Pandas ends a cell at a zero: of 0.8, two zeros and 703 it made 0.8.
        if "\0" in text:
            raise _zeros(text.index("\0"))
        if not text.strip():
            raise UnusableSample("empty", "The file holds only blanks.")
        return text, encoding
    raise UnusableSample("damaged", "It is marked as UTF-16 but does not decode.")


def _zeros(first: int) -> UnusableSample:
    if first < 65_536:
        return UnusableSample("not-a-table", "It holds zero bytes: it is neither CSV nor Parquet.")
    return UnusableSample(
        "damaged", f"It holds zero bytes, the first after {first:,} characters: it was not written to its end."
    )


def _check_header(names: list[str]) -> None:
    numbers = [name for name in names if _is_number(name)]
    if names and len(numbers) == len(names):
        raise UnusableSample("schema", f"The first row holds numbers ({numbers[0]!r}, ...), not column names.")
    twice = next((name for place, name in enumerate(names) if name and name in names[:place]), None)
    if twice is not None:
        raise UnusableSample("schema", f"Two columns are called {twice!r}.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _words(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Cells of the columns that pandas did not read as numbers."""
    return {str(name): cells.astype("string").str.strip() for name, cells in frame.select_dtypes("object").items()}


def _with_decimal_commas(by_points: pd.DataFrame, by_commas: pd.DataFrame) -> pd.DataFrame:
    """The table whose numbers were read with decimal points or commas, with all of either kind in either column.

    Pandas leaves the commas of a column where a cell, such as ERR, is no number. Points part thousands (1.070 is 1070)
    in a file of which no number has a point anywhere else; where one has, most columns may be of decimal points.
    """
    words = _words(by_commas)
    pointed = [cells.str.fullmatch(_WITH_POINT) & ~cells.str.fullmatch(_THOUSANDS) for cells in words.values()]
    grouped = not any(there.any() for there in pointed)
    frame = by_commas if grouped else by_points
    for name, cells in (words if grouped else _words(frame)).items():
        plain = cells
        if grouped:
            plain = plain.mask(plain.str.fullmatch(_THOUSANDS), plain.str.replace(".", "", regex=False))
        plain = plain.mask(plain.str.fullmatch(_PLAIN_COMMA), plain.str.replace(",", ".", regex=False))
        changed = (plain != cells).fillna(False).to_numpy(dtype=np.bool_)
        if changed.any():
            frame[name] = frame[name].mask(changed, plain.astype(object))
    return frame

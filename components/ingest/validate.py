"""Whether a table, and the line's options, fit the schema that the line's first version pinned.

Tables are checked with pandera, column by column.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.core.contracts import Column, TableSchema
from components.core.errors import ConfigError
from components.core.lines import TableOptions
from components.samples.columns import as_categories, as_numbers, as_seconds
from components.samples.schema import is_annotation
from components.samples.unusable import UnusableSample

if TYPE_CHECKING:
    from collections.abc import Sequence

# A column in which more than this share of the filled cells is of another type is another column.
_MOST_STRANGE = 0.5


def validate(frame: pd.DataFrame, *, schema: TableSchema, options: TableOptions) -> None:
    """Check columns and their types. Columns that no detector sees may be missing; unknown ones may not come.

    Raises:
        UnusableSample: `schema`, naming the first column that is missing, unknown or of another type.
    """
    from pandera.errors import SchemaErrors

    try:
        _expected(frame, schema, options).validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise UnusableSample("schema", _sentence(errors.schema_errors)) from errors


def check_options(options: TableOptions, schema: TableSchema) -> None:
    """Refuse options that say something else than the schema that the line's first version pinned.

    Raises:
        ConfigError: What a sample is, or which columns a detector sees, would have to change.
    """
    for option, now, then in (
        ("window", options.window, schema.window),
        ("stride", options.stride or options.window, schema.stride),
        ("label", options.label or schema.label or "", schema.label or options.label),
        ("timestamp", options.timestamp or schema.timestamp or "", schema.timestamp or ""),
    ):
        if now != then:
            raise _pinned(f"table.{option} is {now!r}, but the line's first version was read with {then!r}")
    features = {column.name for column in schema.features}
    for option, names in (("exclude", options.exclude), ("label", (options.label,)), ("group", (options.group,))):
        if seen := features.intersection(names):
            raise _pinned(f"table.{option} names {min(seen)!r}, which is a feature since the line's first version")
    if new := {*options.include} - features:
        raise _pinned(f"table.include names {min(new)!r}, which is no feature since the line's first version")


def _pinned(problem: str) -> ConfigError:
    return ConfigError(f"{problem}.", hint="Change it back, or add another line: what its samples are stays as it is.")


def _expected(frame: pd.DataFrame, schema: TableSchema, options: TableOptions) -> Any:
    import pandera.pandas as pa

    columns = {
        column.name: pa.Column(nullable=True, checks=pa.Check(_fits(column), error=f"is no longer {column.kind}"))
        for column in schema.features
    }
    if schema.timestamp:
        columns[schema.timestamp] = pa.Column(nullable=True, checks=pa.Check(_has_times, error="holds no times"))
    free = {*schema.ignored, *options.exclude, options.group, *(name for name in frame.columns if is_annotation(name))}
    for name in free - columns.keys():
        columns[name] = pa.Column(nullable=True, required=name == options.group != "")
    return pa.DataFrameSchema(columns, strict=True)


def _fits(column: Column) -> Any:
    def check(cells: pd.Series) -> bool:
        filled = cells.notna().to_numpy()
        if not filled.any():
            return True
        if column.kind == "numeric":
            return bool(np.isinf(as_numbers(cells)[filled]).mean() <= _MOST_STRANGE)
        # New words may come, they are drift; numbers in place of words are another column.
        if any(_is_number(category) for category in column.categories):
            return True
        return not bool(np.isfinite(as_numbers(as_categories(cells[filled]))).all())

    return check


def _has_times(cells: pd.Series) -> bool:
    return as_seconds(cells) is not None


def _is_number(word: str) -> bool:
    return bool(np.isfinite(as_numbers(pd.Series([word])))[0])


def _sentence(errors: "Sequence[Any]") -> str:
    """What is missing is said first: a renamed column is missing under one name and new under another."""
    missing = [error.failure_cases for error in errors if error.reason_code.name == "COLUMN_NOT_IN_DATAFRAME"]
    unknown = [error.failure_cases for error in errors if error.reason_code.name == "COLUMN_NOT_IN_SCHEMA"]
    if missing:
        new = f"; {_names(unknown)} is new: renamed?" if unknown else "."
        return f"Column {_names(missing)} is missing{new}"
    if unknown:
        return f"Column {_names(unknown)} is not in the line's schema; name it in table.exclude to accept it."
    return f"Column {errors[0].schema.name!r} {errors[0].check.error}."


def _names(names: "Sequence[object]") -> str:
    return ", ".join(repr(str(name)) for name in names[:3]) + (
        f" (and {len(names) - 3} more)" if len(names) > 3 else ""
    )

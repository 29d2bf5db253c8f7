"""Columns that were constant when a line's columns were chosen: no features, and a change of theirs is drift."""

from collections.abc import Mapping

import pandas as pd

from .columns import as_categories


def constants_in(frame: pd.DataFrame, constants: Mapping[str, str]) -> dict[str, list[str]]:
    """What the columns of `constants` (name → value) hold in these rows, each value once; not those without any.

    >>> constants_in(pd.DataFrame({"recipe": [7.0, None, 8.0], "flow": [1, 2, 3]}), {"recipe": "7", "plant": "a"})
    {'recipe': ['7', '8.0']}
    """
    found = {}
    for name in constants:
        here = as_categories(frame[name]).dropna().unique() if name in frame else ()
        if values := list(dict.fromkeys(_spelt(str(value), like=constants[name]) for value in here)):
            found[name] = values
    return found


def _spelt(value: str, *, like: str) -> str:
    """`value`, or `like` where both are one number: whole numbers turn to 5.0 where a cell of theirs is missing."""
    try:
        return like if float(value) == float(like) else value
    except ValueError:
        return value

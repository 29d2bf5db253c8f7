"""Columns that say of which batch or month a row is: what comes next has values that no detector has seen."""

import re

import numpy as np
from numpy.typing import NDArray

_LOT = re.compile(r"(batch|lot|run|simulationrun|campaign)(id|no|nr|num|number|name|code|index)?")
_PERIOD = re.compile(r"(year|quarter|month|week|day)(no|nr|num|number|name|index)?")
_ROUND = {"quarter": 4, "month": 12, "week": 52, "day": 7}
"""Values after which a calendar begins anew; years never do."""


def names_a_lot(name: str, values: NDArray[np.object_], numbers: NDArray[np.float64], *, numeric: bool) -> bool:
    """Whether a column of this name and content numbers or names batches, runs or months.

    A measured number is none, nor is a switch called `run`, nor a calendar of which a whole round was seen: a month may
    say something of the season once all twelve are known.

    Args:
        name: Of the column.
        values: ``(K,)`` its distinct cells, as text.
        numbers: ``(R,)`` its cells as numbers; NaN where missing.
        numeric: Whether it is a column of numbers.

    >>> one, four = np.array(["1"], object), np.array(list("1234"), object)
    >>> names_a_lot("Batch No", one, np.array([1.0, 1.0]), numeric=True)
    True
    >>> names_a_lot("quarter", four, np.array([1.0, 2.0, 3.0, 4.0]), numeric=True)
    False
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    known = numbers[np.isfinite(numbers)]
    if numeric and np.any(known != np.rint(known)):
        return False
    if period := _PERIOD.fullmatch(plain):
        size = _ROUND.get(period[1], 0)
        return len(values) != size or bool(numeric and known.max() > size)
    return _LOT.fullmatch(plain) is not None and not (numeric and np.isin(known, (0.0, 1.0)).all() and plain == "run")

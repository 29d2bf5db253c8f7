"""How long the rows of a process stay alike: what lies so close together must not be parted by a split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ALIKE = 0.25
"""Rank correlation of rows from which on they are taken to follow each other in time."""

_SURE = 5.0  # standard errors that it is above 0
_BLOCKS = 200  # time blocks that a line's first version has, about: enough to meet shares of a twentieth
_FEWEST = 50  # of a process so slow that 200 would border on what is like them
_FAULTY = 0.2  # share of the longer blocks that may hold an anomaly, which none of their rows is calibrated with
_COLUMNS = 10  # that are looked at, evenly chosen: ranks of many long ones take seconds


class Following:
    """Normal rows in their order.

    Args:
        columns: ``(R,)`` each: numbers of R rows, NaN where one is missing.
        anomalous: ``(R,)``.
        file: ``(R,)`` which file each row is of.
    """

    def __init__(
        self, columns: Sequence[NDArray[np.float64]], *, anomalous: NDArray[np.bool_], file: NDArray[np.int64]
    ) -> None:
        self._columns, self._anomalous, self._file = columns, anomalous, file

    def neighbours_are_alike(self) -> bool:
        """Whether rows that lie side by side are more alike than others, in any column.

        So are readings of a process, whether or not a column holds their times. Drawn one by one, a row to be
        calibrated on or tested has its neighbours in training, and what comes later looks strange beside it. A table
        that was sorted by a column is taken for one, which does little harm: its blocks are drawn from all of it.
        """
        return any(self._alike(_ranks(column), apart=1) for column in self._columns)

    def block(self, *, rows: int, least: int) -> int:
        """Rows of a time block for a line of so many `rows`: so many as half the columns stay alike for.

        Where that is less it is a two-hundredth of the rows, so that shares can be met, and never less than `least`.
        Blocks are no longer than leaves `_FEWEST`, nor where anomalies would spread over more than `_FAULTY` of them.
        """
        usual = max(round(rows / _BLOCKS), least)
        most = max(rows // _FEWEST, usual)
        some = [self._columns[place] for place in _evenly(len(self._columns), _COLUMNS)]
        spans = sorted(self._span(_ranks(column), most=most) for column in some)
        wanted = min(spans[len(spans) // 2], most) if spans else usual
        while wanted > usual and self._faulty(wanted) > _FAULTY:
            wanted //= 2
        return max(wanted, usual)

    def _span(self, ranks: NDArray[np.float64], *, most: int) -> int:
        """After how many rows, by powers of 2, they are no more alike."""
        apart = 1
        while apart < most and self._alike(ranks, apart=apart):
            apart *= 2
        return apart

    def _alike(self, ranks: NDArray[np.float64], *, apart: int) -> bool:
        same = self._file[apart:] == self._file[:-apart]
        known = same & ~(self._anomalous[apart:] | self._anomalous[:-apart])
        known &= np.isfinite(ranks[apart:]) & np.isfinite(ranks[:-apart])
        before, after = ranks[:-apart][known], ranks[apart:][known]
        if len(before) < 2 or not before.std() or not after.std():
            return False
        return bool(np.corrcoef(before, after)[0, 1] >= max(ALIKE, _SURE / np.sqrt(len(before))))

    def _faulty(self, rows: int) -> float:
        """Share of blocks of so many rows that hold an anomaly."""
        block = np.arange(len(self._file)) // rows
        return float(len(np.unique(block[self._anomalous])) / (block[-1] + 1))


def _ranks(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(pd.Series(column).rank().to_numpy(dtype=np.float64))


def _evenly(count: int, most: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, count - 1, most).round()}) if count else []

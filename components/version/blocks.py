"""Time blocks of tables: the unit that splits are drawn over, and the purged gap between blocks of different splits."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import ManifestColumn as Col
from components.core.contracts import TableSchema
from components.core.lines import LineConfig


def blocked(schema: TableSchema | None, *, line: LineConfig) -> TableSchema | None:
    """`schema` where the line's windows belong together by time blocks; None where rows or declared groups do."""
    return schema if schema is not None and schema.in_time and not line.table.group else None


def name_blocks(rows: pd.DataFrame, *, block_rows: int) -> pd.DataFrame:
    """`rows` with the time block of each window's first row as its group.

    The name comes from the path and not from the content: a file that grew keeps its blocks, so that its new windows
    join the split of the old ones around them.
    """
    block = (rows[Col.START] // block_rows).astype(str)
    return rows.assign(**{Col.GROUP: rows[Col.PATH] + "#" + block})


def purge(both: pd.DataFrame, *, is_new: NDArray[np.bool_], window: int) -> NDArray[np.bool_]:
    """``(n,)``: true for new windows with less than `window` rows between them and a window of another split.

    Old windows always stay. Among new ones, the later of the two goes.
    """
    dropped = np.zeros(len(both), dtype=bool)
    starts, ends = both[Col.START].to_numpy(), both[Col.END].to_numpy()
    split = both[Col.SPLIT].to_numpy()
    for places in both.groupby(Col.PATH, sort=False).indices.values():
        if is_new[places].any():
            order = places[np.argsort(starts[places], kind="stable")]
            dropped[order] = _too_close(starts[order], ends[order], split[order], fixed=~is_new[order], window=window)
    return dropped


def _too_close(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    split: NDArray[np.object_],
    *,
    fixed: NDArray[np.bool_],
    window: int,
) -> NDArray[np.bool_]:
    """One file's windows, sorted by start."""
    near_old = np.zeros(len(starts), dtype=bool)
    for name in set(split[fixed]):
        old = np.flatnonzero(fixed & (split == name))
        # Windows of one file have at most one length, so both starts and ends are sorted.
        reach = np.maximum.accumulate(ends[old]) + window
        before = np.searchsorted(starts[old], ends + window) - 1
        near_old |= (before >= 0) & (reach[np.maximum(before, 0)] > starts) & (split != name)
    dropped = near_old & ~fixed
    last: dict[str, int] = {}
    for place in range(len(starts)):
        if dropped[place] or not split[place]:
            continue
        close = any(end + window > starts[place] for name, end in last.items() if name != split[place])
        if close and not fixed[place]:
            dropped[place] = True
        else:
            last[split[place]] = max(last.get(split[place], 0), int(ends[place]))
    return dropped

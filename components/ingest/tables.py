"""Table files of a source become manifest rows, one a window."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Label, TableSchema
from components.core.contracts import ManifestColumn as Col
from components.core.errors import SourceError
from components.core.lines import LineConfig, TableOptions
from components.core.names import as_utf8
from components.core.ports import Progress, Windows
from components.core.wording import listed
from components.ingest.collected import Collected, Tally
from components.ingest.fetch import Fetched, fetch_all
from components.ingest.layout import hidden
from components.ingest.staging import Staging
from components.ingest.validate import check_options, validate
from components.samples.columns import as_categories
from components.samples.manifest import manifest_rows
from components.samples.schema import find_label, row_labels
from components.samples.tables import (
    TABLE_SUFFIXES,
    cut,
    encode_cells,
    infer_schema,
    name_cell,
    read_table,
    window_names,
    window_starts,
)
from components.samples.unusable import UnusableSample

# Rows that decide on the schema; more would not change it, and a large line does not fit into memory.
_ROWS_FOR_SCHEMA = 300_000

_NAMED = 5
"""Silent sensors that are told."""


def collect_tables(
    line: LineConfig,
    *,
    keys: Sequence[str],
    staging: Staging,
    known: pd.DataFrame,
    quarantined: Collection[str],
    schema: TableSchema | None,
    workers: int,
    progress: Progress,
) -> tuple[Collected, Tally]:
    """New windows of the files `keys`; `known` are the manifest's rows, `schema` is pinned, or None for a new line.

    Raises:
        SourceError: No file is a table, or the first files give no schema.
        ConfigError: A declared column does not exist, or does not fit its role, or options are not those of the schema.
        UnavailableError: The store does not answer.
    """
    tables = [key for key in keys if PurePosixPath(key).suffix.lower() in TABLE_SUFFIXES and not hidden(key)]
    if not tables:
        raise SourceError(f"{line.source!r} holds no tables.", hint="CSV, TSV and Parquet files are read.")
    tally = Tally(before=quarantined, skipped=len(keys) - len(tables))
    fetched = fetch_all(staging, tables, workers=workers, progress=progress)
    new, found = _sort_out(fetched, known, quarantined, tally)
    if schema is None:
        schema = _first_schema(new, line.table)
        if schema.timestamp is None and schema.window == 1 and schema.in_time and not line.table.group:
            tally.notices.append(
                "No column holds times, but neighbouring rows are alike, as of a process: splits are drawn over blocks"
                f" of {schema.block_rows} rows."
            )
    else:
        check_options(line.table, schema)
    reader = _Reader(line.table, schema, tally)
    parts = []
    for done, file in enumerate(new, start=1):
        part = reader.rows(file)
        if part is not None:
            parts.append(part)
        progress("reading tables", done, len(new))
    tally.notices += reader.notices()
    rows = _one_of_each(parts, known, tally) if parts else manifest_rows({})
    if assumed := int((rows[Col.LABEL_SOURCE] == "assumed").sum()):
        tally.notices.append(
            f"No label column says what {assumed} of {len(rows)} new windows are: they count as normal."
        )
    window = reader.schema.window
    if short := int((rows[Col.END] - rows[Col.START] < window).sum()):
        tally.notices.append(
            f"{short} of {len(rows)} new windows repeat their last row: their runs are shorter than {window} rows."
        )
    staged = {file.sha: file.file for file in new if file.file}
    files = {sha: staged[sha] for sha in dict.fromkeys(rows[Col.FILE]) if sha in staged}
    return (
        Collected(
            rows=rows, files=files, quarantined=tally.all, found=found + sum(map(len, parts)),
            duplicates=tally.duplicates, skipped=tally.skipped, notices=tuple(tally.notices), schema=reader.schema,
        ),
        tally,
    )  # fmt: skip


def _sort_out(
    fetched: Sequence[Fetched], known: pd.DataFrame, quarantined: Collection[str], tally: Tally
) -> tuple[list[Fetched], int]:
    """(files to read, windows known before)."""
    sizes = Counter(known[Col.FILE])
    new: dict[str, Fetched] = {}
    windows = 0
    for item in fetched:
        if item.problem:
            tally.no_content(item.key, reason="unreadable", detail=item.problem)
        elif item.sha in sizes:
            windows += sizes[item.sha]
            tally.duplicates += sizes[item.sha]
        elif item.sha in quarantined or item.sha in new:
            tally.skipped += 1
        else:
            new[item.sha] = item
    return list(new.values()), windows


def _first_schema(files: Sequence[Fetched], options: TableOptions) -> TableSchema:
    """The schema that most files agree on: the largest set of columns that the most files have decides."""
    frames: list[pd.DataFrame] = []
    size = 0
    for file in files:
        try:
            frames.append(read_table(file.data()))
        except UnusableSample:
            continue  # refused with its reason when its turn comes
        size += len(frames[-1])
        if size > _ROWS_FOR_SCHEMA:
            break
    if not frames:
        return TableSchema(features=())
    votes = Counter(tuple(frame.columns) for frame in frames)
    columns = max(votes, key=lambda names: (votes[names], sum(len(f) for f in frames if tuple(f.columns) == names)))
    # A file without label columns belongs to them all the same: its rows are normal.
    part_of = [frame for frame in frames if set(frame.columns) <= set(columns)]
    together = pd.concat(part_of, ignore_index=True)
    together.attrs = part_of[0].attrs
    share = len(files) / len(frames)
    return infer_schema(together, options, files=[len(f) for f in part_of], rows=round(len(together) * share))


@dataclass
class _Reader:
    """Turns one file after the other into manifest rows, under one schema."""

    options: TableOptions
    schema: TableSchema
    tally: Tally
    _silent: dict[str, list[str]] = field(default_factory=dict, init=False)
    _timeless: int = field(default=0, init=False)

    def rows(self, file: Fetched) -> pd.DataFrame | None:
        """Rows of the file's usable windows; None if it was refused as a whole."""
        try:
            frame = read_table(file.data())
            self._learn_label(frame)
            validate(frame, schema=self.schema, options=self.options)
            values = encode_cells(frame, self.schema)
        except UnusableSample as refused:
            self.tally.refuse(file.key, sha=file.sha, reason=refused.reason, detail=refused.detail)
            return None
        if self.schema.timestamp in frame:
            self._timeless += int(frame[self.schema.timestamp].isna().sum())
        self._note_silent(file, values)
        bounds = window_starts(frame, self.schema, group=self.options.group)
        windows = cut(values, bounds, window=self.schema.window)
        good = self._refuse_windows(file, frame, bounds, windows)
        if not good.any():
            self.tally.refuse(file.key, sha=file.sha, reason="no-window", detail="None of its windows can be used.")
            return None
        return self._as_rows(file, frame, bounds[good], windows[good])

    def _learn_label(self, frame: pd.DataFrame) -> None:
        """A line that began with normal rows alone gets its label column when the first labelled file comes."""
        if self.schema.label is None:
            seen = {*(column.name for column in self.schema.features), *self.schema.ignored}
            free = [name for name in frame.columns if name not in seen]
            declared = self.options.label
            label = (declared if declared in free else None) if declared else find_label(frame, columns=free)
            if label is not None:
                ignored = {**self.schema.ignored, label: "label"}
                self.schema = self.schema.model_copy(update={"label": label, "ignored": ignored})

    def _note_silent(self, file: Fetched, values: NDArray[np.float64]) -> None:
        """Which sensors of the file's ``(R, D)`` cells say nothing throughout."""
        silent = np.asarray(np.isnan(values).all(axis=0))
        for column, empty in zip(self.schema.features, silent, strict=True):
            if empty:
                self._silent.setdefault(column.name, []).append(as_utf8(file.key))

    def notices(self) -> list[str]:
        """What is to be said of rows without a time, and of sensors that are silent in whole files."""
        found = [
            f"{name} has no value in {listed(files, most=1)}: a retrain takes that for normal."
            for name, files in list(self._silent.items())[:_NAMED]
        ]
        if self._timeless:
            found.append(f"New rows without a time: {self._timeless}; they count where they stand in their files.")
        return found

    def _refuse_windows(
        self, file: Fetched, frame: pd.DataFrame, bounds: NDArray[np.int64], windows: Windows
    ) -> NDArray[np.bool_]:
        infinite = np.asarray(np.isinf(windows).any(axis=(1, 2)))
        missing = np.isnan(windows).mean(axis=(1, 2))
        sparse = np.asarray(~infinite & (missing > self.options.max_missing))
        if infinite.any():
            first = int(np.argmax(infinite))
            rows, places = np.nonzero(np.isinf(windows[first]))
            cell = name_cell(frame, self.schema, row=int(bounds[first, 0] + rows[0]), place=int(places[0]))
            self._note(file, "non-finite", infinite, bounds, cell)
        if sparse.any():
            share = f"{missing[np.argmax(sparse)]:.0%} of its cells are missing, {self.options.max_missing:.0%} may be."
            self._note(file, "missing-values", sparse, bounds, share)
        usable: NDArray[np.bool_] = ~infinite & ~sparse
        return usable

    def _note(
        self, file: Fetched, reason: str, which: NDArray[np.bool_], bounds: NDArray[np.int64], detail: str
    ) -> None:
        start, end = bounds[int(np.argmax(which))]
        more = f" ({int(which.sum())} windows in all)" if which.sum() > 1 else ""
        self.tally.note(file.key, sha=file.sha, reason=reason, detail=f"Rows {start} to {end - 1}: {detail}{more}")

    def _as_rows(self, file: Fetched, frame: pd.DataFrame, bounds: NDArray[np.int64], windows: Windows) -> pd.DataFrame:
        label = self.schema.label if self.schema.label in frame else None
        marks = row_labels(frame, label) if label else np.zeros(len(frame), np.int8)
        # A window is anomalous if one of its rows is: differences of the running count tell for all windows at once.
        count = np.concatenate([[0], np.cumsum(marks)])
        anomalous = count[bounds[:, 1]] > count[bounds[:, 0]]
        n = len(bounds)
        groups = [""] * n
        if self.options.group:
            names = as_categories(frame[self.options.group]).to_numpy()
            groups = ["" if names[row] is None else str(names[row]) for row in bounds[:, 0]]
        return manifest_rows({
            Col.SAMPLE: window_names(windows),
            Col.FILE: [file.sha] * n,
            Col.PATH: [as_utf8(file.key)] * n,
            Col.LABEL: np.where(anomalous, str(Label.ANOMALOUS), str(Label.NORMAL)).tolist(),
            Col.LABEL_SOURCE: ["column" if label else "assumed"] * n,
            Col.GROUP: groups,
            Col.START: bounds[:, 0].tolist(),
            Col.END: bounds[:, 1].tolist(),
        })  # fmt: skip


def _one_of_each(parts: Sequence[pd.DataFrame], known: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    """New windows, each content once; contents with two labels are refused."""
    rows = pd.concat(parts, ignore_index=True)
    before = rows[Col.SAMPLE].map(dict(zip(known[Col.SAMPLE], known[Col.LABEL], strict=True)))
    other = before.notna() & (before != rows[Col.LABEL])
    twice = rows[Col.SAMPLE].duplicated(keep=False) & before.isna()
    mixed = rows[twice].groupby(Col.SAMPLE)[Col.LABEL].transform("nunique") > 1
    other |= mixed.reindex(rows.index, fill_value=False)
    for path, refused in rows[other].groupby(Col.PATH):
        first = refused.iloc[0]
        tally.note(
            str(path), sha=str(first[Col.FILE]), reason="contradicting-labels",
            detail=f"{len(refused)} windows have the values of others with another label, first rows"
            f" {first[Col.START]} to {first[Col.END] - 1}.",
        )  # fmt: skip
    repeated = ~other & (before.notna() | rows[Col.SAMPLE].duplicated())
    tally.duplicates += int(repeated.sum())
    return rows[~other & ~repeated].reset_index(drop=True)

"""One dataset version as sample sets: the bridge between the data registry and the stages."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import DatasetVersion, Label, ManifestColumn, Modality, Split, TableSchema
from components.core.errors import NotEnoughDataError
from components.core.lines import LineConfig
from components.samples.sets import ImageSamples, TableSamples, select
from flows.wiring import Linewright

SampleSet = ImageSamples | TableSamples


@dataclass(frozen=True, kw_only=True)
class LineData:
    """A line's samples at one version, windows of tables in the order of their files and rows.

    Every byte that it reads is checked against the manifest.
    """

    line: LineConfig
    version: DatasetVersion
    manifest: pd.DataFrame
    read: Callable[[str], bytes]

    @classmethod
    def open(cls, app: Linewright, line: LineConfig, *, number: int | None = None) -> "LineData":
        """Version `number` of the line's data, or the newest.

        Raises:
            NotEnoughDataError: The line has no dataset version yet.
            UnknownVersionError: There is no version of that number.
        """
        version = app.registry.latest(line.name) if number is None else app.registry.get(line.name, number)
        if version is None:
            raise NotEnoughDataError(
                f"Line {line.name!r} has no data yet.", hint=f"Ingest some: linewright ingest {line.name}"
            )
        manifest = app.registry.manifest(version)
        return cls(line=line, version=version, manifest=manifest, read=app.registry.reader(version))

    def __post_init__(self) -> None:
        """Order windows: a manifest goes by digests, and every batch would parse nearly every file of a line again."""
        if self.line.modality is Modality.TABLE:
            order = [ManifestColumn.PATH, ManifestColumn.START]
            ordered = self.manifest.sort_values(order, kind="stable", ignore_index=True)
            object.__setattr__(self, "manifest", ordered)

    @property
    def schema(self) -> TableSchema | None:
        """Schema of a table line."""
        return self.version.table

    @property
    def overlap(self) -> float:
        """How many samples hold one row of a table; 1 for images."""
        return 1.0 if self.schema is None else self.schema.overlap

    @property
    def in_time(self) -> bool:
        """Whether samples follow each other in time; images are not known to."""
        return self.schema is not None and self.schema.in_time

    def rows(self, *splits: Split, label: Label | None = None) -> pd.DataFrame:
        """Manifest rows of these splits."""
        return select(self.manifest, splits=splits, label=label)

    def samples(self, rows: pd.DataFrame) -> SampleSet:
        """The samples that these manifest rows name."""
        if self.line.modality is Modality.IMAGE:
            return ImageSamples(rows, read=self.read, options=self.line.image)
        if self.schema is None:
            raise NotEnoughDataError(f"{self.version.tag} has no table schema.", hint="Ingest the line again.")
        return TableSamples(rows, read=self.read, schema=self.schema)

    def split(self, *splits: Split, label: Label | None = None) -> SampleSet:
        """The samples of these splits."""
        return self.samples(self.rows(*splits, label=label))

    def groups(self, rows: pd.DataFrame) -> NDArray[np.str_]:
        """Exchangeable unit of each row: its group, or the sample itself."""
        group = rows[ManifestColumn.GROUP].astype(str)
        return np.asarray(group.where(group != "", rows[ManifestColumn.SAMPLE].astype(str)), dtype=np.str_)

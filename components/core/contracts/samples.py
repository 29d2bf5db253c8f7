"""What an ingest found, and what a dataset version holds."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from .records import Modality, Record


class ManifestColumn:
    """Column names of a manifest: one row a sample, sorted by `sample`.

    `sample`: SHA-256 of the sample's content (the file's bytes; for a window its values).
    `file`: SHA-256 of the stored file that holds it (for an image the same as `sample`).
    `path`: where the file was first seen, relative to the source, for people.
    `label`: a `Label`; `label_source`: folder, labels-file, column, assumed or an actor; `defect`: kind or "".
    `mask`: SHA-256 of the ground-truth mask's file or "".
    `group`: what must stay in one split (part, batch, time block, near-duplicates).
    `split`: a `Split`; `sealed`: true for test samples, whose labels only the final evaluation reads.
    `start`, `end`: rows of a window within its file, end excluded; 0, 0 for images.
    `fingerprint`: bytes that near-duplicates share almost, b"" for tables.
    `added_in`: number of the dataset version that brought the sample.
    """

    SAMPLE = "sample"
    FILE = "file"
    PATH = "path"
    LABEL = "label"
    LABEL_SOURCE = "label_source"
    DEFECT = "defect"
    MASK = "mask"
    GROUP = "group"
    SPLIT = "split"
    SEALED = "sealed"
    START = "start"
    END = "end"
    FINGERPRINT = "fingerprint"
    ADDED_IN = "added_in"


class Column(Record):
    """One feature column of a table line; `categories` are the values seen first, for kind "categorical"."""

    name: str
    kind: Literal["numeric", "categorical"]
    categories: tuple[str, ...] = ()


class TableSchema(Record):
    """What a table line's files must look like, pinned by its first dataset version.

    Attributes:
        features: Columns that detectors see, in this order.
        ignored: Column name → why detectors do not see it (time stamp, label, identifier, constant, free text, ...).
        constants: Column name → the one value it had; a change of it is drift.
        timestamp: Column that orders rows, or None.
        label: Column with 0/1 (1 is anomalous), or None.
        delimiter: Field separator of CSV files.
        window, stride: Rows a sample has, and rows between the starts of two samples.
        block_rows: Rows of one time block; splits are drawn over blocks. 1: rows are independent, since there are no
            times, windows of several rows or neighbours that are alike.
    """

    features: tuple[Column, ...]
    ignored: dict[str, str] = Field({})
    constants: dict[str, str] = Field({})
    timestamp: str | None = None
    label: str | None = None
    delimiter: str = ","
    window: int = 1
    stride: int = 1
    block_rows: int = 1

    @property
    def overlap(self) -> float:
        """How many windows hold one row, at least 1: so many tell little more than one."""
        return max(1.0, self.window / self.stride)

    @property
    def in_time(self) -> bool:
        """Whether rows follow each other, so that neighbours may be alike."""
        return self.block_rows > 1

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The words of each feature that holds words, in the order of their numbers."""
        return {column.name: column.categories for column in self.features if column.kind == "categorical"}


class Quarantined(Record):
    """A file or sample that was refused, and why. `reason` is a short fixed word, `detail` a sentence."""

    path: str
    sha256: str
    reason: str
    detail: str


class DatasetVersion(Record):
    """One immutable version of a line's data.

    Attributes:
        line, number: Its name is `tag`, `<line>/v<number>`.
        revision: Git commit in the data registry.
        manifest_sha256: Of the manifest's Parquet file.
        counts: split → label → samples.
        table: Schema, for table lines.
    """

    line: str
    number: int
    modality: Modality
    revision: str
    manifest_sha256: str
    created: datetime
    counts: dict[str, dict[str, int]]
    quarantined: int = 0
    table: TableSchema | None = None

    @property
    def tag(self) -> str:
        """Git tag in the data registry."""
        return f"{self.line}/v{self.number}"


class IngestSummary(Record):
    """What one ingest did.

    Attributes:
        version: The line's newest dataset version, new or not; None if there is none.
        purged: New windows left out, because they overlap or touch a time block of another split.
        notices: What the line's owner should know of the new samples, a sentence each.
    """

    line: str
    version: DatasetVersion | None
    created_version: bool
    found: int
    added: int
    duplicates: int
    skipped: int
    quarantined: tuple[Quarantined, ...]
    purged: int = 0
    notices: tuple[str, ...] = ()

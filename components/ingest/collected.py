"""What an ingest found, and how refusals are counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from components.core.contracts import Label, Quarantined, Split, TableSchema
from components.core.contracts import ManifestColumn as Col
from components.core.errors import SourceError
from components.core.hashing import sha256_bytes
from components.core.names import as_utf8


@dataclass(frozen=True, kw_only=True)
class Collected:
    """New samples of one ingest and what became of the other files.

    Attributes:
        rows: New samples in the manifest's columns; `split` is "" where the source leaves it open.
        files: SHA-256 → staged file, of every new file that the rows or their masks need.
        quarantined: What was refused for the first time.
        found: Samples that the source holds by now: images, or windows.
        duplicates: Those known before, or found twice.
        skipped: Files of other kinds, and files refused before.
        notices: What the line's owner should know of the new samples, a sentence each.
        schema: Of a table line, new or as it was.
    """

    rows: pd.DataFrame
    files: Mapping[str, Path]
    quarantined: tuple[Quarantined, ...]
    found: int
    duplicates: int
    skipped: int
    notices: tuple[str, ...] = ()
    schema: TableSchema | None = None

    def check(self, *, manifest: pd.DataFrame | None, refused: Sequence[Quarantined], source: str) -> "Collected":
        """Return itself if the line can go on with it; `refused` are new files that are wholly unusable.

        Raises:
            SourceError: Every new file was refused, or the line has no normal sample to learn from.
        """
        known = manifest if manifest is not None else self.rows.iloc[:0]
        usable = pd.concat([known, self.rows])
        # Where there is nothing at all, what could not even be opened is why.
        unusable = refused or (self.quarantined if usable.empty else ())
        if unusable and self.rows.empty:
            first = unusable[0]
            raise SourceError(
                f"None of {len(unusable)} new files of {source!r} can be used;"
                f" {first.path!r}: {first.reason}: {first.detail}",
                hint="Correct the files at the source.",
            )
        if not ((usable[Col.LABEL] == str(Label.NORMAL)) & (usable[Col.SPLIT] != str(Split.TEST))).any():
            raise SourceError(
                f"There are no normal samples in {source!r} outside its sealed test set: nothing can be learned.",
                hint="Add normal samples: rows labelled 0, or images in a folder called good or train/good.",
            )
        return self


@dataclass
class Tally:
    """Mutable notes of a running ingest; `before` are hashes of what was refused before, which is not said again."""

    before: Collection[str] = ()
    refused: list[Quarantined] = field(default_factory=list)
    notes: list[Quarantined] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    duplicates: int = 0
    skipped: int = 0

    def no_content(self, path: str, *, reason: str, detail: str) -> None:
        """What could not be read at all; having no content, it is known by its name."""
        sha = sha256_bytes(f"{reason}:{_plain(path)}".encode())
        if sha in self.before:
            self.skipped += 1
        else:
            self.note(path, sha=sha, reason=reason, detail=detail)

    def refuse(self, path: str, *, sha: str, reason: str, detail: str) -> None:
        """A new file that cannot be used at all."""
        self.refused.append(Quarantined(path=_plain(path), sha256=sha, reason=reason, detail=_plain(detail)))

    def note(self, path: str, *, sha: str, reason: str, detail: str) -> None:
        """A part of a file, a mask, or a row of a labels file that cannot be used."""
        self.notes.append(Quarantined(path=_plain(path), sha256=sha, reason=reason, detail=_plain(detail)))

    @property
    def all(self) -> tuple[Quarantined, ...]:
        """Everything refused, sorted by path."""
        return tuple(sorted((*self.refused, *self.notes), key=lambda item: (item.path, item.reason)))


def _plain(text: str) -> str:
    """`text` as one line that every file can hold: names from disk may not be valid Unicode."""
    return " ".join(as_utf8(text).split())

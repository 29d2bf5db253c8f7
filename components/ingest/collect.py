"""The ingest stage: files of a source → new, validated samples. Nothing is ever changed at the source."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from components.core.contracts import ManifestColumn as Col
from components.core.contracts import Modality, TableSchema
from components.core.errors import SourceError
from components.core.lines import LineConfig
from components.core.ports import ObjectStore, Progress, silent
from components.ingest.collected import Collected
from components.ingest.images import collect_images
from components.ingest.staging import Staging, clear_staging
from components.ingest.tables import collect_tables
from components.samples.manifest import manifest_rows

__all__ = ["Collected", "clear_staging", "collect"]


def collect(
    line: LineConfig,
    *,
    store: ObjectStore,
    manifest: pd.DataFrame | None,
    quarantined: Collection[str] = (),
    schema: TableSchema | None = None,
    staging: Path,
    workers: int = 8,
    progress: Progress = silent,
) -> Collected:
    """What the line's source holds that its manifest does not.

    Args:
        line: How to read the source.
        store: The source.
        manifest: Rows of the newest dataset version, or None for a new line.
        quarantined: SHA-256 of files that were refused before; they are passed over.
        schema: Schema of the newest dataset version of a table line.
        staging: Folder where new files wait, under their hashes; an interrupted ingest goes on from there.
        workers: Files fetched at once.
        progress: Told of every file.

    Raises:
        SourceError: The source is empty, has no usable kind of file or no normal sample, or every new file was refused.
        ConfigError: The line's options do not fit its files.
        UnavailableError: The source does not answer.
    """
    keys = [key for key, _ in store.list()]
    if not keys:
        raise SourceError(f"Source {line.source!r} is empty.", hint="Put files there, or check the path.")
    known = manifest if manifest is not None else manifest_rows({})
    stored = {*known[Col.FILE], *known[Col.MASK]} - {""}
    place = Staging(store, staging, known=stored | set(quarantined))
    if line.modality is Modality.IMAGE:
        found, tally = collect_images(
            line, keys=keys, staging=place, known=known, quarantined=quarantined, workers=workers, progress=progress
        )
    else:
        found, tally = collect_tables(
            line, keys=keys, staging=place, known=known, quarantined=quarantined, schema=schema, workers=workers,
            progress=progress,
        )  # fmt: skip
    return found.check(manifest=manifest, refused=tally.refused, source=line.source)

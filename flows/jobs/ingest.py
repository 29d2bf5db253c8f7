"""The ingest job: new files → validated samples → a new dataset version."""

from components.core.contracts import IngestSummary
from components.ingest.collect import clear_staging, collect
from components.version.splits import assign_splits
from flows.progress import report
from flows.wiring import Linewright


def ingest(app: Linewright, name: str, *, actor: str) -> IngestSummary:
    """Bring the new files of the line's source into a new dataset version; none is made if nothing is new.

    Raises:
        SourceError: The source cannot be used, or every new file of it was refused.
        ConflictError: Another process writes to the data registry and does not finish.
    """
    line = app.line(name)
    registry = app.registry
    latest = registry.latest(name)
    previous = registry.manifest(latest) if latest else None
    refused = registry.quarantined(latest) if latest else ()
    staging = app.home / "staging" / name
    staging.mkdir(parents=True, exist_ok=True)
    found = collect(
        line,
        store=app.store(line),
        manifest=previous,
        quarantined={item.sha256 for item in refused},
        schema=latest.table if latest else None,
        staging=staging,
        workers=app.settings.objects.workers,
        progress=report,
    )
    manifest, unsplit = assign_splits(
        found.rows, previous=previous, line=line, schema=found.schema, number=(latest.number if latest else 0) + 1
    )
    quarantined = (*found.quarantined, *unsplit)
    changed = bool(quarantined) or not registry.same(latest, manifest)
    version = (
        registry.commit(
            name,
            modality=line.modality,
            manifest=manifest,
            files=found.files,
            quarantined=(*refused, *quarantined),
            schema=found.schema,
            expected=latest.number if latest else 0,
        )
        if changed
        else latest
    )
    clear_staging(staging)
    summary = IngestSummary(
        line=name,
        version=version,
        created_version=changed,
        found=found.found,
        added=len(manifest) - (len(previous) if previous is not None else 0),
        duplicates=found.duplicates,
        skipped=found.skipped,
        quarantined=quarantined,
        purged=manifest.attrs["purged"],
        notices=found.notices,
    )
    app.records.ingests.add(summary, actor=actor)
    return summary

"""The ingest job: new files → validated samples → a new dataset version."""

from components.core.contracts import IngestSummary
from components.core.errors import ConfigError, ConflictError
from components.core.lines import LineConfig
from components.ingest.collect import clear_staging, collect
from components.version.splits import assign_splits
from flows.progress import report
from flows.runtime.locks import FileLock
from flows.wiring import Linewright


def ingest(app: Linewright, name: str, *, actor: str) -> IngestSummary:
    """Bring the new files of the line's source into a new dataset version; none is made if nothing is new.

    Raises:
        SourceError: The source cannot be used, or every new file of it was refused.
        ConflictError: Another ingest of the line runs, or another process writes to the data registry and does not
            finish.
        ConfigError: The line's data are of another modality.
    """
    line = app.line(name)
    # What one ingest has fetched another, that is done with its own, would remove.
    with FileLock(app.home / "run" / f"ingest-{name}.lock") as alone:
        if not alone.try_exclusive():
            raise ConflictError(f"Another ingest of line {name!r} runs.", hint="Wait until it ends.")
        return _ingest(app, line, actor=actor)


def _ingest(app: Linewright, line: LineConfig, *, actor: str) -> IngestSummary:
    name, registry = line.name, app.registry
    latest = registry.latest(name)
    if latest is not None and latest.modality is not line.modality:
        raise ConfigError(
            f"Line {name!r} has data of modality {latest.modality} ({latest.tag}), its file says {line.modality}.",
            hint="Add these data as a line of another name.",
        )
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

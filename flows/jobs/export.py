"""The export job: a registered model as a folder for a machine without Linewright, if the gate lets it leave."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.approve.rules import load_rules
from components.core.contracts import Decision, Label, ManifestColumn, ModelVersion, Split
from components.core.errors import ConfigError, ConflictError, RefusedError
from components.core.hashing import sha256_bytes, sha256_json
from components.core.lines import LineConfig
from components.export.folder import DESCRIPTION, Subject
from components.export.formats import find_format
from components.export.gate import Limits, objections
from components.export.making import Made, Material, make_export
from flows.data import LineData
from flows.jobs.kept_scores import calibration_scores, left_out_scores
from flows.jobs.models import as_trained, load_model
from flows.progress import report
from flows.runtime.locks import FileLock
from flows.wiring import Linewright


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export that the gate let leave, where it is, and what it is of."""

    folder: Path
    made: Made
    subject: Subject


def export_model(
    app: Linewright, name: str, *, version: int, format_name: str, out: Path | None, actor: str
) -> Exported:
    """Write a model version to the folder `out`, or to the workspace's own where that is None.

    Raises:
        ConfigError: There is no such format, or the folder is not empty.
        ConflictError: Another export writes to the folder.
        ModelError: The detector is too large for one network.
        NotEnoughDataError: There are no samples to compare on.
        RefusedError: A person rejected the version. Or its verdicts are too far from the model's; nothing but the
            ledger's event is left.
    """
    chosen, line = find_format(format_name), app.line(name)
    model = app.records.models.get(name, version)
    history = app.records.decisions.history(name, version)
    if model.status == "rejected":
        because = f" by {history[-1].actor}: {history[-1].reason}" if history else ""
        raise RefusedError(
            f"{name} v{version} was rejected{because}.", hint="`linewright status` says which version is the champion."
        )
    target = (out or app.home / "exports" / name / f"v{version}-{format_name}").absolute()
    with _beside(target, lock=app.home / "run" / f"export-{sha256_bytes(os.fsencode(target))[:16]}.lock") as work:
        limits = _limits(app, line)
        detector = load_model(app, model)
        network = detector.as_network()
        data = LineData.open(app, as_trained(app, line, model), number=model.dataset)
        subject = _subject(data, model, history)
        made = make_export(
            work,
            subject,
            detector=detector,
            network=network,
            material=_material(app, data, model),
            name=format_name,
            chosen=chosen,
            limits=limits,
            seed=model.seed,
            progress=report,
        )
        told = {**_told(made, limits), "version": version, "format": format_name, "folder": str(target)}
        told |= {"status": subject.status, "approved_by": subject.approved_by}
        if against := objections(made.figures, limits=limits):
            app.records.ledger.note("export refused", line=name, actor=actor, data={**told, "because": list(against)})
            raise RefusedError(
                f"{name} v{version} as {format_name} is refused: {'; '.join(against)}.",
                hint="Take another format, or change the export_ limits in gates.yaml.",
            )
        app.tracker.log_file(model.mlflow_run, work / DESCRIPTION, f"exports/{format_name}")
        # What leaves is in the ledger first: one that is there and was killed before it left is told of again.
        app.records.ledger.note("model exported", line=name, actor=actor, data=told)
        work.replace(target)
    return Exported(folder=target, made=made, subject=subject)


def _limits(app: Linewright, line: LineConfig) -> Limits:
    rules = load_rules(app.config_path("gates.yaml"), line.gates)
    return Limits(
        flip_share=rules.export_flip_share,
        unsure_change=rules.export_unsure_change,
        correlation=rules.export_correlation,
    )


def _subject(data: LineData, model: ModelVersion, history: Sequence[Decision]) -> Subject:
    approvals = [decision.actor for decision in history if decision.action == "approve"]
    return Subject(
        line=data.line,
        version=model.version,
        detector=model.detector,
        dataset=data.version.tag,
        source=sha256_json(model.files),
        status=model.status,
        approved_by=approvals[-1] if approvals else "",
        schema=data.schema,
    )


def _material(app: Linewright, data: LineData, model: ModelVersion) -> Material:
    """Calibration and test samples, and those whose scores the threshold came from."""
    folder = app.tracker.local_folder(model.folder)
    held_out = calibration_scores(folder)
    manifest = data.manifest
    splits = (str(Split.CALIBRATION), str(Split.TEST))
    wanted = manifest[ManifestColumn.SPLIT].isin(splits) | manifest[ManifestColumn.SAMPLE].isin(list(held_out))
    rows = manifest[wanted].reset_index(drop=True)
    return Material(
        rows=rows,
        samples=data.samples(rows),
        training=data.rows(Split.TRAIN, label=Label.NORMAL),
        held_out=held_out,
        left_out=left_out_scores(folder),
        read=data.read,
    )


def _told(made: Made, limits: Limits) -> dict[str, Any]:
    """What the ledger keeps of an export."""
    return {
        "sha256": made.digest,
        "threshold": made.calibration.threshold,
        "figures": made.figures.model_dump(mode="json"),
        "limits": limits.model_dump(mode="json"),
    }


@contextmanager
def _beside(target: Path, *, lock: Path) -> Iterator[Path]:
    """A folder beside `target`, on the same disk and nobody else's; what is left of it afterwards is removed."""
    with FileLock(lock) as alone:
        if not alone.try_exclusive():
            raise ConflictError(f"Another export writes to {target}.", hint="Wait until it ends, or use --out.")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigError(f"{target} is there already and not empty.", hint="Name another folder with --out.")
        work = target.with_name(f".{target.name}.partial")
        shutil.rmtree(work, ignore_errors=True)  # of a killed export
        try:
            work.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(f"{target} cannot be made: {error.strerror}.", hint="Name another with --out.") from error
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

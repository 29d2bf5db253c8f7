"""Models of a line: logged with their pyfunc export, registered under the line's name, found again on disk.

Our own records say which version is champion; MLflow's aliases are a copy of that.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from components.adapters.tracking.locations import relative_folder
from components.adapters.tracking.runs import RETRAIN, Runs, tagged
from components.core.errors import ConflictError, IntegrityError, UnavailableError, UnknownVersionError
from components.core.hashing import folder_hashes, sha256_bytes, sha256_json

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

FILES = "linewright.files"
"""Tag of a logged model: SHA-256 of the table of its files and their SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModelRef:
    """A logged model.

    Attributes:
        model_id: MLflow's identifier.
        folder: Its files' folder, relative to the artifact root.
        files: POSIX path within the folder → SHA-256, of the files as they were before they were copied there.
    """

    model_id: str
    folder: str
    files: dict[str, str]


class Tracker(Runs):
    """MLflow of one workspace: runs, models, registry. Every method may be repeated after a crash.

    Args:
        settings: Of the workspace.

    Raises:
        UnavailableError: The server, database or artifact store does not answer; any method may raise it.
        WorkspaceError: MLflow's database was made by another release.
    """

    def log_model(self, run_id: str, *, line: str, retrain_id: str, model_dir: Path) -> LoggedModelRef:
        """Log the model folder that `components.register.package` built, or find the one a retrain logged before.

        Writes `MLmodel` into `model_dir`. A model whose logging was interrupted is marked FAILED and logged anew.
        """
        experiment = self._experiment(line)
        for model in self._models(experiment, retrain_id=retrain_id):
            if ready := self._reused(model):
                return ready
        return self._log_new(run_id, experiment, line, model_dir, retrain_id=retrain_id)

    def create_version(self, line: str, *, model_id: str, run_id: str, retrain_id: str) -> int:
        """Register a logged model under the line's name, or find the version that a retrain registered before.

        Returns:
            MLflow's number of the version.
        """
        model = self._do(self._client.get_logged_model, model_id)
        # MLflow's database keeps a version's source, but not which model it is.
        versions = self._versions(line, retrain_id)
        known = [int(found.version) for found in versions if found.source == model.artifact_location]
        if known:
            return min(known)
        with suppress(ConflictError):  # it is there, which is what matters
            self._do(self._client.create_registered_model, line)
        # The location itself: `models:/<id>` would be resolved by MLflow's process-wide tracking URI, not by ours.
        version = self._do(
            self._client.create_model_version,
            line, model.artifact_location, run_id=run_id, model_id=model_id, tags={RETRAIN: retrain_id},
        )  # fmt: skip
        return int(version.version)

    def has_version(self, line: str, version: int) -> bool:
        """Whether MLflow has that version of the line's model."""
        try:
            self._do(self._client.get_model_version, line, str(version))
        except UnknownVersionError:
            return False
        return True

    def sync_aliases(self, line: str, aliases: Mapping[str, int | None]) -> None:
        """Make MLflow's aliases say what `aliases` says (alias → MLflow's version, or None: no such alias).

        Raises:
            UnknownVersionError: MLflow has no such version.
        """
        try:
            present = {k: int(v) for k, v in self._do(self._client.get_registered_model, line).aliases.items()}
        except UnknownVersionError:
            if any(version is not None for version in aliases.values()):
                raise
            return
        for alias, version in aliases.items():
            if version is None and alias in present:
                self._do(self._client.delete_registered_model_alias, line, alias)
            elif version is not None and present.get(alias) != version:
                self._do(self._client.set_registered_model_alias, line, alias, str(version))

    def local_folder(self, folder: str) -> Path:
        """The model folder `folder` (relative to the artifact root) on this machine; from S3 it is copied once.

        Its files are not checked: `components.register.verify` does that before anything is loaded.

        Raises:
            IntegrityError: `folder` leads out of the artifact root.
            UnavailableError: There is nothing there.
        """
        if not folder or PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise IntegrityError(f"Model folder {folder!r} leads out of the artifact root.", hint="Mend the record.")
        if self.root.startswith("s3://"):
            return self._fetched(f"{self.root}/{folder}")
        path = Path(self.root, folder)
        if not path.is_dir():
            raise UnavailableError(f"Model folder {path} is missing.", hint="Restore it from a backup.")
        return path

    def _log_new(self, run_id: str, experiment: str, line: str, model_dir: Path, *, retrain_id: str) -> LoggedModelRef:
        from mlflow.entities import LoggedModelOutput

        tags = {RETRAIN: retrain_id}
        model = self._do(self._client.create_logged_model, experiment, name=line, source_run_id=run_id, tags=tags)
        folder = relative_folder(model.artifact_location, root=self.root)
        _write_mlmodel(model_dir, model_id=model.model_id, run_id=run_id)
        files = folder_hashes(model_dir)
        self._do(self._client.set_logged_model_tags, model.model_id, {FILES: sha256_json(files)})
        self._do(self._client.log_model_artifacts, model.model_id, str(model_dir))
        self._do(self._client.log_outputs, run_id, [LoggedModelOutput(model.model_id, 0)])
        self._do(self._client.finalize_logged_model, model.model_id, "READY")
        return LoggedModelRef(model_id=model.model_id, folder=folder, files=files)

    def _reused(self, model: "LoggedModel") -> LoggedModelRef | None:
        """`model`, if it is whole and unchanged; else it is marked FAILED."""
        if model.status == "READY":
            folder = relative_folder(model.artifact_location, root=self.root)
            files = _without_leftovers(folder_hashes(self.local_folder(folder)))
            if sha256_json(files) == model.tags.get(FILES):
                return LoggedModelRef(model_id=model.model_id, folder=folder, files=files)
        if model.status != "FAILED":
            self._do(self._client.finalize_logged_model, model.model_id, "FAILED")
        return None

    def _models(self, experiment: str, *, retrain_id: str) -> "Iterator[LoggedModel]":
        token: str | None = None
        while True:
            page = self._do(
                self._client.search_logged_models,
                [experiment], filter_string=tagged({RETRAIN: retrain_id}), page_token=token,
            )  # fmt: skip
            yield from page
            token = page.token
            if not token:
                return

    def _versions(self, line: str, retrain_id: str) -> "list[ModelVersion]":
        condition = f"name = '{line}' and {tagged({RETRAIN: retrain_id})}"
        return list(self._do(self._client.search_model_versions, condition))

    def forget(self, folder: str) -> bool:
        """Remove this machine's copy of a model folder on S3, so that `local_folder` fetches it anew.

        Returns:
            Whether there was one; of an artifact root that is a folder there never is.
        """
        copy = self._copy(f"{self.root}/{folder}")
        if not self.root.startswith("s3://") or not copy.exists():
            return False
        shutil.rmtree(copy)
        return True

    def _copy(self, uri: str) -> Path:
        return self.settings.home / "cache" / "models" / sha256_bytes(uri.encode())

    def _fetched(self, uri: str) -> Path:
        """A copy of the S3 folder `uri` below the workspace's cache; whole or not at all."""
        target = self._copy(uri)
        if target.is_dir():
            return target
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="partial-") as temporary:
            copy = Path(temporary, "model")
            copy.mkdir()
            self._do(get_artifact_repository(uri).download_artifacts, "", str(copy))
            if not any(copy.iterdir()):
                raise UnavailableError(f"There is no model at {uri}.", hint="Restore it from a backup.")
            try:
                copy.replace(target)
            except OSError:
                if not target.is_dir():
                    raise
                shutil.rmtree(copy)  # another process was first with the same immutable folder
        return target


def _without_leftovers(files: Mapping[str, str]) -> dict[str, str]:
    """`files` without what MLflow and Python write into a local model folder when they load its export in place."""
    return {
        path: digest
        for path, digest in files.items()
        if path != "registered_model_meta" and "__pycache__" not in PurePosixPath(path).parts
    }


def _write_mlmodel(model_dir: Path, *, model_id: str, run_id: str) -> None:
    """Write `MLmodel` beside the `export.json` that says what the export consists of.

    Written from its parts rather than by `mlflow.pyfunc.save_model`, which would run the model's code in this process
    and score the example.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import add_to_model

    export: dict[str, Any] = json.loads((model_dir / "export.json").read_text(encoding="utf-8"))
    signature = {part: json.dumps(export["signature"][part]) for part in ("inputs", "outputs")}
    model = Model(
        run_id=run_id,
        model_id=model_id,
        signature=ModelSignature.from_dict(signature),
        saved_input_example_info=export["example"],
        model_size_bytes=sum(path.stat().st_size for path in model_dir.rglob("*") if path.is_file()),
    )
    artifacts = {name: {"path": path, "uri": path} for name, path in export["artifacts"].items()}
    add: Callable[..., object] = add_to_model
    add(
        model,
        loader_module="mlflow.pyfunc.model",
        code=export["code"],
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        model_code_path=export["entry"],
        artifacts=artifacts,
        streamable=False,
    )
    model.save(str(model_dir / "MLmodel"))

"""The data registry: dataset versions in a git and DVC repository of their own. THE user of DVC.

A version is a commit with the line's manifest, and the files of its samples in a folder that DVC tracks and pushes. The
annotated tag `<line>/vN` comes last of all: a kill at any point leaves either no version or a whole one.
"""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd

from components.adapters.dvc_repository import DvcRepository
from components.adapters.git import Git
from components.adapters.stored_files import StoredFiles
from components.core.contracts import DatasetVersion, Modality, Quarantined, TableSchema, now
from components.core.contracts import ManifestColumn as Col
from components.core.errors import ConflictError, IntegrityError, UnknownVersionError
from components.core.hashing import canonical_json, sha256_bytes, sha256_file
from components.core.ports import Progress, silent
from components.settings import Settings

_MANIFEST, _VERSION, _QUARANTINED = "manifest.parquet", "version.json", "quarantined.json"
_LOCK_WAIT = 60.0


class DataRegistry:
    """Dataset versions of all lines of one installation. Reading needs git alone; DVC runs only on `commit`."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.data_registry
        self._git = Git(self._root, name=settings.data.author, email=settings.data.email)
        self._dvc = DvcRepository(settings)

    def init(self) -> None:
        """Make the repository, or finish making it; one that is there stays as it is."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._writing():
            if not (self._root / ".git" / "HEAD").is_file():
                self._git.run("init", "--quiet", "--initial-branch=main")
            elif self._git.text("for-each-ref", "refs/heads/main"):
                self._git.recover()
            self._dvc.init()
            self._dvc.configure()
            if self._git.text("for-each-ref", "refs/heads/main"):
                self._git.recover()
            else:
                self._git.run("add", ".dvc", ".dvcignore")
                self._git.run("commit", "--quiet", "--no-gpg-sign", "--message", "Data registry of Linewright")

    # Reading -----------------------------------------------------------------------------------------

    def latest(self, line: str) -> DatasetVersion | None:
        """The line's newest version, or None."""
        numbers = self._numbers(line)
        return self._version(line, *max(numbers.items())) if numbers else None

    def get(self, line: str, number: int) -> DatasetVersion:
        """Version `number` of the line.

        Raises:
            UnknownVersionError: There is none.
        """
        numbers = self._numbers(line)
        if number not in numbers:
            known = ", ".join(f"v{known}" for known in sorted(numbers)) or "none yet"
            raise UnknownVersionError(f"There is no dataset version {line}/v{number}.", hint=f"There are: {known}.")
        return self._version(line, number, numbers[number])

    def versions(self, line: str) -> list[DatasetVersion]:
        """All versions of the line, the oldest first."""
        numbers = sorted(self._numbers(line).items())
        texts = self._git.blobs([f"{commit}:lines/{line}/{_VERSION}" for _, commit in numbers]) if numbers else []
        return [_parse_version(text, commit) for text, (_, commit) in zip(texts, numbers, strict=True)]

    def manifest(self, version: DatasetVersion) -> pd.DataFrame:
        """The version's manifest.

        Raises:
            IntegrityError: Its bytes are not those that were recorded.
        """
        data = self._git.blob(version.revision, f"lines/{version.line}/{_MANIFEST}")
        if sha256_bytes(data) != version.manifest_sha256:
            raise IntegrityError(
                f"The manifest of {version.tag} is not the recorded one.", hint="Restore the registry."
            )
        return pd.read_parquet(io.BytesIO(data))

    def quarantined(self, version: DatasetVersion) -> tuple[Quarantined, ...]:
        """Everything that was refused up to this version."""
        data = self._git.blob(version.revision, f"lines/{version.line}/{_QUARANTINED}")
        return tuple(Quarantined.model_validate(item) for item in json.loads(data))

    def same(self, version: DatasetVersion | None, manifest: pd.DataFrame) -> bool:
        """Whether `manifest` is that of `version`, row by row."""
        return version is not None and self.manifest(version).equals(manifest.reset_index(drop=True))

    def reader(self, version: DatasetVersion) -> Callable[[str], bytes]:
        """SHA-256 → bytes of a stored file of `version`, checked at every reading.

        What is missing or damaged here is fetched from the remote, checked, and mended. The reader raises
        IntegrityError, naming the file and its path in the source, where the remote is no better.
        """
        place = self._root / "lines" / version.line
        tracked = partial(self._git.blob, version.revision, f"lines/{version.line}/samples.dvc")
        return StoredFiles(place / "samples", version, self._dvc, tracked=tracked, manifest=self.manifest).read

    def verify(self, version: DatasetVersion, *, progress: Progress = silent) -> None:
        """Read every file of `version` once.

        Raises:
            IntegrityError: One is damaged, here and at the remote.
        """
        read = self.reader(version)
        names = _stored(self.manifest(version))
        for done, name in enumerate(names, start=1):
            read(name)
            progress("checking files", done, len(names))

    # Writing -----------------------------------------------------------------------------------------

    def commit(
        self,
        line: str,
        *,
        modality: Modality,
        manifest: pd.DataFrame,
        files: Mapping[str, Path],
        quarantined: Sequence[Quarantined],
        schema: TableSchema | None,
        expected: int | None = None,
    ) -> DatasetVersion:
        """Make the line's next version, pushed and tagged; `files` are copied and stay where they are.

        Args:
            line: Its name.
            modality: Of the line.
            manifest: All rows, old and new.
            files: SHA-256 → file, of every stored file that is new.
            quarantined: Everything refused so far.
            schema: Of a table line.
            expected: Number of the newest version that the caller knows; 0 for none.

        Raises:
            ConflictError: Another process writes, or made a version that the caller does not know.
            IntegrityError: A file is not the one that the manifest names, or the remote lost it.
            UnavailableError: DVC or the remote fails.
        """
        with self._writing():
            self._git.recover()
            self._dvc.recover()
            number = max(self._numbers(line), default=0)
            if expected is not None and expected != number:
                raise ConflictError(
                    f"{line}/v{number} is the newest version by now, not v{expected}.", hint="Run the command again."
                )
            self._dvc.configure()
            folder = f"lines/{line}"
            size = self._store(line, manifest, files)
            data = _to_parquet(manifest)
            version = DatasetVersion(
                line=line, number=number + 1, modality=modality, revision="", manifest_sha256=sha256_bytes(data),
                created=now(), counts=_counts(manifest), quarantined=len(quarantined), table=schema,
            )  # fmt: skip
            self._write_records(folder, data, version, quarantined)
            self._dvc.store(f"{folder}/samples", size=size)
            commit = self._git.write_commit([folder, ".dvc/config"], message=version.tag)
            self._git.publish(commit, tag=version.tag, message=f"{len(manifest)} samples of {line}")
            return version.model_copy(update={"revision": commit})

    def _store(self, line: str, manifest: pd.DataFrame, files: Mapping[str, Path]) -> int:
        """Have exactly the manifest's files in the line's folder, each checked; return their size in bytes."""
        folder = self._root / "lines" / line / "samples"
        wanted = {f"{name[:2]}/{name}": name for name in _stored(manifest)}
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()  # left by an ingest that was killed
        latest = self.latest(line)
        read = self.reader(latest) if latest else None
        size = 0
        for relative, name in wanted.items():
            target = folder / relative
            if name in files and not (target.is_file() and sha256_file(target) == name):
                _copy(files[name], target, name=name)
            elif read:
                read(name)
            elif not target.is_file() or sha256_file(target) != name:
                raise IntegrityError(
                    f"File {name} of the manifest of {line!r} was not handed over.", hint="Ingest again."
                )
            size += target.stat().st_size
        return size

    def _write_records(
        self, folder: str, manifest: bytes, version: DatasetVersion, quarantined: Sequence[Quarantined]
    ) -> None:
        place = self._root / folder
        (place / _MANIFEST).write_bytes(manifest)
        facts = version.model_dump(mode="json", exclude={"revision"})
        (place / _VERSION).write_text(canonical_json(facts) + "\n", encoding="utf-8")
        refused = [item.model_dump(mode="json") for item in quarantined]
        (place / _QUARANTINED).write_text(json.dumps(refused, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; the kernel frees the lock of one that dies."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._root.with_name(f"{self._root.name}.lock"), timeout=_LOCK_WAIT)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConflictError(
                f"Another process has been writing to {str(self._root)!r} for {_LOCK_WAIT:.0f} s.",
                hint="Wait for it, then run the command again.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _numbers(self, line: str) -> dict[int, str]:
        """Number → commit of every version."""
        tags = self._git.tags(f"{line}/v*")
        return {
            int(tag.rpartition("/v")[2]): commit for tag, commit in tags.items() if tag.rpartition("/v")[2].isdigit()
        }

    def _version(self, line: str, number: int, commit: str) -> DatasetVersion:
        version = _parse_version(self._git.blob(commit, f"lines/{line}/{_VERSION}"), commit)
        if version.number != number:
            raise IntegrityError(f"Tag {line}/v{number} points at {version.tag}.", hint="Restore the data registry.")
        return version


def _stored(manifest: pd.DataFrame) -> list[str]:
    """SHA-256 of every file that the manifest needs, sorted."""
    return sorted({*manifest[Col.FILE], *manifest[Col.MASK]} - {""})


def _copy(source: Path, target: Path, *, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, part)
    if sha256_file(part) != name:
        part.unlink()
        raise IntegrityError(f"{str(source)!r} is not the file {name} that was examined.", hint="Ingest again.")
    part.replace(target)


def _to_parquet(manifest: pd.DataFrame) -> bytes:
    plain = manifest.reset_index(drop=True)
    plain.attrs = {}
    stream = io.BytesIO()
    plain.to_parquet(stream, engine="pyarrow", compression="zstd", index=False)
    return stream.getvalue()


def _counts(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for split, rows in manifest.groupby(Col.SPLIT):
        counts[str(split)] = {str(label): int(size) for label, size in rows[Col.LABEL].value_counts().items()}
    return counts


def _parse_version(text: bytes, commit: str) -> DatasetVersion:
    return DatasetVersion.model_validate({**json.loads(text), "revision": commit})

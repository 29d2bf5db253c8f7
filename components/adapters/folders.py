"""Files below a folder as an object store, and what every store promises about keys and whole files."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from components.core.errors import SourceError, UnavailableError
from components.core.hashing import sha256_file

BLOCK = 1 << 20
_READ_ERRORS = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ESTALE, errno.ELOOP}


def check_key(key: str) -> str:
    """Return `key` if it is a relative POSIX path that stays below its root.

    Raises:
        SourceError: It is absolute, empty, or climbs with "..".
    """
    path = PurePosixPath(key)
    if not key or path.is_absolute() or ".." in path.parts or "\0" in key:
        raise SourceError(f"Key {key!r} would leave its root.", hint="Rename the file at the source.")
    return key


def files_below(root: Path) -> Iterator[Path]:
    """Every file below the folder `root`, in no order. What links to folders within it lead to comes once.

    Raises:
        SourceError: A folder cannot be read, or a link that is not hidden leads to one outside, whose files would be
            missed without a word.
    """
    home = root.resolve()
    # Not by `rglob`, which passes over a folder that may not be read.
    for place, folders, names in os.walk(root, onerror=_unreadable):
        for folder in (Path(place, name) for name in folders if not name.startswith(".")):
            if folder.is_symlink() and not folder.resolve().is_relative_to(home):
                raise SourceError(
                    f"{str(folder)!r} is a link to a folder outside {str(root)!r}.",
                    hint="Such links are not followed: copy the folder, name it itself, or remove the link.",
                )
        yield from (Path(place, name) for name in names)


class FolderStore:
    """Regular files below a folder, or one file. Links are followed only to files inside it; see `files_below`."""

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise SourceError(f"Source {str(root)!r} does not exist.", hint="Check the path of the line's source.")
        self._single = root.name if root.is_file() else ""
        self._root = (root.parent if self._single else root).resolve()

    def list(self) -> Iterator[tuple[str, int]]:
        """See `ObjectStore.list`.

        Raises:
            SourceError: A folder cannot be read, or a link leads to one outside.
        """
        if self._single:
            yield self._single, (self._root / self._single).stat().st_size
            return
        sizes = ((path, _regular_size(path)) for path in files_below(self._root))
        found = [(path.relative_to(self._root).as_posix(), size) for path, size in sizes if size is not None]
        yield from sorted(found)

    def stamp(self, key: str) -> str:
        """See `ObjectStore.stamp`: the SHA-256 itself, for a local file is quick to read."""
        path = self._inside(key)
        try:
            return f"sha256:{sha256_file(path)}"
        except OSError as error:
            raise gone(key, error) from error

    def fetch(self, key: str, target: Path) -> str:
        """See `ObjectStore.fetch`. The hash is that of the bytes that were copied."""
        path = self._inside(key)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        digest = hashlib.sha256()
        try:
            with path.open("rb") as source, part.open("wb") as sink:
                for block in iter(lambda: _read(source, key), b""):
                    digest.update(block)
                    sink.write(block)
                settle(sink)
            part.replace(target)
        except OSError as error:
            raise gone(key, error) if error.errno in _READ_ERRORS else cannot_write(target, error) from error
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def put(self, key: str, source: Path) -> None:
        """Store a copy of `source` under `key`, whole or not at all."""
        target = self._root / check_key(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        FolderStore(source).fetch(source.name, target)

    def _inside(self, key: str) -> Path:
        path = (self._root / check_key(key)).resolve()
        if not path.is_relative_to(self._root):
            raise SourceError(f"{key!r} is a link that leads outside the source.", hint="Copy the file instead.")
        return path


def _read(source: BinaryIO, key: str) -> bytes:
    try:
        return source.read(BLOCK)
    except OSError as error:
        raise gone(key, error) from error


def _regular_size(path: Path) -> int | None:
    """Size of a regular file, also behind a link; None for pipes, devices, broken links."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _unreadable(error: OSError) -> None:
    raise SourceError(f"Folder {error.filename!r} cannot be read: {error.strerror}.", hint="Check its permissions.")


def gone(key: str, error: OSError) -> SourceError:
    """The error for an object that cannot be read."""
    return SourceError(f"{key!r} cannot be read: {error.strerror or error}.", hint="Ingest again once it can.")


def cannot_write(target: Path, error: OSError) -> UnavailableError:
    """The error for a disk that takes no more, or forbids it."""
    return UnavailableError(f"{str(target)!r} cannot be written: {error.strerror or error}.", hint="Free some space.")


def settle(sink: BinaryIO) -> None:
    """Have everything written to `sink` on the disk before it is moved into place."""
    sink.flush()
    os.fsync(sink.fileno())

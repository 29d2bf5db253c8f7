"""A workspace on disk: made by `init`, opened by every other command, brought up to date by `upgrade`."""

import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.core.contracts import now
from components.core.errors import ConflictError, WorkspaceError
from flows.runtime.locks import FileLock

FORMAT = 1
"""Format of a workspace's layout; a workspace of another format is refused, an older one can be upgraded."""

MARKER = "workspace.json"
OPERATOR = "operator"
"""The actor whose key `init` makes, and who acts where nobody is named."""

_LONGEST_CHANGE = 60.0
TEMPLATES = Path(__file__).parents[1] / "configs"
COPIED = ("settings.example.yaml", "gates.yaml", "agents.yaml", "search_spaces.yaml")
"""Templates that a workspace gets its own copy of; `settings.example.yaml` becomes `settings.yaml`."""


def read_marker(home: Path) -> dict[str, Any]:
    """The marker of the workspace at `home`.

    Raises:
        WorkspaceError: There is none, it is unreadable, or its format is not ours.
    """
    found = marker_format(home)
    if found < FORMAT:
        raise WorkspaceError(
            f"The workspace at {home} has format {found}, this Linewright needs {FORMAT}.",
            hint="Bring it up to date with: linewright upgrade",
        )
    marker: dict[str, Any] = json.loads((home / MARKER).read_text(encoding="utf-8"))
    return marker


def marker_format(home: Path) -> int:
    """Format of the workspace at `home`, at most ours.

    Raises:
        WorkspaceError: There is no workspace, its marker is unreadable, or a newer Linewright made it.
    """
    path = home / MARKER
    if not path.is_file():
        raise WorkspaceError(f"There is no workspace at {home}.", hint=f"Make one with: linewright init {home}")
    try:
        found = int(json.loads(path.read_text(encoding="utf-8"))["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged.", hint="Restore it from a backup of the workspace.") from error
    if found > FORMAT:
        raise WorkspaceError(
            f"The workspace at {home} has format {found}, this Linewright reads up to {FORMAT}.",
            hint="Use the newer Linewright that made it.",
        )
    return found


@contextmanager
def changing(home: Path) -> Iterator[None]:
    """Let no other process add or remove lines and people of the workspace at `home` meanwhile.

    Raises:
        ConflictError: Another does so and does not finish.
    """
    with FileLock(home / ".changing.lock") as lock:
        if not lock.wait_exclusive(timeout=_LONGEST_CHANGE):
            raise ConflictError(f"Another process has been changing {home} for too long.", hint="Stop it, or wait.")
        yield


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader, or a crash at any time, meets the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_marker(home: Path) -> None:
    """Declare `home` a whole workspace of this format: the last step of `init` and `upgrade`."""
    path = home / MARKER
    identity = json.loads(path.read_text(encoding="utf-8"))["id"] if path.is_file() else uuid.uuid4().hex
    marker = {"format": FORMAT, "id": identity, "created": now().isoformat()}
    write_atomically(path, json.dumps(marker, indent=2) + "\n")


def copy_templates(home: Path) -> bool:
    """Give the workspace its own configuration files, unless they are there; return whether any was not."""
    (home / "lines").mkdir(parents=True, exist_ok=True)
    missing = {name: path for name in COPIED if not (path := home / name.replace(".example", "")).exists()}
    for name, path in missing.items():
        write_atomically(path, (TEMPLATES / name).read_text(encoding="utf-8"))
    return bool(missing)


def backup(home: Path) -> Path:
    """Copy the databases, configuration and keys of the workspace aside; return the folder they lie in.

    Samples and models are immutable files that no upgrade changes, so they are not copied.
    """
    target = home / "backups" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target.mkdir(parents=True)
    for path in sorted(home.iterdir()):
        if path.suffix == ".db":
            _copy_database(path, target / path.name)
        elif path.is_file() and not path.name.startswith(".") and not path.name.endswith(("-wal", "-shm")):
            shutil.copy2(path, target / path.name)
    for folder in ("lines", "keys"):
        if (home / folder).is_dir():
            shutil.copytree(home / folder, target / folder)
    return target


def _copy_database(source: Path, target: Path) -> None:
    # SQLite's own backup reads a consistent state even while others write; a plain copy would miss the WAL.
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)

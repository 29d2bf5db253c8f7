"""Where artifacts lie, and how MLflow's own database follows a workspace that was moved or copied.

MLflow stores absolute paths. A workspace whose database and artifacts lie below its own folder remembers that folder
in `.tracking.json`; where it finds itself elsewhere, the paths are rewritten, once, in one transaction.
"""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse

from components.core.errors import ConfigError, UnavailableError
from components.settings import Settings

_FORMAT = 1

# Every column of MLflow 3.17's schema that holds a location. `:old` and `:new` are folders without a final slash;
# only whole path components match, so /srv/line does not touch /srv/line-2.
_REWRITES = (
    "UPDATE experiments SET artifact_location = :new || substr(artifact_location, length(:old) + 1) "
    "WHERE artifact_location = :old OR substr(artifact_location, 1, length(:old) + 1) = :old || '/'",
    "UPDATE runs SET artifact_uri = :new || substr(artifact_uri, length(:old) + 1) "
    "WHERE substr(artifact_uri, 1, length(:old) + 1) = :old || '/'",
    "UPDATE logged_models SET artifact_location = :new || substr(artifact_location, length(:old) + 1) "
    "WHERE substr(artifact_location, 1, length(:old) + 1) = :old || '/'",
    "UPDATE model_versions SET source = :new || substr(source, length(:old) + 1) "
    "WHERE substr(source, 1, length(:old) + 1) = :old || '/'",
    "UPDATE model_versions SET storage_location = :new || substr(storage_location, length(:old) + 1) "
    "WHERE substr(storage_location, 1, length(:old) + 1) = :old || '/'",
)

# MLflow gives its built-in experiment 0 the current folder of whoever came first.
_DEFAULT_EXPERIMENT = "UPDATE experiments SET artifact_location = :location WHERE experiment_id = 0"
_WITNESS = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"


def artifact_root(settings: Settings) -> str:
    """Folder (absolute, links resolved) or s3:// URL below which every artifact lies, without a final slash.

    Raises:
        ConfigError: It is neither.
    """
    root = settings.artifact_root
    scheme = urlparse(root).scheme
    if scheme == "s3":
        return root.rstrip("/")
    if scheme:
        raise ConfigError(f"tracking.artifacts is {root!r}.", hint="Use a folder or s3://bucket/prefix.")
    return str((settings.home / Path(root).expanduser()).resolve())


def relative_folder(location: str, *, root: str) -> str:
    """`location` relative to the artifact root.

    Raises:
        ConfigError: It lies elsewhere.

    >>> relative_folder("s3://models/plant/press/models/m-1/artifacts", root="s3://models/plant")
    'press/models/m-1/artifacts'
    """
    if location.startswith(f"{root}/"):
        return location[len(root) + 1 :]
    raise ConfigError(
        f"MLflow keeps a model at {location}, outside of the artifact root {root}.",
        hint="Restore the setting tracking.artifacts.",
    )


def relocate(settings: Settings) -> bool:
    """Rewrite the paths in the workspace's own MLflow database if the workspace is not where it was.

    Does nothing where the database is not a file below the workspace: a database that others use too must not follow
    a copy of one workspace.

    Returns:
        Whether paths were rewritten.

    Raises:
        UnavailableError: The database or `.tracking.json` cannot be read or written.
    """
    home = settings.home.resolve()
    database = _own_database(settings, home=home)
    if database is None:
        return False
    try:
        return _follow(home, database=database, root=artifact_root(settings))
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(
            f"The paths in {database} could not be brought to {home}: {error}.",
            hint="Stop other processes on this workspace and see that it is writable.",
        ) from error


def _own_database(settings: Settings, *, home: Path) -> Path | None:
    uri = settings.tracking_uri
    if not uri.startswith("sqlite:///"):
        return None
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0]).resolve()
    return path if path.is_relative_to(home) and path.is_file() else None


def _follow(home: Path, *, database: Path, root: str) -> bool:
    record = home / ".tracking.json"
    old = _recorded(record)
    if old == str(home):
        return False
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        _rewrite(connection, old=old, new=str(home), default=f"{root}/default")
    _write(record, {"format": _FORMAT, "home": str(home)})
    return old is not None


def _recorded(record: Path) -> str | None:
    if not record.is_file():
        return None
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["home"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"{record}, which tells where MLflow's paths lead, is damaged.",
            hint="Restore it from a backup; if the workspace was never moved, remove the file.",
        ) from error


def _rewrite(connection: sqlite3.Connection, *, old: str | None, new: str, default: str) -> None:
    """In one transaction; experiment 0 tells whether it was committed before a crash left it unrecorded."""
    if old is None:
        connection.execute(_DEFAULT_EXPERIMENT, {"location": default})
    elif connection.execute(_WITNESS).fetchone() != (default,):
        for statement in _REWRITES:
            connection.execute(statement, {"old": old, "new": new})


def _write(path: Path, value: dict[str, object]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)

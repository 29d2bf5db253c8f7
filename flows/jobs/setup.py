"""Make a workspace, and bring an older one up to date. Each step can be killed and run again."""

from pathlib import Path
from typing import Literal

from components.adapters.db.records import Records
from components.approve.actors import Actors
from components.approve.keys import has_key, make_key
from components.core.contracts import Role
from components.core.errors import WorkspaceError
from components.settings import Settings, load_settings
from flows.workspace import (
    FORMAT,
    MARKER,
    OPERATOR,
    backup,
    copy_templates,
    marker_format,
    read_marker,
    write_atomically,
    write_marker,
)


def make_workspace(home: Path) -> Literal["made", "completed", "already there, untouched"]:
    """Make the workspace at `home`, go on with one whose making was interrupted, or bring lost templates back.

    Raises:
        WorkspaceError: The folder holds something else, or a workspace of another version.
    """
    if (home / MARKER).exists():
        read_marker(home)
        return "completed" if copy_templates(home) else "already there, untouched"
    if home.exists() and not home.is_dir():
        raise WorkspaceError(f"{home} is a file.", hint="Name a folder for the workspace.")
    strangers = [path.name for path in home.iterdir() if not _ours(path)] if home.exists() else []
    if strangers:
        raise WorkspaceError(f"{home} holds other things ({strangers[0]}).", hint="Name an empty or new folder.")
    try:
        copy_templates(home)
    except OSError as error:
        raise WorkspaceError(f"{home} cannot be made: {error.strerror}.", hint="Name another folder.") from error
    settings = load_settings(home)
    for folder in (settings.prefect_home, settings.overlays, settings.reports):
        folder.mkdir(parents=True, exist_ok=True)
    if not settings.actors.exists():
        write_atomically(settings.actors, Actors(roles={OPERATOR: Role.OVERRIDER}).dump())
    if not has_key(settings.keys, OPERATOR):
        make_key(settings.keys, OPERATOR)
    _prepare(settings)
    write_marker(home)
    return "made"


def _prepare(settings: Settings) -> None:
    from components.adapters.datasets import DataRegistry
    from components.adapters.tracking import Tracker

    Records.migrate(settings.database_url, busy_timeout=settings.database.busy_timeout)
    DataRegistry(settings).init()
    Tracker(settings).prepare()


_EXPECTED = {"lines", "data", "data.lock", "data-remote", "artifacts", "keys", "prefect", "overlays", "reports",
             "settings.yaml", "gates.yaml", "agents.yaml", "search_spaces.yaml", "actors.yaml"}  # fmt: skip


def _ours(path: Path) -> bool:
    return path.name in _EXPECTED or path.name.startswith((".", "linewright.db", "mlflow.db"))


def upgrade_workspace(home: Path) -> Path | None:
    """Bring the workspace at `home` to this version; return the backup made first, None if nothing was to do.

    Raises:
        WorkspaceError: There is no workspace, or a newer Linewright made it.
    """
    if is_current(home):
        return None
    kept = backup(home)
    copy_templates(home)
    _prepare(load_settings(home))
    write_marker(home)
    return kept


def is_current(home: Path) -> bool:
    """Whether the workspace at `home` and its records are of this version.

    Raises:
        WorkspaceError: There is no workspace, or a newer Linewright made it.
    """
    if marker_format(home) < FORMAT:
        return False
    settings = load_settings(home)
    return Records.is_current(settings.database_url)

"""Which format a database has, and the way from an older one to this one."""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from components.adapters.db.database import Database
from components.core.errors import WorkspaceError

VERSION_TABLE = "linewright_alembic_version"
"""Optuna keeps its own `alembic_version` in the same database."""

SCHEMA_VERSION = "0002"
"""The newest revision below `migrations/versions`; revisions are numbered upwards in four digits."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def read_version(database: Database) -> str:
    """Revision of a database; "" when our tables are not in it.

    Raises:
        WorkspaceError: SQLite's file is missing; asking for it would make an empty one.
    """
    _require_file(database)
    with database.read() as session:
        return _version(session)


def check_version(database: Database) -> None:
    """Refuse a database that this code cannot use as it is.

    Raises:
        WorkspaceError: There is none, it is older, or it was made by a newer version.
    """
    found = read_version(database)
    shown = database.url.render_as_string(hide_password=True)
    if not found:
        raise WorkspaceError(f"{shown} holds no records.", hint="Run `linewright upgrade`.")
    if found < SCHEMA_VERSION:
        raise WorkspaceError(
            f"{shown} has format {found}; this version needs {SCHEMA_VERSION}.", hint="Run `linewright upgrade`."
        )
    _refuse_newer(found, shown=shown)


def is_current(database: Database) -> bool:
    """Whether a database has this version's format; False where it is older or missing.

    Raises:
        WorkspaceError: It was made by a newer version.
    """
    if database.file is not None and not database.file.exists():
        return False
    found = read_version(database)
    _refuse_newer(found, shown=database.url.render_as_string(hide_password=True))
    return found == SCHEMA_VERSION


def upgrade(database: Database) -> tuple[str, str]:
    """Bring a database to `SCHEMA_VERSION`, an empty one as well; return the revisions before and after.

    It is one transaction on SQLite and PostgreSQL; on MariaDB, which commits every change of a table at once, an
    interrupted upgrade is finished by running it again.

    Raises:
        WorkspaceError: It was made by a newer version.
    """
    from alembic import command
    from alembic.config import Config

    shown = database.url.render_as_string(hide_password=True)
    with database.bare() as session:
        before = _version(session)
        _refuse_newer(before, shown=shown)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = session
        command.upgrade(config, "head")
        return before, _version(session)


def _version(session: Connection) -> str:
    if not inspect(session).has_table(VERSION_TABLE):
        return ""
    found: str | None = session.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return found or ""


def _refuse_newer(found: str, *, shown: str) -> None:
    if found > SCHEMA_VERSION:
        raise WorkspaceError(
            f"{shown} has format {found}, made by a newer version; this one knows {SCHEMA_VERSION}.",
            hint="Install the newer version of Linewright.",
        )


def _require_file(database: Database) -> None:
    if database.file is not None and not database.file.exists():
        raise WorkspaceError(
            f"There is no database {database.file}.", hint="Restore it, or make a new one: linewright upgrade"
        )

"""The one transaction rule, the same on SQLite, PostgreSQL and MariaDB.

There is one writer at a time. SQLite can do no other; on the servers every write first locks the ledger's head
row. So what a write reads stays true until it commits, the ledger is one chain, and nothing can deadlock.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from components.adapters.db.tables import LEDGER_HEAD
from components.core.errors import (
    ConfigError,
    ConflictError,
    LinewrightError,
    UnavailableError,
    WorkspaceError,
    first_line,
)
from components.core.errors import IntegrityError as BytesError

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_CONNECT_SECONDS = 10
_BUSY = ("is locked", "lock timeout", "lock wait", "deadlock")


class Database:
    """An engine and the two ways to use it.

    Args:
        url: SQLAlchemy URL; sqlite, postgresql+psycopg, mysql+pymysql or mariadb+pymysql.
        busy_timeout: Seconds a writer waits for another before it gives up.

    Raises:
        ConfigError: The URL is none of these.
    """

    def __init__(self, url: str, *, busy_timeout: float) -> None:
        self.url = parse_url(url)
        self._engine = _make_engine(self.url, busy_timeout=busy_timeout)
        self._writer = self._engine.execution_options(linewright_write=True)
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(**snapshot)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """SQLite's file, None for a server."""
        return Path(self.url.database or "") if self.is_sqlite else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: all of it is committed at the end, or none of it on any exception.

        Raises:
            ConflictError: A row clashes with one that is there, or refers to one that is not.
            IntegrityError: Somebody removed the ledger's head.
            UnavailableError: The database does not answer, or another writer kept it for `busy_timeout`.
        """
        with self.bare() as connection:
            if connection.scalar(select(LEDGER_HEAD.c.number).with_for_update()) is None:
                raise BytesError("The ledger's head is missing.", hint="Restore a backup of the database.")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: all its statements see the same moment."""
        with named_errors(self.url), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """A write transaction that needs none of our tables: for migrations."""
        with named_errors(self.url), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def parse_url(url: str) -> URL:
    """The parsed URL, its driver checked.

    Raises:
        ConfigError: It is not a URL, or of a database or driver that is not supported.
    """
    hint = "Use sqlite:///FILE, postgresql+psycopg://…, mysql+pymysql://… or mariadb+pymysql://…"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The text may hold a password, so it is not repeated.
        raise ConfigError("database.url is not a database URL.", hint=hint) from error
    shown = parsed.render_as_string(hide_password=True)
    backend, _, driver = parsed.drivername.partition("+")
    if backend not in _DRIVERS or (driver and driver != _DRIVERS[backend]) or (not driver and backend != "sqlite"):
        raise ConfigError(f"database.url {shown} names a database or driver that is not supported.", hint=hint)
    if backend == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise ConfigError(f"database.url {shown} keeps nothing.", hint="Name a file: sqlite:////path/linewright.db")
    return parsed


@contextmanager
def named_errors(url: URL) -> Iterator[None]:
    """Turn the drivers' errors into ours."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, url.get_dialect().import_dbapi().Error) as error:
        # Of what SQLAlchemy does when a connection is taken out, such as setting its isolation, the driver's own.
        raise _name(error, shown=url.render_as_string(hide_password=True)) from error


def _name(error: Exception, *, shown: str) -> LinewrightError:
    cause = first_line(getattr(error, "orig", None) or error)
    lowered = cause.lower()
    if isinstance(error, IntegrityError):
        return ConflictError(
            f"The record clashes with one that is there, or refers to one that is not: {cause}.",
            hint="Look at what is recorded, then try again.",
        )
    if "not a database" in lowered or "malformed" in lowered:
        return BytesError(f"{shown} is damaged: {cause}.", hint="Restore it from a backup.")
    if any(word in lowered for word in _BUSY):
        return UnavailableError(f"{shown} is kept busy by another writer: {cause}.", hint="Try again in a moment.")
    if isinstance(error, OperationalError | InterfaceError) or not isinstance(error, DBAPIError):
        return UnavailableError(f"{shown} does not answer: {cause}.", hint="Check the server, the disk and the URL.")
    if isinstance(error, DatabaseError):
        return WorkspaceError(f"{shown} cannot do what was asked: {cause}.", hint="Run `linewright doctor`.")
    return UnavailableError(f"{shown}: {cause}.", hint="Check the server and the URL.")


def _make_engine(url: URL, *, busy_timeout: float) -> Engine:
    # With a session that the server ended the pool logs a traceback when it takes it back; the statement has raised.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = create_engine(url, connect_args={"timeout": busy_timeout})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    arguments = _postgresql(busy_timeout) if backend == "postgresql" else _mariadb(busy_timeout)
    return create_engine(url, connect_args=arguments, isolation_level="READ COMMITTED", pool_pre_ping=True)


def _postgresql(busy_timeout: float) -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_SECONDS, "options": f"-c lock_timeout={round(busy_timeout * 1000)}"}


def _mariadb(busy_timeout: float) -> dict[str, Any]:
    # Strict mode, or long text would be cut in silence; UTC, or an hour would come twice a year.
    seconds = max(1, round(busy_timeout))
    settings = f"innodb_lock_wait_timeout={seconds}, time_zone='+00:00', sql_mode='STRICT_ALL_TABLES'"
    return {"connect_timeout": _CONNECT_SECONDS, "charset": "utf8mb4", "init_command": f"SET SESSION {settings}"}


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver begins no transaction by itself: `_begin_sqlite` says which kind.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes fails at once when another wrote between; so writers say so first.
    writes = connection.get_execution_options().get("linewright_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

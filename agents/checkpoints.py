"""Where graphs keep their place: LangGraph's savers on the records database."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL, make_url
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from components.core.errors import ConfigError, no_answer

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.base import SerializerProtocol

    Saver = BaseCheckpointSaver[Any]

BUSY_TIMEOUT = 30.0
"""Seconds a writer waits for SQLite's lock."""


@contextmanager
def open_saver(url: str) -> Iterator["Saver"]:
    """A saver of checkpoints in the database at the SQLAlchemy `url`, its tables made if they are missing.

    Raises:
        ConfigError: The database is neither SQLite nor PostgreSQL nor MySQL or MariaDB.
        UnavailableError: The database does not answer.
    """
    parsed = make_url(url)
    openers = {"sqlite": _sqlite, "postgresql": _postgres, "mysql": _mysql, "mariadb": _mysql}
    backend = parsed.get_backend_name()
    if backend not in openers:
        raise ConfigError(
            f"Checkpoints cannot be kept in {backend}.", hint="Use sqlite, postgresql+psycopg or mysql+pymysql."
        )
    with openers[backend](parsed) as saver:
        yield saver


@contextmanager
def _sqlite(url: URL) -> Iterator["Saver"]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    # LangGraph may write from a thread of its own; the saver holds a lock around the connection.
    connection = sqlite3.connect(url.database or ":memory:", timeout=BUSY_TIMEOUT, check_same_thread=False)
    with closing(connection):
        saver = SqliteSaver(connection, serde=_serde())
        with _answering(url, fault=sqlite3.Error):
            _set_up(saver.setup, fault=sqlite3.Error)
            yield saver


@contextmanager
def _postgres(url: URL) -> Iterator["Saver"]:
    from langgraph.checkpoint.postgres import PostgresSaver
    from psycopg import Error
    from psycopg.rows import dict_row

    with closing(_connect(url, driver="psycopg", prepare_threshold=0, row_factory=dict_row)) as connection:
        saver = PostgresSaver(connection, serde=_serde())
        with _answering(url, fault=Error):
            _set_up(saver.setup, fault=Error)
            yield saver


@contextmanager
def _mysql(url: URL) -> Iterator["Saver"]:
    from langgraph.checkpoint.mysql.pymysql import PyMySQLSaver

    with closing(_connect(url, driver="pymysql")) as connection:
        saver = PyMySQLSaver(connection, serde=_serde())
        with _answering(url, fault=connection.Error):
            _set_up(saver.setup, fault=connection.Error)
            yield saver


def _connect(url: URL, *, driver: str, **options: Any) -> Any:
    """A bare connection of the driver that the saver speaks, with the options that SQLAlchemy reads from `url`."""
    dialect = url.set(drivername=f"{url.get_backend_name()}+{driver}").get_dialect()
    args, given = dialect().create_connect_args(url)
    database = dialect.import_dbapi()
    with _answering(url, fault=database.Error):
        return database.connect(*args, **{**given, **options, "autocommit": True})


@contextmanager
def _answering(url: URL, *, fault: type[Exception]) -> Iterator[None]:
    """Tell what the driver raises of the database at `url` as an error of ours."""
    try:
        yield
    except fault as error:
        raise no_answer(url.render_as_string(hide_password=True), error) from error


def _serde() -> "SerializerProtocol":
    """State is plain JSON types; a tampered checkpoint must not make LangGraph import and build other classes."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None, allowed_json_modules=None)


def _set_up(setup: Callable[[], None], *, fault: type[Exception]) -> None:
    """Make the tables; a process that makes them at the same moment wins, and the next try finds them."""
    tries = Retrying(
        retry=retry_if_exception_type(fault),
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    )
    tries(setup)

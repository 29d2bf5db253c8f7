"""Empty databases for tests: a SQLite file, or one of its own on a server that answers on its usual local port."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.exc import DBAPIError

from components.core.errors import UnavailableError

SERVERS = {
    "postgresql": "postgresql+psycopg://root@127.0.0.1:5432/test",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306",
}

KINDS = ("sqlite", *SERVERS)


@contextmanager
def empty_database(kind: str, *, folder: Path) -> Iterator[str]:
    """URL of an empty database of that kind (one of `KINDS`), dropped afterwards; SQLite's file lies in `folder`.

    Raises:
        UnavailableError: No such server answers.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    name = f"linewright_{uuid.uuid4().hex[:12]}"
    engine = create_engine(SERVERS[kind], isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except DBAPIError as error:
        first = str(error.orig).splitlines()[0]
        raise UnavailableError(f"{kind} does not answer on its usual port: {first}.", hint="Start it.") from error
    try:
        yield engine.url.set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        engine.dispose()


def drop_tables(url: str) -> None:
    """Leave nothing in the database, whoever made it."""
    engine = create_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    tables.drop_all(engine)
    engine.dispose()

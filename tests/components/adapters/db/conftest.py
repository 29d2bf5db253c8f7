"""The three databases; the servers' tests skip where nothing answers."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from components.adapters.db import Lease, Records
from components.adapters.db.holder import this_process
from components.adapters.db.tables import METADATA
from components.core.contracts import ModelVersion
from components.testing.records import a_model

SERVERS = {
    "postgresql": "postgresql+psycopg://root@127.0.0.1:5432/test",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306",
}


@pytest.fixture(scope="session")
def server_database() -> Iterator[Callable[[str], str]]:
    """URL of an empty database of this session's own on a server."""
    made: dict[str, str] = {}
    name = f"linewright_{uuid.uuid4().hex[:12]}"

    def on(kind: str) -> str:
        if kind not in made:
            engine = create_engine(SERVERS[kind], isolation_level="AUTOCOMMIT")
            try:
                with engine.connect() as connection:
                    connection.execute(text(f"CREATE DATABASE {name}"))
            except DBAPIError as error:
                pytest.skip(f"{kind} does not answer on its usual port: {str(error.orig).splitlines()[0]}")
            made[kind] = engine.url.set(database=name).render_as_string(hide_password=False)
            Records.migrate(made[kind], busy_timeout=20)
        return made[kind]

    yield on
    for kind in made:
        with create_engine(SERVERS[kind], isolation_level="AUTOCOMMIT").connect() as connection:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            connection.execute(text(f"DROP DATABASE {name}{force}"))


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            if table.name != "lw_ledger_head":
                connection.execute(table.delete())
        connection.execute(METADATA.tables["lw_ledger_head"].update().values(number=0, hash="0" * 64))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of empty tables, once on each database."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'records.db'}"
        Records.migrate(made, busy_timeout=20)
        return made
    made = request.getfixturevalue("server_database")(request.param)
    _empty(made)
    return str(made)


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = Records.open(url, busy_timeout=20)
    yield opened
    opened.close()


@dataclass
class Press:
    """A line named press, and short words for what tests do to it."""

    records: Records
    lease: Lease

    def begin(self, retrain: str = "r1", *, key: str = "k", **changes: object) -> None:
        usual: dict[str, object] = {"dataset": 1, "actor": "operator", "config": {"budget": 8}}
        self.records.retrains.begin(self.lease, retrain_id=retrain, key=key, **{**usual, **changes})  # type: ignore[arg-type]

    def candidate(self, retrain: str, **changes: object) -> ModelVersion:
        self.begin(retrain, key=f"key of {retrain}")
        version = self.records.models.register(self.lease, a_model(retrain=retrain, **changes))
        self.records.retrains.finish(self.lease, retrain, "done", {})
        return version


@pytest.fixture
def press(records: Records) -> Press:
    return Press(records, records.leases.acquire("press", holder=this_process(), ttl=60))

"""The three databases; the servers' tests skip where nothing answers."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
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


class Servers:
    """One empty database of this session's own on each server that answers."""

    def __init__(self) -> None:
        self._name = f"linewright_{uuid.uuid4().hex[:12]}"
        self._made: dict[str, Engine] = {}

    def empty(self, kind: str) -> str:
        if kind not in self._made:
            self._run(kind, f"CREATE DATABASE {self._name}")
            url = make_url(SERVERS[kind]).set(database=self._name)
            self._made[kind] = create_engine(url)
            Records.migrate(url.render_as_string(hide_password=False), busy_timeout=20)
        engine = self._made[kind]
        with engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                if table.name != "lw_ledger_head":
                    connection.execute(table.delete())
            connection.execute(METADATA.tables["lw_ledger_head"].update().values(number=0, hash="0" * 64))
        return engine.url.render_as_string(hide_password=False)

    def drop(self) -> None:
        for kind, engine in self._made.items():
            engine.dispose()
            self._run(kind, f"DROP DATABASE {self._name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")

    def _run(self, kind: str, statement: str) -> None:
        engine = create_engine(SERVERS[kind], isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        except DBAPIError as error:
            pytest.skip(f"{kind} does not answer on its usual port: {str(error.orig).splitlines()[0]}")
        finally:
            engine.dispose()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.drop()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of empty tables, once on each database."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'records.db'}"
        Records.migrate(made, busy_timeout=20)
        return made
    return str(request.getfixturevalue("servers").empty(request.param))


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

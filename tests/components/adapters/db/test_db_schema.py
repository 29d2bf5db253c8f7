import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, inspect, text

from components.adapters.db import Records, schema
from components.adapters.db.database import Database
from components.adapters.db.tables import METADATA
from components.core.errors import ConfigError, IntegrityError, UnavailableError, WorkspaceError

ROOT = Path(__file__).parents[4]
FORMATS = Path(__file__).parent / "formats"


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_migrations_make_exactly_the_tables_that_the_code_uses(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with _connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
        assert "alembic_version" not in inspect(connection).get_table_names()
    assert Records.migrate(url, busy_timeout=5) == (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)


def test_the_newest_migration_is_the_version_that_the_code_names() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "components/adapters/db/migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.SCHEMA_VERSION
    assert len(script.get_heads()) == 1


def test_a_newer_format_is_refused(url: str) -> None:
    _stamp(url, "9001")
    with pytest.raises(WorkspaceError, match="made by a newer version"):
        Records.open(url, busy_timeout=5)
    with pytest.raises(WorkspaceError, match="made by a newer version"):
        Records.migrate(url, busy_timeout=5)
    with pytest.raises(WorkspaceError, match="made by a newer version"):
        Records.is_current(url)
    _stamp(url, schema.SCHEMA_VERSION)


def test_an_older_format_asks_for_the_upgrade(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Records.is_current(url)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", "0003")
    with pytest.raises(WorkspaceError, match="linewright upgrade"):
        Records.open(url, busy_timeout=5)
    assert not Records.is_current(url)


def _stamp(url: str, revision: str) -> None:
    with _connected(url) as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{revision}'"))


@pytest.mark.parametrize("path", sorted(FORMATS.glob("*.sql")), ids=lambda path: path.stem)
def test_databases_of_every_format_are_upgraded_with_what_they_hold(path: Path, tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "records.db"
    connection = sqlite3.connect(file)
    connection.executescript(path.read_text(encoding="utf-8"))
    connection.close()
    assert Records.migrate(f"sqlite:///{file}", busy_timeout=5) == (path.stem, schema.SCHEMA_VERSION)
    records = Records.open(f"sqlite:///{file}", busy_timeout=5)
    assert records.ledger.verify() == 9
    champion = records.models.champion("press")
    assert champion is not None
    assert (champion.version, champion.params) == (1, {"k": 3, "share": 0.02})
    assert records.decisions.history("press")[0].reason == "looks right"
    assert records.verdicts.get("v1").score == 1.5
    latest = records.drift.latest("press")
    assert latest is not None
    assert latest.report.kind == "camera or lighting"


def test_an_interrupted_first_migration_is_finished_by_the_next(servers, url: str) -> None:
    with _connected(url) as connection:
        connection.execute(text("DROP TABLE lw_ingests"))
        connection.execute(text("DROP TABLE lw_looks"))
        connection.execute(text(f"DELETE FROM {schema.VERSION_TABLE}"))
    assert Records.migrate(url, busy_timeout=5) == ("", schema.SCHEMA_VERSION)
    Records.open(url, busy_timeout=5).close()


def test_without_a_database_there_is_one_line_and_no_file(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.db", tmp_path / "empty.db"
    with pytest.raises(WorkspaceError, match="There is no database"):
        Records.open(f"sqlite:///{missing}", busy_timeout=5)
    assert not Records.is_current(f"sqlite:///{missing}")
    assert not missing.exists()
    empty.touch()
    with pytest.raises(WorkspaceError, match="holds no records"):
        Records.open(f"sqlite:///{empty}", busy_timeout=5)


def test_what_is_not_a_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database at all, but long enough to look" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        Records.open(f"sqlite:///{tmp_path / 'x.db'}", busy_timeout=5)


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        Records.open("postgresql+psycopg://me:secret@127.0.0.1:9/x", busy_timeout=1)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle://x", "postgresql://x/y", "mysql+mysqldb://x/y", "sqlite://", "sqlite:///:memory:"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        Records.open(url, busy_timeout=1)


def test_a_writer_that_waits_too_long_is_told(url: str, records: Records) -> None:
    other = Records.open(url, busy_timeout=1)
    with (
        records._database.write(),
        pytest.raises(UnavailableError, match="kept busy by another writer"),
        other._database.write(),
    ):
        pass
    other.close()


def test_a_reader_sees_one_moment_and_waits_for_no_writer(url: str, records: Records) -> None:
    from sqlalchemy import func, select

    from components.adapters.db.tables import LEDGER

    query = select(func.count()).select_from(LEDGER)
    with records._database.read() as session:
        assert session.scalar(query) == 0
        records.ledger.note("x", data={})
        assert session.scalar(query) == 0
    with records._database.read() as session:
        assert session.scalar(query) == 1


@pytest.mark.parametrize("when", ["checkout", "begin"])
def test_a_session_that_the_server_ended_is_one_error(url: str, when: str, caplog: pytest.LogCaptureFixture) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no sessions.")
    mine, end = (
        ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})")
        if url.startswith("postgresql")
        else ("SELECT connection_id()", "KILL {}")
    )
    database = Database(url, busy_timeout=5)

    def kill(connection: Any, *_: object) -> None:
        raw = connection if when == "checkout" else connection.connection.dbapi_connection
        cursor = raw.cursor()
        cursor.execute(mine)
        (number,) = cursor.fetchone()
        raw.rollback()
        with _connected(url) as other:
            other.exec_driver_sql(end.format(number))

    for way in (database.read, database.write):
        event.listen(database._engine, when, kill)
        with pytest.raises(UnavailableError, match="does not answer: "), way() as connection:
            connection.exec_driver_sql("SELECT 1")
        event.remove(database._engine, when, kill)
        with way() as connection:
            connection.exec_driver_sql("SELECT 1")
    database.close()
    assert caplog.text == ""


def test_opening_loads_nothing_heavy() -> None:
    code = (
        "import sys, components.adapters.db\n"
        "print([name for name in ('alembic', 'sqlalchemy.orm', 'torch', 'pandas', 'mlflow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"

"""The tables of our records.

Their names start with `lw_`: Optuna's and LangGraph's tables live in the same database. Every VARCHAR has a
length and every table compares text byte by byte, because MariaDB needs the one and would not do the other.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from components.adapters.db.types import NUMBER, CanonicalJson, LongText, UtcTime

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
ON_MARIADB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def _table(name: str, *parts: Any) -> Table:
    return Table(name, METADATA, *parts, **ON_MARIADB)


def _line(**options: Any) -> Column[str]:
    return Column("line", String(48), nullable=False, **options)


def _counted() -> Column[int]:
    return Column("id", NUMBER, primary_key=True, autoincrement=True)


def _of_model(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["line", column], ["lw_models.line", "lw_models.version"])


LEDGER = _table(
    "lw_ledger",
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("time", UtcTime, nullable=False),
    _line(),
    Column("kind", String(48), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("data", LongText, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "line", "number"),
)

LEDGER_HEAD = _table(
    "lw_ledger_head",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", NUMBER, nullable=False),
    Column("hash", String(64), nullable=False),
)

LEASES = _table(
    "lw_leases",
    _line(primary_key=True),
    Column("token", NUMBER, nullable=False),
    Column("holder", String(255), nullable=False),
    Column("boot", String(64), nullable=False),
    Column("expires", Double, nullable=False),
)

RETRAINS = _table(
    "lw_retrains",
    Column("id", String(64), primary_key=True),
    _line(),
    Column("key", String(64), nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("config", CanonicalJson, nullable=False),
    Column("request", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("token", NUMBER, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime),
    Column("detail", CanonicalJson, nullable=False),
    Index(None, "line", "state"),
    Index(None, "line", "key"),
)

STAGES = _table(
    "lw_stages",
    Column("retrain", String(64), ForeignKey("lw_retrains.id"), primary_key=True),
    Column("stage", String(48), primary_key=True),
    Column("data", CanonicalJson, nullable=False),
    Column("time", UtcTime, nullable=False),
)

MODELS = _table(
    "lw_models",
    _line(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("retrain", String(64), ForeignKey("lw_retrains.id"), nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("record", CanonicalJson, nullable=False),
    UniqueConstraint("retrain"),
    Index(None, "line", "status"),
)

CHAMPIONS = _table(
    "lw_champions",
    _line(primary_key=True),
    Column("champion", Integer, nullable=False),
    Column("previous", Integer),
    Column("revision", NUMBER, nullable=False),
    _of_model("champion"),
    _of_model("previous"),
)

DECISIONS = _table(
    "lw_decisions",
    _counted(),
    _line(),
    Column("version", Integer, nullable=False),
    Column("record", CanonicalJson, nullable=False),
    _of_model("version"),
    Index(None, "line", "version"),
)

OUTBOX = _table(
    "lw_outbox",
    _counted(),
    _line(),
    Column("decision", NUMBER, ForeignKey("lw_decisions.id"), nullable=False),
    Column("champion", Integer),
    Column("previous", Integer),
    Column("settled", Boolean(create_constraint=False), nullable=False),
    Index(None, "settled", "id"),
)

LOOKS = _table(
    "lw_looks",
    _line(primary_key=True),
    Column("dataset", Integer, primary_key=True, autoincrement=False),
    Column("split", String(16), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("number", Integer, nullable=False),
)

VERDICTS = _table(
    "lw_verdicts",
    _counted(),
    Column("verdict_id", String(64), nullable=False, unique=True),
    _line(),
    Column("sample", String(64), nullable=False),
    Column("path", LongText, nullable=False),
    Column("score", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("uncertainty", Double, nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("start", NUMBER),
    Column("end", NUMBER),
    Column("overlay", LongText, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("p_value", Double),
    Column("severity", String(8)),
    _of_model("model_version"),
    Index(None, "line", "sample"),
    Index(None, "line", "id"),
    Index(None, "line", "model_version", "verdict"),
)

DRIFT_CHECKS = _table(
    "lw_drift_checks",
    _counted(),
    _line(),
    Column("champion", Integer, nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("html", LongText, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("record", CanonicalJson, nullable=False),
    _of_model("champion"),
    Index(None, "line", "champion"),
)

REQUESTS = _table(
    "lw_requests",
    Column("id", String(64), primary_key=True),
    _line(),
    Column("reason", LongText, nullable=False),
    Column("drift_check", NUMBER, ForeignKey("lw_drift_checks.id")),
    Column("created", UtcTime, nullable=False),
    Column("retrain", String(64), ForeignKey("lw_retrains.id")),
    Index(None, "line"),
)

INGESTS = _table(
    "lw_ingests",
    _counted(),
    _line(),
    Column("created", UtcTime, nullable=False),
    Column("record", CanonicalJson, nullable=False),
    Index(None, "line", "id"),
)

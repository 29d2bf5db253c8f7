"""The first format."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from components.adapters.db.types import NUMBER, CanonicalJson, LongText, UtcTime

revision = "0001"
down_revision = None

_ON_MARIADB = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Make every table; what an interrupted run made on MariaDB is left as it is."""
    _ledger_and_leases()
    _retrains_and_models()
    _decisions()
    _verdicts_and_looks()
    _drift()
    head = sa.table("lw_ledger_head", sa.column("id"), sa.column("number"), sa.column("hash"))
    if not op.get_bind().scalar(sa.select(sa.func.count()).select_from(head)):
        op.bulk_insert(head, [{"id": 1, "number": 0, "hash": "0" * 64}])


def _table(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, **_ON_MARIADB, if_not_exists=True)


def _index(name: str, table: str, columns: list[str]) -> None:
    op.create_index(name, table, columns, if_not_exists=True)


def _ledger_and_leases() -> None:
    _table(
        "lw_ledger",
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("data", LongText(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_lw_ledger"),
    )
    _index("ix_lw_ledger_line_number", "lw_ledger", ["line", "number"])
    _table(
        "lw_ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lw_ledger_head"),
    )
    _table(
        "lw_leases",
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("token", NUMBER, nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("line", name="pk_lw_leases"),
    )


def _retrains_and_models() -> None:
    _table(
        "lw_retrains",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("config", CanonicalJson(), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", NUMBER, nullable=False),
        sa.Column("started", UtcTime(), nullable=False),
        sa.Column("finished", UtcTime(), nullable=True),
        sa.Column("detail", CanonicalJson(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lw_retrains"),
    )
    _index("ix_lw_retrains_line_key", "lw_retrains", ["line", "key"])
    _index("ix_lw_retrains_line_state", "lw_retrains", ["line", "state"])
    _table(
        "lw_stages",
        sa.Column("retrain", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=48), nullable=False),
        sa.Column("data", CanonicalJson(), nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["retrain"], ["lw_retrains.id"], name="fk_lw_stages_retrain"),
        sa.PrimaryKeyConstraint("retrain", "stage", name="pk_lw_stages"),
    )
    _table(
        "lw_models",
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("retrain", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("record", CanonicalJson(), nullable=False),
        sa.ForeignKeyConstraint(["retrain"], ["lw_retrains.id"], name="fk_lw_models_retrain"),
        sa.PrimaryKeyConstraint("line", "version", name="pk_lw_models"),
        sa.UniqueConstraint("retrain", name="uq_lw_models_retrain"),
    )
    _index("ix_lw_models_line_status", "lw_models", ["line", "status"])


def _decisions() -> None:
    _table(
        "lw_champions",
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("revision", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["line", "champion"], ["lw_models.line", "lw_models.version"], name="fk_lw_champions_line_champion"
        ),
        sa.ForeignKeyConstraint(
            ["line", "previous"], ["lw_models.line", "lw_models.version"], name="fk_lw_champions_line_previous"
        ),
        sa.PrimaryKeyConstraint("line", name="pk_lw_champions"),
    )
    _table(
        "lw_decisions",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("record", CanonicalJson(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line", "version"], ["lw_models.line", "lw_models.version"], name="fk_lw_decisions_line_version"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lw_decisions"),
    )
    _index("ix_lw_decisions_line_version", "lw_decisions", ["line", "version"])
    _table(
        "lw_outbox",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("decision", NUMBER, nullable=False),
        sa.Column("champion", sa.Integer(), nullable=True),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["decision"], ["lw_decisions.id"], name="fk_lw_outbox_decision"),
        sa.PrimaryKeyConstraint("id", name="pk_lw_outbox"),
    )
    _index("ix_lw_outbox_settled_id", "lw_outbox", ["settled", "id"])


def _verdicts_and_looks() -> None:
    _table(
        "lw_verdicts",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("verdict_id", sa.String(length=64), nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("sample", sa.String(length=64), nullable=False),
        sa.Column("path", LongText(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("uncertainty", sa.Double(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("start", NUMBER, nullable=True),
        sa.Column("end", NUMBER, nullable=True),
        sa.Column("overlay", LongText(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line", "model_version"], ["lw_models.line", "lw_models.version"], name="fk_lw_verdicts_line_model_version"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lw_verdicts"),
        sa.UniqueConstraint("verdict_id", name="uq_lw_verdicts_verdict_id"),
    )
    _index("ix_lw_verdicts_line_id", "lw_verdicts", ["line", "id"])
    _index("ix_lw_verdicts_line_model_version_verdict", "lw_verdicts", ["line", "model_version", "verdict"])
    _index("ix_lw_verdicts_line_sample", "lw_verdicts", ["line", "sample"])
    _table(
        "lw_looks",
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("dataset", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("line", "dataset", "split", "subject", name="pk_lw_looks"),
    )
    _table(
        "lw_ingests",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("record", CanonicalJson(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lw_ingests"),
    )
    _index("ix_lw_ingests_line_id", "lw_ingests", ["line", "id"])


def _drift() -> None:
    _table(
        "lw_drift_checks",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("html", LongText(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("record", CanonicalJson(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line", "champion"], ["lw_models.line", "lw_models.version"], name="fk_lw_drift_checks_line_champion"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lw_drift_checks"),
    )
    _index("ix_lw_drift_checks_line_champion", "lw_drift_checks", ["line", "champion"])
    _table(
        "lw_requests",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("reason", LongText(), nullable=False),
        sa.Column("drift_check", NUMBER, nullable=True),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("retrain", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["drift_check"], ["lw_drift_checks.id"], name="fk_lw_requests_drift_check"),
        sa.ForeignKeyConstraint(["retrain"], ["lw_retrains.id"], name="fk_lw_requests_retrain"),
        sa.PrimaryKeyConstraint("id", name="pk_lw_requests"),
    )
    _index("ix_lw_requests_line", "lw_requests", ["line"])

"""Registered model versions; the status of each lives in a column of its own and changes only by decisions."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from components.adapters.db.database import Database
from components.adapters.db.leases import Lease, Leases
from components.adapters.db.ledger import Ledger
from components.adapters.db.tables import CHAMPIONS, MODELS
from components.core.contracts import ModelVersion
from components.core.errors import ConflictError, UnknownVersionError
from components.core.hashing import sha256_json


class Models:
    """Registers and finds model versions."""

    def __init__(self, database: Database, ledger: Ledger, leases: Leases) -> None:
        self._database = database
        self._ledger = ledger
        self._leases = leases

    def register(self, lease: Lease, version: ModelVersion) -> ModelVersion:
        """Keep a candidate under the line's next number, which replaces `version.version`; return what was kept.

        A second call for the same retrain returns what the first kept. Older candidates stay candidates: several
        may wait for a decision.

        Raises:
            ConflictError: The lease is stale or of another line, or the version is not a candidate.
        """
        if version.status != "candidate" or version.line != lease.line:
            raise ConflictError(
                f"A {version.status} of line {version.line!r} cannot be registered under the lease of {lease.line!r}.",
                hint="Register candidates under their own line's lease.",
            )
        with self._database.write() as session:
            self._leases.guard(session, lease)
            known = session.execute(select(MODELS).where(MODELS.c.retrain == version.retrain)).one_or_none()
            if known is not None:
                return to_version(known)
            last = session.scalar(select(func.max(MODELS.c.version)).where(MODELS.c.line == version.line))
            kept = version.model_copy(update={"version": (last or 0) + 1})
            session.execute(insert(MODELS).values(_to_row(kept)))
            self._ledger.append(
                session, line=kept.line, kind="model registered", actor=kept.trainer, data=_summary(kept)
            )
            return kept

    def get(self, line: str, version: int) -> ModelVersion:
        """One version.

        Raises:
            UnknownVersionError: The line has none of that number.
        """
        with self._database.read() as session:
            return to_version(find(session, line=line, version=version))

    def list(self, line: str | None = None, status: str | None = None) -> tuple[ModelVersion, ...]:
        """Versions of the line, or of all lines, with the status, or with any; newest first."""
        query = select(MODELS).order_by(MODELS.c.created.desc(), MODELS.c.line, MODELS.c.version.desc())
        if line is not None:
            # Versions count up whatever the clock did.
            query = select(MODELS).where(MODELS.c.line == line).order_by(MODELS.c.version.desc())
        if status is not None:
            query = query.where(MODELS.c.status == status)
        with self._database.read() as session:
            return tuple(to_version(row) for row in session.execute(query))

    def champion(self, line: str) -> ModelVersion | None:
        """The line's champion, None before the first approval."""
        return self._named(line, column="champion")

    def previous(self, line: str) -> ModelVersion | None:
        """The champion before the champion: what a rollback returns to."""
        return self._named(line, column="previous")

    def _named(self, line: str, *, column: str) -> ModelVersion | None:
        named = (MODELS.c.line == CHAMPIONS.c.line) & (MODELS.c.version == CHAMPIONS.c[column])
        query = select(MODELS).join(CHAMPIONS, named).where(CHAMPIONS.c.line == line)
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
            return None if row is None else to_version(row)


def find(session: Connection, *, line: str, version: int) -> Row[Any]:
    """The row of one version; see `Models.get`."""
    mine = (MODELS.c.line == line) & (MODELS.c.version == version)
    row = session.execute(select(MODELS).where(mine)).one_or_none()
    if row is None:
        numbers = session.scalars(select(MODELS.c.version).where(MODELS.c.line == line).order_by(MODELS.c.version))
        there = ", ".join(f"v{number}" for number in numbers)
        raise UnknownVersionError(
            f"Line {line!r} has no model version {version}.",
            hint=f"There are: {there}." if there else f"Make one: linewright retrain {line}",
        )
    return row


def to_version(row: Row[Any]) -> ModelVersion:
    """The record of a row, with the status it has now."""
    return ModelVersion.model_validate({**row.record, "status": row.status})


def _to_row(version: ModelVersion) -> dict[str, Any]:
    columns = version.model_dump(include={"line", "version", "status", "created", "retrain", "dataset"})
    return {**columns, "record": version.model_dump(mode="json")}


def _summary(version: ModelVersion) -> dict[str, Any]:
    """What the ledger keeps: enough to prove later that record and files are those that were registered."""
    names = {"version", "retrain", "dataset", "detector", "mlflow_run", "files"}
    record = version.model_dump(mode="json")
    return {**{name: record[name] for name in names}, "record_sha256": sha256_json({**record, "status": ""})}

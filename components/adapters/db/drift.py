"""Drift checks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select

from components.adapters.db.database import Database
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import DRIFT_CHECKS
from components.core.contracts import now
from components.core.drift_report import DriftReport
from components.core.errors import UnknownVersionError


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCheck:
    """A stored report; `html` is its page relative to the workspace, or ""."""

    check_id: int
    champion: int
    html: str
    created: datetime
    report: DriftReport


class Drift:
    """Adds and finds drift checks."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def add(self, report: DriftReport, *, champion: int, html: str, actor: str = SYSTEM) -> int:
        """Keep a report against the champion of that version; return the check's id.

        Raises:
            ConflictError: That version is not recorded.
        """
        row = {"line": report.line, "champion": champion, "verdict": report.verdict, "html": html, "created": now()}
        with self._database.write() as session:
            query = insert(DRIFT_CHECKS).values(**row, record=report.model_dump(mode="json"))
            made = session.execute(query).inserted_primary_key
            assert made is not None
            data = report.model_dump(
                mode="json", include={"verdict", "kind", "reference", "current", "check", "detail"}
            )
            data |= {"drift_check": made[0], "champion": champion}
            self._ledger.append(session, line=report.line, kind="drift checked", actor=actor, data=data)
            return int(made[0])

    def checks_since(self, line: str, champion: int, *, decided: bool = False) -> int:
        """Checks made against that champion so far; `decided`: those that had enough data for a verdict."""
        mine = (DRIFT_CHECKS.c.line == line) & (DRIFT_CHECKS.c.champion == champion)
        if decided:
            mine &= DRIFT_CHECKS.c.verdict != "not enough data"
        with self._database.read() as session:
            return int(session.scalar(select(func.count()).select_from(DRIFT_CHECKS).where(mine)) or 0)

    def latest(self, line: str) -> DriftCheck | None:
        """The newest check of the line."""
        found = self.list(line, limit=1)
        return found[0] if found else None

    def list(self, line: str, *, limit: int = 20) -> tuple[DriftCheck, ...]:
        """At most `limit` checks, newest first."""
        query = select(DRIFT_CHECKS).where(DRIFT_CHECKS.c.line == line).order_by(DRIFT_CHECKS.c.id.desc())
        with self._database.read() as session:
            return tuple(_check(row) for row in session.execute(query.limit(limit)))

    def get(self, check_id: int) -> DriftCheck:
        """One check.

        Raises:
            UnknownVersionError: There is none of that id.
        """
        with self._database.read() as session:
            row = session.execute(select(DRIFT_CHECKS).where(DRIFT_CHECKS.c.id == check_id)).one_or_none()
        if row is None:
            raise UnknownVersionError(
                f"There is no drift check {check_id}.", hint="`linewright status` shows the last."
            )
        return _check(row)


def _check(row: Row[Any]) -> DriftCheck:
    return DriftCheck(
        check_id=row.id,
        champion=row.champion,
        html=row.html,
        created=row.created,
        report=DriftReport.model_validate(row.record),
    )

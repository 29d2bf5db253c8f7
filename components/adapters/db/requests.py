"""Requests for a retrain that drift left behind while nobody was there to run it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from components.adapters.db.database import Database
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import REQUESTS
from components.core.contracts import now
from components.core.errors import ConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRequest:
    """Why a retrain is wanted; `drift_check` is the check that asked for it, if one did."""

    request_id: str
    line: str
    reason: str
    drift_check: int | None
    created: datetime


class Requests:
    """At most one pending request a line."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def request_retrain(
        self, line: str, *, reason: str, drift_check: int | None = None, actor: str = SYSTEM
    ) -> RetrainRequest:
        """Ask for a retrain; while one is pending, it is returned and nothing is added."""
        with self._database.write() as session:
            row = session.execute(_pending(line)).one_or_none()
            if row is not None:
                return _request(row)
            data = {"reason": reason, "drift_check": drift_check}
            made = secrets.token_hex(8)
            session.execute(insert(REQUESTS).values(id=made, line=line, created=now(), **data))
            data = {"request": made, **data}
            self._ledger.append(session, line=line, kind="retrain requested", actor=actor, data=data)
            return _request(session.execute(_pending(line)).one())

    def pending(self, line: str) -> RetrainRequest | None:
        """The line's request that no retrain has answered; None if there is none."""
        with self._database.read() as session:
            row = session.execute(_pending(line)).one_or_none()
        return None if row is None else _request(row)

    def answered_by(self, retrain_id: str) -> tuple[RetrainRequest, ...]:
        """The requests that a retrain answered, oldest first."""
        query = select(REQUESTS).where(REQUESTS.c.retrain == retrain_id).order_by(REQUESTS.c.created)
        with self._database.read() as session:
            return tuple(_request(row) for row in session.execute(query))

    def close(self, request_id: str, retrain_id: str) -> None:
        """Mark the request as answered by a retrain; doing it twice does no harm.

        Raises:
            ConflictError: There is no such request, or another retrain answered it.
        """
        with self._database.write() as session:
            row = session.execute(select(REQUESTS).where(REQUESTS.c.id == request_id)).one_or_none()
            if row is None or row.retrain not in {None, retrain_id}:
                state = "unknown" if row is None else f"answered by retrain {row.retrain}"
                raise ConflictError(f"Request {request_id!r} is {state}.", hint="Ask for the pending one again.")
            if row.retrain is None:
                session.execute(update(REQUESTS).where(REQUESTS.c.id == request_id).values(retrain=retrain_id))
                data = {"request": request_id, "retrain": retrain_id}
                self._ledger.append(session, line=row.line, kind="retrain request closed", actor=SYSTEM, data=data)


def _pending(line: str) -> Any:
    return select(REQUESTS).where(REQUESTS.c.line == line, REQUESTS.c.retrain.is_(None))


def _request(row: Row[Any]) -> RetrainRequest:
    fields = {name: getattr(row, name) for name in ("line", "reason", "drift_check", "created")}
    return RetrainRequest(request_id=row.id, **fields)

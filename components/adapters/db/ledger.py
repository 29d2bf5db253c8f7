"""The append-only, hash-chained record of every act and its actor."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from components.adapters.db.database import Database
from components.adapters.db.tables import LEDGER, LEDGER_HEAD
from components.core.contracts import now
from components.core.errors import IntegrityError
from components.core.hashing import canonical_json, sha256_json

SYSTEM = "system"
"""Actor of acts that no person asked for."""

GENESIS = "0" * 64
"""What the first event has for a predecessor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One act.

    Attributes:
        number: From 1, without gaps.
        line: Line it concerns, "" for the whole installation.
        previous: `hash` of the event before it.
        hash: SHA-256 over the canonical JSON of everything above; see `event_hash`.
    """

    number: int
    time: datetime
    line: str
    kind: str
    actor: str
    data: dict[str, Any]
    previous: str
    hash: str


def event_hash(
    *, previous: str, number: int, time: datetime, line: str, kind: str, actor: str, data: dict[str, Any]
) -> str:
    """Hex SHA-256 over the canonical JSON of the previous hash and the event; anybody can compute it again."""
    body = {"number": number, "time": time.isoformat(), "line": line, "kind": kind, "actor": actor, "data": data}
    return sha256_json({"previous": previous, "event": body})


class Ledger:
    """Appends, reads and verifies events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, session: Connection, *, line: str, kind: str, actor: str, data: dict[str, Any]) -> int:
        """Add one event within the write transaction `session`; return its number.

        It is there exactly when the act it tells of is. `Database.write` holds the head, so that appends queue.
        """
        head = session.execute(select(LEDGER_HEAD.c.number, LEDGER_HEAD.c.hash)).one()
        body = {"number": head.number + 1, "time": now(), "line": line, "kind": kind, "actor": actor, "data": data}
        digest = event_hash(previous=head.hash, **body)
        row = {**body, "data": canonical_json(data), "previous": head.hash, "hash": digest}
        session.execute(insert(LEDGER).values(row))
        session.execute(update(LEDGER_HEAD).values(number=head.number + 1, hash=digest))
        return int(head.number) + 1

    def note(self, kind: str, *, line: str = "", actor: str = SYSTEM, data: dict[str, Any]) -> int:
        """Add one event in a transaction of its own, for acts that write nothing else here (a key, a line)."""
        with self._database.write() as session:
            return self.append(session, line=line, kind=kind, actor=actor, data=data)

    def events(
        self, line: str | None = None, *, kind: str | None = None, after: int = 0, limit: int | None = None
    ) -> tuple[Event, ...]:
        """Events with a number above `after`, oldest first; all, of all lines and kinds, where these are None."""
        query = select(LEDGER).where(LEDGER.c.number > after).order_by(LEDGER.c.number).limit(limit)
        if line is not None:
            query = query.where(LEDGER.c.line == line)
        if kind is not None:
            query = query.where(LEDGER.c.kind == kind)
        with self._database.read() as session:
            return tuple(_event(row) for row in session.execute(query))

    def verify(self) -> int:
        """Compute every hash again; return the number of events.

        A changed, removed or inserted event is found, and so is a cut tail while the head row is left. Someone who
        may write the database can rewrite chain and head together; only a head kept elsewhere tells of that.

        Raises:
            IntegrityError: Names the first event that is not what was written.
        """
        number, previous = 0, GENESIS
        query = select(LEDGER).order_by(LEDGER.c.number).execution_options(yield_per=1000)
        with self._database.read() as session:
            with session.execute(query) as rows:
                for row in rows:
                    number += 1
                    _check(row, number=number, previous=previous)
                    previous = row.hash
            head = session.execute(select(LEDGER_HEAD.c.number, LEDGER_HEAD.c.hash)).one_or_none()
        if head is None or (head.number, head.hash) != (number, previous):
            written = "nothing" if head is None else f"{head.number}"
            raise IntegrityError(
                f"The ledger ends with event {number}, but its head tells of {written}.", hint="Restore a backup."
            )
        return number


def _event(row: Row[Any]) -> Event:
    return Event(**{**row._mapping, "data": json.loads(row.data)})


def _check(row: Row[Any], *, number: int, previous: str) -> None:
    if row.number != number:
        raise IntegrityError(f"Event {number} of the ledger is missing.", hint="Restore a backup.")
    if row.previous != previous or _again(row) != row.hash:
        what = f"{row.kind!r} by {row.actor!r} on line {row.line!r}"
        raise IntegrityError(f"Event {number} of the ledger ({what}) was changed.", hint="Restore a backup.")


def _again(row: Row[Any]) -> str:
    """The hash the row should have; "" when its data is not the canonical JSON that was written."""
    try:
        data = json.loads(row.data)
    except ValueError:
        return ""
    if canonical_json(data) != row.data:
        return ""
    fields = {name: getattr(row, name) for name in ("previous", "number", "time", "line", "kind", "actor")}
    return event_hash(**fields, data=data)

"""Leases with fencing tokens: at most one retrain of a line writes, however it was started.

A lease says who may write; the token says whose write still counts. Each acquisition of a line gets a higher token,
every write of a retrain names its own, and one that is not the newest is refused. So even a process that slept
through the loss of its lease cannot do harm (M. Kleppmann, "How to do distributed locking", 2016).

Clocks: a server's own clock judges leases on PostgreSQL and MariaDB. An SQLite file has one machine's processes as
its users, so the kernel's monotonic clock judges there, which no clock change moves; a lease of another boot is over.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal_column, select, update

from components.adapters.db.database import Database
from components.adapters.db.heartbeat import HeldLease
from components.adapters.db.holder import boot_id, describe, is_gone
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import LEASES
from components.core.errors import ConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to retrain `line` until `ttl` seconds after the last renewal.

    Attributes:
        token: Fencing token, strictly increasing over all leases of the line.
        holder: See `components.adapters.db.holder.this_process`.
    """

    line: str
    token: int
    holder: str
    ttl: float


class Leases:
    """Acquires, renews, releases and guards."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def acquire(self, line: str, *, holder: str, ttl: float) -> Lease:
        """Take the line's lease if nobody has it, its holder is gone from this machine, or it has run out.

        Raises:
            ConflictError: A live holder has it; the message names the holder.
        """
        with self._database.write() as session:
            row = _row(session, line)
            boot, moment = _clock(session)
            if row is not None and row.holder and _alive(row, boot=boot, moment=moment):
                raise ConflictError(
                    f"Line {line!r} is being retrained by {describe(row.holder)}.",
                    hint="Wait until it ends; `linewright status` shows it.",
                )
            lease = Lease(line=line, token=row.token + 1 if row else 1, holder=holder, ttl=ttl)
            values = {"token": lease.token, "holder": holder, "boot": boot, "expires": moment + ttl}
            if row is None:
                session.execute(insert(LEASES).values(line=line, **values))
            else:
                session.execute(update(LEASES).where(LEASES.c.line == line).values(values))
                self._note_takeover(session, row=row, lease=lease)
            return lease

    def renew(self, lease: Lease) -> None:
        """Move the end to `ttl` seconds from now. A lease that ran out and that nobody took is renewed as well.

        Raises:
            ConflictError: It was taken over or released.
        """
        with self._database.write() as session:
            self.guard(session, lease)
            boot, moment = _clock(session)
            change = update(LEASES).where(LEASES.c.line == lease.line)
            session.execute(change.values(boot=boot, expires=moment + lease.ttl))

    def release(self, lease: Lease) -> None:
        """Give the line free; nothing happens when the lease is another's by now."""
        mine = (LEASES.c.line == lease.line) & (LEASES.c.token == lease.token)
        with self._database.write() as session:
            session.execute(update(LEASES).where(mine).values(holder=""))

    def guard(self, session: Connection, lease: Lease) -> None:
        """Refuse to go on within the write transaction `session` unless `lease` is the line's newest and unreleased.

        Raises:
            ConflictError: The token is stale.
        """
        row = _row(session, lease.line)
        if row is None or row.token != lease.token or row.holder != lease.holder:
            by = f" by {describe(row.holder)}" if row is not None and row.holder else ""
            raise ConflictError(
                f"The lease of line {lease.line!r} (token {lease.token}) was lost{by}.",
                hint="Nothing was written; run the retrain again, it resumes.",
            )

    def holder(self, line: str, *, token: int | None = None) -> str:
        """The live holder of the line's lease, "" if there is none or if it holds another than `token`."""
        with self._database.read() as session:
            return live_holder(session, line=line, token=token)

    @contextmanager
    def hold(self, line: str, *, holder: str, ttl: float) -> Iterator[HeldLease[Lease]]:
        """Acquire; renew every third of `ttl` in a daemon thread; release at the end.

        Yields:
            `.lease`, and `.taken`, which long work asks before each step.

        Raises:
            ConflictError: See `acquire`.
        """
        held = HeldLease(self.acquire(line, holder=holder, ttl=ttl), renew=self.renew, ttl=ttl)
        held.start()
        try:
            yield held
        finally:
            held.stop()
            self.release(held.lease)

    def _note_takeover(self, session: Connection, *, row: Row[Any], lease: Lease) -> None:
        if row.holder:
            data = {"from": row.holder, "to": lease.holder, "token": lease.token}
            self._ledger.append(session, line=lease.line, kind="lease taken over", actor=SYSTEM, data=data)


def live_holder(session: Connection, *, line: str, token: int | None) -> str:
    """See `Leases.holder`; within a transaction."""
    row = _row(session, line)
    if row is None or not row.holder or (token is not None and row.token != token):
        return ""
    boot, moment = _clock(session)
    return str(row.holder) if _alive(row, boot=boot, moment=moment) else ""


def _row(session: Connection, line: str) -> Row[Any] | None:
    return session.execute(select(LEASES).where(LEASES.c.line == line)).one_or_none()


def _alive(row: Row[Any], *, boot: str, moment: float) -> bool:
    return row.boot == boot and moment < row.expires and not is_gone(row.holder)


def _clock(session: Connection) -> tuple[str, float]:
    """What the seconds count from, and the seconds; taken when asked, not when the transaction began."""
    if session.dialect.name == "sqlite":
        return boot_id(), time.monotonic()
    if session.dialect.name == "postgresql":
        seconds = session.scalar(select(func.extract("epoch", func.clock_timestamp())))
    else:
        seconds = session.scalar(select(func.unix_timestamp(func.now(literal_column("6")))))
    return "", float(seconds or 0)

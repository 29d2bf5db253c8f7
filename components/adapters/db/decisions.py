"""Decisions of people on model versions: one compare-and-set each, so that of several at once exactly one wins."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from components.adapters.db.database import Database
from components.adapters.db.ledger import Ledger
from components.adapters.db.models import find, to_version
from components.adapters.db.tables import CHAMPIONS, DECISIONS, MODELS, OUTBOX
from components.core.contracts import Decision, ModelVersion
from components.core.errors import ConflictError

EVENTS = {"approve": "model approved", "reject": "model rejected", "rollback": "champion rolled back"}
"""What the ledger calls each action of a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """A change that MLflow's aliases of `line` may not show yet.

    Attributes:
        version, action: Of the decision that caused it.
        champion, previous: Versions after that decision; a newer decision may have changed them since, so whoever
            copies them asks `Models.champion` and `Models.previous` and uses this only to know which lines to visit.
    """

    outbox_id: int
    line: str
    action: str
    version: int
    champion: int | None
    previous: int | None


class Decisions:
    """Makes decisions and remembers them."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def decide(self, decision: Decision, *, expected_champion: int | None) -> ModelVersion:
        """Carry out a signed decision, or nothing of it; return the version with its new status.

        One transaction compares the champion with `expected_champion`, changes the statuses, and writes decision,
        ledger event and outbox item. Approve: candidate → champion → previous → archived. Reject: candidate →
        rejected. Rollback: champion and previous change places; `decision.version` is the one that returns.

        Raises:
            ConflictError: Another decision came first; the message names what changed.
            UnknownVersionError: There is no such version.
        """
        with self._database.write() as session:
            target = find(session, line=decision.line, version=decision.version)
            state = session.execute(select(CHAMPIONS).where(CHAMPIONS.c.line == decision.line)).one_or_none()
            champion = state.champion if state else None
            if champion != expected_champion:
                raise _conflict(f"the champion of {decision.line!r} is {_v(champion)}, not {_v(expected_champion)}")
            self._carry_out(session, decision, target=target, state=state)
            after = session.execute(select(CHAMPIONS).where(CHAMPIONS.c.line == decision.line)).one_or_none()
            self._remember(session, decision, before=state, after=after)
            return to_version(find(session, line=decision.line, version=decision.version))

    def history(self, line: str, version: int | None = None) -> tuple[Decision, ...]:
        """Decisions on the line's versions, or on one of them; oldest first."""
        query = select(DECISIONS.c.record).where(DECISIONS.c.line == line).order_by(DECISIONS.c.id)
        if version is not None:
            query = query.where(DECISIONS.c.version == version)
        with self._database.read() as session:
            return tuple(Decision.model_validate(record) for record in session.scalars(query))

    def outbox(self) -> tuple[OutboxItem, ...]:
        """Items not settled yet, oldest first."""
        query = select(OUTBOX, DECISIONS.c.record).join(DECISIONS, DECISIONS.c.id == OUTBOX.c.decision)
        query = query.where(OUTBOX.c.settled.is_(False)).order_by(OUTBOX.c.id)
        with self._database.read() as session:
            return tuple(_item(row) for row in session.execute(query))

    def settle(self, outbox_id: int) -> None:
        """Mark one item as copied; doing it twice does no harm."""
        with self._database.write() as session:
            session.execute(update(OUTBOX).where(OUTBOX.c.id == outbox_id).values(settled=True))

    def _carry_out(self, session: Connection, decision: Decision, *, target: Row[Any], state: Row[Any] | None) -> None:
        wanted = "previous" if decision.action == "rollback" else "candidate"
        if target.status != wanted:
            raise _conflict(f"version {target.version} of {target.line!r} is {target.status}, not {wanted}")
        if decision.action == "reject":
            _set_status(session, line=target.line, version=target.version, status="rejected")
            return
        champion, previous = (state.champion, state.previous) if state else (None, None)
        if decision.action == "approve" and previous is not None:
            _set_status(session, line=target.line, version=previous, status="archived")
        if champion is not None:
            _set_status(session, line=target.line, version=champion, status="previous")
        _set_status(session, line=target.line, version=target.version, status="champion")
        _set_champion(session, target=target, state=state)

    def _remember(
        self, session: Connection, decision: Decision, *, before: Row[Any] | None, after: Row[Any] | None
    ) -> None:
        record = decision.model_dump(mode="json")
        row = {"line": decision.line, "version": decision.version, "record": record}
        made = session.execute(insert(DECISIONS).values(row)).inserted_primary_key
        assert made is not None
        aliases = {"champion": after.champion if after else None, "previous": after.previous if after else None}
        session.execute(insert(OUTBOX).values(line=decision.line, decision=made[0], settled=False, **aliases))
        was = {"champion": before.champion if before else None, "previous": before.previous if before else None}
        data = {"decision": record, "before": was, "after": aliases}
        kind = EVENTS[decision.action]
        self._ledger.append(session, line=decision.line, kind=kind, actor=decision.actor, data=data)


def _set_status(session: Connection, *, line: str, version: int, status: str) -> None:
    mine = (MODELS.c.line == line) & (MODELS.c.version == version)
    session.execute(update(MODELS).where(mine).values(status=status))


def _set_champion(session: Connection, *, target: Row[Any], state: Row[Any] | None) -> None:
    if state is None:
        session.execute(insert(CHAMPIONS).values(line=target.line, champion=target.version, revision=1))
        return
    same = (CHAMPIONS.c.line == target.line) & (CHAMPIONS.c.revision == state.revision)
    values = {"champion": target.version, "previous": state.champion, "revision": state.revision + 1}
    if session.execute(update(CHAMPIONS).where(same).values(values)).rowcount != 1:
        raise _conflict(f"the champion of {target.line!r} changed")


def _item(row: Row[Any]) -> OutboxItem:
    decision = row.record
    return OutboxItem(
        outbox_id=row.id,
        line=row.line,
        action=decision["action"],
        version=decision["version"],
        champion=row.champion,
        previous=row.previous,
    )


def _conflict(what: str) -> ConflictError:
    return ConflictError(
        f"Another decision came first: {what}.", hint="Look at `linewright candidates` and decide again."
    )


def _v(version: int | None) -> str:
    return "none" if version is None else f"version {version}"

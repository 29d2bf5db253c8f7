"""Retrains: begun once, resumed after a crash, finished once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from components.adapters.db.database import Database
from components.adapters.db.leases import Lease, Leases, live_holder
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.models import to_version
from components.adapters.db.tables import MODELS, RETRAINS, STAGES
from components.core.contracts import ModelVersion, now
from components.core.errors import ConflictError, UnknownVersionError

RetrainState = Literal["running", "unfinished", "done", "failed", "crashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """One retrain of a line.

    Attributes:
        key: Digest of data, configuration, seed, budget and code: the same key gives the same model.
        state: "unfinished" where its holder is gone, interrupted or killed: it can be gone on with. "crashed" once
            another was begun in its place.
        stages: Stage → what its checkpoint holds.
    """

    retrain_id: str
    line: str
    key: str
    dataset: int
    actor: str
    config: dict[str, Any]
    request: str
    state: RetrainState
    started: datetime
    finished: datetime | None
    detail: dict[str, Any]
    stages: dict[str, dict[str, Any]]


class Retrains:
    """Begins, checkpoints, finishes and finds retrains; every write is guarded by the line's lease."""

    def __init__(self, database: Database, ledger: Ledger, leases: Leases) -> None:
        self._database = database
        self._ledger = ledger
        self._leases = leases

    def begin(
        self,
        lease: Lease,
        *,
        retrain_id: str,
        key: str,
        dataset: int,
        actor: str,
        config: dict[str, Any],
        request: str = "",
    ) -> Retrain:
        """Begin a retrain, or go on with the unfinished one of the same id and key.

        Another unfinished retrain of the line is marked crashed: the lease is ours, so nobody works on it.

        Raises:
            ConflictError: The lease is stale, or the id is of a retrain that ended or had another key.
        """
        with self._database.write() as session:
            self._leases.guard(session, lease)
            self._crash_others(session, line=lease.line, but=retrain_id)
            row = session.execute(select(RETRAINS).where(RETRAINS.c.id == retrain_id)).one_or_none()
            if row is None:
                values = {"key": key, "dataset": dataset, "actor": actor, "config": config, "request": request}
                first = {"state": "running", "token": lease.token, "started": now(), "detail": {}}
                session.execute(insert(RETRAINS).values(id=retrain_id, line=lease.line, **values, **first))
            elif (row.line, row.key, row.state) != (lease.line, key, "running"):
                raise ConflictError(
                    f"Retrain {retrain_id} of line {row.line!r} is {row.state} and cannot be begun again.",
                    hint="Begin one with another id.",
                )
            else:
                session.execute(update(RETRAINS).where(RETRAINS.c.id == retrain_id).values(token=lease.token))
            kind = "retrain begun" if row is None else "retrain resumed"
            data = {"retrain": retrain_id, "key": key, "dataset": dataset, "request": request, "token": lease.token}
            self._ledger.append(session, line=lease.line, kind=kind, actor=actor, data=data)
            return _load(session, retrain_id)

    def checkpoint(self, lease: Lease, retrain_id: str, stage: str, data: dict[str, Any]) -> None:
        """Keep what `stage` gave, so that a killed retrain need not do it again; a second call replaces the first.

        Raises:
            ConflictError: The lease is stale or the retrain is not running.
        """
        with self._database.write() as session:
            self._running(session, lease, retrain_id)
            mine = (STAGES.c.retrain == retrain_id) & (STAGES.c.stage == stage)
            values = {"data": data, "time": now()}
            if session.execute(select(STAGES.c.stage).where(mine)).one_or_none() is None:
                session.execute(insert(STAGES).values(retrain=retrain_id, stage=stage, **values))
            else:
                session.execute(update(STAGES).where(mine).values(values))

    def finish(
        self,
        lease: Lease,
        retrain_id: str,
        state: Literal["done", "failed", "crashed"],
        detail: dict[str, Any],
    ) -> None:
        """End the retrain; nothing happens when it has ended in the same state before.

        Raises:
            ConflictError: The lease is stale or the retrain has ended otherwise.
        """
        with self._database.write() as session:
            self._leases.guard(session, lease)
            row = session.execute(select(RETRAINS).where(RETRAINS.c.id == retrain_id)).one_or_none()
            if row is not None and row.line == lease.line and row.state == state:
                return
            self._running(session, lease, retrain_id)
            self._end(session, row=row, state=state, detail=detail)

    def open(self, line: str) -> Retrain | None:
        """The line's unfinished retrain; its state is "running" while its holder lives, else "unfinished"."""
        query = select(RETRAINS.c.id).where(RETRAINS.c.line == line, RETRAINS.c.state == "running")
        with self._database.read() as session:
            found = session.scalar(query.order_by(RETRAINS.c.started.desc()).limit(1))
            return None if found is None else _load(session, found)

    def get(self, retrain_id: str) -> Retrain:
        """One retrain.

        Raises:
            UnknownVersionError: There is none of that id.
        """
        with self._database.read() as session:
            return _load(session, retrain_id)

    def find_done(self, line: str, key: str) -> ModelVersion | None:
        """The newest model that a finished retrain of the same key gave; None if there is none."""
        query = select(MODELS).join(RETRAINS, RETRAINS.c.id == MODELS.c.retrain)
        same = (RETRAINS.c.line == line) & (RETRAINS.c.key == key) & (RETRAINS.c.state == "done")
        with self._database.read() as session:
            row = session.execute(query.where(same).order_by(MODELS.c.version.desc()).limit(1)).one_or_none()
            return None if row is None else to_version(row)

    def list(self, line: str | None = None, *, limit: int = 20) -> tuple[Retrain, ...]:
        """At most `limit` retrains of the line, or of all lines; newest first."""
        query = select(RETRAINS.c.id).limit(limit)
        if line is None:
            query = query.order_by(RETRAINS.c.started.desc())
        else:
            # Tokens rise whatever the clock did.
            query = query.where(RETRAINS.c.line == line).order_by(RETRAINS.c.token.desc(), RETRAINS.c.started.desc())
        with self._database.read() as session:
            return tuple(_load(session, found) for found in session.scalars(query).all())

    def _crash_others(self, session: Connection, *, line: str, but: str) -> None:
        others = (RETRAINS.c.line == line) & (RETRAINS.c.state == "running") & (RETRAINS.c.id != but)
        for row in session.execute(select(RETRAINS).where(others)).all():
            self._end(
                session, row=row, state="crashed", detail={"error": "it was left unfinished and another was begun"}
            )

    def _running(self, session: Connection, lease: Lease, retrain_id: str) -> None:
        self._leases.guard(session, lease)
        row = session.execute(select(RETRAINS).where(RETRAINS.c.id == retrain_id)).one_or_none()
        if row is None or (row.line, row.state, row.token) != (lease.line, "running", lease.token):
            state = "unknown" if row is None else row.state
            raise ConflictError(
                f"Retrain {retrain_id} of line {lease.line!r} is not running under this lease (it is {state}).",
                hint="Begin it first.",
            )

    def _end(self, session: Connection, *, row: Row[Any] | None, state: str, detail: dict[str, Any]) -> None:
        assert row is not None
        change = update(RETRAINS).where(RETRAINS.c.id == row.id)
        session.execute(change.values(state=state, finished=now(), detail=detail))
        actor = SYSTEM if state == "crashed" else row.actor
        data = {"retrain": row.id, "state": state, "detail": detail}
        self._ledger.append(session, line=row.line, kind=f"retrain {state}", actor=actor, data=data)


def _load(session: Connection, retrain_id: str) -> Retrain:
    row = session.execute(select(RETRAINS).where(RETRAINS.c.id == retrain_id)).one_or_none()
    if row is None:
        raise UnknownVersionError(f"There is no retrain {retrain_id!r}.", hint="`linewright status` lists them.")
    stages = session.execute(select(STAGES.c.stage, STAGES.c.data).where(STAGES.c.retrain == retrain_id))
    fields = {name: value for name, value in row._mapping.items() if name not in {"id", "token", "state"}}
    state = row.state
    if state == "running" and not live_holder(session, line=row.line, token=row.token):
        state = "unfinished"
    return Retrain(retrain_id=row.id, state=state, stages={found.stage: found.data for found in stages}, **fields)

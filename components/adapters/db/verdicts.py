"""Verdicts: what detectors said of samples, many at a time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, func, insert, select

from components.adapters.db.database import Database
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import VERDICTS
from components.core.contracts import Verdict
from components.core.errors import UnknownVersionError
from components.core.hashing import SHORTEST, sha256_json

_ROWS = 2000
"""Rows of one statement: large enough to be quick, small enough for MariaDB's packet limit of 16 MB."""


class Verdicts:
    """Adds and finds verdicts."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def add(self, verdicts: Sequence[Verdict], *, actor: str = SYSTEM) -> None:
        """Keep all of `verdicts`, or none; one ledger event a line and model version tells of them by digest.

        Raises:
            ConflictError: A `verdict_id` is there already, or a model version is not recorded.
        """
        if not verdicts:
            return
        rows = [verdict.model_dump() for verdict in verdicts]
        with self._database.write() as session:
            for start in range(0, len(rows), _ROWS):
                session.execute(insert(VERDICTS), rows[start : start + _ROWS])
            for (line, version), scored in _by_model(verdicts).items():
                data = {"model_version": version, "count": len(scored), "sha256": sha256_json(scored)}
                self._ledger.append(session, line=line, kind="samples scored", actor=actor, data=data)

    def get(self, verdict_id: str) -> Verdict:
        """The verdict of that id, or the only one that begins with it; see `components.core.hashing.SHORTEST`.

        Raises:
            UnknownVersionError: There is none of that id, or more than one.
        """
        mine = VERDICTS.c.verdict_id == verdict_id
        if len(verdict_id) >= SHORTEST:
            # A range, which the index answers; ids are hexadecimal, and "g" comes after them all.
            mine |= (VERDICTS.c.verdict_id > verdict_id) & (VERDICTS.c.verdict_id < f"{verdict_id}g")
        found = self._select(select(VERDICTS).where(mine).order_by(VERDICTS.c.verdict_id).limit(2))
        if not found:
            raise UnknownVersionError(
                f"There is no verdict {verdict_id!r}.", hint="`linewright score` prints their ids."
            )
        if len(found) > 1 and found[0].verdict_id != verdict_id:
            raise UnknownVersionError(f"More than one verdict begins with {verdict_id!r}.", hint="Give more of its id.")
        return found[0]

    def latest(self, line: str, sample: str) -> Verdict | None:
        """The newest verdict on a sample; None if it was never scored."""
        found = self.of_sample(line, sample, limit=1)
        return found[0] if found else None

    def of_sample(self, line: str, sample: str, *, limit: int = 100) -> tuple[Verdict, ...]:
        """At most `limit` verdicts on a sample, newest first."""
        mine = (VERDICTS.c.line == line) & (VERDICTS.c.sample == sample)
        return self._select(select(VERDICTS).where(mine).order_by(VERDICTS.c.id.desc()).limit(limit))

    def recent(self, line: str, limit: int = 100, *, model_version: int | None = None) -> tuple[Verdict, ...]:
        """At most `limit` verdicts of the line, or of one of its models; newest first."""
        query = select(VERDICTS).where(VERDICTS.c.line == line).order_by(VERDICTS.c.id.desc()).limit(limit)
        if model_version is not None:
            query = query.where(VERDICTS.c.model_version == model_version)
        return self._select(query)

    def counts(self, line: str, *, model_version: int) -> dict[str, int]:
        """How often the model said OK, NG and unsure; every word is there, at 0 if never said."""
        mine = (VERDICTS.c.line == line) & (VERDICTS.c.model_version == model_version)
        query = select(VERDICTS.c.verdict, func.count()).where(mine).group_by(VERDICTS.c.verdict)
        with self._database.read() as session:
            found: dict[str, int] = {row[0]: row[1] for row in session.execute(query)}
        return {"OK": 0, "NG": 0, "unsure": 0, **found}

    def _select(self, query: Select[Any]) -> tuple[Verdict, ...]:
        with self._database.read() as session:
            return tuple(_verdict(row) for row in session.execute(query))


def _verdict(row: Row[Any]) -> Verdict:
    return Verdict.model_validate({name: value for name, value in row._mapping.items() if name != "id"})


def _by_model(verdicts: Sequence[Verdict]) -> dict[tuple[str, int], list[list[Any]]]:
    grouped: dict[tuple[str, int], list[list[Any]]] = {}
    for verdict in verdicts:
        shown = [verdict.verdict_id, verdict.sample, verdict.score, verdict.threshold, verdict.verdict]
        grouped.setdefault((verdict.line, verdict.model_version), []).append(shown)
    return grouped

"""What each ingest did."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from components.adapters.db.database import Database
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import INGESTS
from components.core.contracts import IngestSummary, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """A stored summary."""

    ingest_id: int
    created: datetime
    summary: IngestSummary


class Ingests:
    """Adds and lists summaries."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def add(self, summary: IngestSummary, *, actor: str = SYSTEM) -> int:
        """Keep a summary; return the ingest's id."""
        line, record = summary.line, summary.model_dump(mode="json")
        version = summary.version
        data = {name: record[name] for name in ("created_version", "found", "added", "duplicates", "skipped")}
        data["quarantined"] = len(summary.quarantined)
        data["dataset"] = version.tag if version else None
        data["manifest_sha256"] = version.manifest_sha256 if version else None
        with self._database.write() as session:
            made = session.execute(insert(INGESTS).values(line=line, created=now(), record=record)).inserted_primary_key
            assert made is not None
            self._ledger.append(session, line=line, kind="data ingested", actor=actor, data=data)
            return int(made[0])

    def list(self, line: str, *, limit: int = 20) -> tuple[Ingest, ...]:
        """At most `limit` ingests of the line, newest first."""
        query = select(INGESTS).where(INGESTS.c.line == line).order_by(INGESTS.c.id.desc()).limit(limit)
        with self._database.read() as session:
            return tuple(
                Ingest(ingest_id=row.id, created=row.created, summary=IngestSummary.model_validate(row.record))
                for row in session.execute(query)
            )

"""Looks at sealed splits: each one spends a little of what the test set can still prove."""

from sqlalchemy import func, insert, select

from components.adapters.db.database import Database
from components.adapters.db.ledger import SYSTEM, Ledger
from components.adapters.db.tables import LOOKS
from components.core.contracts import Split


class Looks:
    """Counts looks."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def look(self, line: str, *, dataset: int, split: Split, subject: str, actor: str = SYSTEM) -> int:
        """Count a look of `subject` (a retrain's id, for one) at a split; return its number, from 1.

        The same subject's second look is its first again: a resumed retrain does not count twice.
        """
        place = (LOOKS.c.line == line) & (LOOKS.c.dataset == dataset) & (LOOKS.c.split == split.value)
        with self._database.write() as session:
            known = session.scalar(select(LOOKS.c.number).where(place, LOOKS.c.subject == subject))
            if known is not None:
                return int(known)
            number = int(session.scalar(select(func.count()).select_from(LOOKS).where(place)) or 0) + 1
            data = {"dataset": dataset, "split": split.value, "subject": subject, "number": number}
            session.execute(insert(LOOKS).values(line=line, **data))
            self._ledger.append(session, line=line, kind="sealed split looked at", actor=actor, data=data)
            return number

    def count(self, line: str, *, dataset: int, split: Split) -> int:
        """Looks at a split so far."""
        place = (LOOKS.c.line == line) & (LOOKS.c.dataset == dataset) & (LOOKS.c.split == split.value)
        with self._database.read() as session:
            return int(session.scalar(select(func.count()).select_from(LOOKS).where(place)) or 0)

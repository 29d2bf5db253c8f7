"""Everything that happened: the facade over our tables."""

from typing import Self

from components.adapters.db.database import Database
from components.adapters.db.decisions import Decisions
from components.adapters.db.drift import Drift
from components.adapters.db.ingests import Ingests
from components.adapters.db.leases import Leases
from components.adapters.db.ledger import Ledger
from components.adapters.db.looks import Looks
from components.adapters.db.models import Models
from components.adapters.db.requests import Requests
from components.adapters.db.retrains import Retrains
from components.adapters.db.schema import SCHEMA_VERSION, check_version, is_current, upgrade
from components.adapters.db.verdicts import Verdicts
from components.core.errors import LinewrightError


class Records:
    """The records of one installation, one part a concern. Make it with `open` or `create`.

    Attributes:
        schema_version: Revision that this code reads and writes.
    """

    schema_version = SCHEMA_VERSION

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ledger = Ledger(database)
        self.leases = Leases(database, self.ledger)
        self.retrains = Retrains(database, self.ledger, self.leases)
        self.models = Models(database, self.ledger, self.leases)
        self.decisions = Decisions(database, self.ledger)
        self.verdicts = Verdicts(database, self.ledger)
        self.looks = Looks(database, self.ledger)
        self.drift = Drift(database, self.ledger)
        self.requests = Requests(database, self.ledger)
        self.ingests = Ingests(database, self.ledger)

    @classmethod
    def open(cls, url: str, *, busy_timeout: float) -> Self:
        """The records at `url`. `busy_timeout`: seconds a writer waits for another.

        Raises:
            ConfigError: The URL is not one of a supported database.
            WorkspaceError: There are none, or they are of an older or a newer format.
            UnavailableError: The database does not answer.
        """
        database = Database(url, busy_timeout=busy_timeout)
        try:
            check_version(database)
        except LinewrightError:
            database.close()
            raise
        return cls(database)

    @classmethod
    def create(cls, url: str, *, busy_timeout: float) -> Self:
        """Make the tables at `url`, or upgrade those that are there, and open them; see `open`."""
        cls.migrate(url, busy_timeout=busy_timeout)
        return cls.open(url, busy_timeout=busy_timeout)

    @staticmethod
    def migrate(url: str, *, busy_timeout: float) -> tuple[str, str]:
        """Bring the tables at `url` to this version's format; return the revisions before and after.

        Raises:
            WorkspaceError: They were made by a newer version.
        """
        database = Database(url, busy_timeout=busy_timeout)
        try:
            return upgrade(database)
        finally:
            database.close()

    @staticmethod
    def is_current(url: str, *, busy_timeout: float = 30.0) -> bool:
        """Whether the tables at `url` have this version's format; False where they are older or missing.

        Raises:
            WorkspaceError: They were made by a newer version.
        """
        database = Database(url, busy_timeout=busy_timeout)
        try:
            return is_current(database)
        finally:
            database.close()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

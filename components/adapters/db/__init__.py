"""Our records in SQLite, PostgreSQL or MariaDB: the only importer of SQLAlchemy and Alembic."""

from components.adapters.db.leases import Lease
from components.adapters.db.records import Records

__all__ = ["Lease", "Records"]

"""Alembic runs this file to migrate; `components.adapters.db.schema.upgrade` hands it a connection in a transaction."""

from alembic import context

from components.adapters.db.schema import VERSION_TABLE
from components.adapters.db.tables import METADATA


def migrate() -> None:
    """Run the migrations that Alembic's command asks for."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        version_table=VERSION_TABLE,
        transactional_ddl=connection.dialect.name not in {"mysql", "mariadb"},
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # what Alembic calls it; an import by anything else does no work
    migrate()

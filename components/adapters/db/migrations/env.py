"""Alembic runs this file to migrate; `components.adapters.db.schema.upgrade` hands it a connection in a transaction."""

from alembic import context

from components.adapters.db.schema import VERSION_TABLE
from components.adapters.db.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=context.config.attributes["connection"].dialect.name != "mysql",
)
with context.begin_transaction():
    context.run_migrations()

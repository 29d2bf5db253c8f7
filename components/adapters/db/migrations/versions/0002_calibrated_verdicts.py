"""Verdicts keep their conformal p-value and severity; those of before have neither."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; one that an interrupted run made on MariaDB is left as it is."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("lw_verdicts")}
    for added in (sa.Column("p_value", sa.Double()), sa.Column("severity", sa.String(8))):
        if added.name not in present:
            op.add_column("lw_verdicts", added)

"""Servers share a store, and each running run has one that carries it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table, and let whoever comes first take up the runs that are live."""
    op.create_table(
        "servers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.add_column("runs", sa.Column("carrier", sa.Text))
    op.execute("UPDATE runs SET carrier = '' WHERE live")

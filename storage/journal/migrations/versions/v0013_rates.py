"""Servers that share a journal count together what may be asked for so often."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table. On PostgreSQL it is not logged: what it holds is worth no wait for a disk."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "rate_buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("full_at", sa.BigInteger, nullable=False),
        prefixes=["UNLOGGED"] if is_postgresql else [],
    )
    op.create_index("rate_buckets_by_time", "rate_buckets", ["full_at"])

"""Removals: all co-authors but one vote on whether that one stays."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "removals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("removals_of_thread", "removals", ["thread_id", "status", "at", "id"])

"""Branches: what becomes of runs that were forked from others."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "branches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("branches_of_thread", "branches", ["thread_id", "is_open", "at", "id"])
    op.create_index("branches_of_run", "branches", ["run_id"])

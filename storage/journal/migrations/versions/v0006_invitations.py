"""Invitations: a key is asked into a thread, and its answer is awaited. Co-authors of before stay."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("invited_by", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("invitations_of_thread", "invitations", ["thread_id", "status", "at", "id"])
    op.create_index("invitations_of_key", "invitations", ["public_key", "status", "at", "id"])
    op.create_index("invitations_by_user", "invitations", ["invited_by", "status"])

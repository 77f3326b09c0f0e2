"""Invite links: whoever knows the secret of one joins a thread by it, once."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "invite_links",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("invite_links_of_thread", "invite_links", ["thread_id", "status", "at", "id"])
    op.create_index("invite_links_by_secret", "invite_links", ["secret_hash", "at", "id"])

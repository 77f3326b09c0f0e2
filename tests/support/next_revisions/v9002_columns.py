"""Columns of tables that every commit writes: one may be NULL, the other has a default."""

import sqlalchemy as sa
from alembic import op

revision = "9002"
down_revision = "9001"
branch_labels = None
depends_on = None
servers = "go on"


def upgrade() -> None:
    """Add them."""
    op.add_column("entries", sa.Column("cost", sa.BigInteger))
    pinned = sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("threads", pinned)

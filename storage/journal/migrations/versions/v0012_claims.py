"""Of servers that share a journal, one at a time carries out a timer or a memory task."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Add the columns: nothing is claimed yet."""
    for table in ("timers", "memory_tasks"):
        op.add_column(table, sa.Column("claimed_until", sa.BigInteger))

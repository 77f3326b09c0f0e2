"""Users hide threads from their own list."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Add the column: nothing is hidden yet."""
    hidden = sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("user_threads", hidden)

"""A column has another name: no server of before can go on."""

from alembic import op

revision = "9004"
down_revision = "9003"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Rename it."""
    op.alter_column("users", "name", new_column_name="called")

"""Sessions are held by one connection, whichever server it is to."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Add the column: who signed in holds the session."""
    op.add_column("sessions", sa.Column("holder", sa.Text))

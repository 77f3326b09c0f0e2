"""Each server says how long its lease is, so that others notice where lengths differ."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
servers = "go on"


def upgrade() -> None:
    """Add the column. Of a server of the version before the length is not known."""
    op.add_column("servers", sa.Column("length", sa.BigInteger))

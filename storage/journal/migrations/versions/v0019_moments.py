"""What was open in a thread at earlier entries, so that its past is not read from the beginning."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
servers = "go on"


def upgrade() -> None:
    """Make the table. What is not in it is gathered where it is asked for."""
    op.create_table(
        "moments",
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "seq"),
    )

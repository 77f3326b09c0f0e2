"""What the machines did is counted; a server counts what an earlier version wrote after its start."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
servers = "go on"


def upgrade() -> None:
    """Make the tables. They are filled from the entries as those of a new journal are."""
    op.create_table(
        "heat",
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("tally", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "seconds", "start"),
    )
    op.create_table(
        "standing",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("states", sa.Text, nullable=False),
    )
    op.create_table(
        "heat_mark",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("missing", sa.Text, nullable=False),
    )
    op.create_table(
        "heat_refusals",
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("guard", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "start", "machine", "event", "guard"),
    )

"""A table with a text by which it is looked up."""

import sqlalchemy as sa
from alembic import op

from storage.journal.schema import REVISION

revision = "9001"
down_revision = REVISION
branch_labels = None
depends_on = None
servers = "go on"


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "labels",
        sa.Column("thread_id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
    )
    op.create_index("labels_by_text", "labels", ["label"])

"""What a run gathers stands in its entries alone; and an index that no query uses is gone.

The rows of `run_parts` repeated what the entries hold. Parts that no entry holds are dropped: what the
journal does not say has no place in a snapshot.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Drop both."""
    op.drop_table("run_parts")
    op.drop_index("messages_by_author", table_name="messages")

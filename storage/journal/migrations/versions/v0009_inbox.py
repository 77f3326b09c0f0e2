"""The inbox: what waits for each user, and where they are mentioned; and how far they have read."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from storage.journal.inbox_rows import rows_of

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
servers = "stop"

_OPEN: Final = {
    "message": sa.text("SELECT id, approved_seq, body FROM messages WHERE status = 'pending'"),
    "removal": sa.text("SELECT id, body FROM removals WHERE status = 'proposed'"),
    "invitation": sa.text("SELECT id, body FROM invitations WHERE status = 'invited'"),
}
"""What waits already. No message of before mentions anybody."""


def upgrade() -> None:
    """Make the tables, and note what waits."""
    inbox = op.create_table(
        "inbox",
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("waits", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("public_key", "kind", "subject"),
    )
    op.create_index("inbox_in_order", "inbox", ["public_key", "waits", "at", "subject"])
    op.create_index("inbox_by_subject", "inbox", ["subject", "kind"])
    op.create_table(
        "user_threads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("read_seq", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index(
        "user_threads_by_user", "user_threads", ["public_key", "thread_id"], unique=True
    )
    connection = op.get_bind()
    for kind, waiting in _OPEN.items():
        for row in connection.execute(waiting).mappings().all():
            for item in rows_of(kind, dict(row)):
                # Columns that a later revision adds are none of this table's yet.
                made = {column.name: item[column.name] for column in inbox.columns}
                connection.execute(sa.insert(inbox), made)

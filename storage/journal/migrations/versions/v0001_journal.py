"""The tables of the first version: entries, their snapshots, and what stands beside the journal.

A migration is a record of what was done to disks out there: it is never edited once released, and
imports nothing from `storage.journal.schema`, which goes on changing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
servers = "stop"


def _position() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("position", number, primary_key=True, autoincrement=True)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    _make_entries()
    _make_snapshots()
    _make_rows_beside()


def _make_entries() -> None:
    op.create_table(
        "entries",
        _position(),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("entries_by_stream", "entries", ["stream", "seq"], unique=True)
    op.create_index("entries_by_run", "entries", ["run_id", "position"])


def _make_snapshots() -> None:
    op.create_table(
        "threads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("visibility", sa.Text, nullable=False),
        sa.Column("head_seq", sa.BigInteger, nullable=False),
        sa.Column("last_position", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("threads_by_change", "threads", ["visibility", "last_position"])
    op.create_table(
        "co_authors",
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "public_key"),
    )
    op.create_index("co_authors_by_key", "co_authors", ["public_key", "thread_id"])
    op.create_table(
        "messages",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("author", sa.Text),
        sa.Column("approved_seq", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("messages_by_index", "messages", ["thread_id", "idx"], unique=True)
    op.create_index("messages_by_status", "messages", ["thread_id", "status", "idx"])
    op.create_index("messages_by_author", "messages", ["author", "thread_id"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("created_seq", sa.BigInteger, nullable=False),
        sa.Column("context", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("runs_by_life", "runs", ["live", "thread_id", "created_seq", "id"])
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("users_by_key", "users", ["public_key"], unique=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("followed", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )


def _make_rows_beside() -> None:
    op.create_table(
        "replies",
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("public_key", "request_id"),
    )
    op.create_index("replies_by_time", "replies", ["at"])
    op.create_table(
        "timers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("timers_by_time", "timers", ["due_at", "id"])
    op.create_table(
        "memory_tasks",
        _position(),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("waiting", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("memory_tasks_in_order", "memory_tasks", ["waiting", "position"])
    op.create_index("memory_tasks_by_thread", "memory_tasks", ["waiting", "thread_id", "position"])
    op.create_index("memory_tasks_by_subject", "memory_tasks", ["subject"])
    op.create_table(
        "vectors",
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "fingerprint"),
    )

"""Every entry gets a digest of what was written, so that decay is noticed that leaves good JSON.

The digests of the entries that are there say what they hold at the migration; nothing says whether
that is what was written once.
"""

from hashlib import blake2b
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
servers = "stop"

_CHUNK: Final = 100
"""Entries that are in memory at the same time."""

_ENTRIES: Final = sa.table(
    "entries",
    sa.column("position", sa.BigInteger),
    sa.column("stream", sa.Text),
    sa.column("seq", sa.BigInteger),
    sa.column("body", sa.Text),
    sa.column("digest", sa.LargeBinary),
)


def upgrade() -> None:
    """Add the column, and fill it."""
    # A column that may not be empty needs a value for the rows that are there. SQLite keeps this
    # default: it cannot change a column without writing the table anew.
    op.add_column("entries", sa.Column("digest", sa.LargeBinary, nullable=False, server_default=""))
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.alter_column("entries", "digest", server_default=None)
    following = (
        sa.select(_ENTRIES.c.position, _ENTRIES.c.stream, _ENTRIES.c.seq, _ENTRIES.c.body)
        .where(_ENTRIES.c.position > sa.bindparam("after"))
        .order_by(_ENTRIES.c.position)
        .limit(_CHUNK)
    )
    fill = (
        sa.update(_ENTRIES)
        .where(_ENTRIES.c.position == sa.bindparam("of_position"))
        .values(digest=sa.bindparam("new_digest"))
    )
    after = 0
    while rows := connection.execute(following, {"after": after}).all():
        connection.execute(
            fill,
            [
                {
                    "of_position": row.position,
                    "new_digest": _digest(row.stream, row.seq, row.body),
                }
                for row in rows
            ],
        )
        after = rows[-1].position


def _digest(stream: str, seq: int, body: str) -> bytes:
    return blake2b(f"{seq} {stream}\n{body}".encode(), digest_size=16).digest()

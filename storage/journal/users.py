"""What the journal is asked about many users at once: one statement for all of them.

Reads only, as in `queries`, on a connection that sees one moment.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from machines.models.domain import User
from machines.models.ids import PublicKey, user_stream
from storage.journal.dialect import chunks
from storage.journal.port import KnownUser, ThreadPage
from storage.journal.queries import threads_of
from storage.journal.schema import co_authors, entries, users

_USERS: Final = select(users.c.public_key, users.c.body).where(
    users.c.public_key.in_(bindparam("keys", expanding=True))
)
_HEADS: Final = (
    select(entries.c.stream, func.max(entries.c.seq).label("head"))
    .where(entries.c.stream.in_(bindparam("streams", expanding=True)))
    .group_by(entries.c.stream)
)
_CO_AUTHORS_AMONG: Final = (
    select(co_authors.c.public_key)
    .where(co_authors.c.public_key.in_(bindparam("keys", expanding=True)))
    .distinct()
)


def known_users(
    connection: Connection, public_keys: Collection[PublicKey]
) -> dict[PublicKey, KnownUser]:
    """Each of them, with the head of their stream."""
    known: dict[PublicKey, User] = {}
    heads: dict[str, int] = {}
    for keys in chunks(public_keys):
        for row in connection.execute(_USERS, {"keys": keys}):
            known[PublicKey(row.public_key)] = User.model_validate_json(row.body)
        streams = [user_stream(key) for key in keys]
        for row in connection.execute(_HEADS, {"streams": streams}):
            heads[row.stream] = row.head
    return {
        key: KnownUser(user=known.get(key), head_seq=heads.get(user_stream(key), 0))
        for key in public_keys
    }


def threads_of_each(
    connection: Connection, public_keys: Collection[PublicKey], *, limit: int
) -> dict[PublicKey, ThreadPage]:
    """The first page of each of them; most who come for the first time have none."""
    pages = dict.fromkeys(public_keys, ThreadPage(rows=(), next=None))
    for keys in chunks(public_keys):
        for key in connection.scalars(_CO_AUTHORS_AMONG, {"keys": keys}).all():
            pages[PublicKey(key)] = threads_of(connection, PublicKey(key), after=None, limit=limit)
    return pages

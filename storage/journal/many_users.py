"""What the journal is asked about many users at once, with one statement for all of them. Reads only."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, select

from machines.models.domain import User
from machines.models.ids import PublicKey, user_stream
from storage.journal.answers import Arrival, InvitationPage, KnownUser, ThreadPage
from storage.journal.dialect import chunks
from storage.journal.invitations import invitations_of, invited_among
from storage.journal.queries import threads_of
from storage.journal.schema import co_authors, entries, users

_USERS = select(users.c.public_key, users.c.body).where(
    users.c.public_key.in_(bindparam("keys", expanding=True))
)
_HEADS = (
    select(entries.c.stream, func.max(entries.c.seq).label("head"))
    .where(entries.c.stream.in_(bindparam("streams", expanding=True)))
    .group_by(entries.c.stream)
)
_CO_AUTHORS_AMONG = (
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


def arrivals(
    connection: Connection, public_keys: Collection[PublicKey], *, limit: int
) -> dict[PublicKey, Arrival]:
    """The first pages of each of them; most who come for the first time have none."""
    threads_of_all = dict.fromkeys(public_keys, ThreadPage(rows=(), next=None))
    invitations_of_all = dict.fromkeys(public_keys, InvitationPage(rows=(), next=None))
    for keys in chunks(public_keys):
        for key in map(PublicKey, connection.scalars(_CO_AUTHORS_AMONG, {"keys": keys}).all()):
            threads_of_all[key] = threads_of(connection, key, after=None, limit=limit, hidden=False)
        for key in invited_among(connection, keys):
            invitations_of_all[key] = invitations_of(connection, key, after=None, limit=limit)
    return {key: Arrival(threads_of_all[key], invitations_of_all[key]) for key in public_keys}

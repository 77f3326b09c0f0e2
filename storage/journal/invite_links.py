"""What the journal is asked about invite links: the open ones of a thread, and the one of a secret.

Reads only, each answered by an index. A link is found by the hash of its secret, never by the secret.
"""

from sqlalchemy import Connection, bindparam, select

from machines.models.ids import ThreadId
from machines.models.invite_link import InviteLink, InviteLinkStatus
from storage.journal.damage import values_of
from storage.journal.schema import invite_links

_IS_OPEN = invite_links.c.status == InviteLinkStatus.OPEN.value
_OF_THREAD = (
    select(invite_links.c.id, invite_links.c.body)
    .where(invite_links.c.thread_id == bindparam("of_thread"), _IS_OPEN)
    .order_by(invite_links.c.at, invite_links.c.id)
)
_OF_SECRET = (
    select(invite_links.c.body)
    .where(invite_links.c.secret_hash == bindparam("of_hash"))
    .order_by(invite_links.c.at.desc(), invite_links.c.id.desc())
    .limit(1)
)


def links_in(
    connection: Connection, thread_id: ThreadId, *, strict: bool = True
) -> tuple[InviteLink, ...]:
    """The open ones of a thread, oldest first."""
    key = {"of_thread": thread_id}
    return values_of(connection, invite_links, InviteLink, _OF_THREAD, key, strict=strict)


def open_links(connection: Connection) -> tuple[InviteLink, ...]:
    """Of the whole store; only `chorus verify` waits for it."""
    found = connection.scalars(select(invite_links.c.body).where(_IS_OPEN))
    return tuple(map(InviteLink.model_validate_json, found))


def link_of_secret(connection: Connection, secret_hash: str) -> InviteLink | None:
    """The newest link whose secret has this hash, open or not."""
    body = connection.scalar(_OF_SECRET, {"of_hash": secret_hash})
    return None if body is None else InviteLink.model_validate_json(body)

"""Decisions about invite links: make one, join by it, take it back, let its deadline pass.

A link is known by the hash of its secret. Whatever keeps a link from being used, it answers as one that
is not there.
"""

from datetime import timedelta

from machines.decisions.admission import let_in, require_place_for_co_author
from machines.decisions.changes import Decided
from machines.decisions.rights import co_author_of, refusal_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import ExpireLink, MakeLink, RevokeLink, UseLink
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import InviteLinkId
from machines.models.invite_link import (
    InviteLink,
    InviteLinkStatus,
    LinkExpired,
    LinkMade,
    LinkRevoked,
    LinkUsed,
)
from machines.models.limits import MAX_OPEN_LINKS
from machines.models.thread import ThreadStatus
from machines.models.wire.frames import ThreadEventKind

FULL_RETRY_MS = 60_000
"""When there may be place again; how soon links are used is not known."""


def make(draft: Draft, command: MakeLink) -> Decided:
    """A co-author makes a link, which keeps a place for whoever uses it."""
    by = co_author_of(draft.thread, command.by)
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise refusal_of("thread", draft.thread.status.value, "create_invite_link")
    if len(draft.links) >= MAX_OPEN_LINKS:
        raise RequestRefused(
            ErrorCode.RATE_LIMITED,
            f"At most {MAX_OPEN_LINKS} links into a thread are open at a time.",
            retry_after_ms=FULL_RETRY_MS,
            retryable=True,
        )
    require_place_for_co_author(draft)
    link = InviteLink(
        id=InviteLinkId(command.ids[-1]),
        thread_id=draft.thread.id,
        made_by=by,
        secret_hash=command.secret_hash,
        created_at=command.at,
        updated_at=command.at,
        expires_at=command.at + timedelta(hours=command.hours),
    )
    event = LinkMade(at=command.at, co_authors=draft.thread.co_authors)
    link, made = draft.change_link(link, event, created=True)
    draft.tell(ThreadEventKind.INVITE_LINK_MADE, made, link=link, by=by)
    return draft.decision()


def use(draft: Draft, command: UseLink) -> Decided:
    """Who knows the secret becomes a co-author."""
    found = (each for each in draft.links.values() if each.secret_hash == command.secret_hash)
    before = next(found, None)
    if before is None or command.by is None:
        raise no_such_link()
    event = LinkUsed(at=command.at, by=command.by, co_authors=draft.thread.co_authors)
    after, change = draft.change_link(before, event)
    if after.status is InviteLinkStatus.EXPIRED:
        draft.tell(ThreadEventKind.INVITE_LINK_EXPIRED, change, link=after, by=None)
        return draft.decision(refused=no_such_link())
    let_in(draft, command.by, change, link=after, by=command.by)
    return draft.decision()


def revoke(draft: Draft, command: RevokeLink) -> Decided:
    """A co-author takes a link back."""
    by = co_author_of(draft.thread, command.by)
    before = _open_link(draft, command.link_id)
    event = LinkRevoked(at=command.at, by=by, co_authors=draft.thread.co_authors)
    after, change = draft.change_link(before, event)
    draft.tell(ThreadEventKind.INVITE_LINK_REVOKED, change, link=after, by=by)
    return draft.decision()


def expire(draft: Draft, command: ExpireLink) -> Decided:
    """The deadline of a link passed."""
    before = _open_link(draft, command.link_id)
    after, change = draft.change_link(before, LinkExpired(at=command.at))
    draft.tell(ThreadEventKind.INVITE_LINK_EXPIRED, change, link=after, by=None)
    return draft.decision()


def no_such_link() -> RequestRefused:
    """The one answer for a link that was never there, was used or revoked, or has expired."""
    return RequestRefused(
        ErrorCode.NOT_FOUND, "This link leads nowhere: it was used, taken back, or has expired."
    )


def _open_link(draft: Draft, link_id: InviteLinkId) -> InviteLink:
    link = draft.links.get(link_id)
    if link is None:
        raise no_such_link()
    return link

"""Invite links and events for them, and the scenario of each edge of their chart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from machines.invite_link import invite_link_machine
from machines.models.ids import PublicKey
from machines.models.invite_link import (
    InviteLink,
    InviteLinkEvent,
    InviteLinkStatus,
    LinkExpired,
    LinkMade,
    LinkRevoked,
    LinkUsed,
    MakerLeft,
)
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DEADLINE,
    INVITE_LINK,
    NOW,
    SOON,
    THREAD,
)

GUEST = DAVE
"""Was given the link, which Alice made; Bob is the other co-author, and Carol an outsider."""
CO_AUTHORS = (ALICE, BOB)
LAST_MOMENT = DEADLINE - timedelta(microseconds=1)

# --- Events --------------------------------------------------------------------------------------


def make(*co_authors: PublicKey) -> LinkMade:
    """The link is made in a thread of these co-authors."""
    return LinkMade(at=NOW, co_authors=co_authors or CO_AUTHORS)


def use(by: PublicKey = GUEST, at: datetime = SOON) -> LinkUsed:
    """Somebody who knows the secret agrees."""
    return LinkUsed(at=at, by=by, co_authors=CO_AUTHORS)


def revoke(by: PublicKey = BOB) -> LinkRevoked:
    """Somebody takes the link back."""
    return LinkRevoked(at=SOON, by=by, co_authors=CO_AUTHORS)


def left(leaver: PublicKey = ALICE) -> MakerLeft:
    """A co-author left the thread."""
    return MakerLeft(at=SOON, leaver=leaver)


def expire(at: datetime = DEADLINE, *, archived: bool = False) -> LinkExpired:
    """The timer fires, or the thread is archived."""
    return LinkExpired(at=at, thread_archived=archived)


def events_at(_: InviteLink) -> Iterator[InviteLinkEvent]:
    """An event of each kind."""
    yield make()
    yield use()
    yield revoke()
    yield left()
    yield expire()


# --- Links ---------------------------------------------------------------------------------------


def drafted(**changes: Any) -> InviteLink:
    """A link that only just came to be."""
    link = InviteLink(
        id=INVITE_LINK,
        thread_id=THREAD,
        made_by=ALICE,
        secret_hash="0" * 64,
        created_at=NOW,
        updated_at=NOW,
        expires_at=DEADLINE,
    )
    return link.model_copy(update=changes)


def opened() -> InviteLink:
    """A link that may be used."""
    return drafted(status=InviteLinkStatus.OPEN)


def in_state(status: InviteLinkStatus) -> InviteLink:
    """A link in this state."""
    return drafted(status=status, used_by=GUEST if status is InviteLinkStatus.USED else None)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the chart."""
    return Catalogue(
        machine=invite_link_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=tuple(map(in_state, InviteLinkStatus)),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    link = opened()
    yield Taken("edge_invite_link_make_drafted_open", drafted(), make())
    yield Taken("edge_invite_link_use_open_used", link, use(at=LAST_MOMENT))
    yield Taken("edge_invite_link_use_open_expired", link, use(at=DEADLINE))
    yield Taken("edge_invite_link_revoke_open_revoked", link, revoke(BOB))
    yield Taken("edge_invite_link_maker_left_open_revoked", link, left(ALICE))
    yield Taken("edge_invite_link_expire_open_expired", link, expire())
    yield Taken("edge_invite_link_expire_open_expired_2", link, expire(SOON, archived=True))


def _refused() -> Iterator[Refused]:
    link = opened()
    yield Refused(("maker_is_co_author",), drafted(), make(BOB, CAROL))
    for co_author in CO_AUTHORS:
        for at in (SOON, DEADLINE):
            yield Refused(("not guest_is_co_author",), link, use(co_author, at))
    yield Refused(("a_co_author_revokes",), link, revoke(GUEST))
    yield Refused(("leaver_is_maker",), link, left(BOB))
    yield Refused(("not deadline_is_ahead", "thread_is_archived"), link, expire(LAST_MOMENT))

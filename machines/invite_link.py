"""The chart of an invite link: whoever knows its secret joins the thread by it, once.

    drafted --> open --> used | revoked | expired

`drafted` lasts only inside the transaction that makes the link. A link is its maker's word: it ends when
they leave the thread. Using it is one transaction with the thread's `join`. Who knows the secret is
settled before an event is fired: a link is found by the hash of its secret alone.
"""

# ruff: noqa: A003 - a link is open, as its status says; nothing here opens a file

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.deadlines import deadline_is_ahead, thread_is_archived
from machines.models.effects import CancelTimer, RunEffect, ScheduleTimer
from machines.models.ids import TimerId
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
from machines.models.journal import InviteLinkTimer
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Linked = Reaction[InviteLink, object, RunEffect]


def maker_is_co_author(link: InviteLink, event: LinkMade) -> bool:
    """Who makes the link is a co-author of the thread."""
    return link.made_by in event.co_authors


def guest_is_co_author(_: InviteLink, event: LinkUsed) -> bool:
    """Who opens the link is a co-author already: it stays for another."""
    return event.by in event.co_authors


def a_co_author_revokes(_: InviteLink, event: LinkRevoked) -> bool:
    """A co-author of the thread asks, whoever made the link."""
    return event.by in event.co_authors


def leaver_is_maker(link: InviteLink, event: MakerLeft) -> bool:
    """The co-author who left is the one who made the link."""
    return event.leaver == link.made_by


def deadline_of(link: InviteLink) -> ScheduleTimer:
    """The timer that a link has while it is open."""
    return ScheduleTimer(
        timer_id=TimerId(f"invite_link:{link.id}"),
        due_at=link.expires_at,
        timer=InviteLinkTimer(thread_id=link.thread_id, link_id=link.id),
    )


def wait_for_guest(link: InviteLink, _: LinkMade) -> Linked:
    """The link may be used until the deadline."""
    return Reaction(link, effects=(deadline_of(link),))


def name_guest(link: InviteLink, event: LinkUsed) -> InviteLink:
    """The link says who used it."""
    return link.changed(used_by=event.by)


def close(link: InviteLink, _: object) -> Linked:
    """The deadline means nothing any more."""
    return Reaction(link, effects=(CancelTimer(timer_id=deadline_of(link).timer_id),))


on = Edges[InviteLink, object, RunEffect]()


class InviteLinkChart(Chart[InviteLink]):
    """Invite link: an address that lets one user in"""

    machine = "invite_link"
    edge_kinds: ClassVar = {
        "expire": EdgeKind.FAILURE,
        "revoke": EdgeKind.CANCEL,
        "maker_left": EdgeKind.CANCEL,
    }

    drafted = State(initial=True)
    open = State()
    used = State(final=True)
    revoked = State(final=True)
    expired = State(final=True)

    make = on(LinkMade, drafted.to(open), when=[maker_is_co_author], do=[wait_for_guest])
    use = on(
        LinkUsed,
        open.to(used),
        when=[deadline_is_ahead],
        unless=[guest_is_co_author],
        do=[name_guest, close],
    ) | on(
        LinkUsed,
        open.to(expired),
        unless=[deadline_is_ahead, guest_is_co_author],
        do=[close],
    )
    revoke = on(LinkRevoked, open.to(revoked), when=[a_co_author_revokes], do=[close])
    maker_left = on(MakerLeft, open.to(revoked), when=[leaver_is_maker], do=[close])
    expire = on(LinkExpired, open.to(expired), unless=[deadline_is_ahead], do=[close]) | on(
        LinkExpired, open.to(expired), when=[deadline_is_ahead, thread_is_archived], do=[close]
    )


InviteLinkMachine = Machine[InviteLink, InviteLinkEvent, object, RunEffect]


@cache
def invite_link_machine() -> InviteLinkMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(InviteLinkChart, states_of=lambda link: (link.status.value,), place=_place)


def _place(link: InviteLink, event: InviteLinkEvent, states: Configuration) -> InviteLink:
    """A new link keeps version 1; every later event makes one more."""
    status = InviteLinkStatus(states[0])
    if link.status is InviteLinkStatus.DRAFTED:
        return link.changed(status=status)
    return link.transition_to(event.at, status=status)

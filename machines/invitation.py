"""The invitation chart: how a key is asked into a thread, and becomes a co-author only if it agrees.

    named --> invited --> accepted | declined | revoked | expired

`named` lasts only inside the transaction that invites. An invitation is its inviter's word: it ends when
they leave the thread. Accepting it is one transaction with the thread's `join`.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.deadlines import deadline_is_ahead, thread_is_archived
from machines.models.effects import CancelTimer, RunEffect, ScheduleTimer
from machines.models.ids import TimerId
from machines.models.invitation import (
    AuthorAdmitted,
    Invitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationEvent,
    InvitationExpired,
    InvitationMade,
    InvitationRevoked,
    InvitationStatus,
    InviterLeft,
)
from machines.models.journal import InvitationTimer
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Asked = Reaction[Invitation, object, RunEffect]


def inviter_is_co_author(invitation: Invitation, event: InvitationMade) -> bool:
    """Who invites is a co-author of the thread."""
    return invitation.invited_by in event.co_authors


def key_is_co_author(invitation: Invitation, event: InvitationMade) -> bool:
    """The key is a co-author already."""
    return invitation.public_key in event.co_authors


def key_is_invited(invitation: Invitation, event: InvitationMade) -> bool:
    """Another invitation of the key into the thread is open."""
    return invitation.public_key in event.invited


def the_invited_asks(
    invitation: Invitation, event: InvitationAccepted | InvitationDeclined
) -> bool:
    """The owner of the invited key asks, who alone may answer."""
    return event.by == invitation.public_key


def a_co_author_revokes(_: Invitation, event: InvitationRevoked) -> bool:
    """A co-author of the thread asks, whoever invited."""
    return event.by in event.co_authors


def leaver_is_inviter(invitation: Invitation, event: InviterLeft) -> bool:
    """The co-author who left is the one who invited."""
    return event.inviter == invitation.invited_by


def author_is_invited(invitation: Invitation, event: AuthorAdmitted) -> bool:
    """The key that an approval or a link let in is the invited one."""
    return event.public_key == invitation.public_key


def deadline_of(invitation: Invitation) -> ScheduleTimer:
    """The timer that an invitation has while it is open."""
    return ScheduleTimer(
        timer_id=TimerId(f"invitation:{invitation.id}"),
        due_at=invitation.expires_at,
        timer=InvitationTimer(thread_id=invitation.thread_id, invitation_id=invitation.id),
    )


def wait_for_answer(invitation: Invitation, _: InvitationMade) -> Asked:
    """The invited key may answer until the deadline."""
    return Reaction(invitation, effects=(deadline_of(invitation),))


def close(invitation: Invitation, _: object) -> Asked:
    """The deadline means nothing any more."""
    return Reaction(invitation, effects=(CancelTimer(timer_id=deadline_of(invitation).timer_id),))


on = Edges[Invitation, object, RunEffect]()


class InvitationChart(Chart[Invitation]):
    """Invitation: a key that is asked into a thread"""

    machine = "invitation"
    edge_kinds: ClassVar = {
        "expire": EdgeKind.FAILURE,
        "decline": EdgeKind.CANCEL,
        "revoke": EdgeKind.CANCEL,
        "inviter_left": EdgeKind.CANCEL,
    }

    named = State(initial=True)
    invited = State()
    accepted = State(final=True)
    declined = State(final=True)
    revoked = State(final=True)
    expired = State(final=True)

    invite = on(
        InvitationMade,
        named.to(invited),
        when=[inviter_is_co_author],
        unless=[key_is_co_author, key_is_invited],
        do=[wait_for_answer],
    )
    accept = on(
        InvitationAccepted,
        invited.to(accepted),
        when=[the_invited_asks, deadline_is_ahead],
        do=[close],
    ) | on(
        InvitationAccepted,
        invited.to(expired),
        when=[the_invited_asks],
        unless=[deadline_is_ahead],
        do=[close],
    )
    admit = on(AuthorAdmitted, invited.to(accepted), when=[author_is_invited], do=[close])
    decline = on(InvitationDeclined, invited.to(declined), when=[the_invited_asks], do=[close])
    revoke = on(InvitationRevoked, invited.to(revoked), when=[a_co_author_revokes], do=[close])
    inviter_left = on(InviterLeft, invited.to(revoked), when=[leaver_is_inviter], do=[close])
    expire = on(
        InvitationExpired, invited.to(expired), unless=[deadline_is_ahead], do=[close]
    ) | on(
        InvitationExpired,
        invited.to(expired),
        when=[deadline_is_ahead, thread_is_archived],
        do=[close],
    )


InvitationMachine = Machine[Invitation, InvitationEvent, object, RunEffect]


@cache
def invitation_machine() -> InvitationMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(
        InvitationChart, states_of=lambda invitation: (invitation.status.value,), place=_place
    )


def _place(invitation: Invitation, event: InvitationEvent, states: Configuration) -> Invitation:
    """A new invitation keeps version 1; every later event makes one more."""
    status = InvitationStatus(states[0])
    if invitation.status is InvitationStatus.NAMED:
        return invitation.changed(status=status)
    return invitation.transition_to(event.at, status=status)

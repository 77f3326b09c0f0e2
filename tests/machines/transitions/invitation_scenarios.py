"""Invitations and events for them, and the scenario of each edge of the invitation chart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from machines.invitation import invitation_machine
from machines.models.ids import PublicKey
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
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DEADLINE,
    INVITATION,
    NOW,
    SOON,
    THREAD,
)

GUEST = DAVE
"""Is invited, by Alice; Bob is the other co-author, and Carol an outsider."""
CO_AUTHORS = (ALICE, BOB)
LAST_MOMENT = DEADLINE - timedelta(microseconds=1)

# --- Events --------------------------------------------------------------------------------------


def invite(
    co_authors: tuple[PublicKey, ...] = CO_AUTHORS, invited: tuple[PublicKey, ...] = ()
) -> InvitationMade:
    """The guest is invited into a thread of these co-authors, into which these are invited."""
    return InvitationMade(at=NOW, co_authors=co_authors, invited=invited)


def accept(by: PublicKey = GUEST, at: datetime = SOON) -> InvitationAccepted:
    """Somebody agrees."""
    return InvitationAccepted(at=at, by=by)


def decline(by: PublicKey = GUEST) -> InvitationDeclined:
    """Somebody does not."""
    return InvitationDeclined(at=SOON, by=by)


def revoke(by: PublicKey = BOB) -> InvitationRevoked:
    """Somebody takes the invitation back."""
    return InvitationRevoked(at=SOON, by=by, co_authors=CO_AUTHORS)


def left(inviter: PublicKey = ALICE) -> InviterLeft:
    """A co-author left the thread."""
    return InviterLeft(at=SOON, inviter=inviter)


def admitted(public_key: PublicKey = GUEST) -> AuthorAdmitted:
    """Somebody's message was approved."""
    return AuthorAdmitted(at=SOON, public_key=public_key)


def expire(at: datetime = DEADLINE, *, archived: bool = False) -> InvitationExpired:
    """The timer fires, or the thread is archived."""
    return InvitationExpired(at=at, thread_archived=archived)


def events_at(_: Invitation) -> Iterator[InvitationEvent]:
    """An event of each kind."""
    yield invite()
    yield accept()
    yield decline()
    yield revoke()
    yield left()
    yield admitted()
    yield expire()


# --- Invitations ---------------------------------------------------------------------------------


def named(**changes: Any) -> Invitation:
    """An invitation that has only just been made."""
    invitation = Invitation(
        id=INVITATION,
        thread_id=THREAD,
        public_key=GUEST,
        invited_by=ALICE,
        created_at=NOW,
        updated_at=NOW,
        expires_at=DEADLINE,
    )
    return invitation.model_copy(update=changes)


def invited(**changes: Any) -> Invitation:
    """An invitation that waits for an answer."""
    return named(status=InvitationStatus.INVITED, **changes)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the invitation chart."""
    return Catalogue(
        machine=invitation_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=tuple(named(status=status) for status in InvitationStatus),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    yield Taken("edge_invitation_invite_named_invited", named(), invite())
    yield Taken("edge_invitation_invite_named_invited", named(), invite(invited=(CAROL,)))
    yield Taken("edge_invitation_accept_invited_accepted", invited(), accept(at=LAST_MOMENT))
    yield Taken("edge_invitation_accept_invited_expired", invited(), accept(at=DEADLINE))
    yield Taken("edge_invitation_admit_invited_accepted", invited(), admitted())
    yield Taken("edge_invitation_decline_invited_declined", invited(), decline())
    yield Taken("edge_invitation_revoke_invited_revoked", invited(), revoke(BOB))
    yield Taken("edge_invitation_inviter_left_invited_revoked", invited(), left())
    yield Taken("edge_invitation_expire_invited_expired", invited(), expire())
    yield Taken("edge_invitation_expire_invited_expired_2", invited(), expire(SOON, archived=True))


def _refused() -> Iterator[Refused]:
    yield Refused(("inviter_is_co_author",), named(), invite((BOB, CAROL)))
    yield Refused(("not key_is_co_author",), named(), invite((ALICE, GUEST)))
    yield Refused(("not key_is_invited",), named(), invite(invited=(GUEST,)))
    for stranger in (ALICE, CAROL):
        yield Refused(("the_invited_asks",), invited(), accept(stranger))
        yield Refused(("the_invited_asks",), invited(), accept(stranger, DEADLINE))
        yield Refused(("the_invited_asks",), invited(), decline(stranger))
    for outsider in (CAROL, GUEST):
        yield Refused(("a_co_author_revokes",), invited(), revoke(outsider))
    yield Refused(("leaver_is_inviter",), invited(), left(BOB))
    yield Refused(("author_is_invited",), invited(), admitted(CAROL))
    yield Refused(("not deadline_is_ahead", "thread_is_archived"), invited(), expire(LAST_MOMENT))

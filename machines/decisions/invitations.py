"""Decisions about invitations: ask a key in, answer, take an invitation back, let its deadline pass."""

from datetime import timedelta

from machines.decisions.admission import let_in, require_place_for_co_author
from machines.decisions.changes import Decided
from machines.decisions.rights import co_author_of, refusal_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import (
    AcceptInvitation,
    DeclineInvitation,
    ExpireInvitation,
    Facts,
    Invite,
    Policy,
    RevokeInvitation,
)
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import InvitationId, PublicKey
from machines.models.invitation import (
    Invitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationMade,
    InvitationRevoked,
    InvitationStatus,
)
from machines.models.journal import InvitationBound
from machines.models.thread import ThreadStatus
from machines.models.wire.frames import ThreadEventKind

FULL_RETRY_MS = 60_000
"""When there may be place again; how soon users answer is not known."""


def invite(draft: Draft, command: Invite, facts: Facts, policy: Policy) -> Decided:
    """A co-author asks a key in, which joins if it accepts."""
    by = co_author_of(draft.thread, command.by)
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise refusal_of("thread", draft.thread.status.value, "invite")
    _require_room(facts, policy)
    draft.bounds += _bounds(by, command.public_key, policy)
    require_place_for_co_author(draft)
    invitation = Invitation(
        id=InvitationId(command.ids[-1]),
        thread_id=draft.thread.id,
        public_key=command.public_key,
        invited_by=by,
        created_at=command.at,
        updated_at=command.at,
        expires_at=command.at + timedelta(days=policy.invitation_days),
    )
    event = InvitationMade(
        at=command.at,
        co_authors=draft.thread.co_authors,
        invited=tuple(each.public_key for each in draft.invitations.values()),
    )
    invitation, made = draft.change_invitation(invitation, event, created=True)
    draft.tell(ThreadEventKind.CO_AUTHOR_INVITED, made, invitation=invitation, by=by)
    return draft.decision()


def accept(draft: Draft, command: AcceptInvitation) -> Decided:
    """The invited key becomes a co-author."""
    before = _open_invitation(draft, command.by)
    event = InvitationAccepted(at=command.at, by=before.public_key)
    after, change = draft.change_invitation(before, event)
    if after.status is InvitationStatus.EXPIRED:
        draft.tell(ThreadEventKind.INVITATION_EXPIRED, change, invitation=after, by=None)
        late = refusal_of("invitation", before.status.value, event.event, "deadline_is_ahead")
        return draft.decision(refused=late)
    let_in(draft, after.public_key, change, invitation=after, by=after.public_key)
    return draft.decision()


def decline(draft: Draft, command: DeclineInvitation) -> Decided:
    """The invited key stays outside."""
    before = _open_invitation(draft, command.by)
    event = InvitationDeclined(at=command.at, by=before.public_key)
    after, change = draft.change_invitation(before, event)
    draft.tell(ThreadEventKind.INVITATION_DECLINED, change, invitation=after, by=before.public_key)
    return draft.decision()


def revoke(draft: Draft, command: RevokeInvitation) -> Decided:
    """A co-author takes an invitation back."""
    by = co_author_of(draft.thread, command.by)
    before = _open_invitation(draft, command.public_key)
    event = InvitationRevoked(at=command.at, by=by, co_authors=draft.thread.co_authors)
    after, change = draft.change_invitation(before, event)
    draft.tell(ThreadEventKind.INVITATION_REVOKED, change, invitation=after, by=by)
    return draft.decision()


def expire(draft: Draft, command: ExpireInvitation) -> Decided:
    """The deadline of an invitation passed."""
    before = draft.invitations.get(command.invitation_id)
    if before is None:
        raise no_such_invitation()
    after, change = draft.change_invitation(before, InvitationExpired(at=command.at))
    draft.tell(ThreadEventKind.INVITATION_EXPIRED, change, invitation=after, by=None)
    return draft.decision()


def no_such_invitation() -> RequestRefused:
    """The one answer for an invitation that is not there, whatever there is of its thread."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such invitation.")


def _open_invitation(draft: Draft, public_key: PublicKey | None) -> Invitation:
    invitation = draft.invitation_of(public_key)
    if invitation is None:
        raise no_such_invitation()
    return invitation


def _bounds(by: PublicKey, invited: PublicKey, policy: Policy) -> list[InvitationBound]:
    """What was counted before the thread's turn, for the journal to count again."""
    bounds: list[InvitationBound] = []
    if policy.invitations_per_user:
        bounds.append(
            InvitationBound(of="inviter", public_key=by, most=policy.invitations_per_user)
        )
    if policy.invitations_per_key:
        bounds.append(
            InvitationBound(of="key", public_key=invited, most=policy.invitations_per_key)
        )
    return bounds


def _require_room(facts: Facts, policy: Policy) -> None:
    """Strangers make keys for nothing: what one asks for, and what a key is asked, ends somewhere."""
    counts = facts.invitations
    bounds = (
        (len(facts.view.invitations), policy.invitations_per_thread),
        (counts.by_inviter, policy.invitations_per_user),
        (counts.of_key, policy.invitations_per_key),
    )
    if any(most and count >= most for count, most in bounds):
        raise RequestRefused(
            ErrorCode.RATE_LIMITED,
            "Too many invitations wait for an answer.",
            retry_after_ms=FULL_RETRY_MS,
            retryable=True,
        )

"""How a co-author leaves a thread, and what follows for what they had a part in."""

from machines.decisions.admission import admit
from machines.decisions.changes import Change, Decided
from machines.decisions.rights import co_author_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import LeaveCoAuthorship
from machines.models.ids import PublicKey
from machines.models.invitation import InviterLeft
from machines.models.message import ElectorLeft, Message, MessageStatus
from machines.models.thread import LeaveCoAuthor
from machines.models.wire.frames import ThreadEventKind


def leave(draft: Draft, command: LeaveCoAuthorship) -> Decided:
    """A co-author goes; what they asked for goes on."""
    leaver = co_author_of(draft.thread, command.by)
    change = draft.change_thread(LeaveCoAuthor(at=command.at, actor=leaver, public_key=leaver))
    depart(draft, leaver, change, by=leaver)
    return draft.decision()


def depart(draft: Draft, leaver: PublicKey, change: Change, *, by: PublicKey | None) -> None:
    """Tell that a co-author left, by the `change` of the thread; they vote no more, and those whom they
    invited are invited no more.
    """
    decided: list[Message] = []
    for message in tuple(draft.pending.values()):
        if leaver in message.electors:
            after, dropped = draft.change_message(message, ElectorLeft(at=draft.at, elector=leaver))
            change += dropped
            if after.status is not MessageStatus.PENDING:
                decided.append(after)
    draft.tell(
        ThreadEventKind.CO_AUTHOR_LEFT, change, public_key=leaver, thread=draft.thread, by=by
    )
    for message in decided:
        if message.status is MessageStatus.APPROVED:
            admit(draft, message, None)
        else:
            # Its deadline had passed, and the timer was late.
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, Change(), message=message, by=None)
    for invitation in tuple(draft.invitations.values()):
        if invitation.invited_by == leaver:
            revoked, ended = draft.change_invitation(
                invitation, InviterLeft(at=draft.at, inviter=leaver)
            )
            draft.tell(ThreadEventKind.INVITATION_REVOKED, ended, invitation=revoked, by=None)

"""How a co-author leaves a thread, or is removed, and what follows for what they had a part in."""

from machines.decisions.admission import admit
from machines.decisions.branches import look_again
from machines.decisions.changes import Change, Decided
from machines.decisions.rights import co_author_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import LeaveCoAuthorship
from machines.models.ids import PublicKey
from machines.models.invitation import InviterLeft
from machines.models.invite_link import MakerLeft
from machines.models.message import ElectorLeft, Message, MessageStatus
from machines.models.removal import NamedLeft, Removal, RemovalElectorLeft, RemovalStatus
from machines.models.thread import LeaveCoAuthor, RemoveCoAuthor
from machines.models.wire.frames import ThreadEventKind


def leave(draft: Draft, command: LeaveCoAuthorship) -> Decided:
    """A co-author goes; what they asked for goes on."""
    leaver = co_author_of(draft.thread, command.by)
    change = draft.change_thread(LeaveCoAuthor(at=command.at, actor=leaver, public_key=leaver))
    change, decided = _drop_votes(draft, leaver, change)
    draft.tell(
        ThreadEventKind.CO_AUTHOR_LEFT, change, public_key=leaver, thread=draft.thread, by=leaver
    )
    _follow_up(draft, leaver, decided)
    return draft.decision()


def remove(draft: Draft, removal: Removal, change: Change | None = None) -> None:
    """The named co-author leaves, as if by themselves. `change` is the removal's, unless it was told."""
    gone = removal.public_key
    left = draft.change_thread(RemoveCoAuthor(at=draft.at, actor=None, public_key=gone))
    change = left if change is None else change + left
    change, decided = _drop_votes(draft, gone, change)
    draft.tell(
        ThreadEventKind.CO_AUTHOR_REMOVED,
        change,
        public_key=gone,
        removal=removal,
        thread=draft.thread,
        by=None,
    )
    _follow_up(draft, gone, decided)


def _drop_votes(draft: Draft, leaver: PublicKey, change: Change) -> tuple[Change, list[Message]]:
    """Who left votes on no message any more; gives the messages that are decided by it."""
    decided: list[Message] = []
    for message in tuple(draft.pending.values()):
        if leaver in message.electors:
            after, dropped = draft.change_message(message, ElectorLeft(at=draft.at, elector=leaver))
            change += dropped
            if after.status is not MessageStatus.PENDING:
                decided.append(after)
    return change, decided


def _follow_up(draft: Draft, leaver: PublicKey, decided: list[Message]) -> None:
    """Those whom they invited are invited no more, and they vote on no removal; their links end."""
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
    for link in tuple(draft.links.values()):
        if link.made_by == leaver:
            gone, ended = draft.change_link(link, MakerLeft(at=draft.at, leaver=leaver))
            draft.tell(ThreadEventKind.INVITE_LINK_REVOKED, ended, link=gone, by=None)
    look_again(draft, leaver)
    for removal_id in tuple(draft.removals):
        # A removal that is decided here may decide the next one.
        removal = draft.removals.get(removal_id)
        if removal is not None:
            _look_again(draft, removal, leaver)


def _look_again(draft: Draft, removal: Removal, leaver: PublicKey) -> None:
    if removal.public_key == leaver:
        after, change = draft.change_removal(removal, NamedLeft(at=draft.at, leaver=leaver))
        draft.tell(ThreadEventKind.REMOVAL_WITHDRAWN, change, removal=after, by=None)
    elif leaver in removal.electors:
        event = RemovalElectorLeft(at=draft.at, elector=leaver)
        after, change = draft.change_removal(removal, event)
        kind = {
            RemovalStatus.EXPIRED: ThreadEventKind.REMOVAL_EXPIRED,
            RemovalStatus.KEPT: ThreadEventKind.CO_AUTHOR_KEPT,
        }.get(after.status, ThreadEventKind.REMOVAL_VOTE_CAST)
        draft.tell(kind, change, removal=after, by=None)
        if after.status is RemovalStatus.REMOVED:
            remove(draft, after)

"""Decisions about removals: propose one, vote on it, take it back, let its deadline pass."""

from datetime import timedelta

from machines.decisions.changes import Change, Decided
from machines.decisions.leaving import remove
from machines.decisions.rights import co_author_of, refusal_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import (
    ExpireRemoval,
    LeaveCoAuthorship,
    Policy,
    ProposeRemoval,
    ThreadCommand,
    VoteOnRemoval,
    WithdrawRemoval,
)
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, RemovalId
from machines.models.limits import MAX_OPEN_REMOVALS
from machines.models.removal import (
    NamedAppeared,
    Removal,
    RemovalDecision,
    RemovalExpired,
    RemovalProposed,
    RemovalStatus,
    RemovalVoteCast,
    RemovalWithdrawn,
)
from machines.models.thread import ThreadStatus
from machines.models.wire.frames import ThreadEventKind

FULL_RETRY_MS = 60_000
"""When there may be place again; how soon electors vote is not known."""


def propose(draft: Draft, command: ProposeRemoval, policy: Policy) -> Decided:
    """A co-author names another, and votes by it."""
    by = co_author_of(draft.thread, command.by)
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise refusal_of("thread", draft.thread.status.value, "propose_removal")
    if len(draft.removals) >= MAX_OPEN_REMOVALS:
        raise RequestRefused(
            ErrorCode.RATE_LIMITED,
            f"At most {MAX_OPEN_REMOVALS} removals are voted on at a time.",
            retry_after_ms=FULL_RETRY_MS,
            retryable=True,
        )
    removal = Removal(
        id=RemovalId(command.ids[-1]),
        thread_id=draft.thread.id,
        public_key=command.public_key,
        proposed_by=by,
        created_at=command.at,
        updated_at=command.at,
        expires_at=command.at + timedelta(days=policy.approval_days),
    )
    event = RemovalProposed(
        at=command.at,
        co_authors=draft.thread.co_authors,
        named=tuple(each.public_key for each in draft.removals.values()),
    )
    removal, raised = draft.change_removal(removal, event, created=True)
    draft.tell(ThreadEventKind.REMOVAL_PROPOSED, raised, removal=removal, by=by)
    return draft.decision()


def vote(draft: Draft, command: VoteOnRemoval) -> Decided:
    """One elector's vote, and what it decides."""
    voter = co_author_of(draft.thread, command.by)
    before = _open_removal(draft, command.public_key)
    is_own = voter == before.public_key and len(before.electors) == 1
    if is_own and command.decision is RemovalDecision.KEEP:
        _appear(draft, before, voter)
        return draft.decision()
    event = RemovalVoteCast(event=command.decision.value, at=command.at, voter=voter)
    after, change = draft.change_removal(before, event)
    if after.status is RemovalStatus.EXPIRED:
        draft.tell(ThreadEventKind.REMOVAL_EXPIRED, change, removal=after, by=None)
        late = refusal_of("removal", before.status.value, event.event, "deadline_is_ahead")
        return draft.decision(refused=late)
    draft.tell(ThreadEventKind.REMOVAL_VOTE_CAST, change, removal=after, by=voter)
    if after.status is RemovalStatus.REMOVED:
        remove(draft, after)
    elif after.status is RemovalStatus.KEPT:
        draft.tell(ThreadEventKind.CO_AUTHOR_KEPT, Change(), removal=after, by=voter)
    return draft.decision()


def withdraw(draft: Draft, command: WithdrawRemoval) -> Decided:
    """The proposer takes the proposal back."""
    by = co_author_of(draft.thread, command.by)
    before = _open_removal(draft, command.public_key)
    after, change = draft.change_removal(before, RemovalWithdrawn(at=command.at, by=by))
    draft.tell(ThreadEventKind.REMOVAL_WITHDRAWN, change, removal=after, by=by)
    return draft.decision()


def expire(draft: Draft, command: ExpireRemoval) -> Decided:
    """The deadline of a vote passed."""
    before = draft.removals.get(command.removal_id)
    if before is None:
        raise _no_such_removal()
    after, change = draft.change_removal(before, RemovalExpired(at=command.at))
    if after.status is RemovalStatus.REMOVED:
        remove(draft, after, change)
    else:
        draft.tell(ThreadEventKind.REMOVAL_EXPIRED, change, removal=after, by=None)
    return draft.decision()


def see(draft: Draft, command: ThreadCommand) -> None:
    """Somebody does something in the thread: a removal of them that one elector proposed ends by it."""
    match command:
        case LeaveCoAuthorship():
            return  # it ends by that
        case VoteOnRemoval(public_key=named, by=by) | WithdrawRemoval(public_key=named, by=by) if (
            named == by
        ):
            return  # it says itself what becomes of it
        case _:
            for removal in tuple(draft.removals.values()):
                if removal.public_key == command.by and len(removal.electors) == 1:
                    _appear(draft, removal, removal.public_key)


def _appear(draft: Draft, removal: Removal, by: PublicKey) -> None:
    kept, change = draft.change_removal(removal, NamedAppeared(at=draft.at, by=by))
    draft.tell(ThreadEventKind.CO_AUTHOR_KEPT, change, removal=kept, by=by)


def _no_such_removal() -> RequestRefused:
    return RequestRefused(ErrorCode.NOT_FOUND, "No vote on this co-author is open.")


def _open_removal(draft: Draft, public_key: PublicKey) -> Removal:
    named = (each for each in draft.removals.values() if each.public_key == public_key)
    removal = next(named, None)
    if removal is None:
        raise _no_such_removal()
    return removal

"""Decisions about removals: propose one, vote on it, take it back, let its deadline pass."""

from datetime import timedelta

from machines.decisions.changes import Change, Decided
from machines.decisions.leaving import remove
from machines.decisions.rights import co_author_of, refusal_of
from machines.decisions.unit_of_work import Draft
from machines.models.commands import (
    ExpireRemoval,
    Policy,
    ProposeRemoval,
    VoteOnRemoval,
    WithdrawRemoval,
)
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, RemovalId
from machines.models.limits import MAX_OPEN_REMOVALS
from machines.models.removal import (
    Removal,
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
    if removal.status is RemovalStatus.REMOVED:
        remove(draft, removal)
    return draft.decision()


def vote(draft: Draft, command: VoteOnRemoval) -> Decided:
    """One elector's vote, and what it decides."""
    voter = co_author_of(draft.thread, command.by)
    before = _open_removal(draft, command.public_key)
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
    draft.tell(ThreadEventKind.REMOVAL_EXPIRED, change, removal=after, by=None)
    return draft.decision()


def _no_such_removal() -> RequestRefused:
    return RequestRefused(ErrorCode.NOT_FOUND, "No vote on this co-author is open.")


def _open_removal(draft: Draft, public_key: PublicKey) -> Removal:
    named = (each for each in draft.removals.values() if each.public_key == public_key)
    removal = next(named, None)
    if removal is None:
        raise _no_such_removal()
    return removal

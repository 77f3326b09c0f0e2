"""Decisions about messages: say something, vote on it, take it back, let its deadline pass."""

from datetime import timedelta

from machines.decisions.admission import admit, require_place_for_co_author
from machines.decisions.branches import supersede_prompt
from machines.decisions.changes import Change, Decided
from machines.decisions.mentions import mentions_in
from machines.decisions.rights import co_author_of, reader_of, refusal_of
from machines.decisions.runs import require_room_in_queue
from machines.decisions.unit_of_work import Draft
from machines.models.commands import Expire, Facts, Policy, SubmitMessage, Vote, Withdraw
from machines.models.domain import Role
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import MessageId, PublicKey
from machines.models.message import (
    Message,
    MessageExpired,
    MessageStatus,
    MessageSubmitted,
    MessageSuperseded,
    MessageWithdrawn,
    PromptSuperseded,
    VoteCast,
)
from machines.models.thread import AddMessage, ThreadStatus
from machines.models.wire.frames import ThreadEventKind


def submit(draft: Draft, command: SubmitMessage, facts: Facts, policy: Policy) -> Decided:
    """A co-author's prompt runs; an outsider's message waits for approval."""
    author = reader_of(draft.thread, command.by)
    insider = author in draft.thread.co_authors
    message_id = MessageId(command.ids[-1])
    if command.supersedes is not None:
        before = _named_message(facts, command.supersedes)
        _supersede(draft, before, facts, author=author, successor=message_id)
    if insider:
        require_room_in_queue(draft, policy)
    elif draft.thread.status is ThreadStatus.ACTIVE:
        _require_room_for_pending(draft, author, policy)
        require_place_for_co_author(draft)
    grown = draft.change_thread(AddMessage(at=command.at, actor=author))
    message, submitted = draft.change_message(
        Message(
            id=message_id,
            thread_id=draft.thread.id,
            index=draft.thread.message_count - 1,
            role=Role.USER,
            author=author,
            content=command.content,
            supersedes=command.supersedes,
            mentions=mentions_in(command.content, facts.names, author),
            created_at=command.at,
            updated_at=command.at,
        ),
        MessageSubmitted(
            at=command.at,
            author_is_co_author=insider,
            co_authors=draft.thread.co_authors,
            expires_at=command.at + timedelta(days=policy.approval_days),
        ),
        created=True,
    )
    draft.tell(ThreadEventKind.MESSAGE_SUBMITTED, grown + submitted, message=message, by=author)
    if not insider:
        return draft.decision(message_id=message.id)
    run, message = draft.create_run(message)
    draft.queue_run(run, message)
    return draft.decision(message_id=message.id, run_id=run.id)


def _supersede(
    draft: Draft, before: Message, facts: Facts, *, author: PublicKey, successor: MessageId
) -> None:
    """The author writes a message anew: it counts no more, its run stops, and its answer goes with it.

    Raises InvalidTransition where it is not the author's newest, or not theirs to take back.
    """
    event = MessageSuperseded(
        at=draft.at,
        by=author,
        by_co_author=author in draft.thread.co_authors,
        newest=facts.newest,
        successor=successor,
    )
    after, change = draft.change_message(before, event)
    if after.status is MessageStatus.WITHDRAWN:
        draft.tell(ThreadEventKind.MESSAGE_WITHDRAWN, change, message=after, by=author)
        return
    draft.tell(ThreadEventKind.MESSAGE_SUPERSEDED, change, message=after, by=author)
    supersede_prompt(draft, before.id, author)
    run = draft.runs.get(before.run_id) if before.run_id else None
    if run is not None:
        draft.cancel_run(run, by=author)
    if facts.answer is not None:
        answer, gone = draft.change_message(facts.answer, PromptSuperseded(at=draft.at))
        draft.tell(ThreadEventKind.MESSAGE_SUPERSEDED, gone, message=answer, by=author)


def vote(draft: Draft, command: Vote, facts: Facts) -> Decided:
    """One elector's vote, and what it decides."""
    voter = co_author_of(draft.thread, command.by)
    before = _named_message(facts, command.message_id)
    event = VoteCast(
        event=command.decision.value, at=command.at, voter=voter, reason=command.reason
    )
    after, change = draft.change_message(before, event)
    match after.status:
        case MessageStatus.EXPIRED:
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=after, by=None)
            late = refusal_of(
                "message", before.status.value, command.decision.value, "deadline_is_ahead"
            )
            return draft.decision(message_id=after.id, refused=late)
        case MessageStatus.REJECTED:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            draft.tell(ThreadEventKind.MESSAGE_REJECTED, Change(), message=after, by=voter)
            return draft.decision(message_id=after.id)
        case MessageStatus.APPROVED:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            run_id = admit(draft, after, voter)
            return draft.decision(message_id=after.id, run_id=run_id)
        case _:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            return draft.decision(message_id=after.id)


def withdraw(draft: Draft, command: Withdraw, facts: Facts) -> Decided:
    """Its author takes a pending message back."""
    author = reader_of(draft.thread, command.by)
    before = _named_message(facts, command.message_id)
    after, change = draft.change_message(before, MessageWithdrawn(at=command.at, by=author))
    draft.tell(ThreadEventKind.MESSAGE_WITHDRAWN, change, message=after, by=author)
    return draft.decision(message_id=after.id)


def expire(draft: Draft, command: Expire, facts: Facts) -> Decided:
    """The deadline of a message passed."""
    before = _named_message(facts, command.message_id)
    after, change = draft.change_message(before, MessageExpired(at=command.at))
    draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=after, by=None)
    return draft.decision(message_id=after.id)


def _named_message(facts: Facts, message_id: MessageId) -> Message:
    pending = (each for each in facts.view.pending if each.id == message_id)
    message = next(pending, facts.message)
    if message is None or message.id != message_id:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
    return message


def _require_room_for_pending(draft: Draft, author: PublicKey, policy: Policy) -> None:
    own = sum(message.author == author for message in draft.pending.values())
    full = policy.pending_per_thread and len(draft.pending) >= policy.pending_per_thread
    if full or (policy.pending_per_user and own >= policy.pending_per_user):
        raise RequestRefused(
            ErrorCode.RATE_LIMITED,
            "Too many messages wait for approval in this thread.",
            retry_after_ms=60_000,
            retryable=True,
        )

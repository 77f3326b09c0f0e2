"""What commands do to a thread: pure decisions from (facts, command, policy) to one batch.

A decision fires the machines that the command touches and gathers all that follows from it into one
transaction: "vote counted, message approved, author joined, run queued" is one step, or none.

Refusals are errors of the tree, raised before anything is decided:
    RequestRefused      not_found, forbidden, thread_busy, rate_limited
    InvalidTransition   a machine refuses, and says which guard was false
Who may not know of a thread gets the very answer that a thread which does not exist gives.
"""

from datetime import timedelta
from typing import assert_never

from machines.decisions.unit_of_work import Change, Decided, Draft
from machines.decisions.views import thread_view
from machines.models.chorus import ChorusState, RunCancelled, RunStatus
from machines.models.commands import (
    AdvanceRun,
    Archive,
    ChangeBalance,
    Expire,
    Facts,
    Invite,
    LeaveCoAuthorship,
    OpenThread,
    Policy,
    Rename,
    RetryRun,
    StopRun,
    SubmitMessage,
    ThreadCommand,
    Vote,
    Withdraw,
)
from machines.models.domain import Role
from machines.models.errors import ErrorCode, InvalidTransition, RequestRefused
from machines.models.ids import MessageId, PublicKey, RunId, thread_stream
from machines.models.journal import Batch, DecisionView, JournalEntry, creation_of, fields_of
from machines.models.limits import MAX_CO_AUTHORS
from machines.models.message import (
    ElectorLeft,
    Message,
    MessageExpired,
    MessageStatus,
    MessageSubmitted,
    MessageWithdrawn,
    VoteCast,
)
from machines.models.thread import (
    AddMessage,
    ArchiveThread,
    CreditTokens,
    DebitTokens,
    JoinCoAuthor,
    LeaveCoAuthor,
    RenameThread,
    Thread,
    ThreadStatus,
    Visibility,
)
from machines.models.wire.frames import ThreadEventData, ThreadEventKind
from machines.outcomes import refused
from machines.statechart import Refusal

BUSY_RETRY_MS = 5_000
"""When a full queue may have room again; a run's length is not known beforehand."""


def open_thread(command: OpenThread) -> Decided:
    """A new thread with its creator as the only co-author."""
    assert command.by is not None  # noqa: S101 - a thread is opened by a person
    thread = Thread(
        id=command.thread_id,
        name=command.name,
        visibility=command.visibility,
        co_authors=(command.by,),
        created_at=command.at,
        updated_at=command.at,
    )
    data = ThreadEventData(
        kind=ThreadEventKind.THREAD_CREATED,
        at=command.at,
        by=command.by,
        thread=thread_view(thread),
    )
    entry = JournalEntry(
        stream=thread_stream(thread.id),
        type="thread_event",
        kind=ThreadEventKind.THREAD_CREATED.value,
        at=command.at,
        by=command.by,
        request_id=command.request_id,
        data=fields_of(data, "transitions"),
        changes=(creation_of("thread", thread),),
        seq=1,
    )
    facts = Facts(view=DecisionView(head_seq=1, thread=thread))
    return Decided(Batch(entries=(entry,)), facts, ())


def decide(facts: Facts, command: ThreadCommand, policy: Policy) -> Decided:
    """What the command comes to.

    Raises:
        RequestRefused, InvalidTransition: nothing is decided, nothing changes.
    """
    draft = Draft(facts, command, policy)
    match command:
        case SubmitMessage():
            return _submit(draft, command, policy)
        case Vote():
            return _vote(draft, command, facts)
        case Withdraw():
            return _withdraw(draft, command, facts)
        case Expire():
            return _expire(draft, command, facts)
        case StopRun():
            return _stop_run(draft, command, facts)
        case RetryRun():
            return _retry_run(draft, command, facts, policy)
        case Invite():
            return _invite(draft, command)
        case LeaveCoAuthorship():
            return _leave(draft, command)
        case Rename():
            return _rename(draft, command)
        case Archive():
            return _archive(draft, command, facts)
        case ChangeBalance():
            return _change_balance(draft, command)
        case AdvanceRun():
            return _advance_run(draft, command)
        case _:
            assert_never(command)


def may_read(thread: Thread, public_key: PublicKey) -> bool:
    """A private thread is its co-authors'; a public one is anyone's who is signed in."""
    return thread.visibility is Visibility.PUBLIC or public_key in thread.co_authors


def no_such_thread() -> RequestRefused:
    """The one answer for a thread that is not there, or not to be known of."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such thread.")


def _submit(draft: Draft, command: SubmitMessage, policy: Policy) -> Decided:
    author = _reader(draft.thread, command.by)
    insider = author in draft.thread.co_authors
    if insider:
        _require_room_in_queue(draft, policy)
    elif draft.thread.status is ThreadStatus.ACTIVE:
        _require_room_for_pending(draft, author, policy)
        _require_place_for_co_author(draft)
    grown = draft.change_thread(AddMessage(at=command.at, actor=author))
    message, submitted = draft.change_message(
        Message(
            id=MessageId(command.ids[-1]),
            thread_id=draft.thread.id,
            index=draft.thread.message_count - 1,
            role=Role.USER,
            author=author,
            content=command.content,
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


def _vote(draft: Draft, command: Vote, facts: Facts) -> Decided:
    voter = _co_author(draft.thread, command.by)
    before = _named_message(facts, command.message_id)
    event = VoteCast(
        event=command.decision.value, at=command.at, voter=voter, reason=command.reason
    )
    after, change = draft.change_message(before, event)
    match after.status:
        case MessageStatus.EXPIRED:
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=after, by=None)
            late = _refused(
                "message", before.status.value, command.decision.value, "deadline_is_ahead"
            )
            return draft.decision(message_id=after.id, refused=late)
        case MessageStatus.REJECTED:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            draft.tell(ThreadEventKind.MESSAGE_REJECTED, Change(), message=after, by=voter)
            return draft.decision(message_id=after.id)
        case MessageStatus.APPROVED:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            run_id = _admit(draft, after, voter)
            return draft.decision(message_id=after.id, run_id=run_id)
        case _:
            draft.tell(ThreadEventKind.VOTE_CAST, change, message=after, by=voter)
            return draft.decision(message_id=after.id)


def _withdraw(draft: Draft, command: Withdraw, facts: Facts) -> Decided:
    author = _reader(draft.thread, command.by)
    before = _named_message(facts, command.message_id)
    after, change = draft.change_message(before, MessageWithdrawn(at=command.at, by=author))
    draft.tell(ThreadEventKind.MESSAGE_WITHDRAWN, change, message=after, by=author)
    return draft.decision(message_id=after.id)


def _expire(draft: Draft, command: Expire, facts: Facts) -> Decided:
    before = _named_message(facts, command.message_id)
    after, change = draft.change_message(before, MessageExpired(at=command.at))
    draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=after, by=None)
    return draft.decision(message_id=after.id)


def _stop_run(draft: Draft, command: StopRun, facts: Facts) -> Decided:
    by = _co_author(draft.thread, command.by)
    run = _named_run(draft, facts, command.run_id)
    draft.fire_run(run, RunCancelled(at=command.at, by=by, partial=facts.partials.get(run.id)))
    draft.start_next()
    return draft.decision(message_id=run.message_id, run_id=run.id)


def _retry_run(draft: Draft, command: RetryRun, facts: Facts, policy: Policy) -> Decided:
    _co_author(draft.thread, command.by)
    run = _named_run(draft, facts, command.run_id)
    message = facts.message
    if message is None or message.id != run.message_id:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise _refused("thread", draft.thread.status.value, "retry_run")
    if run.status not in {RunStatus.FAILED, RunStatus.CANCELLED}:
        raise _refused("chorus", run.status.value, "retry_run", "run_failed_or_was_cancelled")
    if message.run_id != run.id:
        raise _refused("chorus", run.status.value, "retry_run", "run_is_the_latest")
    _require_room_in_queue(draft, policy)
    run, message = draft.create_run(message)
    draft.queue_run(run, message)
    return draft.decision(message_id=message.id, run_id=run.id)


def _invite(draft: Draft, command: Invite) -> Decided:
    by = _co_author(draft.thread, command.by)
    _require_place_for_co_author(draft)
    joined = draft.change_thread(
        JoinCoAuthor(at=command.at, actor=by, public_key=command.public_key)
    )
    draft.tell(
        ThreadEventKind.CO_AUTHOR_JOINED,
        joined,
        public_key=command.public_key,
        thread=draft.thread,
        by=by,
    )
    return draft.decision()


def _leave(draft: Draft, command: LeaveCoAuthorship) -> Decided:
    leaver = _co_author(draft.thread, command.by)
    change = draft.change_thread(LeaveCoAuthor(at=command.at, actor=leaver, public_key=leaver))
    decided: list[Message] = []
    for message in tuple(draft.pending.values()):
        if leaver in message.electors:
            after, dropped = draft.change_message(
                message, ElectorLeft(at=command.at, elector=leaver)
            )
            change += dropped
            if after.status is not MessageStatus.PENDING:
                decided.append(after)
    draft.tell(
        ThreadEventKind.CO_AUTHOR_LEFT, change, public_key=leaver, thread=draft.thread, by=leaver
    )
    for message in decided:
        if message.status is MessageStatus.APPROVED:
            _admit(draft, message, None)
        else:
            # Its deadline had passed, and the timer was late.
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, Change(), message=message, by=None)
    return draft.decision()


def _rename(draft: Draft, command: Rename) -> Decided:
    by = _co_author(draft.thread, command.by)
    renamed = draft.change_thread(RenameThread(at=command.at, actor=by, name=command.name))
    draft.tell(ThreadEventKind.THREAD_RENAMED, renamed, thread=draft.thread, by=by)
    return draft.decision()


def _archive(draft: Draft, command: Archive, facts: Facts) -> Decided:
    by = _co_author(draft.thread, command.by)
    if draft.thread.status is ThreadStatus.ACTIVE:
        for run in tuple(draft.runs.values()):
            stopped = RunCancelled(at=command.at, by=None, partial=facts.partials.get(run.id))
            draft.fire_run(run, stopped)
        for message in tuple(draft.pending.values()):
            expired, change = draft.change_message(
                message, MessageExpired(at=command.at, thread_archived=True)
            )
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=expired, by=None)
    archived = draft.change_thread(ArchiveThread(at=command.at, actor=by))
    draft.tell(ThreadEventKind.THREAD_ARCHIVED, archived, thread=draft.thread, by=by)
    return draft.decision()


def _change_balance(draft: Draft, command: ChangeBalance) -> Decided:
    operation = (
        CreditTokens(at=command.at, actor=command.by, amount=command.amount, cause=command.cause)
        if command.amount > 0
        else DebitTokens(
            at=command.at, actor=command.by, amount=-command.amount, cause=command.cause
        )
    )
    changed = draft.change_thread(operation)
    draft.tell(
        ThreadEventKind.TOKEN_BALANCE_CHANGED,
        changed,
        thread=draft.thread,
        cause=command.cause,
        by=command.by,
    )
    return draft.decision()


def _advance_run(draft: Draft, command: AdvanceRun) -> Decided:
    run = draft.runs.get(command.run_id)
    if run is None:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such run.")
    draft.fire_run(run, command.event)
    draft.start_next()
    return draft.decision(message_id=run.message_id, run_id=run.id)


def _admit(draft: Draft, message: Message, by: PublicKey | None) -> RunId:
    """An approved message: say so with the run that it starts, let its author in, and run it."""
    run, running = draft.create_run(message)
    draft.tell(ThreadEventKind.MESSAGE_APPROVED, Change(), message=running, run_id=run.id, by=by)
    draft.accept_author(message.author)
    draft.queue_run(run, running)
    return run.id


# --- Who may, and what there is ------------------------------------------------------------------


def _refused(machine: str, state: str, event: str, *guards: str) -> InvalidTransition:
    return refused(Refusal(machine, state, event, guards, ()))


def _reader(thread: Thread, by: PublicKey | None) -> PublicKey:
    if by is None or not may_read(thread, by):
        raise no_such_thread()
    return by


def _co_author(thread: Thread, by: PublicKey | None) -> PublicKey:
    reader = _reader(thread, by)
    if reader not in thread.co_authors:
        raise RequestRefused(ErrorCode.FORBIDDEN, "Only a co-author of the thread may do that.")
    return reader


def _named_message(facts: Facts, message_id: MessageId) -> Message:
    pending = (each for each in facts.view.pending if each.id == message_id)
    message = next(pending, facts.message)
    if message is None or message.id != message_id:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
    return message


def _named_run(draft: Draft, facts: Facts, run_id: str) -> ChorusState:
    run = draft.runs.get(run_id, facts.run)
    if run is None or run.id != run_id:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such run.")
    return run


def _require_room_in_queue(draft: Draft, policy: Policy) -> None:
    waiting = sum(run.status is RunStatus.QUEUED for run in draft.runs.values())
    if policy.thread_queue and waiting >= policy.thread_queue:
        raise RequestRefused(
            ErrorCode.THREAD_BUSY,
            "Too many prompts wait in this thread.",
            retry_after_ms=BUSY_RETRY_MS,
            retryable=True,
        )


def _require_place_for_co_author(draft: Draft) -> None:
    """Entries name every co-author, so a thread without end of them would grow by their square."""
    if len(draft.thread.co_authors) + len(draft.pending) >= MAX_CO_AUTHORS:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"A thread has at most {MAX_CO_AUTHORS} co-authors."
        )


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

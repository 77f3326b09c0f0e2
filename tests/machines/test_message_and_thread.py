"""The rules of messages and threads, under whatever people do: votes, deadlines, coming and going.

Each rule is checked in words of its own; nothing here asks a guard. Runs and connections are in
`test_machines`.
"""

from datetime import timedelta
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from machines.message import approval_timer, message_machine
from machines.models import effects
from machines.models.domain import Valid
from machines.models.ids import PublicKey
from machines.models.message import (
    Decision,
    ElectorLeft,
    Message,
    MessageEvent,
    MessageExpired,
    MessageStatus,
    MessageSubmitted,
    VoteCast,
)
from machines.models.thread import (
    AddMessage,
    CreditTokens,
    DebitTokens,
    JoinCoAuthor,
    LeaveCoAuthor,
    RemoveCoAuthor,
    RenameThread,
    Thread,
    ThreadOperation,
    ThreadStatus,
)
from machines.statechart import Accepted
from machines.thread import Failure, StateManager, Success
from tests.machines.transitions import message_scenarios as message
from tests.machines.transitions import thread_scenarios as thread
from tests.machines.transitions.values import DEADLINE, PEOPLE, SOON
from tests.support.strategies import values_of

# --- Message -------------------------------------------------------------------------------------

moments = st.sampled_from([-timedelta(days=1), -timedelta(microseconds=1), timedelta(0)]).map(
    lambda before: DEADLINE + before
) | st.just(DEADLINE + timedelta(days=1))
people = st.sampled_from(PEOPLE)
decisions: st.SearchStrategy[Literal["approve", "reject"]] = st.sampled_from(
    ["approve", "approve", "reject"]
)
voting: st.SearchStrategy[list[MessageEvent]] = st.lists(
    st.builds(message.vote, decisions, people, st.just(SOON) | moments)
    | st.builds(message.left, people)
    | st.builds(message.withdraw, people)
    | st.builds(message.expire, moments, archived=st.booleans()),
    max_size=12,
)
electorates = st.lists(people, min_size=1, unique=True).map(tuple)


def submitted_to(co_authors: tuple[PublicKey, ...]) -> Message:
    """A message of an outsider, as it waits in a thread of these co-authors."""
    outcome = message_machine().fire(
        message.submitted(),
        MessageSubmitted(
            at=SOON, author_is_co_author=False, co_authors=co_authors, expires_at=DEADLINE
        ),
    )
    assert isinstance(outcome, Accepted)
    return outcome.state


def history(
    first: Message, events: list[MessageEvent]
) -> list[tuple[Message, MessageEvent, Message, tuple[effects.RunEffect, ...]]]:
    """(before, event, after, effects) of each accepted event."""
    taken = []
    current = first
    for event in events:
        outcome = message_machine().fire(current, event)
        if isinstance(outcome, Accepted):
            taken.append((current, event, outcome.state, outcome.effects))
            current = outcome.state
    return taken


@given(electorates)
def test_the_electors_are_the_co_authors_without_the_author(
    co_authors: tuple[PublicKey, ...],
) -> None:
    assert submitted_to(co_authors).electors == tuple(
        key for key in co_authors if key != message.AUTHOR
    )


@given(electorates, voting)
def test_only_electors_vote_and_each_of_them_once(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    for before, event, after, _ in history(submitted_to(co_authors), events):
        voters = [vote.co_author for vote in after.approvals]
        assert len(set(voters)) == len(voters)
        assert set(voters) <= set(after.electors)
        if isinstance(event, VoteCast):
            counted = len(after.approvals) - len(before.approvals)
            assert counted == int(before.can_approve(event.voter, event.at))
        assert after.validate_state() == Valid()


@given(electorates, voting)
def test_a_message_is_approved_exactly_when_every_elector_of_some_approved(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    for _, _, after, _ in history(submitted_to(co_authors), events):
        approved = {vote.co_author for vote in after.approvals if vote.decision is Decision.APPROVE}
        unanimous = bool(after.electors) and approved == set(after.electors)
        if after.status is MessageStatus.APPROVED:
            assert unanimous
        if after.status is MessageStatus.PENDING:
            assert not unanimous
            assert approved == {vote.co_author for vote in after.approvals}


@given(electorates, voting)
def test_a_vote_at_the_deadline_or_later_is_not_counted_and_expires_the_message(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    for before, event, after, _ in history(submitted_to(co_authors), events):
        if isinstance(event, VoteCast) and event.at >= DEADLINE:
            assert after.status is MessageStatus.EXPIRED
            assert after.approvals == before.approvals
        if isinstance(event, MessageExpired) and not event.thread_archived:
            assert event.at >= DEADLINE


@given(electorates, voting)
def test_electors_only_leave_and_take_their_votes_with_them(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    for before, event, after, _ in history(submitted_to(co_authors), events):
        gone = set(before.electors) - set(after.electors)
        assert set(after.electors) <= set(before.electors)
        assert gone == ({event.elector} if isinstance(event, ElectorLeft) else set())
        assert not gone & {vote.co_author for vote in after.approvals}


@given(electorates, voting)
def test_a_first_rejection_rejects_and_only_the_author_withdraws(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    for before, event, after, _ in history(submitted_to(co_authors), events):
        rejected = any(vote.decision is Decision.REJECT for vote in after.approvals)
        assert rejected == (after.status is MessageStatus.REJECTED)
        if after.status is MessageStatus.WITHDRAWN:
            assert event == message.withdraw(by=message.AUTHOR)
        assert (after.content, after.author, after.index) == (
            before.content,
            before.author,
            before.index,
        )


@given(electorates, voting)
def test_a_decided_message_stays_decided_and_its_timer_is_cancelled(
    co_authors: tuple[PublicKey, ...], events: list[MessageEvent]
) -> None:
    taken = history(submitted_to(co_authors), events)
    for place, (before, _, after, emitted) in enumerate(taken):
        assert before.status is MessageStatus.PENDING
        cancels = effects.CancelTimer(timer_id=approval_timer(after.id)) in emitted
        assert cancels == (after.status is not MessageStatus.PENDING)
        indexed = any(isinstance(effect, effects.DBOperation) for effect in emitted)
        assert indexed == (after.status is MessageStatus.APPROVED)
        assert place == len(taken) - 1 or after.status is MessageStatus.PENDING


# --- Thread --------------------------------------------------------------------------------------

# Amounts are small where debits are to be covered now and then, and names break their rules.
operations: st.SearchStrategy[list[ThreadOperation]] = st.lists(
    values_of(ThreadOperation)
    | st.builds(thread.join, people)
    | st.builds(thread.leave, people)
    | st.builds(thread.remove, people)
    | st.builds(thread.credit, st.integers(1, 5))
    | st.builds(thread.debit, st.integers(1, 5))
    | st.builds(thread.rename, people, st.sampled_from([" ", "Tides", "x" * 80, "x" * 81])),
    max_size=25,
)


def managed(
    operated: list[ThreadOperation],
) -> list[tuple[Thread, ThreadOperation, Success | Failure]]:
    """(before, operation, result) of each operation on a thread of Alice and Bob."""
    current, results = thread.thread(), []
    for operation in operated:
        kept = current.model_dump_json()
        result = StateManager.transition(current, operation)
        assert current.model_dump_json() == kept
        results.append((current, operation, result))
        current = result.new_state if isinstance(result, Success) else current
    return results


@given(operations)
def test_a_thread_has_co_authors_and_no_debt_and_each_success_is_one_version(
    operated: list[ThreadOperation],
) -> None:
    for before, operation, result in managed(operated):
        if isinstance(result, Success):
            after = result.new_state
            assert after.validate_state() == Valid()
            assert after.co_authors
            assert len(set(after.co_authors)) == len(after.co_authors)
            assert after.token_balance >= 0
            assert after.version == before.version + 1
            assert after.updated_at >= before.updated_at
            assert (after.id, after.visibility) == (before.id, before.visibility)
            taken = result.transition
            assert (taken.event, taken.instance) == (operation.event, before.id)


@given(operations)
def test_only_its_own_operation_changes_a_part_of_a_thread(operated: list[ThreadOperation]) -> None:
    for before, operation, result in managed(operated):
        if isinstance(result, Failure):
            continue
        after = result.new_state
        assert after.message_count - before.message_count == int(isinstance(operation, AddMessage))
        earned = operation.amount if isinstance(operation, CreditTokens) else 0
        spent = operation.amount if isinstance(operation, DebitTokens) else 0
        assert after.token_balance - before.token_balance == earned - spent
        joined = {operation.public_key} if isinstance(operation, JoinCoAuthor) else set()
        goes = LeaveCoAuthor | RemoveCoAuthor
        gone = {operation.public_key} if isinstance(operation, goes) else set()
        assert set(after.co_authors) - set(before.co_authors) == joined
        assert set(before.co_authors) - set(after.co_authors) == gone
        assert isinstance(operation, RenameThread) or after.name == before.name


@given(operations)
def test_an_archived_thread_is_only_read(operated: list[ThreadOperation]) -> None:
    archived = thread.thread(status=ThreadStatus.ARCHIVED, token_balance=100)
    for operation in operated:
        assert isinstance(StateManager.transition(archived, operation), Failure)


@given(operations)
def test_a_refused_operation_names_the_guard_or_the_rule(operated: list[ThreadOperation]) -> None:
    for before, operation, result in managed(operated):
        if isinstance(result, Failure):
            error = result.error
            assert (error.machine, error.event) == ("thread", operation.event)
            assert error.state == before.status
            archived = before.status is ThreadStatus.ARCHIVED
            badly_named = isinstance(operation, RenameThread) and "a thread's name" in error.message
            assert error.guards or archived or badly_named

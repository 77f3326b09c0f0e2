"""The rules of the four machines, under whatever may happen.

Each rule is checked against a walk as a whole, in words of its own; nothing here asks a guard. How
values are kept and replayed is in `test_replay`.
"""

from datetime import timedelta
from itertools import pairwise
from typing import Final, Literal

from hypothesis import given
from hypothesis import strategies as st

from machines.chorus import chorus_machine
from machines.connection import MAX_SIGN_IN_FAILURES, connection_machine
from machines.message import approval_timer, message_machine
from machines.models import effects
from machines.models.chorus import Health, RunStatus
from machines.models.connection import ConnectionState, ConnectionStatus
from machines.models.domain import (
    Decision,
    Message,
    MessageStatus,
    Thread,
    ThreadStatus,
    Valid,
)
from machines.models.events import (
    ChallengeIssued,
    ConnectionEvent,
    ElectorLeft,
    MessageEvent,
    MessageExpired,
    MessageSubmitted,
    SessionLookedUp,
    SignatureChecked,
    VoteCast,
)
from machines.models.ids import PublicKey
from machines.models.operations import (
    AddMessage,
    CreditTokens,
    DebitTokens,
    JoinCoAuthor,
    LeaveCoAuthor,
    RenameThread,
    ThreadOperation,
)
from machines.recovery import BACKOFF_BASE_MS, BACKOFF_CAP_MS, MAX_REBUILDS, backoff_ms
from machines.runtime import Accepted, Refusal
from machines.steps import is_complete
from machines.thread import Failure, StateManager, Success
from tests.transitions import chorus_scenarios as run
from tests.transitions import connection_scenarios as link
from tests.transitions import message_scenarios as message
from tests.transitions import thread_scenarios as thread
from tests.transitions.spaces import likely_link_events, likely_run_events, link_events, run_events
from tests.transitions.strategies import values_of
from tests.transitions.values import DEADLINE, PEOPLE, SOON
from tests.transitions.walks import Walk, walks

# --- Chorus --------------------------------------------------------------------------------------

MAX_ATTEMPTS: Final = 3

run_walks = walks(
    chorus_machine(),
    run.queued(max_attempts=MAX_ATTEMPTS),
    run_events,
    likely_at=likely_run_events,
    length=60,
)


@given(run_walks)
def test_a_run_keeps_its_bounds(walk: Walk) -> None:
    for each in walk.accepted:
        state = each.after
        assert state.iteration <= state.max_iterations
        assert state.rebuilds <= MAX_REBUILDS
        assert state.failures < MAX_ATTEMPTS or state.status is RunStatus.FAILED
        assert state.attempt <= 1 + state.failures + state.rebuilds


@given(run_walks)
def test_completed_steps_are_kept_and_only_a_completed_step_adds_one(walk: Walk) -> None:
    for each in walk.accepted:
        before, after = each.before.steps, each.after.steps
        added = int(each.event.event == "step_completed")
        assert after[: len(before)] == before
        assert len(after) == len(before) + added


@given(run_walks)
def test_nothing_of_a_failed_attempt_is_shown_to_the_model(walk: Walk) -> None:
    asked = [each for each in walk.effects if isinstance(each, effects.AICall)]
    partial = run.ai_failed(run.running(run.STEPS[0])).partial
    assert partial
    assert not [each for each in asked for part in each.messages if partial in part.content]


@given(run_walks)
def test_a_running_run_has_exactly_one_thing_under_way(walk: Walk) -> None:
    waiting_for = (effects.AICall, effects.RecallPriors, effects.ScheduleTimer)
    for each in walk.accepted:
        assert isinstance(each.outcome, Accepted)
        under_way = [effect for effect in each.outcome.effects if isinstance(effect, waiting_for)]
        assert len(under_way) == (0 if is_complete(each.after) else 1)
        timed = any(isinstance(effect, effects.ScheduleTimer) for effect in under_way)
        assert timed == (not is_complete(each.after) and each.after.health is Health.RECOVERING)


@given(run_walks)
def test_an_attempt_is_asked_for_once(walk: Walk) -> None:
    """The model is asked once for each (step, iteration, attempt), whatever comes twice."""
    asked = [
        (each.step, each.iteration, each.attempt)
        for each in walk.effects
        if isinstance(each, effects.AICall)
    ]
    assert len(set(asked)) == len(asked)


@given(run_walks)
def test_a_retry_performs_the_effect_that_failed(walk: Walk) -> None:
    """The same but for the number of the attempt, and what a request derives from that."""
    asked = [
        each for each in walk.effects if isinstance(each, effects.AICall | effects.RecallPriors)
    ]
    for before, after in pairwise(asked):
        if after.attempt == before.attempt + 1:
            repeated = after.model_dump(exclude={"attempt", "messages"})
            assert type(after) is type(before)
            assert repeated == before.model_dump(exclude={"attempt", "messages"})


@given(run_walks)
def test_a_version_grows_by_one_with_each_accepted_event_and_time_never_goes_back(
    walk: Walk,
) -> None:
    for each in walk.accepted:
        assert each.after.version == each.before.version + 1
        assert each.after.updated_at >= each.before.updated_at


@given(run_walks)
def test_a_prior_keeps_its_place_once_it_was_supplied(walk: Walk) -> None:
    """Its label in citations is its place."""
    for each in walk.accepted:
        assert each.after.priors[: len(each.before.priors)] == each.before.priors


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_a_retry_grows_and_has_a_bound(failures: int, jitter: float) -> None:
    wait = backoff_ms(failures, jitter)
    assert BACKOFF_BASE_MS // 2 <= wait <= BACKOFF_CAP_MS
    assert wait <= backoff_ms(failures + 1, jitter)


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
            (taken,) = result.transitions
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
        gone = {operation.public_key} if isinstance(operation, LeaveCoAuthor) else set()
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


# --- Connection ----------------------------------------------------------------------------------

link_walks = walks(
    connection_machine(), link.connecting(), link_events, likely_at=likely_link_events
)
SIGNED_IN: Final = {
    ConnectionStatus.READY,
    ConnectionStatus.IN_THREAD,
    ConnectionStatus.INTERRUPTED,
}


@given(link_walks)
def test_a_connection_is_in_a_thread_exactly_when_it_names_one(walk: Walk) -> None:
    for each in walk.fired:
        inside = each.after.status is ConnectionStatus.IN_THREAD
        assert inside == (each.after.thread_id is not None)
        assert each.after.validate_state() == Valid()


@given(link_walks)
def test_what_a_connection_follows_is_what_its_effects_say(walk: Walk) -> None:
    followed = None
    for each in walk.accepted:
        assert isinstance(each.outcome, Accepted)
        for effect in each.outcome.effects:
            match effect:
                case effects.FollowThread(thread_id=thread_id):
                    assert followed is None, "one thread at a time"
                    followed = thread_id
                case effects.UnfollowThread(thread_id=thread_id):
                    assert followed == thread_id
                    followed = None
        assert each.after.thread_id == followed


@given(link_walks)
def test_nobody_is_signed_in_before_the_signature_or_a_valid_session(walk: Walk) -> None:
    for each in walk.accepted:
        assert (each.after.user is not None) == (each.after.status in SIGNED_IN)
        if each.after.user is not None and each.before.user is None:
            match each.event:
                case SignatureChecked(valid=valid, session=session):
                    assert valid
                    assert session is not None
                case SessionLookedUp(session=session, user=user, at=at):
                    assert session is not None
                    assert user is not None
                    assert at < session.expires_at
                    assert session.public_key == user.public_key
                case other:
                    raise AssertionError(f"{other} signed somebody in")


@given(st.lists(st.sampled_from(["connect", "challenge", "sign", "late", "bad"]), max_size=20))
def test_a_nonce_serves_once(script: list[str]) -> None:
    """The shell makes a new nonce for each challenge; the chart uses none of them twice."""
    state, asked = link.connecting(), []
    for number, word in enumerate(script):
        events: dict[str, ConnectionEvent] = {
            "connect": link.connect(),
            "challenge": link.challenge(f"n{number}"),
            "sign": link.authenticate(),
            "late": link.authenticate(link.NONCE_EXPIRES),
            "bad": link.checked(valid=False),
        }
        outcome = connection_machine().fire(state, events[word])
        if isinstance(outcome, Accepted):
            open_before, state = state.challenge, outcome.state
            for effect in outcome.effects:
                if isinstance(effect, effects.VerifySignature):
                    assert open_before is not None
                    assert effect.statement == open_before.statement
                    asked.append(effect.statement)
            assert isinstance(events[word], ChallengeIssued) or state.challenge in {
                None,
                open_before,
            }
    assert len(set(asked)) == len(asked)


@given(link_walks)
def test_three_failed_sign_ins_close_and_a_closed_connection_stays_closed(walk: Walk) -> None:
    for each in walk.accepted:
        assert each.before.status is not ConnectionStatus.CLOSED
        assert each.after.failures in {each.before.failures, each.before.failures + 1}
        worn = each.after.failures == MAX_SIGN_IN_FAILURES
        assert not worn or each.after.status is ConnectionStatus.CLOSED
    for each in walk.fired:
        if each.before.status is ConnectionStatus.CLOSED:
            assert isinstance(each.outcome, Refusal)


@given(link_walks)
def test_a_closed_connection_knows_nobody(walk: Walk) -> None:
    state = walk.state
    assert isinstance(state, ConnectionState)
    if state.status is ConnectionStatus.CLOSED:
        known = (state.user, state.token_hash, state.thread_id, state.challenge, state.claimed_key)
        assert known == (None,) * len(known)


@given(link_walks)
def test_an_answer_about_another_thread_than_was_asked_for_changes_nothing(walk: Walk) -> None:
    for each in walk.fired:
        if (
            each.event.event == "access_checked"
            and each.event.thread_id != each.before.wanted_thread
        ):
            assert isinstance(each.outcome, Refusal)
            assert each.outcome.guards or each.before.status not in {
                ConnectionStatus.READY,
                ConnectionStatus.IN_THREAD,
            }


def test_an_error_on_one_connection_leaves_others_as_they_were() -> None:
    """They share the machine and nothing else."""
    mine, other = link.in_thread(), link.in_thread().model_copy(update={"client_id": "another"})
    kept = other.model_dump_json()
    for event in link_events(mine):
        connection_machine().fire(mine, event)
        assert other.model_dump_json() == kept
        assert link.in_thread() == mine

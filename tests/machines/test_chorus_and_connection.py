"""The rules of runs and connections, under whatever may happen.

Each rule is checked against a walk as a whole, in words of its own; nothing here asks a guard. Messages
and threads are in `test_message_and_thread`; how values are kept and replayed is in `test_replay`.
"""

import dataclasses
from itertools import pairwise
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from machines.chorus import chorus_machine
from machines.connection import connection_machine
from machines.connection_rules import MAX_SIGN_IN_FAILURES
from machines.loop.recovery import BACKOFF_CAP_MS, MAX_REBUILDS, backoff_ms
from machines.loop.steps import is_complete
from machines.models import effects
from machines.models.chorus import BACKOFF_BASE_MS, Awaited, Health, RunStatus
from machines.models.connection import (
    ChallengeIssued,
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    SessionLookedUp,
    SignatureChecked,
)
from machines.models.domain import Valid
from machines.models.outputs import StepEnum
from machines.statechart import Accepted, Refusal
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import connection_scenarios as link
from tests.machines.transitions.spaces import (
    likely_link_events,
    likely_run_events,
    link_events,
    run_events,
)
from tests.machines.transitions.values import prior
from tests.machines.transitions.walks import Walk, walks

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
        delays = state.failures + 1  # an attempt is delayed once; a failure ends it
        assert state.attempt <= 1 + state.failures + delays + state.rebuilds


@given(run_walks)
def test_a_delay_costs_a_run_no_attempt_and_an_attempt_is_delayed_once(walk: Walk) -> None:
    waited = False
    for each in walk.accepted:
        if each.event.event == "attempt_delayed":
            assert not waited, "the attempt had waited already"
            assert each.after.failures == each.before.failures
            waited = True
        elif each.event.event in {"step_completed", "ai_failed", "network_failed"}:
            waited = False


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
    """The same but for what says which attempt it is, and what a request derives from that."""
    which: Final = {"attempt", "messages", "answer_tokens", "thought_tokens", "may_be_delayed"}

    def rest_of(effect: effects.AICall | effects.RecallPriors) -> dict[str, object]:
        return {
            each.name: getattr(effect, each.name)
            for each in dataclasses.fields(effect)
            if each.name not in which
        }

    asked = [
        each for each in walk.effects if isinstance(each, effects.AICall | effects.RecallPriors)
    ]
    for before, after in pairwise(asked):
        if after.attempt == before.attempt + 1:
            assert type(after) is type(before)
            assert rest_of(after) == rest_of(before)


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


def test_a_later_search_adds_new_priors_behind_those_that_have_their_labels() -> None:
    searching = run.running(StepEnum.EXPERIENCE, iteration=2, awaiting=Awaited.PRIORS)
    outcome = chorus_machine().fire(searching, run.recalled(searching))
    assert isinstance(outcome, Accepted)
    assert searching.priors == (prior(1), prior(2))
    assert outcome.state.priors == (prior(1), prior(2), prior(3))


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_a_retry_grows_and_has_a_bound(failures: int, jitter: float) -> None:
    wait = backoff_ms(failures, jitter)
    assert BACKOFF_BASE_MS // 2 <= wait <= BACKOFF_CAP_MS
    assert wait <= backoff_ms(failures + 1, jitter)


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
        forgiven = each.after.status is ConnectionStatus.READY and each.after.failures == 0
        assert forgiven or each.after.failures - each.before.failures in {0, 1}
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

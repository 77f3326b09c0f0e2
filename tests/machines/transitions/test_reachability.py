"""The whole reachable space of each chart: the machine keeps to the metadata, and no state is a trap.

What the search does stands in `machines.statechart.coverage`; the spaces in
`tests.machines.transitions.spaces`; here stands what must hold of everything that is found in them.
"""

from typing import get_args

import pytest

from machines.connection_rules import MAX_SIGN_IN_FAILURES
from machines.loop.recovery import MAX_REBUILDS
from machines.models.branch import Branch, BranchStatus
from machines.models.chorus import RunStatus
from machines.models.connection import ConnectionState
from machines.models.effects import Effect, ScheduleTimer
from machines.models.invitation import InvitationStatus
from machines.models.invite_link import InviteLink, InviteLinkStatus
from machines.models.message import Decision, Message, MessageStatus
from machines.models.removal import Removal, RemovalDecision, RemovalStatus
from machines.models.thread import Thread
from machines.statechart.coverage import (
    Key,
    cycle_free,
    uncovered,
    unprompted_cycle_free,
)
from tests.conftest import Tally
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import link_scenarios as address
from tests.machines.transitions.answers import ANSWERS
from tests.machines.transitions.spaces import SPACES, RunKey, searched
from tests.machines.transitions.values import CAROL

pytestmark = pytest.mark.unmeasured

every_space = pytest.mark.parametrize("name", SPACES)

# --- What holds of all of them -------------------------------------------------------------------


@every_space
def test_the_search_covers_the_chart_and_the_table_is_the_engine_in_every_reachable_state(
    name: str, tally: Tally
) -> None:
    reached = searched(name)  # every comparison is made on the way
    assert not uncovered(SPACES[name](), reached)
    tally(
        f"{name}: {len(reached.values)} reachable states, {reached.fired} events fired in them, "
        f"{len(reached.steps)} steps; table and engine agree"
    )


@every_space
def test_effects_and_their_answers_alone_never_go_round_in_a_circle(name: str) -> None:
    unprompted_cycle_free(searched(name).steps)


@pytest.mark.parametrize(
    "name", ["chorus", "message", "invitation", "invite_link", "removal", "branch"]
)
def test_all_but_connections_threads_breakers_and_leases_never_come_back_to_where_they_were(
    name: str,
) -> None:
    cycle_free(searched(name).steps)


def test_the_search_knows_of_every_effect_what_it_may_bring_back() -> None:
    assert set(ANSWERS) | {ScheduleTimer} == set(get_args(Effect))


# --- What holds of one ---------------------------------------------------------------------------


def run_keys() -> list[RunKey]:
    """Of all runs that are not final."""
    return [key for key in searched("chorus").values if isinstance(key, RunKey)]


def test_iterations_attempts_and_rebuilds_of_a_run_keep_their_bounds() -> None:
    keys = run_keys()
    assert max(key.iteration for key in keys) == run.MAX_ITERATIONS
    assert max(key.failures for key in keys) == run.MAX_ATTEMPTS - 1
    assert max(key.rebuilds for key in keys) == MAX_REBUILDS


def test_a_running_run_always_has_something_under_way_that_takes_it_further() -> None:
    steps = searched("chorus").steps
    accepted: dict[Key, set[str]] = {}
    for step in steps:
        accepted.setdefault(step.source, set()).add(step.event)
    stalled = [
        step
        for step in steps
        if isinstance(step.target, RunKey)
        and step.target.status is RunStatus.RUNNING
        and not step.answers & accepted[step.target]
    ]
    assert not stalled, "the effects of these steps bring nothing back that the run takes"


def test_a_started_run_ends_without_anybody_doing_anything() -> None:
    reached = searched("chorus")
    ends: set[Key] = set(reached.values) - set(run_keys())
    assert ends == {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CANCELLED}
    alone = [step for step in reached.steps if step.event not in {"start", "cancel"}]
    started: set[Key] = {key for key in run_keys() if key.status is RunStatus.RUNNING}
    assert started <= reached.leading_to(ends, alone)


def test_every_live_run_can_be_cancelled() -> None:
    cancelling = {step.source for step in searched("chorus").steps if step.event == "cancel"}
    assert cancelling == set(run_keys())


def test_a_message_is_approved_only_by_a_whole_electorate() -> None:
    for value in searched("message").values.values():
        assert isinstance(value, Message)
        if value.status is MessageStatus.APPROVED and value.expires_at is not None:
            assert value.electors
            assert {vote.co_author for vote in value.approvals} == set(value.electors)


def test_a_co_author_is_removed_only_by_a_whole_electorate_without_them() -> None:
    ended = [
        value
        for value in searched("removal").values.values()
        if isinstance(value, Removal) and value.status is RemovalStatus.REMOVED
    ]
    assert ended
    for value in ended:
        assert value.electors
        assert value.public_key not in value.electors
        assert {vote.co_author for vote in value.votes} == set(value.electors)
        assert all(vote.decision is RemovalDecision.REMOVE for vote in value.votes)


def test_a_branch_is_adopted_only_by_a_whole_electorate() -> None:
    ended = [
        value
        for value in searched("branch").values.values()
        if isinstance(value, Branch) and value.status is BranchStatus.ADOPTED
    ]
    assert ended
    for value in ended:
        assert value.electors
        assert {vote.co_author for vote in value.votes} == set(value.electors)
        assert all(vote.decision is Decision.APPROVE for vote in value.votes)


def test_a_link_is_used_once_by_somebody_from_outside_and_only_in_time() -> None:
    using = [step for step in searched("invite_link").steps if step.event == "use"]
    ends = {(InviteLinkStatus.USED, CAROL), (InviteLinkStatus.USED, address.GUEST)}
    assert {step.target for step in using} == {*ends, (InviteLinkStatus.EXPIRED, None)}
    for value in searched("invite_link").values.values():
        assert isinstance(value, InviteLink)
        assert value.used_by not in address.CO_AUTHORS
        assert (value.used_by is None) is (value.status is not InviteLinkStatus.USED)


def test_only_the_invited_accepts_and_only_in_time() -> None:
    accepting = [step for step in searched("invitation").steps if step.event == "accept"]
    assert {step.target for step in accepting} == {
        (InvitationStatus.ACCEPTED,),
        (InvitationStatus.EXPIRED,),
    }


def test_a_connection_never_has_more_failures_than_close_it() -> None:
    values = [
        value
        for value in searched("connection").values.values()
        if isinstance(value, ConnectionState)
    ]
    assert max(value.failures for value in values) == MAX_SIGN_IN_FAILURES
    worn = [value for value in values if value.failures == MAX_SIGN_IN_FAILURES]
    assert {value.status.value for value in worn} == {"closed"}


def test_a_thread_always_has_a_co_author_and_no_debt() -> None:
    for value in searched("thread").values.values():
        assert isinstance(value, Thread)
        assert value.co_authors
        assert value.token_balance >= 0

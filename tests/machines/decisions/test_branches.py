"""Decisions about branches: what a deadline that has passed, and electors who leave, make of one."""

from datetime import datetime
from typing import Final

from machines.decisions.changes import Decided
from machines.decisions.threads import decide
from machines.models.branch import Branch
from machines.models.commands import (
    Facts,
    LeaveCoAuthorship,
    Policy,
    ProposeAdoption,
)
from machines.models.errors import InvalidTransition
from machines.models.ids import BranchId, PublicKey
from machines.models.journal import DecisionView
from machines.models.limits import MAX_BRANCH_VOTES
from machines.models.thread import Thread, Visibility
from tests.machines.transitions.branch_scenarios import proposed, ready
from tests.machines.transitions.values import ALICE, BOB, CAROL, DEADLINE, NOW, SOON, THREAD, uuid

POLICY: Final = Policy()


def facts_of(*branches: Branch, co_authors: tuple[PublicKey, ...]) -> Facts:
    """A thread with these branches open in it."""
    thread = Thread(
        id=THREAD,
        name="A thread",
        visibility=Visibility.PRIVATE,
        co_authors=co_authors,
        created_at=NOW,
        updated_at=NOW,
    )
    return Facts(view=DecisionView(head_seq=1, thread=thread, branches=branches))


def propose(branch: Branch, by: PublicKey, at: datetime = SOON) -> ProposeAdoption:
    return ProposeAdoption(thread_id=THREAD, at=at, by=by, branch_id=branch.id)


def told(decided: Decided) -> list[tuple[str, object]]:
    """The kinds of its entries, and who did what each tells of."""
    return [(entry.kind, entry.by) for entry in decided.batch.entries]


def test_a_branch_that_is_proposed_at_its_deadline_expires_by_it() -> None:
    late = ready()
    for co_authors in ((ALICE,), (ALICE, BOB)):
        decided = decide(
            facts_of(late, co_authors=co_authors), propose(late, ALICE, DEADLINE), POLICY
        )
        assert isinstance(decided.refused, InvalidTransition)
        assert decided.refused.guards == ("deadline_is_ahead",)
        assert told(decided) == [("branch_expired", None)]
        assert decided.batch.cancelled_timers == (f"branch:{late.id}",)
        assert decided.facts.view.branches == ()


def test_branches_whose_electors_have_all_left_make_room_for_others_to_be_voted_on() -> None:
    """Carol joined when they had been proposed: she is no elector of them."""
    stuck = [
        proposed(ALICE, BOB, id=BranchId(uuid(500 + number))) for number in range(MAX_BRANCH_VOTES)
    ]
    mine = ready().changed(id=BranchId(uuid(600)), made_by=CAROL)
    facts = facts_of(*stuck, mine, co_authors=(ALICE, BOB, CAROL))
    one_left = decide(facts, LeaveCoAuthorship(thread_id=THREAD, at=SOON, by=ALICE), POLICY)
    assert [each.electors for each in one_left.facts.view.branches] == [(BOB,), (BOB,), ()]

    all_left = decide(one_left.facts, LeaveCoAuthorship(thread_id=THREAD, at=SOON, by=BOB), POLICY)
    assert told(all_left)[1:] == [("branch_discarded", None)] * MAX_BRANCH_VOTES
    assert set(all_left.batch.cancelled_timers) == {f"branch:{each.id}" for each in stuck}
    assert all_left.facts.view.branches == (mine,)

"""Branches and events for them, and the scenario of each edge of the branch chart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from machines.branch import branch_machine
from machines.models.branch import (
    AdoptionProposed,
    Branch,
    BranchAnswered,
    BranchDiscarded,
    BranchElectorLeft,
    BranchEvent,
    BranchExpired,
    BranchForked,
    BranchMakerLeft,
    BranchPromptSuperseded,
    BranchRunEnded,
    BranchStatus,
    BranchVote,
    BranchVoteCast,
)
from machines.models.fork import ChangeKind, ForkPoint
from machines.models.ids import PublicKey
from machines.models.message import Decision
from machines.models.outputs import StepEnum
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    BRANCH,
    CAROL,
    DEADLINE,
    MESSAGE,
    NOW,
    OTHER_RUN,
    RUN,
    SOON,
    THREAD,
    prior,
)

CO_AUTHORS = (ALICE, BOB, CAROL)

# --- Events --------------------------------------------------------------------------------------


def fork(*co_authors: PublicKey) -> BranchForked:
    """A run is forked in a thread of these co-authors."""
    return BranchForked(at=NOW, co_authors=co_authors or CO_AUTHORS)


def answered(*, linked: bool = True) -> BranchAnswered:
    """Its run has its answer, which rests on a prior."""
    links = ((prior(1).message_id, "It fits."),) if linked else ()
    return BranchAnswered(at=SOON, expires_at=DEADLINE, links=links)


def propose(by: PublicKey = ALICE, *co_authors: PublicKey, at: datetime = SOON) -> AdoptionProposed:
    """A user asks these co-authors to adopt it."""
    return AdoptionProposed(
        at=at, by=by, co_authors=co_authors or CO_AUTHORS, expires_at=at + (DEADLINE - SOON)
    )


def vote(
    decision: Literal["approve", "reject"], voter: PublicKey, at: datetime = SOON
) -> BranchVoteCast:
    """Somebody votes."""
    return BranchVoteCast(event=decision, at=at, voter=voter)


def discard(by: PublicKey = ALICE) -> BranchDiscarded:
    """Somebody gives it up."""
    return BranchDiscarded(at=SOON, by=by)


def maker_left(leaver: PublicKey = ALICE) -> BranchMakerLeft:
    """A co-author left the thread."""
    return BranchMakerLeft(at=SOON, leaver=leaver)


def elector_left(elector: PublicKey, at: datetime = SOON) -> BranchElectorLeft:
    """A co-author left the thread while they had a vote."""
    return BranchElectorLeft(at=at, elector=elector)


def expire(at: datetime = DEADLINE, *, archived: bool = False) -> BranchExpired:
    """The timer fires, or the thread is archived."""
    return BranchExpired(at=at, thread_archived=archived)


def events_at(_: Branch) -> Iterator[BranchEvent]:
    """An event of each kind."""
    yield fork()
    yield answered()
    yield BranchRunEnded(at=SOON)
    yield propose()
    yield vote("approve", BOB)
    yield vote("reject", BOB)
    yield discard()
    yield maker_left()
    yield elector_left(BOB)
    yield BranchPromptSuperseded(at=SOON)
    yield expire()


# --- Branches ------------------------------------------------------------------------------------


def forked(**changes: Any) -> Branch:
    """A branch of a run that has only just been forked, by Alice."""
    branch = Branch(
        id=BRANCH,
        thread_id=THREAD,
        message_id=MESSAGE,
        run_id=OTHER_RUN,
        origin=ForkPoint(run_id=RUN, step=StepEnum.INTENTION, iteration=1),
        change=ChangeKind.STEP_TEXT,
        made_by=ALICE,
        created_at=NOW,
        updated_at=NOW,
        expires_at=DEADLINE,
    )
    return branch.model_copy(update=changes)


def growing() -> Branch:
    """A branch whose run goes on."""
    return forked(status=BranchStatus.GROWING)


def ready(*, linked: bool = True) -> Branch:
    """A branch whose answer is there."""
    return forked(status=BranchStatus.READY, links=answered(linked=linked).links)


def proposed(*electors: PublicKey, **changes: Any) -> Branch:
    """A branch that these vote on, and on which Alice has voted by proposing it."""
    electors = electors or CO_AUTHORS
    votes = (_yes(ALICE),) if ALICE in electors else ()
    return forked(
        status=BranchStatus.PROPOSED,
        proposed_by=ALICE,
        electors=electors,
        votes=votes,
        links=answered().links,
        **changes,
    )


def _yes(elector: PublicKey) -> BranchVote:
    return BranchVote(co_author=elector, decision=Decision.APPROVE, at=NOW)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the branch chart."""
    return Catalogue(
        machine=branch_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=tuple(proposed().changed(status=status) for status in BranchStatus),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    yield Taken("edge_branch_fork_forked_growing", forked(), fork())
    yield Taken("edge_branch_answer_growing_ready", growing(), answered())
    yield Taken("edge_branch_run_ended_growing_failed", growing(), BranchRunEnded(at=SOON))

    for linked in (True, False):
        yield Taken(
            "edge_branch_propose_ready_adopted", ready(linked=linked), propose(ALICE, ALICE)
        )
    yield Taken("edge_branch_propose_ready_proposed", ready(), propose())
    yield Taken("edge_branch_propose_ready_proposed", ready(), propose(BOB))
    for alone in ((ALICE,), CO_AUTHORS):
        late = propose(ALICE, *alone, at=DEADLINE)
        yield Taken("edge_branch_propose_ready_expired", ready(), late)

    two, three = proposed(ALICE, BOB), proposed()
    yield Taken("edge_branch_approve_proposed_proposed", three, vote("approve", BOB))
    yield Taken("edge_branch_approve_proposed_adopted", two, vote("approve", BOB))
    yield Taken("edge_branch_approve_proposed_expired", two, vote("approve", BOB, DEADLINE))
    yield Taken("edge_branch_reject_proposed_rejected", two, vote("reject", BOB))
    yield Taken("edge_branch_reject_proposed_expired", two, vote("reject", BOB, DEADLINE))

    anew = BranchPromptSuperseded(at=SOON)
    for branch in (growing(), ready(), two):
        source = branch.status.value
        yield Taken(f"edge_branch_discard_{source}_discarded", branch, discard())
        yield Taken(f"edge_branch_supersede_prompt_{source}_discarded", branch, anew)
    for branch in (growing(), ready()):
        source = branch.status.value
        yield Taken(f"edge_branch_maker_left_{source}_discarded", branch, maker_left())
    for branch in (ready(), two):
        edge = f"edge_branch_expire_{branch.status.value}_expired"
        yield Taken(edge, branch, expire())
        yield Taken(f"{edge}_2", branch, expire(SOON, archived=True))

    two_agreed = three.changed(votes=(*three.votes, _yes(BOB)))
    yield Taken("edge_branch_elector_left_proposed_adopted", two_agreed, elector_left(CAROL))
    yield Taken("edge_branch_elector_left_proposed_adopted", two, elector_left(BOB))
    yield Taken("edge_branch_elector_left_proposed_expired", two, elector_left(BOB, DEADLINE))
    yield Taken("edge_branch_elector_left_proposed_proposed", three, elector_left(BOB))
    yield Taken("edge_branch_elector_left_proposed_discarded", proposed(BOB), elector_left(BOB))


def _refused() -> Iterator[Refused]:
    yield Refused(("maker_is_co_author",), forked(), fork(BOB, CAROL))
    for at in (SOON, DEADLINE):
        yield Refused(("proposer_is_co_author",), ready(), propose(ALICE, BOB, CAROL, at=at))
    two = proposed(ALICE, BOB)
    twice = ("voter_has_not_voted", "not deadline_is_ahead")
    yield Refused(twice, two, vote("approve", ALICE))
    yield Refused(twice, two, vote("reject", ALICE))
    for at in (SOON, DEADLINE):
        yield Refused(("voter_is_elector",), two, vote("approve", CAROL, at))
        yield Refused(("voter_is_elector",), two, vote("reject", CAROL, at))
    for branch in (growing(), ready(), two):
        yield Refused(("maker_asks",), branch, discard(BOB))
    for branch in (growing(), ready()):
        yield Refused(("leaver_made_it",), branch, maker_left(BOB))
    yield Refused(("leaver_is_elector",), two, elector_left(CAROL))
    early = ("not deadline_is_ahead", "thread_is_archived")
    for branch in (ready(), two):
        yield Refused(early, branch, expire(DEADLINE - timedelta(microseconds=1)))

"""Removals and events for them, and the scenario of each edge of the removal chart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from machines.models.ids import PublicKey
from machines.models.removal import (
    NamedAppeared,
    NamedLeft,
    Removal,
    RemovalDecision,
    RemovalElectorLeft,
    RemovalEvent,
    RemovalExpired,
    RemovalProposed,
    RemovalStatus,
    RemovalVote,
    RemovalVoteCast,
    RemovalWithdrawn,
)
from machines.removal import removal_machine
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DEADLINE,
    NOW,
    REMOVAL,
    SOON,
    THREAD,
)

NAMED = DAVE
"""Alice proposes to remove them; Bob has a vote too, and Carol is an outsider."""
CO_AUTHORS = (ALICE, BOB, NAMED)
LAST_MOMENT = DEADLINE - timedelta(microseconds=1)

# --- Events --------------------------------------------------------------------------------------


def propose(*co_authors: PublicKey, named: tuple[PublicKey, ...] = ()) -> RemovalProposed:
    """The removal is proposed in a thread of these co-authors, where votes on these are open."""
    return RemovalProposed(at=NOW, co_authors=co_authors or CO_AUTHORS, named=named)


def vote(
    decision: Literal["remove", "keep"], voter: PublicKey, at: datetime = SOON
) -> RemovalVoteCast:
    """Somebody votes."""
    return RemovalVoteCast(event=decision, at=at, voter=voter)


def appear(by: PublicKey = NAMED) -> NamedAppeared:
    """Somebody does something in the thread."""
    return NamedAppeared(at=SOON, by=by)


def withdraw(by: PublicKey = ALICE) -> RemovalWithdrawn:
    """Somebody takes the proposal back."""
    return RemovalWithdrawn(at=SOON, by=by)


def elector_left(elector: PublicKey, at: datetime = SOON) -> RemovalElectorLeft:
    """A co-author left the thread."""
    return RemovalElectorLeft(at=at, elector=elector)


def named_left(leaver: PublicKey = NAMED) -> NamedLeft:
    """A co-author left the thread by themselves."""
    return NamedLeft(at=SOON, leaver=leaver)


def expire(at: datetime = DEADLINE, *, archived: bool = False) -> RemovalExpired:
    """The timer fires, or the thread is archived."""
    return RemovalExpired(at=at, thread_archived=archived)


def events_at(_: Removal) -> Iterator[RemovalEvent]:
    """An event of each kind."""
    yield propose()
    yield vote("remove", BOB)
    yield vote("keep", BOB)
    yield appear()
    yield withdraw()
    yield elector_left(BOB)
    yield named_left()
    yield expire()


# --- Removals ------------------------------------------------------------------------------------


def raised(**changes: Any) -> Removal:
    """A removal that has only just been named."""
    removal = Removal(
        id=REMOVAL,
        thread_id=THREAD,
        public_key=NAMED,
        proposed_by=ALICE,
        created_at=NOW,
        updated_at=NOW,
        expires_at=DEADLINE,
    )
    return removal.model_copy(update=changes)


def proposed(*electors: PublicKey, **changes: Any) -> Removal:
    """A removal that these vote on, and on which Alice has voted by proposing it."""
    electors = electors or (ALICE, BOB, CAROL)
    own = RemovalVote(co_author=ALICE, decision=RemovalDecision.REMOVE, at=NOW)
    votes = (own,) if ALICE in electors else ()
    return raised(status=RemovalStatus.PROPOSED, electors=electors, votes=votes, **changes)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the removal chart."""
    return Catalogue(
        machine=removal_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=tuple(proposed().changed(status=status) for status in RemovalStatus),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    two = proposed(ALICE, BOB)
    yield Taken("edge_removal_propose_raised_proposed", raised(), propose())
    yield Taken("edge_removal_propose_raised_proposed", raised(), propose(named=(BOB,)))
    yield Taken("edge_removal_propose_raised_proposed", raised(), propose(ALICE, NAMED))
    yield Taken("edge_removal_remove_proposed_proposed", proposed(), vote("remove", BOB))
    yield Taken("edge_removal_remove_proposed_removed", two, vote("remove", BOB, LAST_MOMENT))
    yield Taken("edge_removal_remove_proposed_expired", two, vote("remove", BOB, DEADLINE))
    yield Taken("edge_removal_keep_proposed_kept", two, vote("keep", BOB))
    yield Taken("edge_removal_keep_proposed_expired", two, vote("keep", BOB, DEADLINE))
    yield Taken("edge_removal_withdraw_proposed_withdrawn", two, withdraw())
    yield Taken("edge_removal_named_left_proposed_withdrawn", two, named_left())
    alone = proposed(ALICE)
    yield Taken("edge_removal_appear_proposed_kept", alone, appear())
    yield Taken("edge_removal_expire_proposed_removed", alone, expire())
    yield Taken("edge_removal_expire_proposed_expired", two, expire())
    yield Taken("edge_removal_expire_proposed_expired", alone, expire(archived=True))
    yield Taken("edge_removal_expire_proposed_expired_2", two, expire(SOON, archived=True))
    three = proposed()
    agreed = RemovalVote(co_author=BOB, decision=RemovalDecision.REMOVE, at=NOW)
    two_agreed = three.changed(votes=(*three.votes, agreed))
    yield Taken("edge_removal_elector_left_proposed_removed", two_agreed, elector_left(CAROL))
    yield Taken("edge_removal_elector_left_proposed_expired", two, elector_left(BOB, DEADLINE))
    yield Taken("edge_removal_elector_left_proposed_proposed", three, elector_left(BOB))
    yield Taken("edge_removal_elector_left_proposed_proposed", three, elector_left(ALICE))
    for elector in (ALICE, BOB):
        yield Taken("edge_removal_elector_left_proposed_kept", two, elector_left(elector))
    yield Taken("edge_removal_elector_left_proposed_kept", alone, elector_left(ALICE))


def _refused() -> Iterator[Refused]:
    two = proposed(ALICE, BOB)
    yield Refused(("proposer_is_co_author",), raised(), propose(BOB, CAROL, NAMED))
    yield Refused(("another_co_author_is_named",), raised(), propose(ALICE, BOB, CAROL))
    yield Refused(("another_co_author_is_named",), raised(public_key=ALICE), propose())
    yield Refused(("not a_vote_on_them_is_open",), raised(), propose(named=(NAMED,)))
    twice = ("voter_has_not_voted", "not deadline_is_ahead")
    yield Refused(twice, two, vote("remove", ALICE))
    yield Refused(twice, two, vote("keep", ALICE))
    for stranger in (NAMED, CAROL):
        for at in (SOON, DEADLINE):
            yield Refused(("voter_is_elector",), two, vote("remove", stranger, at))
            yield Refused(("voter_is_elector",), two, vote("keep", stranger, at))
    alone = proposed(ALICE)
    yield Refused(("named_one_appears",), alone, appear(BOB))
    yield Refused(("proposer_decides_alone",), two, appear())
    for decision in RemovalDecision:
        late = vote(decision.value, ALICE, DEADLINE)
        yield Refused(("not proposer_decides_alone",), alone, late)
    yield Refused(("proposer_asks",), two, withdraw(BOB))
    yield Refused(("leaver_is_named",), two, named_left(BOB))
    yield Refused(("not deadline_is_ahead", "thread_is_archived"), two, expire(LAST_MOMENT))
    yield Refused(("leaver_is_elector",), two, elector_left(CAROL))
    yield Refused(("leaver_is_elector",), proposed(ALICE, BOB), elector_left(CAROL, DEADLINE))

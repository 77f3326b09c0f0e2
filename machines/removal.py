"""The removal chart: how all co-authors but one decide whether that one stays. Unanimous, or nothing.

    raised --> proposed --> removed | kept | withdrawn | expired

`raised` lasts only inside the transaction that proposes. Electors are the co-authors at that moment but
the named one; who leaves counts no more, and who joins is no elector. One vote to keep ends it.

    the problem     of two co-authors one has a lost key, and holds up every vote for good. The other is
                    all the electors that there are; but if they alone decided, each of two could throw
                    the other out.
    what is done    one elector decides nothing. The proposal stands until its deadline, and whatever the
                    named one does in the thread until then ends it: a lost key can do nothing, and one
                    that is in use cannot be removed. Where a vote of several comes down to one
                    elector, it ends: who remains may propose again, and the whole time begins anew.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.deadlines import deadline_is_ahead, thread_is_archived
from machines.models.effects import CancelTimer, RunEffect, ScheduleTimer
from machines.models.ids import PublicKey, TimerId
from machines.models.journal import RemovalTimer
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
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Voted = Reaction[Removal, object, RunEffect]


def proposer_is_co_author(removal: Removal, event: RemovalProposed) -> bool:
    """Who proposes is a co-author of the thread."""
    return removal.proposed_by in event.co_authors


def another_co_author_is_named(removal: Removal, event: RemovalProposed) -> bool:
    """Who is named is a co-author, and not the one who proposes: to go oneself is to leave."""
    return removal.public_key in event.co_authors and removal.public_key != removal.proposed_by


def a_vote_on_them_is_open(removal: Removal, event: RemovalProposed) -> bool:
    """Another vote on the same co-author is open."""
    return removal.public_key in event.named


def proposer_decides_alone(removal: Removal, _: object) -> bool:
    """There is no elector but the one who proposed."""
    return removal.electors == (removal.proposed_by,)


def named_one_appears(removal: Removal, event: NamedAppeared) -> bool:
    """Who does something in the thread is the one whose removal was proposed."""
    return event.by == removal.public_key


def voter_is_elector(removal: Removal, event: RemovalVoteCast) -> bool:
    """The voter was a co-author when the removal was proposed, is one still, and is not named."""
    return event.voter in removal.electors


def voter_has_not_voted(removal: Removal, event: RemovalVoteCast) -> bool:
    """The elector did not vote yet."""
    return all(vote.co_author != event.voter for vote in removal.votes)


def every_other_elector_agreed(removal: Removal, event: RemovalVoteCast) -> bool:
    """The voter is the last elector whose vote is missing."""
    return _others_agreed(removal, event.voter)


def proposer_asks(removal: Removal, event: RemovalWithdrawn) -> bool:
    """The proposer asks, who alone may withdraw the proposal."""
    return event.by == removal.proposed_by


def leaver_is_elector(removal: Removal, event: RemovalElectorLeft) -> bool:
    """The co-author who left had a vote on this removal."""
    return event.elector in removal.electors


def several_electors_remain(removal: Removal, event: RemovalElectorLeft) -> bool:
    """Two other electors remain at least: one alone decides nothing."""
    return sum(elector != event.elector for elector in removal.electors) > 1


def every_remaining_elector_agreed(removal: Removal, event: RemovalElectorLeft) -> bool:
    """All electors but the one who left agreed."""
    return _others_agreed(removal, event.elector)


def leaver_is_named(removal: Removal, event: NamedLeft) -> bool:
    """The co-author who left is the one whose removal was proposed."""
    return event.leaver == removal.public_key


def count_proposer(removal: Removal, event: RemovalProposed) -> Removal:
    """Every co-author but the named one has a vote, and the proposer has cast theirs."""
    own = RemovalVote(co_author=removal.proposed_by, decision=RemovalDecision.REMOVE, at=event.at)
    electors = tuple(key for key in event.co_authors if key != removal.public_key)
    return removal.changed(electors=electors, votes=(own,))


def deadline_of(removal: Removal) -> ScheduleTimer:
    """The timer that a removal has while it is voted on."""
    return ScheduleTimer(
        timer_id=TimerId(f"removal:{removal.id}"),
        due_at=removal.expires_at,
        timer=RemovalTimer(thread_id=removal.thread_id, removal_id=removal.id),
    )


def open_vote(removal: Removal, _: RemovalProposed) -> Voted:
    """The others vote until the deadline."""
    return Reaction(removal, effects=(deadline_of(removal),))


def count_vote(removal: Removal, event: RemovalVoteCast) -> Removal:
    """The vote stands beside the ones before it."""
    vote = RemovalVote(co_author=event.voter, decision=event.decision, at=event.at)
    return removal.changed(votes=(*removal.votes, vote))


def drop_elector(removal: Removal, event: RemovalElectorLeft) -> Removal:
    """Who left has no vote on the removal any more, cast or not."""
    return removal.changed(
        electors=tuple(key for key in removal.electors if key != event.elector),
        votes=tuple(vote for vote in removal.votes if vote.co_author != event.elector),
    )


def close_vote(removal: Removal, _: object) -> Voted:
    """The deadline means nothing any more."""
    return Reaction(removal, effects=(CancelTimer(timer_id=deadline_of(removal).timer_id),))


on = Edges[Removal, object, RunEffect]()


class RemovalChart(Chart[Removal]):
    """Removal: a co-author whom all the others let go"""

    machine = "removal"
    edge_kinds: ClassVar = {
        "expire": EdgeKind.FAILURE,
        "withdraw": EdgeKind.CANCEL,
        "named_left": EdgeKind.CANCEL,
        "elector_left": EdgeKind.RETRY,
    }

    raised = State(initial=True)
    proposed = State()
    removed = State(final=True)
    kept = State(final=True)
    withdrawn = State(final=True)
    expired = State(final=True)

    propose = on(
        RemovalProposed,
        raised.to(proposed),
        when=[proposer_is_co_author, another_co_author_is_named],
        unless=[a_vote_on_them_is_open],
        do=[count_proposer, open_vote],
    )
    remove = (
        on(
            RemovalVoteCast,
            proposed.to(removed),
            when=[
                voter_is_elector,
                voter_has_not_voted,
                deadline_is_ahead,
                every_other_elector_agreed,
            ],
            do=[count_vote, close_vote],
        )
        | on(
            RemovalVoteCast,
            proposed.to(proposed),
            when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
            unless=[every_other_elector_agreed],
            do=[count_vote],
        )
        | on(
            RemovalVoteCast,
            proposed.to(expired),
            when=[voter_is_elector],
            unless=[deadline_is_ahead, proposer_decides_alone],
            do=[close_vote],
        )
    )
    keep = on(
        RemovalVoteCast,
        proposed.to(kept),
        when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
        do=[count_vote, close_vote],
    ) | on(
        RemovalVoteCast,
        proposed.to(expired),
        when=[voter_is_elector],
        unless=[deadline_is_ahead, proposer_decides_alone],
        do=[close_vote],
    )
    appear = on(
        NamedAppeared,
        proposed.to(kept),
        when=[named_one_appears, proposer_decides_alone],
        do=[close_vote],
    )
    withdraw = on(RemovalWithdrawn, proposed.to(withdrawn), when=[proposer_asks], do=[close_vote])
    named_left = on(NamedLeft, proposed.to(withdrawn), when=[leaver_is_named], do=[close_vote])
    expire = (
        on(
            RemovalExpired,
            proposed.to(removed),
            when=[proposer_decides_alone],
            unless=[deadline_is_ahead, thread_is_archived],
            do=[close_vote],
        )
        | on(RemovalExpired, proposed.to(expired), unless=[deadline_is_ahead], do=[close_vote])
        | on(
            RemovalExpired,
            proposed.to(expired),
            when=[deadline_is_ahead, thread_is_archived],
            do=[close_vote],
        )
    )
    elector_left = (
        on(
            RemovalElectorLeft,
            proposed.to(removed),
            when=[
                leaver_is_elector,
                deadline_is_ahead,
                several_electors_remain,
                every_remaining_elector_agreed,
            ],
            do=[drop_elector, close_vote],
        )
        | on(
            RemovalElectorLeft,
            proposed.to(expired),
            when=[leaver_is_elector],
            unless=[deadline_is_ahead],
            do=[drop_elector, close_vote],
        )
        | on(
            RemovalElectorLeft,
            proposed.to(kept),
            when=[leaver_is_elector],
            unless=[several_electors_remain],
            do=[drop_elector, close_vote],
        )
        | on(
            RemovalElectorLeft,
            proposed.to(proposed),
            when=[leaver_is_elector],
            do=[drop_elector],
        )
    )


RemovalMachine = Machine[Removal, RemovalEvent, object, RunEffect]


@cache
def removal_machine() -> RemovalMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(RemovalChart, states_of=lambda removal: (removal.status.value,), place=_place)


def _place(removal: Removal, event: RemovalEvent, states: Configuration) -> Removal:
    """A new removal keeps version 1; every later event makes one more."""
    status = RemovalStatus(states[0])
    if removal.status is RemovalStatus.RAISED:
        return removal.changed(status=status)
    return removal.transition_to(event.at, status=status)


def _others_agreed(removal: Removal, but: PublicKey) -> bool:
    agreed = {vote.co_author for vote in removal.votes if vote.decision is RemovalDecision.REMOVE}
    return all(elector in agreed for elector in removal.electors if elector != but)

"""The branch chart: how the answer of a forked run comes to stand in its thread. Declared here, nowhere else.

    forked --> growing --> ready --> proposed --> adopted | rejected | expired
               growing --> failed                 growing, ready, proposed --> discarded

`forked` lasts only inside the transaction that forks. A branch is no part of the thread, and nothing
of it is in the memory, before all electors agreed: the co-authors at the proposal, who leaves counts no
more, and who joins is no elector. Who is all the co-authors there are adopts by proposing. A vote that
no elector is left for ends with the last of them, so that another branch can be voted on.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.deadlines import deadline_is_ahead, thread_is_archived
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
from machines.models.effects import CancelTimer, DBOperation, RunEffect, ScheduleTimer
from machines.models.ids import PublicKey, TimerId
from machines.models.journal import BranchTimer, RecordLinks
from machines.models.message import Decision
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Voted = Reaction[Branch, object, RunEffect]


def maker_is_co_author(branch: Branch, event: BranchForked) -> bool:
    """Who forks is a co-author of the thread."""
    return branch.made_by in event.co_authors


def proposer_is_co_author(_: Branch, event: AdoptionProposed) -> bool:
    """Who proposes is a co-author of the thread."""
    return event.by in event.co_authors


def proposer_decides_alone(_: Branch, event: AdoptionProposed) -> bool:
    """The thread has no co-author but the one who proposes."""
    return event.co_authors == (event.by,)


def voter_is_elector(branch: Branch, event: BranchVoteCast) -> bool:
    """The voter was a co-author when the branch was proposed, and is one still."""
    return event.voter in branch.electors


def voter_has_not_voted(branch: Branch, event: BranchVoteCast) -> bool:
    """The elector did not vote yet."""
    return all(vote.co_author != event.voter for vote in branch.votes)


def every_other_elector_approved(branch: Branch, event: BranchVoteCast) -> bool:
    """The voter is the last elector whose approval is missing."""
    return _others_approved(branch, event.voter)


def maker_asks(branch: Branch, event: BranchDiscarded) -> bool:
    """Who forked the run asks, who alone may give the branch up."""
    return event.by == branch.made_by


def leaver_made_it(branch: Branch, event: BranchMakerLeft) -> bool:
    """The co-author who left is the one who forked the run."""
    return event.leaver == branch.made_by


def leaver_is_elector(branch: Branch, event: BranchElectorLeft) -> bool:
    """The co-author who left had a vote on this branch."""
    return event.elector in branch.electors


def electors_remain(branch: Branch, event: BranchElectorLeft) -> bool:
    """Another elector remains: an empty electorate never adopts."""
    return any(elector != event.elector for elector in branch.electors)


def every_remaining_elector_approved(branch: Branch, event: BranchElectorLeft) -> bool:
    """All electors but the one who left approved."""
    return _others_approved(branch, event.elector)


def keep_answer(branch: Branch, event: BranchAnswered) -> Voted:
    """The answer is there until its deadline, for a co-author to propose."""
    ready = branch.changed(links=event.links, expires_at=event.expires_at)
    return Reaction(ready, effects=(deadline_of(ready),))


def count_proposer(branch: Branch, event: AdoptionProposed) -> Branch:
    """Every co-author has a vote, and the proposer has cast theirs."""
    own = BranchVote(co_author=event.by, decision=Decision.APPROVE, at=event.at)
    return branch.changed(
        proposed_by=event.by,
        electors=event.co_authors,
        votes=(own,),
        expires_at=event.expires_at,
    )


def deadline_of(branch: Branch) -> ScheduleTimer:
    """The timer that a branch has while it is ready or voted on."""
    return ScheduleTimer(
        timer_id=TimerId(f"branch:{branch.id}"),
        due_at=branch.expires_at,
        timer=BranchTimer(thread_id=branch.thread_id, branch_id=branch.id),
    )


def open_vote(branch: Branch, _: AdoptionProposed) -> Voted:
    """The others vote until the deadline, which is a new one."""
    return Reaction(branch, effects=(deadline_of(branch),))


def count_vote(branch: Branch, event: BranchVoteCast) -> Branch:
    """The vote stands beside the ones before it."""
    vote = BranchVote(co_author=event.voter, decision=event.decision, at=event.at)
    return branch.changed(votes=(*branch.votes, vote))


def drop_elector(branch: Branch, event: BranchElectorLeft) -> Branch:
    """Who left has no vote on the branch any more, cast or not."""
    return branch.changed(
        electors=tuple(key for key in branch.electors if key != event.elector),
        votes=tuple(vote for vote in branch.votes if vote.co_author != event.elector),
    )


def close(branch: Branch, _: object) -> Voted:
    """The deadline means nothing any more."""
    return Reaction(branch, effects=(CancelTimer(timer_id=deadline_of(branch).timer_id),))


def record_links(branch: Branch, _: object) -> Voted:
    """The memory learns which priors the answer rests on."""
    if not branch.links:
        return Reaction(branch)
    task = RecordLinks(
        thread_id=branch.thread_id,
        run_id=branch.run_id,
        prompt_id=branch.message_id,
        priors=branch.links,
    )
    return Reaction(branch, effects=(DBOperation(task=task),))


on = Edges[Branch, object, RunEffect]()


class BranchChart(Chart[Branch]):
    """Branch: the answer of a forked run, until its thread adopts it"""

    machine = "branch"
    edge_kinds: ClassVar = {
        "run_ended": EdgeKind.FAILURE,
        "expire": EdgeKind.FAILURE,
        "discard": EdgeKind.CANCEL,
        "maker_left": EdgeKind.CANCEL,
        "supersede_prompt": EdgeKind.CANCEL,
        "elector_left": EdgeKind.RETRY,
    }

    forked = State(initial=True)
    growing = State()
    ready = State()
    proposed = State()
    adopted = State(final=True)
    rejected = State(final=True)
    expired = State(final=True)
    failed = State(final=True)
    discarded = State(final=True)

    fork = on(BranchForked, forked.to(growing), when=[maker_is_co_author])
    answer = on(BranchAnswered, growing.to(ready), do=[keep_answer])
    run_ended = on(BranchRunEnded, growing.to(failed))
    propose = (
        on(
            AdoptionProposed,
            ready.to(adopted),
            when=[proposer_is_co_author, deadline_is_ahead, proposer_decides_alone],
            do=[count_proposer, close, record_links],
        )
        | on(
            AdoptionProposed,
            ready.to(proposed),
            when=[proposer_is_co_author, deadline_is_ahead],
            do=[count_proposer, open_vote],
        )
        | on(
            AdoptionProposed,
            ready.to(expired),
            when=[proposer_is_co_author],
            unless=[deadline_is_ahead],
            do=[close],
        )
    )
    approve = (
        on(
            BranchVoteCast,
            proposed.to(adopted),
            when=[
                voter_is_elector,
                voter_has_not_voted,
                deadline_is_ahead,
                every_other_elector_approved,
            ],
            do=[count_vote, close, record_links],
        )
        | on(
            BranchVoteCast,
            proposed.to(proposed),
            when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
            unless=[every_other_elector_approved],
            do=[count_vote],
        )
        | on(
            BranchVoteCast,
            proposed.to(expired),
            when=[voter_is_elector],
            unless=[deadline_is_ahead],
            do=[close],
        )
    )
    reject = on(
        BranchVoteCast,
        proposed.to(rejected),
        when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
        do=[count_vote, close],
    ) | on(
        BranchVoteCast,
        proposed.to(expired),
        when=[voter_is_elector],
        unless=[deadline_is_ahead],
        do=[close],
    )
    discard = (
        on(BranchDiscarded, growing.to(discarded), when=[maker_asks])
        | on(BranchDiscarded, ready.to(discarded), when=[maker_asks], do=[close])
        | on(BranchDiscarded, proposed.to(discarded), when=[maker_asks], do=[close])
    )
    maker_left = on(BranchMakerLeft, growing.to(discarded), when=[leaver_made_it]) | on(
        BranchMakerLeft, ready.to(discarded), when=[leaver_made_it], do=[close]
    )
    supersede_prompt = (
        on(BranchPromptSuperseded, growing.to(discarded))
        | on(BranchPromptSuperseded, ready.to(discarded), do=[close])
        | on(BranchPromptSuperseded, proposed.to(discarded), do=[close])
    )
    elector_left = (
        on(
            BranchElectorLeft,
            proposed.to(adopted),
            when=[
                leaver_is_elector,
                deadline_is_ahead,
                electors_remain,
                every_remaining_elector_approved,
            ],
            do=[drop_elector, close, record_links],
        )
        | on(
            BranchElectorLeft,
            proposed.to(expired),
            when=[leaver_is_elector],
            unless=[deadline_is_ahead],
            do=[drop_elector, close],
        )
        | on(
            BranchElectorLeft,
            proposed.to(discarded),
            when=[leaver_is_elector],
            unless=[electors_remain],
            do=[drop_elector, close],
        )
        | on(BranchElectorLeft, proposed.to(proposed), when=[leaver_is_elector], do=[drop_elector])
    )
    expire = (
        on(BranchExpired, ready.to(expired), unless=[deadline_is_ahead], do=[close])
        | on(
            BranchExpired,
            ready.to(expired),
            when=[deadline_is_ahead, thread_is_archived],
            do=[close],
        )
        | on(BranchExpired, proposed.to(expired), unless=[deadline_is_ahead], do=[close])
        | on(
            BranchExpired,
            proposed.to(expired),
            when=[deadline_is_ahead, thread_is_archived],
            do=[close],
        )
    )


BranchMachine = Machine[Branch, BranchEvent, object, RunEffect]


@cache
def branch_machine() -> BranchMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(BranchChart, states_of=lambda branch: (branch.status.value,), place=_place)


def _place(branch: Branch, event: BranchEvent, states: Configuration) -> Branch:
    """A new branch keeps version 1; every later event makes one more."""
    status = BranchStatus(states[0])
    if branch.status is BranchStatus.FORKED:
        return branch.changed(status=status)
    return branch.transition_to(event.at, status=status)


def _others_approved(branch: Branch, but: PublicKey) -> bool:
    approved = {vote.co_author for vote in branch.votes if vote.decision is Decision.APPROVE}
    return all(elector in approved for elector in branch.electors if elector != but)

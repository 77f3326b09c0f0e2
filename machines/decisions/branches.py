"""Decisions about branches: fork a run, propose its answer, vote on it, give it up, let its deadline pass."""

from datetime import timedelta

from machines.decisions.answers import answer_of
from machines.decisions.changes import Change, Decided, run_change
from machines.decisions.forks import prefix_of
from machines.decisions.rights import co_author_of, no_such_run, refusal_of
from machines.decisions.runs import require_room_in_queue
from machines.decisions.unit_of_work import Draft
from machines.loop.runs import create_initial_state
from machines.loop.steps import about
from machines.models.branch import (
    AdoptionProposed,
    Branch,
    BranchDiscarded,
    BranchElectorLeft,
    BranchEvent,
    BranchExpired,
    BranchForked,
    BranchMakerLeft,
    BranchPromptSuperseded,
    BranchStatus,
    BranchVoteCast,
)
from machines.models.commands import (
    Adoptable,
    DiscardBranch,
    ExpireBranch,
    Facts,
    ForkRun,
    Policy,
    ProposeAdoption,
    VoteOnBranch,
)
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.fork import ChangeKind, ForkMark
from machines.models.ids import BranchId, MessageId, PublicKey, RunId
from machines.models.journal import update_of
from machines.models.limits import MAX_BRANCH_VOTES, MAX_GENERATIONS, MAX_OPEN_BRANCHES
from machines.models.message import AnswerGiven, AnswerReplaced, MessageStatus
from machines.models.thread import AddMessage, ThreadStatus
from machines.models.wire import run_frames
from machines.models.wire.frames import ThreadEventKind

FULL_RETRY_MS = 60_000
"""When there may be place again; how soon branches end is not known."""

_KINDS = {
    BranchStatus.PROPOSED: ThreadEventKind.BRANCH_VOTE_CAST,
    BranchStatus.REJECTED: ThreadEventKind.BRANCH_REJECTED,
    BranchStatus.EXPIRED: ThreadEventKind.BRANCH_EXPIRED,
    BranchStatus.DISCARDED: ThreadEventKind.BRANCH_DISCARDED,
}
"""What is told where a vote, or who leaves, left a branch that is not adopted."""


def fork(draft: Draft, command: ForkRun, facts: Facts, policy: Policy) -> Decided:
    """A co-author lets a run go on in another way, from one of its completed steps."""
    by = co_author_of(draft.thread, command.by)
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise refusal_of("thread", draft.thread.status.value, "fork_run")
    origin = facts.origin
    if origin is None:
        raise no_such_run()
    if origin.prompt.status is not MessageStatus.APPROVED:
        raise refusal_of("message", origin.prompt.status.value, "fork_run", "message_is_approved")
    if len(draft.branches) >= MAX_OPEN_BRANCHES:
        raise _too_many(f"At most {MAX_OPEN_BRANCHES} branches may be open in a thread.")
    forked = origin.run.prefix
    if forked is not None and forked.generation >= MAX_GENERATIONS:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"At most {MAX_GENERATIONS} forks may follow from one another."
        )
    require_room_in_queue(draft, policy)
    prefix = prefix_of(origin, command, policy.models)
    run = create_initial_state(
        run_id=RunId(draft.new_id()),
        thread_id=draft.thread.id,
        message_id=origin.run.message_id,
        answer_id=MessageId(draft.new_id()),
        requested_by=by,
        prompt=command.change.text
        if command.change.kind is ChangeKind.PROMPT
        else origin.run.prompt,
        at=command.at,
        loop=origin.run.loop,
        max_iterations=origin.run.max_iterations,
        max_attempts=policy.max_attempts,
        backoff_base_ms=policy.backoff_base_ms,
        context_tokens=policy.context_tokens,
        branch_id=BranchId(draft.new_id()),
        prefix=prefix,
    )
    assert run.branch_id is not None  # noqa: S101 - it was just given
    branch, made = draft.change_branch(
        Branch(
            id=run.branch_id,
            thread_id=draft.thread.id,
            message_id=run.message_id,
            run_id=run.id,
            origin=prefix.origin,
            generation=prefix.generation,
            change=command.change.kind,
            made_by=by,
            created_at=command.at,
            updated_at=command.at,
            expires_at=command.at + timedelta(days=policy.approval_days),
        ),
        BranchForked(at=command.at, co_authors=draft.thread.co_authors),
        created=True,
    )
    draft.tell(ThreadEventKind.BRANCH_FORKED, made, branch=branch, by=by)
    draft.runs[run.id] = run
    draft.tell_run(run_frames.RunQueuedData(**about(run)), Change(changes=(run_change(None, run),)))
    draft.start_next()
    return draft.decision(message_id=run.message_id, run_id=run.id, branch_id=branch.id)


def propose(draft: Draft, command: ProposeAdoption, policy: Policy) -> Decided:
    """A co-author wants the answer of a branch to stand in the thread, and votes by it."""
    by = co_author_of(draft.thread, command.by)
    before = _open_branch(draft, command.branch_id)
    voted_on = sum(each.status is BranchStatus.PROPOSED for each in draft.branches.values())
    if before.status is BranchStatus.READY and voted_on >= MAX_BRANCH_VOTES:
        raise _too_many(f"At most {MAX_BRANCH_VOTES} branches are voted on at a time.")
    event = AdoptionProposed(
        at=command.at,
        by=by,
        co_authors=draft.thread.co_authors,
        expires_at=command.at + timedelta(days=policy.approval_days),
    )
    after, change = draft.change_branch(before, event)
    if after.status is BranchStatus.ADOPTED:
        _adopt(draft, after, change, by=by)
        draft.start_next()
    elif after.status is BranchStatus.EXPIRED:
        return _too_late(draft, before, event.event, after, change)
    else:
        draft.tell(ThreadEventKind.BRANCH_PROPOSED, change, branch=after, by=by)
    return draft.decision()


def vote(draft: Draft, command: VoteOnBranch) -> Decided:
    """One elector's vote, and what it decides."""
    voter = co_author_of(draft.thread, command.by)
    before = _open_branch(draft, command.branch_id)
    event = BranchVoteCast(event=command.decision.value, at=command.at, voter=voter)
    after, change = draft.change_branch(before, event)
    if after.status is BranchStatus.ADOPTED:
        _adopt(draft, after, change, by=voter)
        draft.start_next()
    elif after.status is BranchStatus.EXPIRED:
        return _too_late(draft, before, event.event, after, change)
    else:
        draft.tell(_KINDS[after.status], change, branch=after, by=voter)
    return draft.decision()


def discard(draft: Draft, command: DiscardBranch) -> Decided:
    """Who forked the run gives the branch up; a run that grows it stops."""
    by = co_author_of(draft.thread, command.by)
    before = _open_branch(draft, command.branch_id)
    event = BranchDiscarded(at=command.at, by=by)
    _end(draft, before, event, by=by)
    draft.start_next()
    return draft.decision()


def expire(draft: Draft, command: ExpireBranch) -> Decided:
    """The deadline of a branch passed."""
    before = _open_branch(draft, command.branch_id)
    after, change = draft.change_branch(before, BranchExpired(at=command.at))
    draft.tell(ThreadEventKind.BRANCH_EXPIRED, change, branch=after, by=None)
    return draft.decision()


def expire_all(draft: Draft) -> None:
    """The thread is archived, and the runs of its branches are stopped."""
    for branch in tuple(draft.branches.values()):
        event = BranchExpired(at=draft.at, thread_archived=True)
        after, change = draft.change_branch(branch, event)
        draft.tell(ThreadEventKind.BRANCH_EXPIRED, change, branch=after, by=None)


def supersede_prompt(draft: Draft, prompt: MessageId, by: PublicKey) -> None:
    """A prompt is written anew: other answers to it mean nothing any more."""
    for branch in tuple(draft.branches.values()):
        if branch.message_id == prompt:
            _end(draft, branch, BranchPromptSuperseded(at=draft.at), by=by)


def look_again(draft: Draft, leaver: PublicKey) -> None:
    """A co-author left: they vote on no branch, and what they forked and nobody proposed ends."""
    for branch_id in tuple(draft.branches):
        branch = draft.branches[branch_id]
        if branch.status is BranchStatus.PROPOSED:
            if leaver in branch.electors:
                _drop_vote(draft, branch, leaver)
        elif branch.made_by == leaver:
            _end(draft, branch, BranchMakerLeft(at=draft.at, leaver=leaver), by=None)
    draft.start_next()


def _drop_vote(draft: Draft, branch: Branch, leaver: PublicKey) -> None:
    event = BranchElectorLeft(at=draft.at, elector=leaver)
    after, change = draft.change_branch(branch, event)
    if after.status is BranchStatus.ADOPTED:
        _adopt(draft, after, change, by=None)
    else:
        draft.tell(_KINDS[after.status], change, branch=after, by=None)


def _too_late(draft: Draft, before: Branch, event: str, after: Branch, change: Change) -> Decided:
    """The deadline had passed, and the timer was late: the branch expires, and the request is refused."""
    draft.tell(ThreadEventKind.BRANCH_EXPIRED, change, branch=after, by=None)
    late = refusal_of("branch", before.status.value, event, "deadline_is_ahead")
    return draft.decision(refused=late)


def _end(draft: Draft, branch: Branch, event: BranchEvent, *, by: PublicKey | None) -> None:
    """Nothing becomes of the branch, and its run stops."""
    after, change = draft.change_branch(branch, event)
    draft.tell(ThreadEventKind.BRANCH_DISCARDED, change, branch=after, by=by)
    run = draft.runs.get(branch.run_id)
    if run is not None:
        draft.cancel_run(run, by=by)


def _adopt(draft: Draft, branch: Branch, change: Change, *, by: PublicKey | None) -> None:
    """The answer becomes a message of the thread, and the one that stood for it counts no more."""
    adoptable = draft.adoptable[branch.id]
    grown = draft.change_thread(AddMessage(at=draft.at, actor=None))
    standing = adoptable.standing
    answer, given = draft.change_message(
        answer_of(
            adoptable.run,
            index=draft.thread.message_count - 1,
            at=draft.at,
            supersedes=standing.id if standing is not None else None,
            forked_from=ForkMark(
                branch_id=branch.id,
                run_id=branch.origin.run_id,
                step=branch.origin.step,
                iteration=branch.origin.iteration,
                change=branch.change,
            ),
        ),
        AnswerGiven(at=draft.at),
        created=True,
    )
    prompt = adoptable.prompt.transition_to(draft.at, run_id=branch.run_id)
    draft.place(prompt)
    change += grown + given + Change(changes=(update_of("message", prompt),))
    draft.tell(
        ThreadEventKind.BRANCH_ADOPTED,
        change,
        branch=branch,
        message=answer,
        run_id=branch.run_id,
        prompt_id=prompt.id,
        by=by,
    )
    if standing is not None:
        replaced, gone = draft.change_message(
            standing, AnswerReplaced(at=draft.at, successor=answer.id)
        )
        draft.tell(ThreadEventKind.MESSAGE_SUPERSEDED, gone, message=replaced, by=by)
    for run in tuple(draft.runs.values()):
        if run.message_id == prompt.id and run.branch_id is None:
            # It was retried meanwhile, and would answer the prompt once more.
            draft.cancel_run(run, by=None)
    for branch_id, other in draft.adoptable.items():
        # The same decision may adopt another answer to the prompt.
        if other.prompt.id == prompt.id:
            draft.adoptable[branch_id] = Adoptable(run=other.run, prompt=prompt, standing=answer)


def _open_branch(draft: Draft, branch_id: BranchId) -> Branch:
    branch = draft.branches.get(branch_id)
    if branch is None:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such open branch.")
    return branch


def _too_many(sentence: str) -> RequestRefused:
    return RequestRefused(
        ErrorCode.RATE_LIMITED, sentence, retry_after_ms=FULL_RETRY_MS, retryable=True
    )

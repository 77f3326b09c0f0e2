"""What a command names, read from the journal beside the thread's own view."""

from collections.abc import Iterable
from typing import assert_never

from machines.decisions.forks import gathered_at, last_kept, maker_of
from machines.models.branch import Branch, BranchStatus
from machines.models.chorus import ChorusState
from machines.models.commands import (
    AcceptInvitation,
    Adoptable,
    AdvanceRun,
    Archive,
    ChangeBalance,
    Configure,
    DeclineInvitation,
    DiscardBranch,
    Expire,
    ExpireBranch,
    ExpireInvitation,
    ExpireLink,
    ExpireRemoval,
    Facts,
    ForkRun,
    Invite,
    LeaveCoAuthorship,
    MakeLink,
    Origin,
    ProposeAdoption,
    ProposeRemoval,
    Rename,
    RetryRun,
    RevokeInvitation,
    RevokeLink,
    StopRun,
    SubmitMessage,
    TakeOverRun,
    ThreadCommand,
    UseLink,
    Vote,
    VoteOnBranch,
    VoteOnRemoval,
    Withdraw,
    WithdrawRemoval,
)
from machines.models.errors import StateError
from machines.models.ids import MessageId, PublicKey, RunId
from machines.models.message import Message, MessageStatus
from storage.journal.port import Journal


async def with_what_it_names(journal: Journal, facts: Facts, command: ThreadCommand) -> Facts:
    """Add what the command is about, where it is not in the view.

    Raises:
        JournalError: the journal cannot be read.
    """
    match command:
        case (
            Vote(message_id=message_id)
            | Withdraw(message_id=message_id)
            | Expire(message_id=message_id)
        ):
            if any(each.id == message_id for each in facts.view.pending):
                return facts
            message = await _message(journal, facts, message_id)
            return facts if message is None else facts.changed(message=message)
        case SubmitMessage(content=content, supersedes=message_id, by=author):
            if message_id and author:
                facts = await _with_what_it_supersedes(journal, facts, message_id, author)
            if "@" in content:
                names = await journal.names(facts.view.thread.co_authors)
                facts = facts.changed(names=names)
            return facts
        case Invite(public_key=public_key, by=inviter):
            if inviter is None:
                return facts
            counts = await journal.invitation_counts(public_key, inviter=inviter)
            return facts.changed(invitations=counts)
        case StopRun(run_id=run_id) | RetryRun(run_id=run_id):
            run = await _run(journal, facts, run_id)
            if run is None:
                return facts
            message = await journal.message(run.message_id)
            return facts.changed(run=run, message=message)
        case ForkRun():
            return facts.changed(origin=await _origin(journal, facts, command))
        case ProposeAdoption(branch_id=branch_id) | VoteOnBranch(branch_id=branch_id):
            named = (each for each in facts.view.branches if each.id == branch_id)
            return await _with_adoptable(journal, facts, named)
        case LeaveCoAuthorship() | VoteOnRemoval() | ExpireRemoval():
            # Who goes may have held up the votes on branches.
            return await _with_adoptable(journal, facts, facts.view.branches)
        case (
            AdvanceRun()
            | TakeOverRun()
            | DiscardBranch()
            | ExpireBranch()
            | AcceptInvitation()
            | DeclineInvitation()
            | RevokeInvitation()
            | ExpireInvitation()
            | MakeLink()
            | UseLink()
            | RevokeLink()
            | ExpireLink()
            | ProposeRemoval()
            | WithdrawRemoval()
            | Rename()
            | Configure()
            | Archive()
            | ChangeBalance()
        ):
            return facts
        case _:
            assert_never(command)


async def _message(journal: Journal, facts: Facts, message_id: MessageId) -> Message | None:
    message = await journal.message(message_id)
    return message if message is not None and message.thread_id == facts.view.thread.id else None


async def _run(journal: Journal, facts: Facts, run_id: RunId) -> ChorusState | None:
    live = (each for each in facts.view.runs if each.id == run_id)
    run = next(live, None) or await journal.run(run_id)
    return run if run is not None and run.thread_id == facts.view.thread.id else None


async def _with_what_it_supersedes(
    journal: Journal, facts: Facts, message_id: MessageId, author: PublicKey
) -> Facts:
    """Add the message that is written anew, its answer, and the author's newest message."""
    message = await _message(journal, facts, message_id)
    if message is None:
        return facts
    answer = await _answer_to(journal, facts, message)
    newest = await journal.newest_message_of(facts.view.thread.id, author)
    return facts.changed(message=message, answer=answer, newest=newest)


async def _answer_to(journal: Journal, facts: Facts, prompt: Message) -> Message | None:
    """The answer of the prompt's latest run, if that is over and has one."""
    if prompt.run_id is None or any(each.id == prompt.run_id for each in facts.view.runs):
        return None
    run = await journal.run(prompt.run_id)
    return await journal.message(run.answer_id) if run is not None else None


async def _origin(journal: Journal, facts: Facts, command: ForkRun) -> Origin | None:
    run = await _run(journal, facts, command.run_id)
    prompt = await journal.message(run.message_id) if run is not None else None
    if run is None or prompt is None:
        return None
    last = last_kept(run, command)
    if last is None:
        return Origin(run=run, prompt=prompt, prior_count=0, query="", memory_available=True)
    # The step stands in the entries of the run that completed it, which others forked.
    maker, asked = run, run.prompt
    while maker.prefix is not None and last < len(maker.prefix.steps):
        before = await journal.run(maker_of(maker.prefix, last))
        if before is None:
            raise StateError("The journal lacks the run that another was forked from.")
        maker, asked = before, before.prompt
    gathered = gathered_at(run.steps[last], await journal.run_entries(maker.id))
    return Origin(
        run=run,
        prompt=prompt,
        prior_count=gathered.prior_count,
        query=run.prompt if gathered.query == asked else gathered.query,
        memory_available=gathered.memory_available,
    )


async def _with_adoptable(journal: Journal, facts: Facts, branches: Iterable[Branch]) -> Facts:
    """Add what adopting those of the branches comes to that a vote may decide."""
    found = {
        each.id: await _adoptable(journal, facts, each)
        for each in branches
        if each.status in {BranchStatus.READY, BranchStatus.PROPOSED}
    }
    return facts.changed(adoptable=found) if found else facts


async def _adoptable(journal: Journal, facts: Facts, branch: Branch) -> Adoptable:
    run = await journal.run(branch.run_id)
    prompt = await journal.message(branch.message_id)
    if run is None or prompt is None:
        raise StateError("The journal lacks what a branch is made of.")
    answer = await _answer_to(journal, facts, prompt)
    stands = answer is not None and answer.status is MessageStatus.APPROVED
    return Adoptable(run=run, prompt=prompt, standing=answer if stands else None)

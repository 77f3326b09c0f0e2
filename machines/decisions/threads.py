"""What commands do to a thread: pure decisions from (facts, command, policy) to one batch.

A decision fires the machines that the command touches and gathers all that follows from it into one
transaction: "vote counted, message approved, author joined, run queued" is one step, or none.

Refusals are errors of the tree, raised before anything is decided:
    RequestRefused      not_found, forbidden, thread_busy, rate_limited
    InvalidTransition   a machine refuses, and says which guard was false
Who may not know of a thread gets the very answer that a thread which does not exist gives.
"""

from typing import assert_never

from machines.decisions import branches, invitations, links, messages, removals, runs
from machines.decisions.changes import Decided
from machines.decisions.leaving import leave
from machines.decisions.rights import co_author_of
from machines.decisions.unit_of_work import Draft
from machines.decisions.views import settings_view, thread_view
from machines.models.commands import (
    AcceptInvitation,
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
    OpenThread,
    Policy,
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
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import thread_stream
from machines.models.invitation import InvitationExpired
from machines.models.invite_link import LinkExpired
from machines.models.journal import Batch, DecisionView, JournalEntry, creation_of, fields_of
from machines.models.message import MessageExpired
from machines.models.removal import RemovalExpired
from machines.models.thread import (
    ArchiveThread,
    ConfigureThread,
    CreditTokens,
    DebitTokens,
    RenameThread,
    Thread,
    ThreadStatus,
)
from machines.models.wire.frames import (
    ThreadEventData,
    ThreadEventKind,
)


def open_thread(command: OpenThread) -> Decided:
    """A new thread with its creator as the only co-author."""
    assert command.by is not None  # noqa: S101 - a thread is opened by a person
    thread = Thread(
        id=command.thread_id,
        name=command.name,
        visibility=command.visibility,
        co_authors=(command.by,),
        created_at=command.at,
        updated_at=command.at,
    )
    data = ThreadEventData(
        kind=ThreadEventKind.THREAD_CREATED,
        at=command.at,
        by=command.by,
        thread=thread_view(thread),
    )
    entry = JournalEntry(
        stream=thread_stream(thread.id),
        type="thread_event",
        kind=ThreadEventKind.THREAD_CREATED.value,
        at=command.at,
        by=command.by,
        request_id=command.request_id,
        data=fields_of(data, "transitions"),
        changes=(creation_of("thread", thread),),
        seq=1,
    )
    facts = Facts(view=DecisionView(head_seq=1, thread=thread))
    return Decided(Batch(entries=(entry,)), facts, ())


def decide(facts: Facts, command: ThreadCommand, policy: Policy) -> Decided:
    """What the command comes to.

    Raises:
        RequestRefused, InvalidTransition: nothing is decided, nothing changes.
    """
    draft = Draft(facts, command, policy)
    removals.see(draft, command)
    match command:
        case SubmitMessage():
            return messages.submit(draft, command, facts, policy)
        case Vote():
            return messages.vote(draft, command, facts)
        case Withdraw():
            return messages.withdraw(draft, command, facts)
        case Expire():
            return messages.expire(draft, command, facts)
        case StopRun():
            return runs.stop_run(draft, command, facts)
        case RetryRun():
            return runs.retry_run(draft, command, facts, policy)
        case AdvanceRun():
            return runs.advance_run(draft, command)
        case ForkRun():
            return branches.fork(draft, command, facts, policy)
        case ProposeAdoption():
            return branches.propose(draft, command, policy)
        case VoteOnBranch():
            return branches.vote(draft, command)
        case DiscardBranch():
            return branches.discard(draft, command)
        case ExpireBranch():
            return branches.expire(draft, command)
        case TakeOverRun():
            return runs.take_over_run(draft, command)
        case Invite():
            return invitations.invite(draft, command, facts, policy)
        case AcceptInvitation():
            return invitations.accept(draft, command)
        case DeclineInvitation():
            return invitations.decline(draft, command)
        case RevokeInvitation():
            return invitations.revoke(draft, command)
        case ExpireInvitation():
            return invitations.expire(draft, command)
        case MakeLink():
            return links.make(draft, command)
        case UseLink():
            return links.use(draft, command)
        case RevokeLink():
            return links.revoke(draft, command)
        case ExpireLink():
            return links.expire(draft, command)
        case ProposeRemoval():
            return removals.propose(draft, command, policy)
        case VoteOnRemoval():
            return removals.vote(draft, command)
        case WithdrawRemoval():
            return removals.withdraw(draft, command)
        case ExpireRemoval():
            return removals.expire(draft, command)
        case LeaveCoAuthorship():
            return leave(draft, command)
        case Rename():
            return _rename(draft, command)
        case Configure():
            return _configure(draft, command, policy)
        case Archive():
            return _archive(draft, command)
        case ChangeBalance():
            return _change_balance(draft, command)
        case _:
            assert_never(command)


def _rename(draft: Draft, command: Rename) -> Decided:
    by = co_author_of(draft.thread, command.by)
    renamed = draft.change_thread(RenameThread(at=command.at, actor=by, name=command.name))
    draft.tell(ThreadEventKind.THREAD_RENAMED, renamed, thread=draft.thread, by=by)
    return draft.decision()


def _configure(draft: Draft, command: Configure, policy: Policy) -> Decided:
    """Runs that start from now on go by it; those under way keep what they have."""
    by = co_author_of(draft.thread, command.by)
    if command.model is not None and command.model not in policy.models:
        problem = "is no model that may be chosen"
        raise RequestRefused(
            ErrorCode.INVALID_FIELD,
            f"The field model {problem}.",
            details={"field": "model", "problem": problem},
        )
    before = settings_view(draft.thread)
    configured = draft.change_thread(
        ConfigureThread(
            at=command.at, actor=by, instructions=command.instructions, model=command.model
        )
    )
    draft.tell(
        ThreadEventKind.THREAD_CONFIGURED, configured, thread=draft.thread, before=before, by=by
    )
    return draft.decision()


def _archive(draft: Draft, command: Archive) -> Decided:
    by = co_author_of(draft.thread, command.by)
    if draft.thread.status is ThreadStatus.ACTIVE:
        for run in tuple(draft.runs.values()):
            draft.cancel_run(run, by=None)
        for message in tuple(draft.pending.values()):
            expired, change = draft.change_message(
                message, MessageExpired(at=command.at, thread_archived=True)
            )
            draft.tell(ThreadEventKind.MESSAGE_EXPIRED, change, message=expired, by=None)
        for invitation in tuple(draft.invitations.values()):
            over, change = draft.change_invitation(
                invitation, InvitationExpired(at=command.at, thread_archived=True)
            )
            draft.tell(ThreadEventKind.INVITATION_EXPIRED, change, invitation=over, by=None)
        for link in tuple(draft.links.values()):
            closed, change = draft.change_link(
                link, LinkExpired(at=command.at, thread_archived=True)
            )
            draft.tell(ThreadEventKind.INVITE_LINK_EXPIRED, change, link=closed, by=None)
        for removal in tuple(draft.removals.values()):
            ended, change = draft.change_removal(
                removal, RemovalExpired(at=command.at, thread_archived=True)
            )
            draft.tell(ThreadEventKind.REMOVAL_EXPIRED, change, removal=ended, by=None)
        branches.expire_all(draft)
    archived = draft.change_thread(ArchiveThread(at=command.at, actor=by))
    draft.tell(ThreadEventKind.THREAD_ARCHIVED, archived, thread=draft.thread, by=by)
    return draft.decision()


def _change_balance(draft: Draft, command: ChangeBalance) -> Decided:
    operation = (
        CreditTokens(at=command.at, actor=command.by, amount=command.amount, cause=command.cause)
        if command.amount > 0
        else DebitTokens(
            at=command.at, actor=command.by, amount=-command.amount, cause=command.cause
        )
    )
    changed = draft.change_thread(operation)
    draft.tell(
        ThreadEventKind.TOKEN_BALANCE_CHANGED,
        changed,
        thread=draft.thread,
        cause=command.cause,
        by=command.by,
    )
    return draft.decision()

"""Commands: what a caller wants of a thread, with all that a pure decision needs.

The shell fills in the time and fresh ids, so that deciding the same command on the same facts gives
the same decision again (which it must, when another writer was first).
"""

from collections.abc import Mapping

from pydantic import AwareDatetime, Field

from machines.models.chorus import (
    BACKOFF_BASE_MS,
    CONTEXT_TOKENS,
    ChartChanged,
    ChorusState,
    EffectResult,
    LoopMode,
)
from machines.models.domain import Frozen
from machines.models.fork import Change
from machines.models.ids import (
    BranchId,
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RequestId,
    RunId,
    ThreadId,
)
from machines.models.journal import DecisionView
from machines.models.message import Decision, Message
from machines.models.outputs import StepEnum
from machines.models.removal import RemovalDecision
from machines.models.thread import Visibility


class Policy(Frozen):
    """Bounds that an operator may move; 0 is no bound for the counts."""

    loop: LoopMode = LoopMode.FULL
    max_iterations: int = 3
    max_attempts: int = 4
    backoff_base_ms: int = BACKOFF_BASE_MS
    """No setting moves this one."""
    context_tokens: int = CONTEXT_TOKENS
    """Of a request and its answer together, for runs that are created from now on."""
    models: tuple[str, ...] = ()
    """Names that a thread's model may have."""
    context_of_models: Mapping[str, int] = Field(default_factory=dict)
    """The context of runs that ask a model which is not the server's own."""
    thread_queue: int = 16
    """Runs that may wait in one thread."""
    pending_per_user: int = 3
    pending_per_thread: int = 100
    approval_days: float = 7
    invitations_per_thread: int = 50
    """Invitations that may be open in one thread."""
    invitations_per_user: int = 100
    """Open invitations that one user made, in all threads."""
    invitations_per_key: int = 100
    """Open invitations of one key, into all threads."""
    invitation_days: float = 30


class Origin(Frozen):
    """A run that a command forks, and what it had gathered when the step that the command names was
    completed."""

    run: ChorusState
    prompt: Message
    prior_count: int
    """Of `run.priors`: how many it had found."""
    query: str
    """What it had searched for, or was to search for."""
    memory_available: bool


class Adoptable(Frozen):
    """What an adoption puts into the thread, and what it puts aside."""

    run: ChorusState
    """The forked run, which is finished."""
    prompt: Message
    standing: Message | None
    """The answer to the prompt that counts until then."""


class InvitationCounts(Frozen):
    """Open invitations in all threads."""

    of_key: int = 0
    """Of the key that a command invites."""
    by_inviter: int = 0
    """Of those that the user of the command made."""


class Facts(Frozen):
    """What a decision knows of a thread."""

    view: DecisionView
    recent: tuple[Message, ...] = ()
    """The newest approved messages, oldest first: context for a run that starts."""
    message: Message | None = None
    """The message that the command names, if the thread has it."""
    answer: Message | None = None
    """The answer to that message, for a command that writes it anew."""
    newest: MessageId | None = None
    """The user's newest message that counts or waits, for the same command."""
    run: ChorusState | None = None
    """The run that the command names, if the thread has it."""
    origin: Origin | None = None
    """Of the fork that the command makes, if the thread has the run and the run the step."""
    adoptable: Mapping[BranchId, Adoptable] = Field(default_factory=dict)
    """By branch, for a command that may let the thread adopt one."""
    invitations: InvitationCounts = InvitationCounts()
    """For a command that invites. Other threads may change them meanwhile."""
    names: Mapping[PublicKey, str] = Field(default_factory=dict)
    """Of the co-authors who gave one, for a command whose text may mention them."""
    partials: Mapping[RunId, str] = Field(default_factory=dict)
    """Text that the attempts under way have streamed, for a command that may stop their runs."""


class _Command(Frozen):
    thread_id: ThreadId
    at: AwareDatetime
    by: PublicKey | None
    """Who wants it; None is the system or the operator."""
    ids: tuple[str, ...] = ()
    """Fresh UUIDs, enough for everything that the decision may create."""
    request_id: RequestId | None = None


class OpenThread(_Command):
    """A new thread; `thread_id` is fresh."""

    name: str
    visibility: Visibility


class SubmitMessage(_Command):
    """A person says something: a co-author's prompt, or an outsider's message for approval."""

    content: str
    supersedes: MessageId | None = None
    """The author's message that is written anew."""


class Vote(_Command):
    """Approve or reject a pending message."""

    message_id: MessageId
    decision: Decision
    reason: str | None = None


class Withdraw(_Command):
    """Take one's own pending message back."""

    message_id: MessageId


class Expire(_Command):
    """The deadline of a message may have passed."""

    message_id: MessageId


class StopRun(_Command):
    """Cancel a run."""

    run_id: RunId


class RetryRun(_Command):
    """A new run of the message whose run failed or was cancelled."""

    run_id: RunId


class ForkRun(_Command):
    """Go on from a completed step of a run, with one change, as a run of its own."""

    run_id: RunId
    step: StepEnum
    iteration: int
    change: Change


class ProposeAdoption(_Command):
    """Let the co-authors vote on whether the answer of a branch stands in the thread."""

    branch_id: BranchId


class VoteOnBranch(_Command):
    """Agree to a branch, or not."""

    branch_id: BranchId
    decision: Decision


class DiscardBranch(_Command):
    """Give one's own branch up."""

    branch_id: BranchId


class ExpireBranch(_Command):
    """The deadline of a branch may have passed."""

    branch_id: BranchId


class Invite(_Command):
    """Ask a key in. The boundary has checked that the key can sign."""

    public_key: PublicKey


class AcceptInvitation(_Command):
    """Become a co-author, as one was asked to."""


class DeclineInvitation(_Command):
    """Stay outside."""


class RevokeInvitation(_Command):
    """Take the open invitation of a key back."""

    public_key: PublicKey


class ExpireInvitation(_Command):
    """The deadline of an invitation may have passed."""

    invitation_id: InvitationId


class MakeLink(_Command):
    """Make an address that lets one user in."""

    secret_hash: str
    """Hex of the SHA-256 of the link's secret."""
    hours: int
    """Until it expires."""


class UseLink(_Command):
    """Become a co-author by a link whose secret one knows."""

    secret_hash: str


class RevokeLink(_Command):
    """Take an open link back."""

    link_id: InviteLinkId


class ExpireLink(_Command):
    """The deadline of a link may have passed."""

    link_id: InviteLinkId


class ProposeRemoval(_Command):
    """Let all the others vote on whether a co-author stays."""

    public_key: PublicKey


class VoteOnRemoval(_Command):
    """Let a co-author go, or keep them."""

    public_key: PublicKey
    decision: RemovalDecision


class WithdrawRemoval(_Command):
    """Take one's own proposal back."""

    public_key: PublicKey


class ExpireRemoval(_Command):
    """The deadline of a vote on a removal may have passed."""

    removal_id: RemovalId


class LeaveCoAuthorship(_Command):
    """Be no co-author any more."""


class Rename(_Command):
    """Give the thread another name."""

    name: str


class Configure(_Command):
    """Say what the thread's answers are to keep to, and which model gives them."""

    instructions: str
    model: str | None


class Archive(_Command):
    """Only read the thread from now on."""


class ChangeBalance(_Command):
    """Credit (above zero) or debit (below zero) tokens."""

    amount: int
    cause: str


class AdvanceRun(_Command):
    """An effect came back, or a timer fired: an event for one run."""

    run_id: RunId
    event: EffectResult


class TakeOverRun(_Command):
    """A run that another declaration of its chart led to where it stands: today's takes it over."""

    run: ChorusState
    """As it stands by today's chart."""
    event: ChartChanged


ThreadCommand = (
    SubmitMessage
    | Vote
    | Withdraw
    | Expire
    | StopRun
    | RetryRun
    | ForkRun
    | ProposeAdoption
    | VoteOnBranch
    | DiscardBranch
    | ExpireBranch
    | Invite
    | AcceptInvitation
    | DeclineInvitation
    | RevokeInvitation
    | ExpireInvitation
    | MakeLink
    | UseLink
    | RevokeLink
    | ExpireLink
    | ProposeRemoval
    | VoteOnRemoval
    | WithdrawRemoval
    | ExpireRemoval
    | LeaveCoAuthorship
    | Rename
    | Configure
    | Archive
    | ChangeBalance
    | AdvanceRun
    | TakeOverRun
)
"""Everything that can be wanted of a thread that exists."""

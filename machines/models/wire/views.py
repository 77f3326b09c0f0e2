"""The shapes that stand inside server frames: users, threads, messages, runs, as the wire shows them.

Values only. Who may see what is decided before one of these is built; the frames around them are in
`machines.models.wire.frames`. Optional keys (`?` in PROTOCOL) are `Omittable`.
"""

from typing import Literal

from machines.models.branch import BranchStatus
from machines.models.domain import Role
from machines.models.fork import ChangeKind, ForkMark
from machines.models.ids import (
    BranchId,
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RunId,
    ThreadId,
    UserId,
)
from machines.models.invitation import InvitationStatus
from machines.models.invite_link import InviteLinkStatus
from machines.models.mention import Mentions
from machines.models.message import Decision, MessageStatus
from machines.models.outputs import (
    Citation,
    Flag,
    Omittable,
    OmittableNames,
    OmittableText,
    Ordinal,
    Prior,
    StepEnum,
    StepOutput,
    Timestamp,
    Usage,
    Value,
)
from machines.models.removal import RemovalDecision, RemovalStatus
from machines.models.thread import ThreadStatus, Visibility


class UserView(Value):
    """The user who is signed in."""

    id: UserId
    public_key: PublicKey
    name: str | None
    hides_presence: Flag = False
    """Whether `set_presence` hides that they are there and type, and hides it of others from them."""
    created_at: Timestamp


class SessionView(Value):
    """What a client needs to resume."""

    token: str
    expires_at: Timestamp


class LimitsView(Value):
    """The bounds that a client should keep by itself; 0 is no limit for the rates."""

    max_frame_bytes: int
    max_prompt_chars: int
    max_name_chars: int
    max_instructions_chars: int
    prompts_per_minute: int
    frames_per_second: int


class ModelInfo(Value):
    """The language model that answers."""

    name: str
    offline: bool
    """True for the offline responder, which is no language model."""


class EmbedderInfo(Value):
    """What the memory is searched with."""

    name: str
    semantic: bool
    """False for keyword search."""


class ApprovalView(Value):
    """One elector's vote."""

    co_author: PublicKey
    decision: Decision
    reason: str | None
    """None also for those who may not see it."""
    at: Timestamp


class MessageView(Value):
    """A message as one audience may see it."""

    id: MessageId
    thread_id: ThreadId
    index: int
    role: Role
    author: PublicKey | None
    """None for the chorus."""
    content: str | None
    """None where the reader may not see content that is not approved."""
    html: str | None = None
    """Sanitised Markdown of an answer; None for what users wrote."""
    status: MessageStatus
    approvals: tuple[ApprovalView, ...] = ()
    electors: tuple[PublicKey, ...] = ()
    expires_at: Timestamp | None = None
    run_id: RunId | None = None
    supersedes: Omittable[MessageId] = None
    """The message that its author wrote anew as this one, or the answer whose place it takes."""
    superseded_by: Omittable[MessageId] = None
    """The message that it was written anew as, or the answer that was adopted in its place."""
    forked_from: Omittable[ForkMark] = None
    """Of an answer that was adopted: the fork that gave it."""
    model: str | None = None
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    cut: Flag = False
    """True where an answer ended at its length limit."""
    mentions: Mentions = ()
    """Co-authors whom a user's message names; left out where the content is not shown."""
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class ThreadSummary(Value):
    """A thread in a list."""

    id: ThreadId
    name: str
    visibility: Visibility
    status: ThreadStatus
    co_authors: tuple[PublicKey, ...]
    message_count: int
    head_seq: int
    updated_at: Timestamp


class ThreadView(Value):
    """A thread that is looked at."""

    id: ThreadId
    name: str
    visibility: Visibility
    status: ThreadStatus
    co_authors: tuple[PublicKey, ...]
    token_balance: int
    instructions: OmittableText = ""
    """What its co-authors want of every answer; left out where they want nothing."""
    model: Omittable[str] = None
    """The model that they chose; left out where it is the server's own."""
    version: int
    message_count: int
    created_at: Timestamp
    updated_at: Timestamp


class ThreadSettingsView(Value):
    """What the co-authors of a thread set for its runs."""

    instructions: OmittableText = ""
    model: Omittable[str] = None


class InvitationView(Value):
    """An invitation as the thread's readers see it."""

    id: InvitationId
    public_key: PublicKey
    """Who is invited."""
    invited_by: PublicKey
    status: InvitationStatus
    created_at: Timestamp
    expires_at: Timestamp


class InviteLinkView(Value):
    """A link into a thread as the thread's readers see it; nothing of its secret."""

    id: InviteLinkId
    made_by: PublicKey
    status: InviteLinkStatus
    created_at: Timestamp
    expires_at: Timestamp


class NewInviteLink(Value):
    """A link as its maker alone is told of it, once."""

    id: InviteLinkId
    secret: str
    """The page's address with `#join=` and this is the link."""
    expires_at: Timestamp


class RemovalVoteView(Value):
    """One elector's vote on a removal."""

    co_author: PublicKey
    decision: RemovalDecision
    at: Timestamp


class RemovalView(Value):
    """A vote on whether a co-author stays."""

    id: RemovalId
    public_key: PublicKey
    """The co-author who is named."""
    proposed_by: PublicKey
    status: RemovalStatus
    electors: tuple[PublicKey, ...]
    votes: tuple[RemovalVoteView, ...]
    created_at: Timestamp
    expires_at: Timestamp


class BranchVoteView(Value):
    """One elector's vote on a branch."""

    co_author: PublicKey
    decision: Decision
    at: Timestamp


class BranchView(Value):
    """What becomes of a forked run, for co-authors alone; its texts are those of the run."""

    id: BranchId
    message_id: MessageId
    """The prompt that its run answers."""
    run_id: RunId
    """The forked run."""
    origin_run_id: RunId
    """The run that it left, after `step` of `iteration`."""
    generation: Ordinal = 1
    """How many forks its run descends from, itself counted; at most `MAX_GENERATIONS`."""
    step: StepEnum
    iteration: int
    change: ChangeKind
    made_by: PublicKey
    status: BranchStatus
    proposed_by: Omittable[PublicKey] = None
    electors: tuple[PublicKey, ...] = ()
    votes: tuple[BranchVoteView, ...] = ()
    created_at: Timestamp
    expires_at: Timestamp
    """When it ends undecided, once its answer is there; a proposal begins the time anew."""


class InvitationSummary(Value):
    """An invitation as the invited user sees it: this, and nothing else of the thread."""

    thread_id: ThreadId
    thread_name: str
    invited_by: PublicKey
    invited_by_name: str | None
    created_at: Timestamp
    expires_at: Timestamp


class InboxItem(Value):
    """Something that awaits the user's answer, or mentions them."""

    kind: Literal["vote", "removal", "branch", "invitation", "mention"]
    thread_id: ThreadId
    thread_name: str
    by: PublicKey | None
    """Who asks, invites, or mentions the user."""
    by_name: str | None
    at: Timestamp
    expires_at: Omittable[Timestamp] = None
    """Of what awaits an answer: until when."""
    message_id: Omittable[MessageId] = None
    """With `vote` and `mention`; with `branch` the prompt."""
    branch_id: Omittable[BranchId] = None
    """With `branch`."""
    excerpt: Omittable[str] = None
    """With `vote` and `mention`: the beginning of the message, and `…` where it goes on."""
    public_key: Omittable[PublicKey] = None
    """With `removal`: the co-author who is named."""
    name: Omittable[str] = None
    """What that co-author is called."""
    seq: Omittable[int] = None
    """With `mention`: what `mark_read` must reach, so that it is read."""
    unread: Flag = False
    """With `mention`."""


class PersonView(Value):
    """A user with whom the reader shares threads."""

    public_key: PublicKey
    name: str | None
    """Not unique: the key says who it is."""
    threads: tuple[str, ...]
    """Names of threads that both co-author, the last changed first; some of them."""
    thread_count: int
    """How many they share, of those that were looked at."""


class StepView(Value):
    """A completed step of a run that still goes on."""

    step: StepEnum
    iteration: int
    attempt: int
    text: str
    output: StepOutput
    priors: Omittable[tuple[Prior, ...]] = None
    usage: Usage | None = None
    cut: Flag = False
    """True where the text ended at its length limit."""


class RenderedText(Value):
    """A part of a text that is not whole yet, as HTML; offsets count code points of the text."""

    start: int
    end: int
    html: str
    """Sanitised."""


class RunView(Value):
    """A run that is not in a final state, for who comes in the middle of it."""

    run_id: RunId
    message_id: MessageId
    branch_id: Omittable[BranchId] = None
    """Of a forked run, which co-authors alone are shown."""
    status: Literal["queued", "running", "recovering"]
    step: StepEnum
    iteration: int
    attempt: int
    text: str
    """What this attempt has streamed so far; the next delta's `offset` is its length."""
    rendered: Omittable[tuple[RenderedText, ...]] = None
    """With yield alone: the text as far as it is rendered, in order."""
    thinking: Omittable[str] = None
    """What this attempt has thought aloud so far; the `offset` of what follows is its length."""
    outputs: tuple[StepView, ...]
    """Completed steps of all iterations, in order."""


class TransitionView(Value):
    """One accepted transition of a machine, as the drawing names it."""

    machine: Literal[
        "chorus",
        "message",
        "connection",
        "thread",
        "invitation",
        "invite_link",
        "removal",
        "branch",
    ]
    instance: str
    """Id of the run, message, session, thread, invitation, link, removal or branch."""
    event: str
    source: str
    target: str
    edge: str
    """The `id` of the edge's element in `/diagrams/{machine}.svg`."""
    effects: tuple[str, ...] = ()
    """Names of the effects that it emitted."""
    passed_over: OmittableNames = ()
    """Of each edge of the event that was tried before it: the first guard that did not hold."""

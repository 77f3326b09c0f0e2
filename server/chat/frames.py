"""What comes over the wire, as frozen values.

Values and their parsing only. Fields that this client does not know are ignored, since PROTOCOL may
add some; names of steps, kinds, codes and statuses of things are plain strings for the same reason.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class WireValue(BaseModel):
    """A frozen value that tolerates added fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Frame(WireValue):
    """One server frame; `data` is read by the type that the frame names."""

    type: str
    re: str | None = None
    thread_id: str | None = None
    seq: int | None = None
    data: Mapping[str, object] = Field(default_factory=dict)


class Limits(WireValue):
    max_frame_bytes: int = 65_536
    max_prompt_chars: int = 32_000


class Model(WireValue):
    name: str = "unknown"
    offline: bool = False


class Hello(WireValue):
    protocol: int
    epoch: str | int
    limits: Limits = Limits()
    model: Model = Model()
    models: tuple[str, ...] = ()
    """Names that a thread's model may have, the server's own first."""


class SignInChallenge(WireValue):
    statement: str
    nonce: str


class ChatUser(WireValue):
    id: str
    public_key: str
    name: str | None = None


class ChatThreadSummary(WireValue):
    id: str
    name: str
    visibility: str
    status: str = "active"
    co_authors: tuple[str, ...] = ()
    message_count: int = 0
    updated_at: str = ""


class ChatInvitation(WireValue):
    """What one is told of a thread that one is invited into."""

    thread_id: str
    thread_name: str
    invited_by: str
    invited_by_name: str | None = None


class SessionToken(WireValue):
    token: str


class Init(WireValue):
    user: ChatUser
    threads: tuple[ChatThreadSummary, ...] = ()
    invitations: tuple[ChatInvitation, ...] = ()
    session: SessionToken
    resumed: bool = False


class ChatThread(WireValue):
    id: str
    name: str
    visibility: str
    status: str = "active"
    co_authors: tuple[str, ...] = ()
    message_count: int = 0
    instructions: str = ""
    model: str | None = None


class ThreadSettings(WireValue):
    """What the co-authors of a thread set for its runs."""

    instructions: str = ""
    model: str | None = None


class ChatVote(WireValue):
    co_author: str
    decision: str
    reason: str | None = None


class ChatCitation(WireValue):
    label: str
    message_id: str
    thread_id: str


class ChatMention(WireValue):
    """Where a message names a co-author; offsets count code points of its content."""

    public_key: str
    start: int
    end: int


class ChatMessage(WireValue):
    id: str
    thread_id: str
    index: int
    role: str
    author: str | None = None
    content: str | None = None
    """None where the reader has no right to content that is not approved."""
    status: str
    approvals: tuple[ChatVote, ...] = ()
    electors: tuple[str, ...] = ()
    run_id: str | None = None
    citations: tuple[ChatCitation, ...] = ()
    cut: bool = False
    """Whether an answer ended at its length limit."""
    mentions: tuple[ChatMention, ...] = ()


class ChatPrior(WireValue):
    message_id: str
    thread_id: str
    content: str
    author: str | None = None
    score: float


class RunSnapshot(WireValue):
    """A run that is not in a final state, as a snapshot tells of it."""

    run_id: str
    message_id: str
    branch_id: str | None = None
    """Of a forked run."""
    status: str
    step: str | None = None
    iteration: int = 1
    attempt: int = 1
    text: str | None = None
    thinking: str | None = None


class OpenLink(WireValue):
    """An invite link, without its secret."""

    id: str
    made_by: str
    status: str
    expires_at: str


class OpenRemoval(WireValue):
    """A vote on whether a co-author stays."""

    id: str
    public_key: str
    proposed_by: str
    status: str
    electors: tuple[str, ...] = ()
    votes: tuple[ChatVote, ...] = ()


class OpenBranch(WireValue):
    """A forked run's answer, which is no part of the thread before it is adopted."""

    id: str
    run_id: str
    origin_run_id: str
    generation: int = 1
    step: str
    iteration: int = 1
    change: str
    made_by: str
    status: str
    electors: tuple[str, ...] = ()
    votes: tuple[ChatVote, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self.status in {"growing", "ready", "proposed"}


class ThreadMessages(WireValue):
    """The snapshot of a thread at `head_seq`."""

    thread: ChatThread
    names: Mapping[str, str | None] = Field(default_factory=dict)
    messages: tuple[ChatMessage, ...] = ()
    head_seq: int
    has_more: bool = False
    runs: tuple[RunSnapshot, ...] = ()
    links: tuple[OpenLink, ...] = ()
    removals: tuple[OpenRemoval, ...] = ()
    branches: tuple[OpenBranch, ...] = ()


class ThreadPast(ThreadMessages):
    """The snapshot of a thread after its entry `head_seq`."""

    at: datetime
    """When that entry was made."""
    last_seq: int
    """The last entry that there is now."""


class Threads(WireValue):
    threads: tuple[ChatThreadSummary, ...] = ()
    invitations: tuple[ChatInvitation, ...] = ()
    next: str | None = None


class ChatInboxItem(WireValue):
    """Something that awaits one's answer, or mentions one."""

    kind: str
    thread_id: str
    thread_name: str
    by: str | None = None
    by_name: str | None = None
    excerpt: str | None = None
    public_key: str | None = None
    """Who is named, where it is about a removal."""
    name: str | None = None
    seq: int = 0
    unread: bool = False


class ChatInbox(WireValue):
    items: tuple[ChatInboxItem, ...] = ()
    count: int = 0


class SearchResults(WireValue):
    results: tuple[ChatPrior, ...] = ()


class MadeLink(WireValue):
    """An invite link that one has just made."""

    secret: str
    expires_at: str


class LinkReply(WireValue):
    """What an invite link leads to."""

    thread_name: str
    invited_by: str
    invited_by_name: str | None = None


class AcceptedReply(WireValue):
    thread_id: str | None = None
    message_id: str | None = None
    run_id: str | None = None
    branch_id: str | None = None
    """Of a fork: the branch that `run_id` grows."""
    link: MadeLink | None = None


class ErrorReply(WireValue):
    """The data of an `error`."""

    code: str
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None


class ChatStepOutput(WireValue):
    """The outputs of all steps in one shape; each step fills its own fields."""

    enough: bool = False
    key_insights: tuple[str, ...] = ()
    explicit_intent: str | None = None
    implicit_intent: str | None = None
    patterns: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    loop: bool | None = None
    next_query: str | None = None
    confidence: float | None = None


class RunEvent(WireValue):
    """What every `chorus_response` carries; iteration and attempt count from 1."""

    run_id: str
    message_id: str
    branch_id: str | None = None
    """Of a forked run."""
    step: str | None = None
    iteration: int = 1
    attempt: int = 1
    at: datetime | None = None
    """None of what passes."""


class RunQueuedEvent(RunEvent):
    status: Literal["queued"]


class StepStartedEvent(RunEvent):
    status: Literal["started"]


class StepDeltaEvent(RunEvent):
    """Passing text; `offset` counts code points from the beginning of the attempt's text."""

    status: Literal["delta"]
    offset: int
    text: str


class StepThinkingEvent(RunEvent):
    """Passing thoughts; `offset` counts code points from the beginning of the attempt's thoughts."""

    status: Literal["thinking"]
    offset: int
    text: str


class StepCompletedEvent(RunEvent):
    status: Literal["completed"]
    text: str
    output: ChatStepOutput = ChatStepOutput()
    priors: tuple[ChatPrior, ...] | None = None
    memory_available: bool | None = None
    """False where the memory could not be searched: what it holds is not known then."""
    cut: bool = False
    """Whether the text ended at its length limit."""


class StepRecoveringEvent(RunEvent):
    """One attempt failed; the next begins in `retry_in_ms` milliseconds."""

    status: Literal["recovering"]
    code: str
    retry_in_ms: int = 0


class RunFinishedEvent(RunEvent):
    status: Literal["finished"]
    message: ChatMessage
    """The answer, as it stands in the thread."""


class RunFailedEvent(RunEvent):
    status: Literal["failed"]
    code: str
    message: str


class RunCancelledEvent(RunEvent):
    status: Literal["cancelled"]
    by: str | None = None


class OpenInvitation(WireValue):
    """An invitation as the co-authors see it."""

    public_key: str
    invited_by: str


class ThreadEvent(WireValue):
    """Something that a user or time did to a thread; `by` is None for the system itself."""

    kind: str
    at: datetime | None = None
    by: str | None = None
    message_id: str | None = None
    run_id: str | None = None
    prompt_id: str | None = None
    """Of an adopted branch: the prompt, whose run is `run_id` from then on."""
    public_key: str | None = None
    invitation: OpenInvitation | None = None
    link: OpenLink | None = None
    removal: OpenRemoval | None = None
    branch: OpenBranch | None = None
    message: ChatMessage | None = None
    thread: ChatThread | None = None
    before: ThreadSettings | None = None
    """Of a changed configuration: what `thread` said until then."""


RunEventUnion = (
    RunQueuedEvent
    | StepStartedEvent
    | StepDeltaEvent
    | StepThinkingEvent
    | StepCompletedEvent
    | StepRecoveringEvent
    | RunFinishedEvent
    | RunFailedEvent
    | RunCancelledEvent
)


STORAGE_UNAVAILABLE: Final = "storage_unavailable"
"""The kind of a notice which says that a run of the followed thread waits for the journal."""


class Notice(WireValue):
    """Something happened in a thread of the user's that this connection does not follow, or a run
    of the thread that it follows waits."""

    thread_id: str
    kind: str = ""
    message: str = ""
    """Why a run waits, in a sentence."""


_RUN_EVENT: TypeAdapter[RunEventUnion] = TypeAdapter(
    Annotated[RunEventUnion, Field(discriminator="status")]
)


def parse_live(frame: Frame) -> RunEventUnion | ThreadEvent | None:
    """The body of a live frame; None where this client cannot read it."""
    try:
        match frame.type:
            case "chorus_response":
                return _RUN_EVENT.validate_python(frame.data)
            case "thread_event":
                return ThreadEvent.model_validate(frame.data)
            case _:
                return None
    except ValidationError:
        return None

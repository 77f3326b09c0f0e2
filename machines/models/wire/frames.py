"""Server frames: everything that the server says, and the shapes that stand inside.

`envelope` has what they share, and `run_frames` what is told of a run while it goes on.

Only shapes live here. Who may see what is decided before one of these is built, and encoding is
the work of `server.wire.codec`. Clients written in Python may read frames with the same classes, by
`ServerMessage`. `LiveFrame`s are kept in the journal as JSON: each survives the way there and back.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from machines.models.errors import ErrorCode
from machines.models.heat import MachineHeat
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId
from machines.models.limits import PROTOCOL_VERSION
from machines.models.outputs import (
    Flag,
    Omittable,
    Prior,
    Timestamp,
    Value,
)
from machines.models.wire.comparison import ComparisonFrame
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.explained import RunExplanationData, ValueExplanationData
from machines.models.wire.run_frames import ChorusResponseFrame
from machines.models.wire.views import (
    BranchView,
    EmbedderInfo,
    InboxItem,
    InvitationSummary,
    InvitationView,
    InviteLinkView,
    LimitsView,
    MessageView,
    ModelInfo,
    NewInviteLink,
    PersonView,
    RemovalView,
    RunView,
    SessionView,
    ThreadSettingsView,
    ThreadSummary,
    ThreadView,
    TransitionView,
    UserView,
)

# --- Opening -------------------------------------------------------------------------------------


class HelloData(Value):
    protocol: int = PROTOCOL_VERSION
    server_time: Timestamp
    epoch: str
    """Changes when the store was restored or rebuilt: a remembered `seq` is then void."""
    limits: LimitsView
    model: ModelInfo
    models: tuple[str, ...] = ()
    """Names that a thread's model may have, the server's own first; none of the offline responder."""
    embedder: EmbedderInfo
    heartbeat_seconds: float


class HelloFrame(ServerFrame):
    """The first frame of a connection."""

    type: Literal["hello"] = "hello"
    data: HelloData


class ChallengeData(Value):
    statement: str
    """The exact UTF-8 text to sign."""
    nonce: str
    expires_at: Timestamp


class ChallengeFrame(ServerFrame):
    """What to sign, if it names the host that was dialled and one's own key."""

    type: Literal["challenge"] = "challenge"
    data: ChallengeData


class InitData(Value):
    user: UserView
    threads: tuple[ThreadSummary, ...]
    invitations: tuple[InvitationSummary, ...] = ()
    """The newest that wait for the user's answer; `list_threads` has all."""
    session: SessionView
    resumed: bool
    thread_id: ThreadId | None
    """What the session followed last."""
    next: str | None = None
    """Of `threads`: what to ask `list_threads` of one's own `after` for; None at the end."""


class InitFrame(ServerFrame):
    """The person is signed in."""

    type: Literal["init"] = "init"
    data: InitData


# --- Replies -------------------------------------------------------------------------------------


class AcceptedData(Value):
    thread_id: ThreadId | None = None
    seq: int | None = None
    """Of the last journal entry that carried it out."""
    message_id: MessageId | None = None
    run_id: RunId | None = None
    """None where no run belongs to the request, or the message waits for approval."""
    branch_id: Omittable[BranchId] = None
    """With `fork_run` alone: the branch that `run_id` grows."""
    link: Omittable[NewInviteLink] = None
    """With `create_invite_link` alone."""


class AcceptedFrame(ServerFrame):
    """The request is carried out, durably."""

    type: Literal["accepted"] = "accepted"
    data: AcceptedData


class ThreadMessagesData(Value):
    thread: ThreadView
    names: dict[PublicKey, str]
    """Of those co-authors and authors who gave one."""
    messages: tuple[MessageView, ...]
    """Oldest first."""
    head_seq: int
    has_more: bool
    """Whether there are older messages: page back with `before_index`."""
    runs: tuple[RunView, ...]
    invitations: tuple[InvitationView, ...] = ()
    """Those that wait for an answer, oldest first."""
    links: tuple[InviteLinkView, ...] = ()
    """Invite links that are open, oldest first."""
    removals: tuple[RemovalView, ...] = ()
    """Those that are voted on, oldest first."""
    branches: tuple[BranchView, ...] = ()
    """Those that are open, oldest first; for co-authors alone."""
    hidden: Flag = False
    """Whether the reader hid the thread."""
    hidden_messages: tuple[MessageId, ...] = ()
    """Those of `messages` that the reader hid."""


class ThreadMessagesFrame(ServerFrame):
    """A snapshot of a thread at `head_seq`."""

    type: Literal["thread_messages"] = "thread_messages"
    data: ThreadMessagesData


class ThreadPastData(ThreadMessagesData):
    """A snapshot of the thread as it was; what its reader may see is what they may see today."""

    at: Timestamp
    """When the entry `head_seq` was made."""
    last_seq: int
    """The last entry that there is now."""


class ThreadPastFrame(ServerFrame):
    """A thread as it was after its entry `head_seq`."""

    type: Literal["thread_past"] = "thread_past"
    data: ThreadPastData


class InviteLinkData(Value):
    """What a link says before it is used: this, and nothing else of the thread."""

    thread_name: str
    invited_by: PublicKey
    invited_by_name: str | None
    expires_at: Timestamp
    thread_id: Omittable[ThreadId] = None
    """For who is a co-author already."""


class InviteLinkFrame(ServerFrame):
    """What an invite link leads to."""

    type: Literal["invite_link"] = "invite_link"
    data: InviteLinkData


class ThreadsData(Value):
    threads: tuple[ThreadSummary, ...]
    invitations: Omittable[tuple[InvitationSummary, ...]] = None
    """With the scope `invited` alone, in place of threads; the newest first."""
    next: str | None
    """What to ask `after` for; None at the end."""


class ThreadsFrame(ServerFrame):
    """A page of threads, the last changed first."""

    type: Literal["threads"] = "threads"
    data: ThreadsData


class InboxData(Value):
    items: tuple[InboxItem, ...]
    """What awaits an answer, the newest first; then mentions, the newest first."""
    count: int
    """What waits, and mentions that are not read, on all pages; 100 where there are more."""
    next: str | None
    """What to ask `after` for; None at the end."""


class InboxFrame(ServerFrame):
    """A page of what awaits the user's answer, and of where they are mentioned."""

    type: Literal["inbox"] = "inbox"
    data: InboxData


class PeopleData(Value):
    people: tuple[PersonView, ...]
    """Those of the thread that changed last first."""


class PeopleFrame(ServerFrame):
    """The users with whom one shares a thread."""

    type: Literal["people"] = "people"
    data: PeopleData


class SearchResultsData(Value):
    results: tuple[Prior, ...]
    """Best first."""


class SearchResultsFrame(ServerFrame):
    """What memory holds on a query."""

    type: Literal["search_results"] = "search_results"
    data: SearchResultsData


class PongData(Value):
    """Nothing: the frame says it."""


class PongFrame(ServerFrame):
    """The server is there."""

    type: Literal["pong"] = "pong"
    data: PongData = PongData()


class ErrorData(Value):
    code: ErrorCode
    message: str
    """One sentence for a person: no stack trace, path, key or upstream text."""
    retryable: bool
    retry_after_ms: Omittable[int] = None
    details: Omittable[dict[str, object]] = None
    """JSON values."""


class ErrorFrame(ServerFrame):
    """A request is refused, or (`re: null`) something failed that no valid id belongs to."""

    type: Literal["error"] = "error"
    data: ErrorData


# --- Live: everything else -----------------------------------------------------------------------


class ThreadEventKind(StrEnum):
    """What can happen in a thread beside runs."""

    THREAD_CREATED = "thread_created"
    THREAD_RENAMED = "thread_renamed"
    THREAD_CONFIGURED = "thread_configured"
    THREAD_ARCHIVED = "thread_archived"
    CO_AUTHOR_INVITED = "co_author_invited"
    INVITATION_DECLINED = "invitation_declined"
    INVITATION_REVOKED = "invitation_revoked"
    INVITATION_EXPIRED = "invitation_expired"
    INVITE_LINK_MADE = "invite_link_made"
    INVITE_LINK_REVOKED = "invite_link_revoked"
    INVITE_LINK_EXPIRED = "invite_link_expired"
    CO_AUTHOR_JOINED = "co_author_joined"
    CO_AUTHOR_LEFT = "co_author_left"
    REMOVAL_PROPOSED = "removal_proposed"
    REMOVAL_VOTE_CAST = "removal_vote_cast"
    REMOVAL_WITHDRAWN = "removal_withdrawn"
    REMOVAL_EXPIRED = "removal_expired"
    CO_AUTHOR_KEPT = "co_author_kept"
    CO_AUTHOR_REMOVED = "co_author_removed"
    MESSAGE_SUBMITTED = "message_submitted"
    VOTE_CAST = "vote_cast"
    MESSAGE_APPROVED = "message_approved"
    MESSAGE_REJECTED = "message_rejected"
    MESSAGE_EXPIRED = "message_expired"
    MESSAGE_WITHDRAWN = "message_withdrawn"
    MESSAGE_SUPERSEDED = "message_superseded"
    BRANCH_FORKED = "branch_forked"
    BRANCH_READY = "branch_ready"
    BRANCH_FAILED = "branch_failed"
    BRANCH_PROPOSED = "branch_proposed"
    BRANCH_VOTE_CAST = "branch_vote_cast"
    BRANCH_ADOPTED = "branch_adopted"
    BRANCH_REJECTED = "branch_rejected"
    BRANCH_EXPIRED = "branch_expired"
    BRANCH_DISCARDED = "branch_discarded"
    ENTRY_WITHHELD = "entry_withheld"
    TOKEN_BALANCE_CHANGED = "token_balance_changed"  # noqa: S105 - tokens of a thread, no secret


class ThreadEventData(Value):
    kind: ThreadEventKind
    at: Timestamp
    by: PublicKey | None
    """None for the system itself."""
    message_id: Omittable[MessageId] = None
    run_id: Omittable[RunId] = None
    """The run that a message starts, or that answers its prompt from an adoption on."""
    prompt_id: Omittable[MessageId] = None
    """With `branch_adopted` alone: the prompt, whose run is `run_id` from then on."""
    public_key: Omittable[PublicKey] = None
    """Who joined or left."""
    invitation: Omittable[InvitationView] = None
    """Of who is asked in, answered, or joined by accepting."""
    link: Omittable[InviteLinkView] = None
    """Which was made, ended, or let in who joined."""
    removal: Omittable[RemovalView] = None
    """Of who is named, voted on, kept or removed."""
    branch: Omittable[BranchView] = None
    """Which was forked, went on, was voted on or ended; for co-authors alone."""
    message: Omittable[MessageView] = None
    thread: Omittable[ThreadView] = None
    before: Omittable[ThreadSettingsView] = None
    """With `thread_configured` alone: what `thread` said until then."""
    cause: Omittable[str] = None
    """With `token_balance_changed` alone."""
    transitions: tuple[TransitionView, ...] = ()


class ThreadEventFrame(ServerFrame):
    """Something happened in a thread; always a journal entry."""

    type: Literal["thread_event"] = "thread_event"
    data: ThreadEventData


LiveFrame = Annotated[ChorusResponseFrame | ThreadEventFrame, Field(discriminator="type")]
"""What the journal of a thread is made of, as followers see it."""


class EventsData(Value):
    entries: tuple[LiveFrame, ...]
    """Consecutive entries, each the frame in its live form."""
    head_seq: int
    has_more: bool


class RunExplanationFrame(ServerFrame):
    """The reply to `explain_run`."""

    type: Literal["run_explanation"] = "run_explanation"
    data: RunExplanationData


class ValueExplanationFrame(ServerFrame):
    """The reply to `explain_value`."""

    type: Literal["value_explanation"] = "value_explanation"
    data: ValueExplanationData


class HeatData(Value):
    thread_id: ThreadId
    since: Timestamp | None
    """A whole hour, included; None is the beginning."""
    until: Timestamp | None
    """A whole hour, not included; None is now."""
    heat: MachineHeat
    edge_steps: tuple[int, ...]
    """The scale of its edges' counts: with which count each of five classes begins, by logarithms. One where
    all counts are alike; none where there are none. Of classes that begin alike the last is meant."""
    state_steps_ms: tuple[float, ...]
    """Likewise of its states' p95."""
    uncounted: int
    """Entries of the newest, of all threads, that are not counted yet and may be missing; almost always 0."""


class HeatFrame(ServerFrame):
    """The reply to `get_heat`."""

    type: Literal["heat"] = "heat"
    data: HeatData


class EventsFrame(ServerFrame):
    """A page of a thread's journal."""

    type: Literal["events"] = "events"
    data: EventsData


class NoticeData(Value):
    thread_id: ThreadId
    head_seq: int
    """0 for who is invited, as nothing of the thread is told, and with `hidden`, which is no entry of it."""
    kind: (
        ThreadEventKind
        | Literal[
            "chorus_response",
            "storage_unavailable",
            "invited",
            "invitation_ended",
            "read",
            "hidden",
        ]
    )
    """`storage_unavailable`: a run of the followed thread waits until the journal takes entries.
    `invited` and `invitation_ended` are for the invited user alone. `read`: the user has read the
    thread up to `head_seq`, on whichever connection. `hidden`: the user hid the thread, or a message of
    it, or shows it again."""
    inbox: Flag = False
    """True where what is told of may have changed the user's inbox."""
    message: Omittable[str] = None
    """With `storage_unavailable`: why, in a sentence."""
    hidden: Flag = False
    """With `hidden`: whether it is hidden now."""
    message_id: Omittable[MessageId] = None
    """With `hidden`: the message; left out where it is the thread."""


class NoticeFrame(ServerFrame):
    """Something happened in a thread of the user's that this connection does not follow, or to an
    invitation of theirs, or a run of the thread that it follows waits for the journal."""

    type: Literal["notice"] = "notice"
    data: NoticeData


class PresenceData(Value):
    present: tuple[PublicKey, ...]
    """Co-authors who follow the thread now, in the order of joining it."""
    typing: tuple[PublicKey, ...]
    """Those who type."""


class PresenceFrame(ServerFrame):
    """Who of a thread's co-authors looks at it, and who types; passing, never in the journal."""

    type: Literal["presence"] = "presence"
    data: PresenceData


ServerMessage = (
    HelloFrame
    | ChallengeFrame
    | InitFrame
    | AcceptedFrame
    | ThreadMessagesFrame
    | InviteLinkFrame
    | EventsFrame
    | ThreadPastFrame
    | RunExplanationFrame
    | ValueExplanationFrame
    | HeatFrame
    | ThreadsFrame
    | InboxFrame
    | PeopleFrame
    | SearchResultsFrame
    | PongFrame
    | ComparisonFrame
    | ErrorFrame
    | NoticeFrame
    | PresenceFrame
    | ChorusResponseFrame
    | ThreadEventFrame
)
"""Any server frame; a `match` over it ends in `assert_never`."""

SERVER_FRAMES: Final[dict[str, type[ServerFrame]]] = {
    str(frame.model_fields["type"].default): frame for frame in get_args(ServerMessage)
}
"""The class of each frame type, in PROTOCOL's order."""

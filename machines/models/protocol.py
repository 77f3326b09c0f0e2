"""Client frames: every request that PROTOCOL knows, as frozen pydantic values.

A frame is `{"type", "id", "data"}`. Each type has one class with a typed `data`, and `ClientMessage`
is their closed union, told apart by `type`:

    match message:
        case SubmitPrompt(id=request_id, data=data):
            ...data.thread_id, data.prompt

Only shapes and the rules of single fields live here. Whether a request is allowed is decided by
the machines, and bytes become messages in `server.frames`. Fields may be added to the protocol, so
unknown ones are ignored; wrong and missing ones are refused, and nothing is coerced ("7" is no 7).
"""

import unicodedata
from hashlib import sha256
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from machines.models.domain import Visibility
from machines.models.ids import UUID_PATTERN, MessageId, RequestId, RunId, ThreadId, UserId
from machines.models.keys import PublicKeyText, SignatureText
from machines.models.limits import (
    DEFAULT_EVENTS_PAGE,
    DEFAULT_PAGE,
    DEFAULT_SEARCH_RESULTS,
    MAX_CONTENT_LENGTH,
    MAX_CURSOR_LENGTH,
    MAX_EVENTS_PAGE,
    MAX_NAME_LENGTH,
    MAX_PAGE,
    MAX_QUERY_LENGTH,
    MAX_REASON_LENGTH,
    MAX_REQUEST_ID_LENGTH,
    MAX_SEARCH_RESULTS,
    MAX_SEQ,
    MAX_TOKEN_LENGTH,
)

# --- Fields --------------------------------------------------------------------------------------

REQUEST_ID_PATTERN: Final = rf"^[A-Za-z0-9_\-.:]{{1,{MAX_REQUEST_ID_LENGTH}}}$"

TOO_LARGE: Final = "too_large"
"""Type of the validation error that is PROTOCOL's `too_large` instead of `invalid_field`."""

_UNPRINTABLE_IN_NAMES: Final = frozenset({"Cc", "Zl", "Zp"})
_INVISIBLE: Final = frozenset({"Cf", "Zs"})
_DIRECTION_MARKS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _not_blank(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("must not be blank")
    # Not every store can hold U+0000 in a text, and no person types it.
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


def _bounded_content(text: str) -> str:
    if len(text) > MAX_CONTENT_LENGTH:
        raise PydanticCustomError(
            TOO_LARGE, "must have at most {limit} characters", {"limit": MAX_CONTENT_LENGTH}
        )
    return text


def _clean_name(text: str) -> str:
    """`text` without white space around it, if it can stand in one line of other people's screens.

    Characters that turn the reading direction are refused with the control characters: they would
    let a name rearrange what stands beside it. Joiners stay, since emoji and scripts need them.
    """
    name = text.strip()
    if not name:
        raise ValueError("must not be blank")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"must have at most {MAX_NAME_LENGTH} characters")
    if not name.isprintable():
        categories = {unicodedata.category(character) for character in name}
        if categories & _UNPRINTABLE_IN_NAMES or not _DIRECTION_MARKS.isdisjoint(name):
            raise ValueError("must hold no control characters")
        if categories <= _INVISIBLE:
            raise ValueError("must not be blank")
    return name


RequestIdText = Annotated[RequestId, StringConstraints(pattern=REQUEST_ID_PATTERN)]
ThreadIdText = Annotated[ThreadId, StringConstraints(pattern=UUID_PATTERN)]
MessageIdText = Annotated[MessageId, StringConstraints(pattern=UUID_PATTERN)]
RunIdText = Annotated[RunId, StringConstraints(pattern=UUID_PATTERN)]
UserIdText = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]

Name = Annotated[
    str,
    AfterValidator(_clean_name),
    Field(description=f"1 to {MAX_NAME_LENGTH} characters once stripped, none a control character"),
]
Prompt = Annotated[
    str,
    AfterValidator(_bounded_content),
    AfterValidator(_not_blank),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_CONTENT_LENGTH}),
]
"""Kept as it was typed. Too long is judged first: then it is `too_large`, whatever else it is."""

Reason = Annotated[str, StringConstraints(max_length=MAX_REASON_LENGTH), AfterValidator(_not_blank)]
Query = Annotated[str, StringConstraints(max_length=MAX_QUERY_LENGTH), AfterValidator(_not_blank)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR_LENGTH)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_LENGTH)]
Epoch = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR_LENGTH)]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]

# --- Data ----------------------------------------------------------------------------------------


class RequestData(BaseModel):
    """The `data` of a request."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class NoData(RequestData):
    """A request that says everything by its type."""


class ThreadRef(RequestData):
    """A request about a thread."""

    thread_id: ThreadIdText


class MessageRef(ThreadRef):
    """A request about a message of a thread."""

    message_id: MessageIdText


class RunRef(ThreadRef):
    """A request about a run of a thread."""

    run_id: RunIdText


class ConnectData(RequestData):
    public_key: PublicKeyText


class AuthenticateData(RequestData):
    signature: SignatureText
    """Of the UTF-8 bytes of the challenge's statement."""


class ResumeData(RequestData):
    token: Token


class CreateThreadData(RequestData):
    name: Name
    visibility: Visibility = Visibility.PRIVATE
    user_id: UserIdText | None = None
    """The caller's own, where it is given; another's is `forbidden`."""


class GetThreadData(ThreadRef):
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    before_index: Seq | None = None
    """Page back from this index; then nothing is followed."""
    after_seq: Seq | None = None
    """Catch up from here before the live frames."""
    epoch: Epoch | None = None
    """The epoch that `after_seq` was learnt in."""


class GetEventsData(ThreadRef):
    after_seq: Seq
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS_PAGE)] = DEFAULT_EVENTS_PAGE


class SubmitPromptData(ThreadRef):
    prompt: Prompt


class RejectMessageData(MessageRef):
    reason: Reason | None = None


class InviteCoAuthorData(ThreadRef):
    public_key: PublicKeyText


class RenameThreadData(ThreadRef):
    name: Name


class ListThreadsData(RequestData):
    scope: Literal["mine", "public"]
    after: Cursor | None = None
    """The `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE


class SearchData(RequestData):
    query: Query
    limit: Annotated[int, Field(ge=1, le=MAX_SEARCH_RESULTS)] = DEFAULT_SEARCH_RESULTS
    thread_id: ThreadIdText | None = None
    """Search in this thread alone."""


class SetNameData(RequestData):
    name: Name


# --- Frames --------------------------------------------------------------------------------------


class Request(BaseModel):
    """A client frame. `type` stands in each subclass, `data` in its own shape."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    reply: ClassVar[str] = "accepted"
    """Type of the frame that answers it, where it is not `error`."""
    mutating: ClassVar[bool] = False
    """Whether it may be sent again with the same id, and is then carried out once."""

    id: RequestIdText


class MutatingRequest(Request):
    """A request that is remembered by its id."""

    mutating: ClassVar[bool] = True

    def fingerprint(self) -> str:
        """Hex of what two sendings of one request share: another one under its id is `conflict`.

        It is taken of the checked values, so spelling (the order of keys, a default that is
        written out) makes no other request.
        """
        return sha256(self.model_dump_json(exclude={"id"}).encode()).hexdigest()


class Connect(Request):
    """Name the key to sign in with; next comes `Authenticate`."""

    reply = "challenge"
    type: Literal["connect"] = "connect"
    data: ConnectData


class Authenticate(Request):
    """Prove the key that `Connect` named."""

    reply = "init"
    type: Literal["authenticate"] = "authenticate"
    data: AuthenticateData


class Resume(Request):
    """Take up a session, in place of `Connect`."""

    reply = "init"
    type: Literal["resume"] = "resume"
    data: ResumeData


class CreateThread(MutatingRequest):
    """Open a thread with the caller as its first co-author."""

    type: Literal["create_thread"] = "create_thread"
    data: CreateThreadData


class GetThread(Request):
    """Read a thread and follow it, or page back in it."""

    reply = "thread_messages"
    type: Literal["get_thread"] = "get_thread"
    data: GetThreadData


class LeaveThread(Request):
    """Stop following a thread; rights stay as they are."""

    type: Literal["leave_thread"] = "leave_thread"
    data: ThreadRef


class GetEvents(Request):
    """Read a thread's journal."""

    reply = "events"
    type: Literal["get_events"] = "get_events"
    data: GetEventsData


class SubmitPrompt(MutatingRequest):
    """Say something in a thread: it runs at once or waits for approval."""

    type: Literal["submit_prompt"] = "submit_prompt"
    data: SubmitPromptData


class CancelRun(MutatingRequest):
    """Stop a run."""

    type: Literal["cancel_run"] = "cancel_run"
    data: RunRef


class RetryRun(MutatingRequest):
    """Run a message again whose run failed or was cancelled."""

    type: Literal["retry_run"] = "retry_run"
    data: RunRef


class ApproveMessage(MutatingRequest):
    """Vote for a pending message."""

    type: Literal["approve_message"] = "approve_message"
    data: MessageRef


class RejectMessage(MutatingRequest):
    """Vote against a pending message."""

    type: Literal["reject_message"] = "reject_message"
    data: RejectMessageData


class WithdrawMessage(MutatingRequest):
    """Take one's own pending message back."""

    type: Literal["withdraw_message"] = "withdraw_message"
    data: MessageRef


class InviteCoAuthor(MutatingRequest):
    """Make a key a co-author at once."""

    type: Literal["invite_co_author"] = "invite_co_author"
    data: InviteCoAuthorData


class LeaveCoAuthorship(MutatingRequest):
    """Be a co-author no more."""

    type: Literal["leave_co_authorship"] = "leave_co_authorship"
    data: ThreadRef


class RenameThread(MutatingRequest):
    """Give a thread another name."""

    type: Literal["rename_thread"] = "rename_thread"
    data: RenameThreadData


class ArchiveThread(MutatingRequest):
    """End a thread: from then on it is only read."""

    type: Literal["archive_thread"] = "archive_thread"
    data: ThreadRef


class ListThreads(Request):
    """List one's own or the public threads, the last changed first."""

    reply = "threads"
    type: Literal["list_threads"] = "list_threads"
    data: ListThreadsData


class Search(Request):
    """Search the approved messages that the caller may read."""

    reply = "search_results"
    type: Literal["search"] = "search"
    data: SearchData


class SetName(MutatingRequest):
    """Say how one wants to be called."""

    type: Literal["set_name"] = "set_name"
    data: SetNameData


class SignOut(Request):
    """End the session; the socket closes after the reply."""

    type: Literal["sign_out"] = "sign_out"
    data: NoData


class Ping(Request):
    """Ask whether the server is there."""

    reply = "pong"
    type: Literal["ping"] = "ping"
    data: NoData


ClientMessage = (
    Connect
    | Authenticate
    | Resume
    | CreateThread
    | GetThread
    | LeaveThread
    | GetEvents
    | SubmitPrompt
    | CancelRun
    | RetryRun
    | ApproveMessage
    | RejectMessage
    | WithdrawMessage
    | InviteCoAuthor
    | LeaveCoAuthorship
    | RenameThread
    | ArchiveThread
    | ListThreads
    | Search
    | SetName
    | SignOut
    | Ping
)
"""Any request; a `match` over it ends in `assert_never`."""

REQUESTS: Final[dict[str, type[Request]]] = {
    str(request.model_fields["type"].default): request for request in get_args(ClientMessage)
}
"""The class of each request type, in PROTOCOL's order."""

MUTATING: Final = frozenset(name for name, request in REQUESTS.items() if request.mutating)
"""Types that may be sent again with the same id and are then carried out once."""

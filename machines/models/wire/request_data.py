"""What stands in the `data` of a client's frame, one class for each shape; `requests` has the frames.

What a single field may hold is in `machines.models.wire.fields`. Fields may be added to the protocol,
so unknown ones are ignored; wrong and missing ones are refused, and nothing is coerced ("7" is no 7).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from machines.models.keys import PublicKeyText, SignatureText
from machines.models.limits import (
    DEFAULT_EVENTS_PAGE,
    DEFAULT_LINK_HOURS,
    DEFAULT_PAGE,
    DEFAULT_SEARCH_RESULTS,
    MAX_EVENTS_PAGE,
    MAX_LINK_HOURS,
    MAX_PAGE,
    MAX_SEARCH_RESULTS,
)
from machines.models.outputs import Omittable, Timestamp
from machines.models.thread import Visibility
from machines.models.wire.fields import (
    Cursor,
    Epoch,
    Instructions,
    InviteLinkIdText,
    LinkSecret,
    MessageIdText,
    ModelName,
    Name,
    Prompt,
    Query,
    Reason,
    RunIdText,
    Seq,
    ThreadIdText,
    Token,
    UserIdText,
    UuidText,
)


class RequestData(BaseModel):
    """The `data` of a request."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


HeatMachine = Literal[
    "chorus", "message", "thread", "invitation", "invite_link", "removal", "branch"
]
"""Those whose transitions are in the journal."""


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


class GetPastData(ThreadRef):
    """Which moment is meant says one of `at_seq` and `at`."""

    at_seq: Omittable[Seq] = None
    at: Omittable[Timestamp] = None
    """The last entry that was not made later."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    before_index: Seq | None = None
    """Page back from this index."""


class ExplainRunData(RunRef):
    after_seq: Seq = 0
    """Of the last transition that was told, where one frame did not hold all."""


class ExplainValueData(ThreadRef):
    value_id: UuidText
    """Of a message, invitation, link, removal, branch or run."""
    after_seq: Seq = 0
    """As in `ExplainRunData`."""


class GetHeatData(ThreadRef):
    machine: HeatMachine
    since: Omittable[Timestamp] = None
    """Widened to a whole hour, as `until` is; None is the beginning."""
    until: Omittable[Timestamp] = None
    """None is now."""


class SubmitPromptData(ThreadRef):
    prompt: Prompt
    supersedes: Omittable[MessageIdText] = None
    """The caller's own newest message, which this one takes the place of. Left out of the fingerprint
    where it is not given, as before there was such a field."""


class RejectMessageData(MessageRef):
    reason: Reason | None = None


class InviteCoAuthorData(ThreadRef):
    public_key: PublicKeyText


class RevokeInvitationData(ThreadRef):
    public_key: PublicKeyText


class CreateInviteLinkData(ThreadRef):
    expires_in_hours: Annotated[int, Field(ge=1, le=MAX_LINK_HOURS)] = DEFAULT_LINK_HOURS


class RevokeInviteLinkData(ThreadRef):
    link_id: InviteLinkIdText


class InviteLinkRef(RequestData):
    """A request about a link that one was given."""

    secret: LinkSecret


class CoAuthorRef(ThreadRef):
    """A request about a co-author of a thread."""

    public_key: PublicKeyText


class VoteOnRemovalData(CoAuthorRef):
    decision: Literal["remove", "keep"]


class RenameThreadData(ThreadRef):
    name: Name


class ConfigureThreadData(ThreadRef):
    instructions: Instructions
    """What every answer is to keep to; blank for nothing."""
    model: ModelName | None
    """One of `models` of `hello`; null is the server's own."""


class ListThreadsData(RequestData):
    scope: Literal["mine", "public", "invited"]
    after: Cursor | None = None
    """The `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    hidden: bool = False
    """With `mine`: those alone that the caller hid, which are left out else."""


class GetInboxData(RequestData):
    after: Cursor | None = None
    """The `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE


class MarkReadData(ThreadRef):
    seq: Seq
    """Number of the last entry that was read."""


class HideThreadData(ThreadRef):
    hidden: bool
    """False shows it again."""


class HideMessageData(MessageRef):
    hidden: bool
    """False shows it again."""


class SearchData(RequestData):
    query: Query
    limit: Annotated[int, Field(ge=1, le=MAX_SEARCH_RESULTS)] = DEFAULT_SEARCH_RESULTS
    thread_id: ThreadIdText | None = None
    """Search in this thread alone."""


class SetNameData(RequestData):
    name: Name


class SetPresenceData(RequestData):
    shown: bool

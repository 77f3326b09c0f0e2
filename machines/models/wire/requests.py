"""Client frames: every request that PROTOCOL knows, as frozen pydantic values.

A frame is `{"type", "id", "data"}`. Each type has one class with a typed `data`, and `ClientMessage`
is their closed union, told apart by `type`:

    match message:
        case SubmitPromptRequest(id=request_id, data=data):
            ...data.thread_id, data.prompt

Requests about who is a co-author stand in `membership_requests`, and join the union here. Only shapes
live here. Whether a request is allowed is decided by the machines, and bytes become messages in
`server.wire.codec`.
"""

from typing import Final, Literal, get_args

from machines.models.wire.branch_data import (
    BranchRef,
    CompareRunsData,
    ForkRunData,
    VoteOnBranchData,
)
from machines.models.wire.membership_requests import (
    AcceptInvitationRequest,
    AcceptInviteLinkRequest,
    CreateInviteLinkRequest,
    DeclineInvitationRequest,
    InviteCoAuthorRequest,
    LeaveCoAuthorshipRequest,
    ProposeRemovalRequest,
    RevokeInvitationRequest,
    RevokeInviteLinkRequest,
    ViewInviteLinkRequest,
    VoteOnRemovalRequest,
    WithdrawRemovalRequest,
)
from machines.models.wire.request_base import MutatingRequest, Request
from machines.models.wire.request_data import (
    AuthenticateData,
    ConfigureThreadData,
    ConnectData,
    CreateThreadData,
    ExplainRunData,
    ExplainValueData,
    GetEventsData,
    GetHeatData,
    GetInboxData,
    GetPastData,
    GetThreadData,
    HideMessageData,
    HideThreadData,
    ListThreadsData,
    MarkReadData,
    MessageRef,
    NoData,
    RejectMessageData,
    RenameThreadData,
    ResumeData,
    RunRef,
    SearchData,
    SetNameData,
    SetPresenceData,
    SubmitPromptData,
    ThreadRef,
)


class ConnectRequest(Request):
    """Name the key to sign in with; next comes `AuthenticateRequest`."""

    reply = "challenge"
    type: Literal["connect"] = "connect"
    data: ConnectData


class AuthenticateRequest(Request):
    """Prove the key that `ConnectRequest` named."""

    reply = "init"
    type: Literal["authenticate"] = "authenticate"
    data: AuthenticateData


class ResumeRequest(Request):
    """Take up a session, in place of `ConnectRequest`."""

    reply = "init"
    type: Literal["resume"] = "resume"
    data: ResumeData


class CreateThreadRequest(MutatingRequest):
    """Open a thread with the caller as its first co-author."""

    type: Literal["create_thread"] = "create_thread"
    data: CreateThreadData


class GetThreadRequest(Request):
    """Read a thread and follow it, or page back in it."""

    reply = "thread_messages"
    type: Literal["get_thread"] = "get_thread"
    data: GetThreadData


class LeaveThreadRequest(Request):
    """Stop following a thread; rights stay as they are."""

    type: Literal["leave_thread"] = "leave_thread"
    data: ThreadRef


class GetEventsRequest(Request):
    """Read a thread's journal."""

    reply = "events"
    type: Literal["get_events"] = "get_events"
    data: GetEventsData


class GetPastRequest(Request):
    """Read a thread as it was after an earlier entry; changes nothing of what is followed."""

    reply = "thread_past"
    type: Literal["get_past"] = "get_past"
    data: GetPastData


class ExplainRunRequest(Request):
    """Ask why a run did what it did."""

    reply = "run_explanation"
    type: Literal["explain_run"] = "explain_run"
    data: ExplainRunData


class ExplainValueRequest(Request):
    """Ask why a message, invitation, link, removal, branch or run became what it is."""

    reply = "value_explanation"
    type: Literal["explain_value"] = "explain_value"
    data: ExplainValueData


class GetHeatRequest(Request):
    """Ask how often a machine took each edge in a thread, and how long it stayed in each state."""

    reply = "heat"
    type: Literal["get_heat"] = "get_heat"
    data: GetHeatData


class SubmitPromptRequest(MutatingRequest):
    """Say something in a thread: it runs at once or waits for approval."""

    type: Literal["submit_prompt"] = "submit_prompt"
    data: SubmitPromptData


class CancelRunRequest(MutatingRequest):
    """Stop a run."""

    type: Literal["cancel_run"] = "cancel_run"
    data: RunRef


class RetryRunRequest(MutatingRequest):
    """Run a message again whose run failed or was cancelled."""

    type: Literal["retry_run"] = "retry_run"
    data: RunRef


class ForkRunRequest(MutatingRequest):
    """Go on from a completed step of a run with one change, as a run of its own."""

    type: Literal["fork_run"] = "fork_run"
    data: ForkRunData


class ProposeAdoptionRequest(MutatingRequest):
    """Let the co-authors vote on whether the answer of a branch stands in the thread."""

    type: Literal["propose_adoption"] = "propose_adoption"
    data: BranchRef


class VoteOnBranchRequest(MutatingRequest):
    """Agree to a branch that is proposed, or not."""

    type: Literal["vote_on_branch"] = "vote_on_branch"
    data: VoteOnBranchData


class DiscardBranchRequest(MutatingRequest):
    """Give one's own branch up."""

    type: Literal["discard_branch"] = "discard_branch"
    data: BranchRef


class CompareRunsRequest(Request):
    """Read two runs of a thread side by side."""

    reply = "comparison"
    type: Literal["compare_runs"] = "compare_runs"
    data: CompareRunsData


class ApproveMessageRequest(MutatingRequest):
    """Vote for a pending message."""

    type: Literal["approve_message"] = "approve_message"
    data: MessageRef


class RejectMessageRequest(MutatingRequest):
    """Vote against a pending message."""

    type: Literal["reject_message"] = "reject_message"
    data: RejectMessageData


class WithdrawMessageRequest(MutatingRequest):
    """Take one's own pending message back."""

    type: Literal["withdraw_message"] = "withdraw_message"
    data: MessageRef


class RenameThreadRequest(MutatingRequest):
    """Give a thread another name."""

    type: Literal["rename_thread"] = "rename_thread"
    data: RenameThreadData


class ConfigureThreadRequest(MutatingRequest):
    """Say what the thread's answers are to keep to, and which model gives them."""

    type: Literal["configure_thread"] = "configure_thread"
    data: ConfigureThreadData


class ArchiveThreadRequest(MutatingRequest):
    """End a thread: from then on it is only read."""

    type: Literal["archive_thread"] = "archive_thread"
    data: ThreadRef


class ListThreadsRequest(Request):
    """List one's own or the public threads, the last changed first, or one's open invitations."""

    reply = "threads"
    type: Literal["list_threads"] = "list_threads"
    data: ListThreadsData


class GetInboxRequest(Request):
    """What awaits one's answer, and where one is mentioned."""

    reply = "inbox"
    type: Literal["get_inbox"] = "get_inbox"
    data: GetInboxData


class MarkReadRequest(MutatingRequest):
    """Say how far one has read a thread: mentions up to there are read."""

    type: Literal["mark_read"] = "mark_read"
    data: MarkReadData


class HideThreadRequest(MutatingRequest):
    """Leave a thread out of one's own list, or list it again; nobody else is told."""

    type: Literal["hide_thread"] = "hide_thread"
    data: HideThreadData


class HideMessageRequest(MutatingRequest):
    """Fold a message away for oneself, or show it again; nobody else is told."""

    type: Literal["hide_message"] = "hide_message"
    data: HideMessageData


class ListPeopleRequest(Request):
    """List the users with whom the caller shares a thread."""

    reply = "people"
    type: Literal["list_people"] = "list_people"
    data: NoData


class SearchRequest(Request):
    """Search the approved messages that the caller may read."""

    reply = "search_results"
    type: Literal["search"] = "search"
    data: SearchData


class SetNameRequest(MutatingRequest):
    """Say how one wants to be called."""

    type: Literal["set_name"] = "set_name"
    data: SetNameData


class SetPresenceRequest(MutatingRequest):
    """Show to co-authors that one is there and types, and see it of them; or neither."""

    type: Literal["set_presence"] = "set_presence"
    data: SetPresenceData


class TypingRequest(Request):
    """Say that one types in a thread; passing."""

    type: Literal["typing"] = "typing"
    data: ThreadRef


class SignOutRequest(Request):
    """End the session; the socket closes after the reply."""

    type: Literal["sign_out"] = "sign_out"
    data: NoData


class PingRequest(Request):
    """Ask whether the server is there."""

    reply = "pong"
    type: Literal["ping"] = "ping"
    data: NoData


ClientMessage = (
    ConnectRequest
    | AuthenticateRequest
    | ResumeRequest
    | CreateThreadRequest
    | GetThreadRequest
    | LeaveThreadRequest
    | GetEventsRequest
    | GetPastRequest
    | ExplainRunRequest
    | ExplainValueRequest
    | GetHeatRequest
    | SubmitPromptRequest
    | CancelRunRequest
    | RetryRunRequest
    | ForkRunRequest
    | ProposeAdoptionRequest
    | VoteOnBranchRequest
    | DiscardBranchRequest
    | CompareRunsRequest
    | ApproveMessageRequest
    | RejectMessageRequest
    | WithdrawMessageRequest
    | InviteCoAuthorRequest
    | AcceptInvitationRequest
    | DeclineInvitationRequest
    | RevokeInvitationRequest
    | CreateInviteLinkRequest
    | RevokeInviteLinkRequest
    | ViewInviteLinkRequest
    | AcceptInviteLinkRequest
    | ProposeRemovalRequest
    | VoteOnRemovalRequest
    | WithdrawRemovalRequest
    | LeaveCoAuthorshipRequest
    | RenameThreadRequest
    | ConfigureThreadRequest
    | ArchiveThreadRequest
    | ListThreadsRequest
    | GetInboxRequest
    | MarkReadRequest
    | HideThreadRequest
    | HideMessageRequest
    | ListPeopleRequest
    | SearchRequest
    | SetNameRequest
    | SetPresenceRequest
    | TypingRequest
    | SignOutRequest
    | PingRequest
)
"""Any request; a `match` over it ends in `assert_never`."""

REQUESTS: Final[dict[str, type[Request]]] = {
    str(request.model_fields["type"].default): request for request in get_args(ClientMessage)
}
"""The class of each request type, in PROTOCOL's order."""

MUTATING: Final = frozenset(name for name, request in REQUESTS.items() if request.mutating)
"""Types that may be sent again with the same id and are then carried out once."""

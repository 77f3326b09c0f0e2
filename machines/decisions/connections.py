"""Handlers of a connection: pure functions from (state, what came) to (new state, effects).

`handle_client_message` is the one way in for frames; the others are what it calls, and what the
shell calls when an effect brings something back. A refusal is an error of the tree, and the state
is as it was: an error on one connection touches no other.
"""

from datetime import datetime
from hashlib import sha256
from typing import assert_never

from machines.connection import connection_machine
from machines.models.connection import (
    AuthenticateRequested,
    AuthFailed,
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    ConnectRequested,
    LeaveRequested,
    NetworkLost,
    RequestMade,
    ResumeRequested,
    SignedOut,
    ThreadLost,
    ThreadRequested,
)
from machines.models.effects import ConnectionEffect, WebSocketEvent
from machines.models.errors import (
    AuthError,
    ErrorCode,
    NetworkError,
    RequestRefused,
    ThreadError,
)
from machines.models.ids import ClientId
from machines.models.wire import requests
from machines.models.wire.frames import PongFrame
from machines.models.wire.requests import ClientMessage
from machines.outcomes import refused
from machines.statechart import Accepted, Refusal

Handled = tuple[ConnectionState, tuple[ConnectionEffect, ...]]


def new_connection(client_id: ClientId) -> ConnectionState:
    """A connection whose socket was just opened."""
    return ConnectionState(client_id=client_id)


def handle_client_message(state: ConnectionState, message: ClientMessage, at: datetime) -> Handled:
    """Take one frame.

    Raises:
        RequestRefused: `not_authenticated`.
        InvalidTransition: the connection is in no state for this request.
    """
    match message:
        case requests.ConnectRequest():
            return handle_connect(state, message)
        case requests.AuthenticateRequest():
            return handle_authenticate(state, message, at)
        case requests.ResumeRequest():
            return handle_resume(state, message)
        case requests.PingRequest():
            return state, (WebSocketEvent(frame=PongFrame()),)
        case _:
            _require_sign_in(state)
    match message:
        case requests.GetThreadRequest() if message.data.before_index is None:
            return handle_get_thread(state, message)
        case requests.LeaveThreadRequest():
            return handle_leave_thread(state, message)
        case requests.SignOutRequest():
            return handle_event(state, SignedOut())
        case (
            requests.GetThreadRequest()
            | requests.CreateThreadRequest()
            | requests.GetEventsRequest()
            | requests.SubmitPromptRequest()
            | requests.CancelRunRequest()
            | requests.RetryRunRequest()
            | requests.ApproveMessageRequest()
            | requests.RejectMessageRequest()
            | requests.WithdrawMessageRequest()
            | requests.InviteCoAuthorRequest()
            | requests.LeaveCoAuthorshipRequest()
            | requests.RenameThreadRequest()
            | requests.ArchiveThreadRequest()
            | requests.ListThreadsRequest()
            | requests.SearchRequest()
            | requests.SetNameRequest()
        ):
            return handle_event(state, RequestMade(message=message))
        case _:
            assert_never(message)


def handle_connect(state: ConnectionState, message: requests.ConnectRequest) -> Handled:
    """A person names a key; a challenge is asked for."""
    return handle_event(state, ConnectRequested(public_key=message.data.public_key))


def handle_authenticate(
    state: ConnectionState, message: requests.AuthenticateRequest, at: datetime
) -> Handled:
    """A signature: checked once, over the statement that the server kept."""
    return handle_event(state, AuthenticateRequested(signature=message.data.signature, at=at))


def handle_resume(state: ConnectionState, message: requests.ResumeRequest) -> Handled:
    """A session's token; only its hash goes further."""
    return handle_event(state, ResumeRequested(token_hash=hash_token(message.data.token)))


def handle_get_thread(state: ConnectionState, message: requests.GetThreadRequest) -> Handled:
    """Follow a thread, and leave the one followed before."""
    return handle_event(state, ThreadRequested(thread_id=message.data.thread_id))


def handle_leave_thread(state: ConnectionState, message: requests.LeaveThreadRequest) -> Handled:
    """Stop following."""
    return handle_event(state, LeaveRequested(thread_id=message.data.thread_id))


def handle_disconnect(state: ConnectionState) -> Handled:
    """The socket is gone: a signed-in session is kept, and may resume."""
    if state.status in {ConnectionStatus.INTERRUPTED, ConnectionStatus.CLOSED}:
        return state, ()
    return handle_event(state, NetworkLost())


def handle_connection_error(
    state: ConnectionState, error: AuthError | ThreadError | NetworkError
) -> Handled:
    """AuthError resets to connecting, ThreadError leaves the thread, NetworkError interrupts."""
    match error:
        case AuthError():
            return handle_event(state, AuthFailed())
        case ThreadError():
            if state.thread_id is None:
                return state, ()
            return handle_event(state, ThreadLost(thread_id=state.thread_id))
        case NetworkError():
            return handle_disconnect(state)
        case _:
            assert_never(error)


def handle_event(state: ConnectionState, event: ConnectionEvent) -> Handled:
    """Any event of the chart. Raises InvalidTransition where it is refused."""
    match connection_machine().fire(state, event):
        case Refusal() as refusal:
            raise refused(refusal)
        case Accepted(state=after, effects=effects):
            return after, effects


def hash_token(token: str) -> str:
    """Hex of the SHA-256 of a session token: 256 random bits need no slow hash.

    Whatever a client sends has one, half a surrogate pair too.
    """
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def _require_sign_in(state: ConnectionState) -> None:
    if state.status in {ConnectionStatus.CONNECTING, ConnectionStatus.AUTHENTICATING}:
        raise RequestRefused(ErrorCode.NOT_AUTHENTICATED, "Sign in first.")

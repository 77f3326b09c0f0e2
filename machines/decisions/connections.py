"""Handlers of a connection: pure functions from (state, what came) to (new state, effects).

`handle_client_message` is the one way in for frames; the others are what it calls, and what the
shell calls when an effect brings something back. A refusal is an error of the tree, and the state
is as it was: an error on one connection touches no other.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final, assert_never

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
from machines.models.wire import membership_requests, requests
from machines.models.wire.frames import PongFrame
from machines.models.wire.request_base import MutatingRequest
from machines.models.wire.requests import ClientMessage
from machines.outcomes import refused
from machines.statechart import Accepted, Refusal

_SIGNING_IN: Final = frozenset({ConnectionStatus.CONNECTING, ConnectionStatus.AUTHENTICATING})

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
    event: ConnectionEvent
    match message:
        case requests.PingRequest():
            return state, (WebSocketEvent(frame=PongFrame()),)
        case requests.ConnectRequest(data=data):
            event = ConnectRequested(public_key=data.public_key)
        case requests.AuthenticateRequest(data=data):
            event = AuthenticateRequested(signature=data.signature, at=at)
        case requests.ResumeRequest(data=data):
            event = ResumeRequested(token_hash=hash_token(data.token))
        case _ if state.status in _SIGNING_IN:
            raise RequestRefused(ErrorCode.NOT_AUTHENTICATED, "Sign in first.")
        case requests.GetThreadRequest(data=data) if data.before_index is None:
            event = ThreadRequested(thread_id=data.thread_id)
        case requests.LeaveThreadRequest(data=data):
            event = LeaveRequested(thread_id=data.thread_id)
        case requests.SignOutRequest():
            event = SignedOut()
        case (
            MutatingRequest()
            | requests.CompareRunsRequest()
            | requests.GetThreadRequest()
            | requests.GetEventsRequest()
            | requests.GetPastRequest()
            | requests.ExplainRunRequest()
            | requests.ExplainValueRequest()
            | requests.GetHeatRequest()
            | requests.ListThreadsRequest()
            | requests.GetInboxRequest()
            | requests.ListPeopleRequest()
            | requests.SearchRequest()
            | membership_requests.ViewInviteLinkRequest()
            | requests.TypingRequest()
        ):
            event = RequestMade(message=message)
        case _:
            assert_never(message)
    return handle_event(state, event)


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

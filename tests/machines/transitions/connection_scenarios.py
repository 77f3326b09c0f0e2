"""Connections and events for them, and the scenario of each edge of the connection chart.

Connections are brought to where a scenario needs them by the events that lead there, so that each
is a value that can really occur.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Final

from machines.connection import connection_machine
from machines.connection_rules import MAX_SIGN_IN_FAILURES
from machines.models.connection import (
    AccessChecked,
    AuthenticateRequested,
    AuthFailed,
    ChallengeIssued,
    ConnectionEvent,
    ConnectionState,
    ConnectRequested,
    LeaveRequested,
    NetworkLost,
    RequestMade,
    ResumeRequested,
    SessionExpired,
    SessionLookedUp,
    SignatureChecked,
    SignedOut,
    ThreadLost,
    ThreadRequested,
)
from machines.models.domain import SessionRecord, User
from machines.models.ids import RequestId, ThreadId
from machines.models.wire.request_data import NoData
from machines.models.wire.requests import PingRequest
from machines.statechart import Accepted
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CLIENT,
    NOW,
    OTHER_THREAD,
    SOON,
    THREAD,
    USER,
)

TOKEN_HASH: Final = "ab" * 32
OTHER_HASH: Final = "cd" * 32
NONCE_EXPIRES: Final = NOW + timedelta(seconds=60)
SESSION_EXPIRES: Final = NOW + timedelta(hours=24)

# --- Events --------------------------------------------------------------------------------------


def user() -> User:
    """The person who signs in."""
    return User(id=USER, public_key=ALICE, name="Alice", created_at=NOW, updated_at=NOW)


def session(**changes: Any) -> SessionRecord:
    """Her session."""
    value = SessionRecord(
        id=TOKEN_HASH,
        public_key=ALICE,
        expires_at=SESSION_EXPIRES,
        created_at=NOW,
        updated_at=NOW,
    )
    return value.model_copy(update=changes)


def connect() -> ConnectRequested:
    """A person names a key."""
    return ConnectRequested(public_key=ALICE)


def challenge(nonce: str = "n1") -> ChallengeIssued:
    """The shell made a statement."""
    return ChallengeIssued(statement=f"sign {nonce}", nonce=nonce, expires_at=NONCE_EXPIRES)


def authenticate(at: datetime = SOON) -> AuthenticateRequested:
    """The signature arrives."""
    return AuthenticateRequested(signature="s", at=at)


def checked(*, valid: bool = True, complete: bool = True) -> SignatureChecked:
    """The shell looked at the signature; an incomplete result comes without a session."""
    return SignatureChecked(
        valid=valid, user=user() if valid else None, session=session() if complete else None
    )


def looked_up(
    found: SessionRecord | None = None,
    owner: User | None = None,
    at: datetime = SOON,
    token_hash: str = TOKEN_HASH,
) -> SessionLookedUp:
    """The shell looked for the session."""
    return SessionLookedUp(token_hash=token_hash, at=at, session=found, user=owner)


def found() -> SessionLookedUp:
    """The session is there, and Alice's."""
    return looked_up(session(), user())


def opened(thread_id: ThreadId = THREAD) -> ThreadRequested:
    """A thread is asked for."""
    return ThreadRequested(thread_id=thread_id)


def access(thread_id: ThreadId = THREAD, *, readable: bool = True) -> AccessChecked:
    """The shell looked at the rights."""
    return AccessChecked(thread_id=thread_id, readable=readable)


def resume(token_hash: str = TOKEN_HASH) -> ResumeRequested:
    """A session's token arrives."""
    return ResumeRequested(token_hash=token_hash)


def leave(thread_id: ThreadId = THREAD) -> LeaveRequested:
    """Follow it no more."""
    return LeaveRequested(thread_id=thread_id)


def lost(thread_id: ThreadId = THREAD) -> ThreadLost:
    """The thread may not be read any more."""
    return ThreadLost(thread_id=thread_id)


def request() -> RequestMade:
    """Any other request."""
    return RequestMade(message=PingRequest(id=RequestId("r1"), data=NoData()))


def events_at(_: ConnectionState) -> Iterator[ConnectionEvent]:
    """An event of each kind."""
    yield connect()
    yield challenge()
    yield authenticate()
    yield checked()
    yield resume()
    yield found()
    yield opened()
    yield access()
    yield leave()
    yield lost()
    yield request()
    yield AuthFailed()
    yield NetworkLost()
    yield SignedOut()
    yield SessionExpired()


# --- Connections ---------------------------------------------------------------------------------


def connecting(*events: ConnectionEvent, **changes: Any) -> ConnectionState:
    """A fresh connection, and what it becomes by these events."""
    fresh = ConnectionState(client_id=CLIENT).model_copy(update=changes)
    return reduce(_step, events, fresh)


def authenticating(**changes: Any) -> ConnectionState:
    """A connection whose challenge is open."""
    return connecting(connect(), challenge()).model_copy(update=changes)


def ready(*events: ConnectionEvent) -> ConnectionState:
    """Alice is signed in, and what follows."""
    return connecting(connect(), challenge(), authenticate(), checked(), *events)


def in_thread(*events: ConnectionEvent) -> ConnectionState:
    """Alice follows a thread, and what follows."""
    return ready(opened(), access(), *events)


def interrupted(*events: ConnectionEvent) -> ConnectionState:
    """Alice's socket is gone, and what follows."""
    return in_thread(NetworkLost(), *events)


def _step(state: ConnectionState, event: ConnectionEvent) -> ConnectionState:
    outcome = connection_machine().fire(state, event)
    assert isinstance(outcome, Accepted), f"a scenario cannot be reached: {outcome}"
    return outcome.state


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the connection chart."""
    return Catalogue(
        machine=connection_machine(),
        taken=tuple(
            Taken(f"edge_connection_{edge}", state, event) for edge, state, event in _taken()
        ),
        refused=tuple(_refused()),
        standing=(
            connecting(),
            authenticating(),
            ready(),
            in_thread(),
            interrupted(),
            ready(SignedOut()),
        ),
        events_at=events_at,
    )


def _taken() -> Iterator[tuple[str, ConnectionState, ConnectionEvent]]:
    yield from _signing_in()
    yield from _following()
    yield from _ending()


def _signing_in() -> Iterator[tuple[str, ConnectionState, ConnectionEvent]]:
    worn = MAX_SIGN_IN_FAILURES - 1
    waiting, waiting_last = authenticating(), authenticating(failures=worn)
    signed, signed_last = (
        connecting(connect(), challenge(), authenticate()),
        connecting(connect(), challenge(), authenticate()).model_copy(update={"failures": worn}),
    )
    asking, asking_last = connecting(resume()), connecting(resume(), failures=worn)
    last = connecting(failures=worn)

    yield "connect_connecting_authenticating", connecting(), connect()
    unchallenged = connecting(connect())
    yield "challenge_issued_authenticating_authenticating", unchallenged, challenge()

    yield "authenticate_authenticating_authenticating", waiting, authenticate()
    yield "authenticate_signing_in_connecting", waiting, authenticate(NONCE_EXPIRES)
    yield "authenticate_signing_in_connecting", signed, authenticate()
    yield "authenticate_signing_in_closed", waiting_last, authenticate(NONCE_EXPIRES)
    yield "authenticate_signing_in_closed", signed_last, authenticate()
    yield "authenticate_signing_in_connecting", connecting(), authenticate()
    yield "authenticate_signing_in_closed", last, authenticate()

    yield "signature_checked_authenticating_ready", signed, checked()
    yield "signature_checked_authenticating_ready", signed_last, checked()
    for bad in (checked(valid=False), checked(complete=False)):
        yield "signature_checked_authenticating_connecting", signed, bad
        yield "signature_checked_authenticating_closed", signed_last, bad

    yield "resume_connecting_connecting", connecting(), resume()
    yield "session_looked_up_connecting_ready", asking, found()
    yield "session_looked_up_connecting_ready", asking_last, found()
    foreign = looked_up(session(public_key=BOB), user())
    for bad_look in (
        looked_up(),
        looked_up(session()),
        foreign,
        looked_up(session(), user(), SESSION_EXPIRES),
    ):
        yield "session_looked_up_connecting_connecting", asking, bad_look
        yield "session_looked_up_connecting_closed", asking_last, bad_look

    yield "resume_interrupted_interrupted", interrupted(), resume()
    yield "session_looked_up_interrupted_ready", interrupted(resume()), found()
    yield "session_looked_up_interrupted_connecting", interrupted(resume()), looked_up()


def _following() -> Iterator[tuple[str, ConnectionState, ConnectionEvent]]:
    asked, asked_again = ready(opened()), in_thread(opened(OTHER_THREAD))
    yield "open_thread_ready_ready", ready(), opened()
    yield "access_checked_ready_in_thread", asked, access()
    yield "access_checked_ready_ready", asked, access(readable=False)
    yield "open_thread_in_thread_in_thread", in_thread(), opened(OTHER_THREAD)
    yield "access_checked_in_thread_in_thread", asked_again, access(OTHER_THREAD)
    unreadable = access(OTHER_THREAD, readable=False)
    yield "access_checked_in_thread_in_thread_2", asked_again, unreadable
    yield "leave_thread_in_thread_ready", in_thread(), leave()
    yield "leave_thread_in_thread_in_thread", in_thread(), leave(OTHER_THREAD)
    yield "leave_thread_ready_ready", ready(), leave()
    yield "thread_lost_in_thread_ready", in_thread(), lost()
    yield "request_ready_ready", ready(), request()
    yield "request_in_thread_in_thread", in_thread(), request()


def _ending() -> Iterator[tuple[str, ConnectionState, ConnectionEvent]]:
    yield "auth_failed_signed_in_connecting", ready(), AuthFailed()
    yield "auth_failed_signed_in_connecting", in_thread(), AuthFailed()
    yield "network_lost_signing_in_closed", connecting(), NetworkLost()
    yield "network_lost_signing_in_closed", authenticating(), NetworkLost()
    yield "network_lost_signed_in_interrupted", ready(), NetworkLost()
    yield "network_lost_signed_in_interrupted", in_thread(), NetworkLost()
    yield "sign_out_signed_in_closed", ready(), SignedOut()
    yield "sign_out_signed_in_closed", in_thread(), SignedOut()
    yield "session_expired_signed_in_closed", ready(), SessionExpired()
    yield "session_expired_signed_in_closed", in_thread(), SessionExpired()
    yield "session_expired_interrupted_closed", interrupted(), SessionExpired()


def _refused() -> Iterator[Refused]:
    asked_for, followed = "thread_is_the_one_asked_for", "thread_is_the_followed_one"
    unreadable = access(OTHER_THREAD, readable=False)
    yield Refused((asked_for,), ready(), access())
    yield Refused((asked_for,), ready(opened()), unreadable)
    yield Refused((asked_for,), in_thread(opened(OTHER_THREAD)), access())
    yield from _late()
    yield Refused((followed,), in_thread(), lost(OTHER_THREAD))


def _late() -> Iterator[Refused]:
    """Results of what was not asked, or not asked last."""
    worn = MAX_SIGN_IN_FAILURES - 1
    awaited, looked = "challenge_is_awaited", "session_is_the_one_looked_up"
    being_checked = "signature_is_being_checked"
    yield Refused((awaited,), authenticating(), challenge("n2"))
    for state in (authenticating(), authenticating(failures=worn)):
        yield Refused((being_checked,), state, checked())
        yield Refused((being_checked,), state, checked(valid=False))
    for state in (connecting(), connecting(failures=worn), interrupted()):
        yield Refused((looked,), state, found())
        yield Refused((looked,), state, looked_up())
    yield Refused(("token_is_of_this_session",), interrupted(), resume(OTHER_HASH))

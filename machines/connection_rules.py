"""Guards and actions of the connection chart: pure functions of a connection and an event.

Guards read what effects brought back (`VerifySignature`, `CheckAccess`, `LookUpSession`); no
cryptography and no storage is known here. Which edge each stands on says `machines.connection`.
"""

from typing import TypedDict

from machines.models import effects
from machines.models.connection import (
    AccessChecked,
    AuthenticateRequested,
    Challenge,
    ChallengeIssued,
    ConnectionFault,
    ConnectionState,
    ConnectRequested,
    LeaveRequested,
    RequestMade,
    ResumeRequested,
    SessionLookedUp,
    SignatureChecked,
    ThreadLost,
    ThreadRequested,
)
from machines.models.effects import ConnectionEffect
from machines.models.errors import ErrorCode
from machines.models.ids import PublicKey, ThreadId
from machines.models.wire import frames
from machines.models.wire.close_codes import CloseCode
from machines.statechart import Reaction

Reacted = Reaction[ConnectionState, object, ConnectionEffect]

MAX_SIGN_IN_FAILURES = 3
"""The third failed sign-in closes the socket."""


class _Asked(TypedDict):
    claimed_key: PublicKey | None
    challenge: Challenge | None
    checking: bool
    looked_up: str | None
    wanted_thread: ThreadId | None


_NOTHING_ASKED: _Asked = {
    "claimed_key": None,
    "challenge": None,
    "checking": False,
    "looked_up": None,
    "wanted_thread": None,
}
"""Fields of a connection that waits for nothing."""

# Guards. Results are of what was asked last, so that a late one signs no one in.


def challenge_is_awaited(connection: ConnectionState, _: object) -> bool:
    """A key was named, and its challenge is not made yet."""
    return connection.claimed_key is not None


def challenge_is_open(connection: ConnectionState, _: object) -> bool:
    """The challenge was not answered yet: its nonce serves once."""
    return connection.challenge is not None


def challenge_is_in_time(connection: ConnectionState, event: AuthenticateRequested) -> bool:
    """The challenge has not expired."""
    return connection.challenge is not None and event.at < connection.challenge.expires_at


def failures_left(connection: ConnectionState, _: object) -> bool:
    """With this failure, fewer than three sign-ins failed."""
    return connection.failures + 1 < MAX_SIGN_IN_FAILURES


def signature_is_being_checked(connection: ConnectionState, _: object) -> bool:
    """A signature was given and its check is under way."""
    return connection.checking


def signature_is_valid(_: ConnectionState, event: SignatureChecked) -> bool:
    """The signature is that of the named key over the statement that the server kept."""
    return event.valid and event.user is not None and event.session is not None


def token_is_of_this_session(connection: ConnectionState, event: ResumeRequested) -> bool:
    """The token is that of the session that was interrupted."""
    return event.token_hash == connection.token_hash


def session_is_the_one_looked_up(connection: ConnectionState, event: SessionLookedUp) -> bool:
    """The answer is about the token that was given last."""
    return event.token_hash == connection.looked_up


def session_is_valid(_: ConnectionState, event: SessionLookedUp) -> bool:
    """There is such a session, it belongs to its user, and it has not expired."""
    return (
        event.session is not None
        and event.session.id == event.token_hash
        and event.user is not None
        and event.user.public_key == event.session.public_key
        and event.at < event.session.expires_at
    )


def thread_is_the_one_asked_for(connection: ConnectionState, event: AccessChecked) -> bool:
    """The answer is about the thread that was asked for last."""
    return event.thread_id == connection.wanted_thread


def thread_is_readable(_: ConnectionState, event: AccessChecked) -> bool:
    """The user may read the thread."""
    return event.readable


def thread_is_the_followed_one(
    connection: ConnectionState, event: LeaveRequested | ThreadLost
) -> bool:
    """The thread is the one that the connection follows."""
    return event.thread_id == connection.thread_id


# Actions


def ask_for_challenge(connection: ConnectionState, event: ConnectRequested) -> Reacted:
    """Note the key that was named, and ask for its challenge."""
    return Reaction(
        connection.changed(claimed_key=event.public_key),
        effects=(effects.IssueChallenge(public_key=event.public_key),),
    )


def send_challenge(connection: ConnectionState, event: ChallengeIssued) -> Reacted:
    """Send the statement that is to be signed."""
    assert connection.claimed_key is not None  # noqa: S101 - authenticating begins with a key
    challenge = Challenge(
        public_key=connection.claimed_key,
        statement=event.statement,
        nonce=event.nonce,
        expires_at=event.expires_at,
    )
    data = frames.ChallengeData(
        statement=event.statement, nonce=event.nonce, expires_at=event.expires_at
    )
    return Reaction(
        connection.changed(claimed_key=None, challenge=challenge),
        effects=_sent(frames.ChallengeFrame(data=data)),
    )


def verify_signature(connection: ConnectionState, event: AuthenticateRequested) -> Reacted:
    """Ask whether the signature is good; the challenge is used up."""
    challenge = connection.challenge
    assert challenge is not None  # noqa: S101 - guarded by the edge
    check = effects.VerifySignature(
        public_key=challenge.public_key,
        statement=challenge.statement,
        signature=event.signature,
    )
    return Reaction(connection.changed(challenge=None, checking=True), effects=(check,))


def count_failure(connection: ConnectionState, _: object) -> ConnectionState:
    """One failed sign-in more; nothing is asked any more."""
    return connection.changed(failures=connection.failures + 1, **_NOTHING_ASKED)


def refuse_sign_in(connection: ConnectionState, _: object) -> Reacted:
    """Answer that the sign-in was not accepted."""
    return _faulted(
        connection,
        ErrorCode.AUTH_FAILED,
        "The sign-in was not accepted; begin again with connect.",
    )


def turn_away(connection: ConnectionState, _: object) -> Reacted:
    """Close the socket, since no key signed in."""
    return Reaction(connection, effects=_closed(CloseCode.NOT_AUTHENTICATED, "not authenticated"))


def sign_in(
    connection: ConnectionState, event: SignatureChecked | SessionLookedUp
) -> ConnectionState:
    """The connection knows its user and its session, and follows no thread yet."""
    assert event.session is not None  # noqa: S101 - guarded by the edge
    return connection.changed(
        user=event.user,
        token_hash=event.session.id,
        session_expires_at=event.session.expires_at,
        failures=0,
        thread_id=None,
        error_state=None,
        **_NOTHING_ASKED,
    )


def welcome(connection: ConnectionState, _: object) -> Reacted:
    """Greet who signed in."""
    return Reaction(connection, effects=(effects.Welcome(resumed=False),))


def welcome_back(connection: ConnectionState, _: object) -> Reacted:
    """Greet who resumed a session."""
    return Reaction(connection, effects=(effects.Welcome(resumed=True),))


def look_up_session(connection: ConnectionState, event: ResumeRequested) -> Reacted:
    """Ask for the session of the token."""
    return Reaction(
        connection.changed(looked_up=event.token_hash),
        effects=(effects.LookUpSession(token_hash=event.token_hash),),
    )


def check_access(connection: ConnectionState, event: ThreadRequested) -> Reacted:
    """Ask whether the user may read the thread."""
    wanted = event.thread_id
    check = effects.CheckAccess(thread_id=wanted, public_key=_key_of(connection))
    return Reaction(connection.changed(wanted_thread=wanted), effects=(check,))


def follow(connection: ConnectionState, event: AccessChecked) -> Reacted:
    """Follow the thread that was asked for."""
    return Reaction(
        connection.changed(thread_id=event.thread_id, wanted_thread=None),
        effects=(effects.FollowThread(thread_id=event.thread_id),),
    )


def unfollow(connection: ConnectionState, _: object) -> Reacted:
    """Stop following the thread, if one is followed."""
    if connection.thread_id is None:
        return Reaction(connection)
    return Reaction(
        connection.changed(thread_id=None),
        effects=(effects.UnfollowThread(thread_id=connection.thread_id),),
    )


def say_left(connection: ConnectionState, event: LeaveRequested) -> Reacted:
    """Answer that the thread is followed no more."""
    accepted = frames.AcceptedData(thread_id=event.thread_id)
    return Reaction(connection, effects=_sent(frames.AcceptedFrame(data=accepted)))


def refuse_thread(connection: ConnectionState, _: object) -> Reacted:
    """Answer as if there were no such thread."""
    return _faulted(
        connection.changed(wanted_thread=None), ErrorCode.NOT_FOUND, "There is no such thread."
    )


def perform_request(connection: ConnectionState, event: RequestMade) -> Reacted:
    """Have the request carried out."""
    request = effects.PerformRequest(message=event.message, public_key=_key_of(connection))
    return Reaction(connection, effects=(request,))


def keep_session(connection: ConnectionState, _: object) -> ConnectionState:
    """The session outlives its socket; what was asked of it does not."""
    return connection.changed(wanted_thread=None)


def end_session(connection: ConnectionState, _: object) -> Reacted:
    """End the session, answer, and close the socket."""
    assert connection.token_hash is not None  # noqa: S101 - signed in is with a session
    end = effects.EndSession(token_hash=connection.token_hash, public_key=_key_of(connection))
    accepted = frames.AcceptedFrame(data=frames.AcceptedData())
    return Reaction(
        connection, effects=(end, *_sent(accepted), *_closed(CloseCode.DONE, "signed out"))
    )


def say_expired(connection: ConnectionState, _: object) -> Reacted:
    """Answer that the session is over, and close the socket."""
    fault = _faulted(connection, ErrorCode.AUTH_FAILED, "The session is over; sign in again.")
    close = _closed(CloseCode.NOT_AUTHENTICATED, "session over")
    return Reaction(fault.state, effects=(*fault.effects, *close))


def forget(connection: ConnectionState, _: object) -> ConnectionState:
    """The connection knows no user and no session any more."""
    return connection.changed(
        user=None,
        token_hash=None,
        session_expires_at=None,
        thread_id=None,
        **_NOTHING_ASKED,
    )


def _key_of(connection: ConnectionState) -> PublicKey:
    assert connection.user is not None  # noqa: S101 - signed in is with a user
    return connection.user.public_key


def _sent(frame: frames.ServerMessage) -> tuple[ConnectionEffect, ...]:
    return (effects.WebSocketEvent(frame=frame),)


def _closed(code: CloseCode, reason: str) -> tuple[ConnectionEffect, ...]:
    return (effects.CloseConnection(code=code, reason=reason),)


def _faulted(connection: ConnectionState, code: ErrorCode, message: str) -> Reacted:
    error = frames.ErrorData(code=code, message=message, retryable=False)
    return Reaction(
        connection.changed(error_state=ConnectionFault(code=code, message=message)),
        effects=_sent(frames.ErrorFrame(data=error)),
    )

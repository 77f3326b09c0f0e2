"""The state of one client session's connection."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import Frozen, SessionRecord, User, ValidationResult, validation
from machines.models.errors import ErrorCode
from machines.models.ids import ClientId, PublicKey, ThreadId
from machines.models.wire.requests import ClientMessage


class ConnectionStatus(StrEnum):
    """States of the connection chart."""

    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    IN_THREAD = "in_thread"
    INTERRUPTED = "interrupted"
    CLOSED = "closed"


class Challenge(Frozen):
    """A statement that waits for its signature; it serves once."""

    public_key: PublicKey
    statement: str
    nonce: str
    expires_at: AwareDatetime


class ConnectionFault(Frozen):
    """What went wrong last on this connection."""

    code: ErrorCode
    message: str


class ConnectionState(Frozen):
    """One connection; frozen, so that an error on it can touch no other."""

    client_id: ClientId
    status: ConnectionStatus = ConnectionStatus.CONNECTING
    user: User | None = None
    thread_id: ThreadId | None = None
    """The thread that it follows."""
    wanted_thread: ThreadId | None = None
    """The thread whose access is being checked."""
    claimed_key: PublicKey | None = None
    """The key named by `connect`, until the challenge is made."""
    challenge: Challenge | None = None
    checking: bool = False
    """Whether a signature is being verified."""
    looked_up: str | None = None
    """Hash of the token whose session is being looked up."""
    token_hash: str | None = None
    """Names the session, once there is one."""
    session_expires_at: AwareDatetime | None = None
    failures: int = Field(default=0, ge=0)
    """Failed sign-ins; the third closes."""
    error_state: ConnectionFault | None = None

    def validate_state(self) -> ValidationResult:
        signed_in = self.status in {
            ConnectionStatus.READY,
            ConnectionStatus.IN_THREAD,
            ConnectionStatus.INTERRUPTED,
        }
        return validation(
            {
                "a signed-in connection has a user": signed_in and self.user is None,
                "a signed-in connection has a session": signed_in and self.token_hash is None,
                "a connection in a thread names it": (
                    (self.status is ConnectionStatus.IN_THREAD) != (self.thread_id is not None)
                ),
                "no user is signed in before the signature": (
                    self.status in {ConnectionStatus.CONNECTING, ConnectionStatus.AUTHENTICATING}
                    and self.user is not None
                ),
            }
        )


# --- Events --------------------------------------------------------------------------------------


class ConnectRequested(Frozen):
    """`connect`: a person names a key."""

    event: Literal["connect"] = "connect"
    public_key: PublicKey


class ChallengeIssued(Frozen):
    """The shell made a statement with a single-use nonce."""

    event: Literal["challenge_issued"] = "challenge_issued"
    statement: str
    nonce: str
    expires_at: AwareDatetime


class AuthenticateRequested(Frozen):
    """`authenticate`: the signature of the statement."""

    event: Literal["authenticate"] = "authenticate"
    signature: str
    at: AwareDatetime


class SignatureChecked(Frozen):
    """What `VerifySignature` found; the user and the new session come with a valid one."""

    event: Literal["signature_checked"] = "signature_checked"
    valid: bool
    user: User | None = None
    session: SessionRecord | None = None


class ResumeRequested(Frozen):
    """`resume`: a session's token, hashed by the shell."""

    event: Literal["resume"] = "resume"
    token_hash: str


class SessionLookedUp(Frozen):
    """What `LookUpSession` found."""

    event: Literal["session_looked_up"] = "session_looked_up"
    token_hash: str
    at: AwareDatetime
    session: SessionRecord | None
    user: User | None


class ThreadRequested(Frozen):
    """`get_thread` without `before_index`: follow this thread."""

    event: Literal["open_thread"] = "open_thread"
    thread_id: ThreadId


class AccessChecked(Frozen):
    """What `CheckAccess` found."""

    event: Literal["access_checked"] = "access_checked"
    thread_id: ThreadId
    readable: bool


class LeaveRequested(Frozen):
    """`leave_thread`: stop following."""

    event: Literal["leave_thread"] = "leave_thread"
    thread_id: ThreadId


class ThreadLost(Frozen):
    """The followed thread may not be read any more (ThreadError)."""

    event: Literal["thread_lost"] = "thread_lost"
    thread_id: ThreadId


class RequestMade(Frozen):
    """Any other request of a person who is signed in."""

    event: Literal["request"] = "request"
    message: ClientMessage


class AuthFailed(Frozen):
    """The session is not valid any more (AuthError)."""

    event: Literal["auth_failed"] = "auth_failed"


class NetworkLost(Frozen):
    """The socket is gone (NetworkError)."""

    event: Literal["network_lost"] = "network_lost"


class SignedOut(Frozen):
    """`sign_out`."""

    event: Literal["sign_out"] = "sign_out"


class SessionExpired(Frozen):
    """The session's time is over, or a resume took it to another socket."""

    event: Literal["session_expired"] = "session_expired"


ConnectionEvent = Annotated[
    ConnectRequested
    | ChallengeIssued
    | AuthenticateRequested
    | SignatureChecked
    | ResumeRequested
    | SessionLookedUp
    | ThreadRequested
    | AccessChecked
    | LeaveRequested
    | ThreadLost
    | RequestMade
    | AuthFailed
    | NetworkLost
    | SignedOut
    | SessionExpired,
    Field(discriminator="event"),
]

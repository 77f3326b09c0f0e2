"""The state of one client session's connection."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from machines.models.domain import Frozen, User, ValidationResult, validation
from machines.models.errors import ErrorCode
from machines.models.ids import ClientId, PublicKey, ThreadId


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
                "nobody is signed in before the signature": (
                    self.status in {ConnectionStatus.CONNECTING, ConnectionStatus.AUTHENTICATING}
                    and self.user is not None
                ),
            }
        )

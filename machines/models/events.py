"""Events: everything that can happen to a machine, as frozen values.

The class attribute `event` is the event's name in its chart. Times, ids and randomness come in as
fields, since a machine may ask for none. Events are journaled whole, so a journal can be replayed.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.chorus import ContextMessage
from machines.models.domain import Decision, Frozen, Session, User
from machines.models.errors import ErrorCode
from machines.models.ids import PublicKey, RunId, ThreadId
from machines.models.outputs import Prior, StepEnum, StepOutput, Usage
from machines.models.wire.requests import ClientMessage

# --- Chorus ------------------------------------------------------------------------------------


class RunStarted(Frozen):
    """The run may leave the queue, if its thread is free."""

    event: Literal["start"] = "start"
    at: AwareDatetime
    thread_is_busy: bool
    """Whether another run of the thread is under way."""
    messages: tuple[ContextMessage, ...] = ()


class AttemptEvent(Frozen):
    """A result belongs to one attempt; a late or repeated one is refused by `result_is_current`."""

    run_id: RunId
    step: StepEnum
    iteration: int
    attempt: int
    at: AwareDatetime


class PriorsRetrieved(AttemptEvent):
    """Vector search answered, or could not."""

    event: Literal["priors_retrieved"] = "priors_retrieved"
    priors: tuple[Prior, ...]
    available: bool
    """False when memory is away: then `priors` is empty and that is said to the people."""


class StepCompleted(AttemptEvent):
    """The model's answer for the step, checked."""

    event: Literal["step_completed"] = "step_completed"
    text: str
    output: StepOutput
    usage: Usage | None
    model: str


class _AttemptFailed(AttemptEvent):
    code: ErrorCode
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    partial: str | None = None
    jitter: float = Field(ge=0, lt=1)
    """Randomness for the backoff, drawn by the shell."""


class AIFailed(_AttemptFailed):
    """The endpoint answered and it is no use (AIError)."""

    event: Literal["ai_failed"] = "ai_failed"


class NetworkFailed(_AttemptFailed):
    """The endpoint was not reached, or the line was cut (NetworkError)."""

    event: Literal["network_failed"] = "network_failed"


class AttemptDelayed(AttemptEvent):
    """The endpoint keeps failing and is spared: the attempt was not made, and must wait."""

    event: Literal["attempt_delayed"] = "attempt_delayed"
    code: ErrorCode
    message: str
    wait_ms: int = Field(ge=0)


class StateLost(AttemptEvent):
    """The process that performed the effect is gone (StateError): rebuild, and go on."""

    event: Literal["state_lost"] = "state_lost"


class RetryDue(AttemptEvent):
    """The wait is over. `attempt` is the attempt that failed, or was delayed."""

    event: Literal["retry_due"] = "retry_due"


class RunCancelled(Frozen):
    """Somebody stops the run; None is the system (an archived thread)."""

    event: Literal["cancel"] = "cancel"
    at: AwareDatetime
    by: PublicKey | None


EffectResult = Annotated[
    PriorsRetrieved
    | StepCompleted
    | AIFailed
    | NetworkFailed
    | AttemptDelayed
    | StateLost
    | RetryDue,
    Field(discriminator="event"),
]
"""What the shell brings to a run. Starting and stopping one is for the thread to decide."""

ChorusEvent = Annotated[
    RunStarted
    | PriorsRetrieved
    | StepCompleted
    | AIFailed
    | NetworkFailed
    | AttemptDelayed
    | StateLost
    | RetryDue
    | RunCancelled,
    Field(discriminator="event"),
]

# --- Message -----------------------------------------------------------------------------------


class MessageSubmitted(Frozen):
    """A message enters its thread."""

    event: Literal["submit"] = "submit"
    at: AwareDatetime
    author_is_co_author: bool
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment: they become the electors."""
    expires_at: AwareDatetime


class AnswerGiven(Frozen):
    """The chorus answers; its word needs no vote."""

    event: Literal["answer"] = "answer"
    at: AwareDatetime


class VoteCast(Frozen):
    """A co-author decides; its name in the chart is `approve` or `reject`."""

    event: Literal["approve", "reject"]
    at: AwareDatetime
    voter: PublicKey
    reason: str | None = None

    @property
    def decision(self) -> Decision:
        """The vote as it is recorded."""
        return Decision(self.event)


class MessageWithdrawn(Frozen):
    """The author takes a pending message back."""

    event: Literal["withdraw"] = "withdraw"
    at: AwareDatetime
    by: PublicKey


class MessageExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


class ElectorLeft(Frozen):
    """A co-author left the thread: the message is looked at again."""

    event: Literal["elector_left"] = "elector_left"
    at: AwareDatetime
    elector: PublicKey


MessageEvent = Annotated[
    MessageSubmitted | AnswerGiven | VoteCast | MessageWithdrawn | MessageExpired | ElectorLeft,
    Field(discriminator="event"),
]

# --- Connection --------------------------------------------------------------------------------


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
    session: Session | None = None


class ResumeRequested(Frozen):
    """`resume`: a session's token, hashed by the shell."""

    event: Literal["resume"] = "resume"
    token_hash: str


class SessionLookedUp(Frozen):
    """What `LookUpSession` found."""

    event: Literal["session_looked_up"] = "session_looked_up"
    token_hash: str
    at: AwareDatetime
    session: Session | None
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

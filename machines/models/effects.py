"""Effects: everything that the machines ask of the outside world, as frozen values.

One closed union for the whole system. A chart's callbacks emit them; the interpreters of the server
perform them, and what they bring back returns as an event. Nothing is performed before the
transition that emitted it is durable.

No effect is ever written down. What each step of a run emits is a plain frozen class, made of values
that were checked before: checking them again would take longer than making it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import AwareDatetime

from machines.models.chorus import AttemptFields
from machines.models.domain import Frozen
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId, TimerId
from machines.models.journal import MemoryTask, RetryTimer, Timer
from machines.models.outputs import Prior, StepEnum
from machines.models.wire.close_codes import CloseCode
from machines.models.wire.frames import ServerMessage
from machines.models.wire.requests import ClientMessage

# --- Of runs -----------------------------------------------------------------------------------


class PromptMessage(Frozen):
    """One message of a chat completion request."""

    role: Literal["system", "user"]
    content: str


class SuppliedPrior(NamedTuple):
    """A prior under the label that the model sees; labels outside these are dropped."""

    label: str
    prior: Prior


@dataclass(frozen=True, slots=True, kw_only=True)
class AICall:
    """Ask the model for one attempt of one step."""

    run_id: RunId
    thread_id: ThreadId
    message_id: MessageId
    branch_id: BranchId | None = None
    step: StepEnum
    iteration: int
    attempt: int
    messages: tuple[PromptMessage, ...]
    model: str | None = None
    """The model to ask; None is the server's own."""
    answer_tokens: int
    """Tokens that the answer may have."""
    thought_tokens: int = 0
    """Tokens more, where the model thinks before it answers."""
    priors: tuple[SuppliedPrior, ...] = ()
    may_loop: bool = False
    """For update: whether the bound allows another iteration."""
    may_be_delayed: bool = True
    """False once the attempt has waited for an open breaker: then it must be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallPriors:
    """Search the memory for what the run may recall."""

    run_id: RunId
    thread_id: ThreadId
    branch_id: BranchId | None = None
    step: StepEnum
    iteration: int
    attempt: int
    query: str
    exclude: tuple[MessageId, ...] = ()
    """The prompt itself, and the priors that the run has."""
    quoted: tuple[MessageId, ...] = ()
    """Recent messages that every request shows whole. They are recalled only where nothing else is:
    what is a prior can be cited."""


def attempt_of(asked: AICall | RecallPriors | RetryTimer, at: datetime) -> AttemptFields:
    """What every event about the attempt begins with, for one that happens at `at`."""
    return {
        "run_id": asked.run_id,
        "step": asked.step,
        "iteration": asked.iteration,
        "attempt": asked.attempt,
        "at": at,
    }


class StopAttempt(Frozen):
    """Stop whatever is under way for the run, upstream too."""

    run_id: RunId


class DBOperation(Frozen):
    """Let the memory follow: a task for the vector store, durable with the transition."""

    task: MemoryTask


class ScheduleTimer(Frozen):
    """Wake a machine at `due_at`, also after a restart."""

    timer_id: TimerId
    due_at: AwareDatetime
    timer: Timer


class CancelTimer(Frozen):
    """The timer is not needed any more; an unknown one is fine."""

    timer_id: TimerId


# --- Of connections ----------------------------------------------------------------------------


class WebSocketEvent(Frozen):
    """Send a frame to this connection."""

    frame: ServerMessage


class IssueChallenge(Frozen):
    """Make a statement with a nonce for this key."""

    public_key: PublicKey


class VerifySignature(Frozen):
    """Check an ed25519 signature over the stored statement."""

    public_key: PublicKey
    statement: str
    signature: str


class LookUpSession(Frozen):
    """Find a session by the hash of its token."""

    token_hash: str


class CheckAccess(Frozen):
    """May this person read this thread now?"""

    thread_id: ThreadId
    public_key: PublicKey


class Welcome(Frozen):
    """Send `init`: the user, the threads, the session."""

    resumed: bool


class FollowThread(Frozen):
    """Send the snapshot that was asked for, and the thread's frames from there on."""

    thread_id: ThreadId


class UnfollowThread(Frozen):
    """Send no more of this thread's frames."""

    thread_id: ThreadId


class PerformRequest(Frozen):
    """Carry out a request of a person who is signed in, and reply to it."""

    message: ClientMessage
    public_key: PublicKey


class EndSession(Frozen):
    """Forget the session: its token is worth nothing from now on."""

    token_hash: str
    public_key: PublicKey


class CloseConnection(Frozen):
    """Close the socket with PROTOCOL's close code."""

    code: CloseCode
    reason: str


# --- Of leases -----------------------------------------------------------------------------------


class StopCarrying(Frozen):
    """Break off whatever the server does for runs: they are others' now."""


class JoinAgain(Frozen):
    """Ask for another lease, by another name."""


LeaseEffect = StopCarrying | JoinAgain
"""What the end of a lease asks of its server."""

RunEffect = AICall | RecallPriors | StopAttempt | DBOperation | ScheduleTimer | CancelTimer
"""What runs, messages and threads emit."""

ConnectionEffect = (
    WebSocketEvent
    | IssueChallenge
    | VerifySignature
    | LookUpSession
    | CheckAccess
    | Welcome
    | FollowThread
    | UnfollowThread
    | PerformRequest
    | EndSession
    | CloseConnection
)
"""What connections emit."""

Effect = RunEffect | ConnectionEffect | LeaseEffect
"""Every effect of the system."""

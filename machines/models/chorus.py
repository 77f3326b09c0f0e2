"""The state of one run of the Chorus loop, what it answers, and what a failure left behind.

Values only: which state follows which is the chart's (`machines.chorus`), what a step does is the
steps' (`machines.loop.steps`).
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, TypedDict

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, Role, ValidationResult, validation
from machines.models.errors import ErrorCode
from machines.models.fork import Change, ForkPoint
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import (
    Flag,
    Omittable,
    OmittableText,
    OmittableTuple,
    Ordinal,
    Prior,
    StepEnum,
    StepOutput,
    Timestamp,
    Usage,
)
from machines.models.wire import run_frames

BACKOFF_BASE_MS = 500
"""Of a run that was given no other: how long the first wait after a failed attempt is at most."""

CONTEXT_TOKENS = 32_000
"""The context of a run that was given no other."""


class RunStatus(StrEnum):
    """Where a run stands as a whole."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing can happen to the run any more."""
        return self in {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CANCELLED}


class LoopMode(StrEnum):
    """Which steps a run goes through, where action does not say that its answer is enough."""

    FULL = "full"
    """All six, as often as update asks for it."""
    SHORT = "short"
    """Action and yield, which searches the memory by itself."""


class Health(StrEnum):
    """The second region of a running run."""

    STABLE = "stable"
    RECOVERING = "recovering"


class Awaited(StrEnum):
    """What a stable running run waits for; it names the effect that is under way."""

    PRIORS = "priors"
    MODEL = "model"


class FailureKind(StrEnum):
    """Why a run recovers: an error of the tree, each with its own edge and its own correction, or
    an attempt that was not made yet."""

    AI = "ai"
    NETWORK = "network"
    STATE = "state"
    DELAY = "delay"
    """The endpoint's breaker is open: the attempt waits, and costs the run nothing."""


class ErrorState(Frozen):
    """The failure that a run recovers from, or died of."""

    failure: FailureKind
    code: ErrorCode
    message: str
    """For users."""
    at: AwareDatetime
    retry_at: AwareDatetime | None
    """When the next attempt is due; None where there is none."""
    retry_in_ms: int | None
    kept: Awaited
    """The effect that was under way, and is performed again by `cache_and_retry`."""


class ContextMessage(Frozen):
    """A recent message of the thread, as the loop's prompts quote it."""

    message_id: MessageId
    role: Role
    author: PublicKey | None
    content: str
    created_at: Timestamp | None = None
    """None where the journal of an earlier version does not say."""


# --- Events --------------------------------------------------------------------------------------


class RunStarted(Frozen):
    """The run may leave the queue, if its thread is free."""

    event: Literal["start"] = "start"
    at: AwareDatetime
    thread_is_busy: bool
    """Whether another run of the thread is under way."""
    messages: tuple[ContextMessage, ...] = ()
    instructions: OmittableText = ""
    """Those of the thread."""
    model: Omittable[str] = None
    """The thread's model; None is the server's own."""
    context_tokens: Omittable[int] = None
    """The context of that model, where it is another than the run was created with."""


class AttemptFields(TypedDict):
    """What every event of an attempt begins with."""

    run_id: RunId
    step: StepEnum
    iteration: int
    attempt: int
    at: datetime


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
    """False when memory is away: then `priors` is empty, and co-authors are told."""


class StepCompleted(AttemptEvent):
    """The model's answer for the step, checked. A run keeps these, and later steps read nothing else."""

    event: Literal["step_completed"] = "step_completed"
    text: str
    """What a person reads; for action and yield exactly what was streamed."""
    output: StepOutput
    usage: Usage | None
    """None where the endpoint gave none: unknown is not zero."""
    model: str
    """The model that answered, as the endpoint names it."""
    cut: Flag = False
    """Whether the text ended at its length limit; of action and yield alone."""


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
    context_exceeded: bool = False
    """Whether the endpoint found the request too long for the model's context."""


class NetworkFailed(_AttemptFailed):
    """The endpoint was not reached, or the line was cut (NetworkError)."""

    event: Literal["network_failed"] = "network_failed"


class AttemptDelayed(AttemptEvent):
    """The endpoint's breaker is open: the attempt was not made, and must wait."""

    event: Literal["attempt_delayed"] = "attempt_delayed"
    code: ErrorCode
    message: str
    wait_ms: int = Field(ge=0)


class StateLost(AttemptEvent):
    """The process that performed the effect is gone (StateError): rebuild, and go on."""

    event: Literal["state_lost"] = "state_lost"


class CarrierLost(AttemptEvent):
    """The server that carried the run is gone, or gave it back: another goes on with it."""

    event: Literal["carrier_lost"] = "carrier_lost"


class ChartOutcome(StrEnum):
    """What was decided of a value whose chart is another one now."""

    CONTINUED = "continued"
    MIGRATED = "migrated"
    ENDED = "ended"


class ChartChanged(AttemptEvent):
    """Another declaration of the chart led the run to where it stands; today's takes it over."""

    event: Literal["chart_changed"] = "chart_changed"
    version: int
    """Of the run, of which it was decided."""
    declared: str
    """The fingerprint of that declaration."""
    stands: tuple[str, ...]
    """The innermost states in which today's chart takes the run over."""
    outcome: ChartOutcome
    message: str
    """For users."""


class RetryDue(AttemptEvent):
    """The wait is over. `attempt` is the attempt that failed, or was delayed."""

    event: Literal["retry_due"] = "retry_due"


class RunCancelled(Frozen):
    """A co-author stops the run; None is the system (an archived thread)."""

    event: Literal["cancel"] = "cancel"
    at: AwareDatetime
    by: PublicKey | None
    partial: str | None = None
    """Text of the attempt that was under way. Nothing of it feeds a later step."""


EffectResult = Annotated[
    PriorsRetrieved
    | StepCompleted
    | AIFailed
    | NetworkFailed
    | AttemptDelayed
    | StateLost
    | CarrierLost
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
    | CarrierLost
    | ChartChanged
    | RetryDue
    | RunCancelled,
    Field(discriminator="event"),
]


# --- The state ----------------------------------------------------------------------------------


class Kept(Frozen):
    """How much of what a fork keeps one run made. The run's own entries hold it."""

    run_id: RunId
    steps: int = Field(ge=0)
    priors: int = Field(ge=0)


class Prefix(Frozen):
    """What a forked run begins with: all that its origin had made where it was forked, but for the
    change. Nothing of it is asked again."""

    origin: ForkPoint
    change: Change
    generation: Ordinal = 1
    """1 of a fork of a run that is none, and one more with each fork of a fork."""
    kept: OmittableTuple[Kept] = ()
    """Which runs made `steps` and `priors`, in their order; a step behind those is the one that was
    changed. Empty where the entry of the fork holds all of it, as the first version wrote it."""
    asked_by: Omittable[RunId] = None
    """The fork of which the prompt is, where it is neither the message's nor the change's."""
    steps: tuple[StepCompleted, ...]
    """Each as its own run kept it; the text of the last is another one where the change says so."""
    priors: tuple[Prior, ...] = ()
    messages: tuple[ContextMessage, ...] = ()
    """Those that the origin read."""
    instructions: OmittableText = ""
    chosen_model: Omittable[str] = None
    query: str
    """What is searched for next."""
    iteration: int = Field(ge=1)
    """Of the step that the run goes on with."""
    memory_available: bool = True
    goes_on_with: StepEnum | None
    """None where the last step is the answer."""


class RunProgress(BaseState):
    """How far a run of the loop is, without the texts that it reads and gives. `id` is the run's id."""

    id: RunId
    thread_id: ThreadId
    message_id: MessageId
    """The prompt."""
    answer_id: MessageId
    """The id that the answer will have; given with the run, so that replay gives it again."""
    requested_by: PublicKey
    branch_id: Omittable[BranchId] = None
    """Of a forked run: the branch that its answer is of. Nothing of the run is for outsiders."""
    status: RunStatus = RunStatus.QUEUED
    current_step: StepEnum = StepEnum.ACTION
    health: Health = Health.STABLE
    awaiting: Awaited = Awaited.MODEL
    iteration: int = Field(default=1, ge=1)
    attempt: int = Field(default=1, ge=1)
    """Attempt of this step and iteration, from 1; also grows when a restart or a delay repeats it."""
    failures: int = Field(default=0, ge=0)
    """Failed attempts of this step and iteration that count against `max_attempts`."""
    has_waited: bool = False
    """Whether an open breaker delayed this attempt; then it is made, and delayed no second time."""
    rebuilds: int = Field(default=0, ge=0)
    """Times that this run was rebuilt from the journal, in all its steps."""
    loop: LoopMode = LoopMode.FULL
    max_iterations: int = Field(ge=1)
    max_attempts: int = Field(ge=1)
    backoff_base_ms: int = Field(default=BACKOFF_BASE_MS, ge=1)
    context_tokens: int = Field(default=CONTEXT_TOKENS, ge=1)
    """Tokens, by estimate, of a request and its answer together, at most."""
    context_is_halved: bool = False
    """Whether an endpoint found a request too long, and `context_tokens` is half of what it was."""
    memory_available: bool = True
    """False when the last search could not be answered."""
    chosen_model: Omittable[str] = None
    """The model that the run asks, as the thread had it when it started; None is the server's own."""
    model: str | None = None
    """Name of the model that gave the newest completed step."""
    error_state: ErrorState | None = None


_ANSWERING = frozenset({StepEnum.ACTION, StepEnum.YIELD})
"""The steps whose text may be a run's answer."""


class ChorusState(RunProgress):
    """One run of the loop over one prompt."""

    prompt: str
    """The content of its message, or what a fork made of it."""
    prefix: Omittable[Prefix] = None
    """Of a forked run alone."""
    messages: tuple[ContextMessage, ...] = ()
    """Recent approved messages before the prompt, oldest first, as they were when it started."""
    instructions: OmittableText = ""
    """Of the thread's co-authors, as they were when it started."""
    query: str
    """What experience searches for: the prompt, then what update asks for."""
    priors: tuple[Prior, ...] = ()
    """Supplied to the model over all iterations, best first, each once; label Pn is place n."""
    steps: tuple[StepCompleted, ...] = ()
    """Completed steps of all iterations, in order."""

    def validate_state(self) -> ValidationResult:
        final = self.status.final
        return validation(
            {
                "iterations keep their bound": self.iteration > self.max_iterations,
                "failures keep their bound": self.failures > self.max_attempts,
                "a failed run says why": (
                    self.status is RunStatus.FAILED and self.error_state is None
                ),
                "a recovering run says from what": (
                    self.health is Health.RECOVERING and self.error_state is None
                ),
                "only a running run recovers": (
                    self.health is Health.RECOVERING
                    and self.status is not RunStatus.RUNNING
                    and not final
                ),
                "a prior is supplied once": (
                    len({prior.message_id for prior in self.priors}) != len(self.priors)
                ),
                "a finished run has its answer": (
                    self.status is RunStatus.FINISHED
                    and (not self.steps or self.steps[-1].step not in _ANSWERING)
                ),
            }
        )

    @property
    def searches_in(self) -> StepEnum:
        """The step that searches the memory."""
        return StepEnum.YIELD if self.loop is LoopMode.SHORT else StepEnum.EXPERIENCE

    def latest(self, step: StepEnum) -> StepCompleted | None:
        """The newest completion of `step`, of whichever iteration."""
        return next((record for record in reversed(self.steps) if record.step is step), None)


# --- Responses -----------------------------------------------------------------------------------


class AnswerReady(run_frames.RunFrameData):
    """The run has its answer. The transaction that holds this numbers the message in its thread
    and makes PROTOCOL's `finished` of it."""

    status: Literal["answer_ready"] = "answer_ready"
    message_id_of_answer: MessageId


ChorusResponse = (
    run_frames.RunQueuedData
    | run_frames.StepStartedData
    | run_frames.StepCompletedData
    | run_frames.StepRecoveringData
    | AnswerReady
    | run_frames.RunFailedData
    | run_frames.RunCancelledData
)
"""What a transition tells the thread, one journal entry each: PROTOCOL's `chorus_response`."""

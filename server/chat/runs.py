"""A run as the client follows it: its attempts, and how a list of runs is kept. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from server.chat.frames import ChatMessage, ChatPrior, ChatStepOutput, RunEvent

ENDED_RUNS_KEPT = 50


class StepStatus(StrEnum):
    RUNNING = "running"
    RECOVERING = "recovering"
    """This attempt failed; another comes."""
    COMPLETED = "completed"


class ChatRunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    READY = "ready"
    """It has its answer, which is a branch and no message of the thread."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """It ended while the client was away for too long to be told how."""


LIVE = frozenset({ChatRunStatus.QUEUED, ChatRunStatus.RUNNING})
NO_ANSWER = frozenset({ChatRunStatus.FAILED, ChatRunStatus.CANCELLED})


@dataclass(frozen=True)
class ChatStep:
    """One attempt of a step in one iteration, both counted from 1."""

    step: str
    iteration: int
    attempt: int
    status: StepStatus = StepStatus.RUNNING
    text: str = ""
    thinking: str = ""
    """What the model thought aloud, as far as this client was told of it."""
    output: ChatStepOutput = field(default_factory=ChatStepOutput)
    priors: tuple[ChatPrior, ...] = ()
    code: str = ""
    """Why a recovering attempt failed."""
    retry_in_ms: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        return self.step, self.iteration, self.attempt


@dataclass(frozen=True)
class ChatRun:
    """One run of the loop: its attempts in order, the last one being where it stands."""

    run_id: str
    message_id: str
    branch_id: str | None = None
    """Of a forked run, which is its prompt's own only once its branch was adopted."""
    status: ChatRunStatus = ChatRunStatus.QUEUED
    steps: tuple[ChatStep, ...] = ()
    answer: ChatMessage | None = None
    failure: tuple[str, str] | None = None
    """Code and sentence of a failed run."""

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def current(self) -> ChatStep | None:
        return self.steps[-1] if self.steps else None


def is_late(current: ChatStep | None, step: ChatStep) -> bool:
    """Whether `step` was left behind: an earlier iteration, or an earlier attempt of `current`."""
    if current is None:
        return False
    if step.step == current.step and step.iteration == current.iteration:
        return step.attempt < current.attempt
    return step.iteration < current.iteration


def begin(run: ChatRun, event: RunEvent) -> ChatRun:
    """The run with an attempt that begins."""
    return with_current(run, attempt_of(run, event))


def attempt_of(run: ChatRun, event: RunEvent) -> ChatStep:
    """The attempt that `event` is about; a fresh one where it was not heard of."""
    key = (event.step or "", event.iteration, event.attempt)
    known = next((step for step in run.steps if step.key == key), None)
    return known or ChatStep(*key)


def with_current(run: ChatRun, step: ChatStep) -> ChatRun:
    """The run with `step` in its place, at the end where it is new; the run is under way then."""
    if any(known.key == step.key for known in run.steps):
        steps = tuple(step if known.key == step.key else known for known in run.steps)
    else:
        steps = (*run.steps, step)
    return replace(run, steps=steps, status=ChatRunStatus.RUNNING)


def put(runs: tuple[ChatRun, ...], run: ChatRun) -> tuple[ChatRun, ...]:
    """The runs with `run` in its place, at the end where it is new."""
    if any(known.run_id == run.run_id for known in runs):
        return tuple(run if known.run_id == run.run_id else known for known in runs)
    return bounded((*runs, run))


def bounded(runs: Iterable[ChatRun]) -> tuple[ChatRun, ...]:
    """All live runs, and the last ended ones."""
    every = tuple(runs)
    ended = [run.run_id for run in every if not run.is_live]
    dropped = frozenset(ended[: max(0, len(ended) - ENDED_RUNS_KEPT)])
    return tuple(run for run in every if run.run_id not in dropped)

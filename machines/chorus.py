"""The Chorus chart: one run of the six-step loop, with its recovery. Declared here, nowhere else.

    queued --start--> running( step x health ) --> finished | failed | cancelled

The root state is there so that the engine never ends: a chart that reached a top-level final state
stops for good. Callbacks call the pure functions of `machines.loop.steps` and `machines.loop.recovery`; the
chart's guards read the slot and nothing else.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import ClassVar

from statemachine import State

from machines.chart import Chart, EdgeKind
from machines.loop import recovery, steps
from machines.models.chorus import (
    BACKOFF_BASE_MS,
    Awaited,
    ChorusResponse,
    ChorusState,
    Health,
    RunStatus,
    StepResult,
)
from machines.models.effects import CancelTimer, RunEffect, StopAttempt
from machines.models.events import ChorusEvent, StepCompleted
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import StepEnum, UpdateOutput
from machines.models.wire import frames
from machines.runtime import Accepted, Machine, Refusal

_STATE_OF_STEP = {step: step.value for step in StepEnum} | {StepEnum.YIELD: "yielding"}
"""Names of the chart's states; `yield` is a word of Python, so the chart says `yielding`."""


class ChorusChart(Chart):
    """Chorus: one run of the six-step loop over a prompt"""

    machine = "chorus"
    edge_kinds: ClassVar = {
        "ai_failed": EdgeKind.FAILURE,
        "network_failed": EdgeKind.FAILURE,
        "state_lost": EdgeKind.FAILURE,
        "attempt_delayed": EdgeKind.RETRY,
        "retry_due": EdgeKind.RETRY,
        "cancel": EdgeKind.CANCEL,
    }

    class run(State.Compound):  # noqa: N801 - a state, named as it is drawn
        queued = State(initial=True)

        class running(State.Parallel):  # noqa: N801
            class step(State.Compound):  # noqa: N801
                action = State(initial=True)
                experience = State()
                intention = State()
                observation = State()
                update = State()
                yielding = State()

                priors_retrieved = experience.to(
                    experience,
                    cond="result_is_current",
                    unless="priors_are_in",
                    on=["take_priors", "ask_model"],
                )
                step_completed = (
                    action.to(
                        experience, cond="result_is_current", on=["record_step", "run_experience"]
                    )
                    | experience.to(
                        intention,
                        cond=["result_is_current", "priors_are_in"],
                        on=["record_step", "run_intention"],
                    )
                    | intention.to(
                        observation, cond="result_is_current", on=["record_step", "run_observation"]
                    )
                    | observation.to(
                        update, cond="result_is_current", on=["record_step", "run_update"]
                    )
                    | update.to(
                        action,
                        cond=["result_is_current", "another_loop_is_wanted", "iterations_left"],
                        on=["record_step", "next_iteration", "run_action"],
                    )
                    | update.to(yielding, cond="result_is_current", on=["record_step", "run_yield"])
                )

            class health(State.Compound):  # noqa: N801
                stable = State(initial=True)
                recovering = State()

                ai_failed = stable.to(
                    recovering,
                    cond=["result_is_current", "failure_may_be_retried", "attempts_left"],
                    on="handle_error",
                )
                network_failed = stable.to(
                    recovering,
                    cond=["result_is_current", "failure_may_be_retried", "attempts_left"],
                    on="handle_error",
                )
                state_lost = stable.to(
                    recovering, cond=["result_is_current", "rebuilds_left"], on="handle_error"
                )
                attempt_delayed = stable.to(
                    recovering,
                    cond="result_is_current",
                    unless="attempt_has_waited",
                    on="delay_attempt",
                )
                retry_due = recovering.to(stable, cond="retry_is_current", on="repeat_effect")

        finished = State(final=True)
        failed = State(final=True)
        cancelled = State(final=True)

        start = queued.to(running, cond="thread_is_free", on=["take_context", "run_action"])
        step_completed = running.step.yielding.to(
            finished, cond="result_is_current", on=["record_step", "finish"]
        )
        ai_failed = failed.from_(
            running, cond="result_is_current", unless="failure_may_be_retried", on="fail"
        ) | failed.from_(running, cond="result_is_current", unless="attempts_left", on="fail")
        network_failed = failed.from_(
            running, cond="result_is_current", unless="failure_may_be_retried", on="fail"
        ) | failed.from_(running, cond="result_is_current", unless="attempts_left", on="fail")
        state_lost = failed.from_(
            running, cond="result_is_current", unless="rebuilds_left", on="fail"
        )
        cancel = queued.to(cancelled, on="stop") | running.to(cancelled, on="stop")

    # Guards

    def thread_is_free(self) -> bool:
        return not self.model.event.thread_is_busy

    def result_is_current(self) -> bool:
        """A late or repeated result changes nothing."""
        state: ChorusState = self.model.state
        event = self.model.event
        return (
            state.health is Health.STABLE
            and _names_attempt(event, state)
            and (not isinstance(event, StepCompleted) or event.output.step == event.step)
        )

    def priors_are_in(self) -> bool:
        return bool(self.model.state.awaiting is Awaited.MODEL)

    def another_loop_is_wanted(self) -> bool:
        output = self.model.event.output
        return isinstance(output, UpdateOutput) and output.loop

    def iterations_left(self) -> bool:
        return bool(self.model.state.iteration < self.model.state.max_iterations)

    def failure_may_be_retried(self) -> bool:
        return bool(self.model.event.retryable)

    def attempts_left(self) -> bool:
        return bool(self.model.state.failures + 1 < self.model.state.max_attempts)

    def attempt_has_waited(self) -> bool:
        """One delay for each attempt, so that a spared endpoint holds no run for ever."""
        return bool(self.model.state.has_waited)

    def rebuilds_left(self) -> bool:
        return bool(self.model.state.rebuilds < recovery.MAX_REBUILDS)

    def retry_is_current(self) -> bool:
        return _names_attempt(self.model.event, self.model.state)

    # Callbacks

    def take_context(self) -> None:
        self.model.state = steps.take_context(self.model.state, self.model.event)

    def take_priors(self) -> None:
        self.model.state = steps.take_priors(self.model.state, self.model.event)

    def ask_model(self) -> None:
        self._take(steps.ask_model(self.model.state))

    def record_step(self) -> None:
        self._take(steps.advance_step(self.model.state, self.model.event))

    def next_iteration(self) -> None:
        self.model.state = steps.next_iteration(self.model.state, self.model.event)

    def run_action(self) -> None:
        self._take(steps.run_action(self.model.state))

    def run_experience(self) -> None:
        self._take(steps.run_experience(self.model.state))

    def run_intention(self) -> None:
        self._take(steps.run_intention(self.model.state))

    def run_observation(self) -> None:
        self._take(steps.run_observation(self.model.state))

    def run_update(self) -> None:
        self._take(steps.run_update(self.model.state))

    def run_yield(self) -> None:
        self._take(steps.run_yield(self.model.state))

    def finish(self) -> None:
        self._take(steps.finish(self.model.state))

    def handle_error(self) -> None:
        self._take(recovery.handle_error(self.model.state, self.model.event))

    def delay_attempt(self) -> None:
        self._take(recovery.delay_attempt(self.model.state, self.model.event))

    def repeat_effect(self) -> None:
        self._take(recovery.repeat_effect(self.model.state))

    def fail(self) -> None:
        self._take(recovery.fail(self.model.state, self.model.event))

    def stop(self) -> None:
        state: ChorusState = self.model.state
        cancelled = state.changed(status=RunStatus.CANCELLED)
        response = frames.RunCancelled(**steps.about(state), by=self.model.event.by)
        effects = (
            StopAttempt(run_id=state.id),
            CancelTimer(timer_id=recovery.retry_timer(state.id)),
        )
        self._take(StepResult(cancelled, (response,), effects))

    def _take(self, result: StepResult) -> None:
        self.model.state = result.state
        self.model.responses.extend(result.response)
        self.model.effects.extend(result.effects)


ChorusMachine = Machine[ChorusState, ChorusEvent, ChorusResponse, RunEffect]


@cache
def chorus_machine() -> ChorusMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(
        ChorusChart,
        instance_of=lambda state: state.id,
        configuration_of=configuration_of,
        settle=lambda state, event: state.transition_to(event.at),
    )


def configuration_of(state: ChorusState) -> tuple[str, ...]:
    """Names of all active states of the chart, outer ones first."""
    return _configuration(state.status, state.current_step, state.health)


# There are as many as the chart has; each event asks for three, and reading the name of an enum's
# member takes as long as finding the whole tuple.
@cache
def _configuration(status: RunStatus, step: StepEnum, health: Health) -> tuple[str, ...]:
    if status is not RunStatus.RUNNING:
        return ("run", status.value)
    return ("run", "running", "step", _STATE_OF_STEP[step], "health", health.value)


def create_initial_state(
    *,
    run_id: RunId,
    thread_id: ThreadId,
    message_id: MessageId,
    answer_id: MessageId,
    requested_by: PublicKey,
    prompt: str,
    at: datetime,
    max_iterations: int,
    max_attempts: int,
    backoff_base_ms: int = BACKOFF_BASE_MS,
) -> ChorusState:
    """A run that waits in its thread's queue; next: fire `RunStarted`."""
    return ChorusState(
        id=run_id,
        thread_id=thread_id,
        message_id=message_id,
        answer_id=answer_id,
        requested_by=requested_by,
        prompt=prompt,
        query=prompt,
        max_iterations=max_iterations,
        max_attempts=max_attempts,
        backoff_base_ms=backoff_base_ms,
        created_at=at,
        updated_at=at,
    )


def transform_state(state: ChorusState, event: ChorusEvent) -> StepResult:
    """(state, event) -> (state, response, effects), through the chart.

    Raises:
        InvalidTransition: the chart refuses; the state is as it was.
    """
    match chorus_machine().fire(state, event):
        case Accepted(state=new, responses=responses, effects=effects):
            return StepResult(new, responses, effects)
        case Refusal() as refusal:
            raise refusal.as_error()


def reconstruct_state(initial: ChorusState, events: Iterable[ChorusEvent]) -> ChorusState:
    """The state that a run reached, from how it began and the events that it accepted.

    Raises:
        InvalidTransition: an event does not follow from the ones before; the journal is damaged or
            was written by another version of the chart.
    """
    state = initial
    for event in events:
        state = transform_state(state, event).state
    return state


def _names_attempt(event: object, state: ChorusState) -> bool:
    return (
        getattr(event, "run_id", None) == state.id
        and getattr(event, "step", None) is state.current_step
        and getattr(event, "iteration", None) == state.iteration
        and getattr(event, "attempt", None) == state.attempt
    )

"""What each step of the Chorus loop does, as pure functions from a run's state to a StepResult.

`run_action` ... `run_yield` begin a step; `advance_step` keeps one that ended well. Which step
follows which is declared in `machines.chorus` and nowhere else. No step reads anything but the
prompt, the recent messages, the supplied priors and the steps that were completed.
"""

from typing import TypedDict

from machines.models.chorus import (
    AnswerReady,
    Awaited,
    ChorusResponse,
    ChorusState,
    PriorsRetrieved,
    RunStarted,
    StepCompleted,
)
from machines.models.effects import AICall, DBOperation, RecallPriors, RunEffect
from machines.models.ids import BranchId, MessageId, RunId
from machines.models.journal import RecordLinks
from machines.models.outputs import IntentionOutput, Prior, StepEnum, UpdateOutput
from machines.models.wire import run_frames
from machines.prompting.context import quoted_whole
from machines.prompting.request import build_ai_call
from machines.prompting.shares import FRESH_PRIORS, PRIORS_SENT
from machines.statechart import Reaction

StepResult = Reaction[ChorusState, ChorusResponse, RunEffect]
"""What a pure step gives back: `state`, `response` in order, and the `effects` that the boundary
performs once the transition is durable."""


def run_action(state: ChorusState, _: object = None) -> StepResult:
    """Begin action: a first answer, from the prompt and the recent messages alone."""
    return _begin(state)


def run_experience(state: ChorusState, _: object = None) -> StepResult:
    """Begin experience: search the memory first; the model is asked once the priors are in."""
    return _begin(state, awaiting=Awaited.PRIORS)


def run_intention(state: ChorusState, _: object = None) -> StepResult:
    """Begin intention: what the person is after, and which priors matter."""
    return _begin(state)


def run_observation(state: ChorusState, _: object = None) -> StepResult:
    """Begin observation: patterns and gaps across everything so far."""
    return _begin(state)


def run_update(state: ChorusState, _: object = None) -> StepResult:
    """Begin update: whether another iteration is worth it."""
    return _begin(state)


def run_yield(state: ChorusState, _: object = None) -> StepResult:
    """Begin yield: the final answer from everything accumulated over all iterations."""
    return _begin(state)


def run_short_yield(state: ChorusState, _: object = None) -> StepResult:
    """Begin yield of a short loop: search the memory first; the model is asked once the priors are in."""
    return _begin(state, awaiting=Awaited.PRIORS)


def take_context(state: ChorusState, event: RunStarted) -> ChorusState:
    """Keep the recent messages and the thread's settings as they are now that the run leaves the
    queue."""
    return state.changed(
        messages=event.messages,
        instructions=event.instructions,
        chosen_model=event.model,
        context_tokens=event.context_tokens or state.context_tokens,
    )


def take_prefix(state: ChorusState, _: RunStarted) -> ChorusState:
    """Stand where the fork was made, with what its origin had made until then."""
    prefix = state.prefix
    assert prefix is not None  # noqa: S101 - guarded by the edge
    return state.changed(
        steps=prefix.steps,
        priors=prefix.priors,
        query=prefix.query,
        iteration=prefix.iteration,
        memory_available=prefix.memory_available,
        model=prefix.steps[-1].model,
    )


def take_priors(state: ChorusState, event: PriorsRetrieved) -> ChorusState:
    """Add what the search found, each prior once, behind those that have their labels already.

    A later search adds only as many as the next prompts have room for beside what was selected.
    """
    known = {prior.message_id for prior in state.priors}
    room = max(FRESH_PRIORS, PRIORS_SENT - selected_so_far(state)) if known else PRIORS_SENT
    fresh: list[Prior] = []
    for prior in event.priors:
        if prior.message_id not in known and len(fresh) < room:
            known.add(prior.message_id)
            fresh.append(prior)
    return state.changed(
        priors=(*state.priors, *fresh),
        memory_available=event.available,
        awaiting=Awaited.MODEL,
    )


def selected_so_far(state: ChorusState) -> int:
    """How many of the priors were selected in any iteration."""
    return len(
        {
            chosen.message_id
            for record in state.steps
            if isinstance(record.output, IntentionOutput)
            for chosen in record.output.selected_priors
        }
    )


def ask_model(state: ChorusState, _: object = None) -> StepResult:
    """The priors are in: followers see them, and the model is asked."""
    response = run_frames.StepStartedData(
        **about(state), priors=state.priors, memory_available=state.memory_available
    )
    return StepResult(state, (response,), (build_ai_call(state),))


def advance_step(state: ChorusState, event: StepCompleted) -> StepResult:
    """Keep the step that ended; later steps read what is kept and nothing else of it."""
    searched = event.step is state.searches_in
    # The state stands in the next step already; what ended is named by the event.
    response = run_frames.StepCompletedData(
        **vars(event),
        message_id=state.message_id,
        branch_id=state.branch_id,
        priors=state.priors if searched else None,
        memory_available=state.memory_available if searched else None,
    )
    advanced = state.changed(steps=(*state.steps, event), model=event.model)
    # Of a branch the memory learns at its adoption.
    records = event.step is StepEnum.OBSERVATION and state.branch_id is None
    effects = _links(advanced) if records else ()
    return StepResult(advanced, (response,), effects)


def next_iteration(state: ChorusState, event: StepCompleted) -> ChorusState:
    """Go round again, searching for what update asks for."""
    assert isinstance(event.output, UpdateOutput)  # noqa: S101 - guarded by the edge
    query = event.output.next_query or state.query
    return state.changed(iteration=state.iteration + 1, query=query)


def finish(state: ChorusState, _: object = None) -> StepResult:
    """The run has its answer."""
    response = AnswerReady(**about(state), message_id_of_answer=state.answer_id)
    return StepResult(state, (response,))


def effect_under_way(state: ChorusState) -> AICall | RecallPriors:
    """The effect that a running, stable run waits for; a pure function of the state."""
    if state.awaiting is Awaited.PRIORS:
        return RecallPriors(
            run_id=state.id,
            thread_id=state.thread_id,
            branch_id=state.branch_id,
            step=state.current_step,
            iteration=state.iteration,
            attempt=state.attempt,
            query=state.query,
            exclude=(state.message_id, *(prior.message_id for prior in state.priors)),
            quoted=quoted_whole(state),
        )
    return build_ai_call(state)


def is_complete(state: ChorusState) -> bool:
    """Whether the run is in a final state."""
    return state.status.final


class About(TypedDict):
    """The fields that every response of a run begins with."""

    run_id: RunId
    message_id: MessageId
    step: StepEnum
    iteration: int
    attempt: int
    branch_id: BranchId | None


def about(state: ChorusState) -> About:
    """The fields that every response of the run begins with."""
    return {
        "run_id": state.id,
        "message_id": state.message_id,
        "step": state.current_step,
        "iteration": state.iteration,
        "attempt": state.attempt,
        "branch_id": state.branch_id,
    }


def _begin(state: ChorusState, *, awaiting: Awaited = Awaited.MODEL) -> StepResult:
    begun = state.changed(
        attempt=1,
        failures=0,
        has_waited=False,
        awaiting=awaiting,
        error_state=None,
    )
    return StepResult(
        begun, (run_frames.StepStartedData(**about(begun)),), (effect_under_way(begun),)
    )


def _links(state: ChorusState) -> tuple[DBOperation, ...]:
    """Observation links the prompt to the priors that intention selected in this iteration."""
    intention = state.latest(StepEnum.INTENTION)
    if intention is None or not isinstance(intention.output, IntentionOutput):
        return ()
    selected: list[tuple[MessageId, str]] = [
        (each.message_id, each.why) for each in intention.output.selected_priors
    ]
    if not selected:
        return ()
    task = RecordLinks(
        thread_id=state.thread_id,
        run_id=state.id,
        prompt_id=state.message_id,
        priors=tuple(selected),
    )
    return (DBOperation(task=task),)

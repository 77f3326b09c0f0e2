"""The Chorus chart: one run of the six-step loop, with its recovery. Declared here, nowhere else.

    queued --start--> running( step x health ) --> finished | failed | cancelled

Guards read the run and the event and nothing else: they are in `machines.loop.guards`. What the edges
do are the pure functions of `machines.loop.steps` and `machines.loop.recovery`.
"""

from collections.abc import Iterable
from functools import cache
from typing import ClassVar, Final

from statemachine import State

from machines.loop.guards import (
    another_loop_is_wanted,
    answer_is_enough,
    answer_is_kept,
    attempt_has_waited,
    attempts_left,
    change_is_current,
    chart_leads_on,
    context_may_be_halved,
    failure_may_be_retried,
    goes_on_with_action,
    goes_on_with_experience,
    goes_on_with_intention,
    goes_on_with_observation,
    goes_on_with_update,
    goes_on_with_yield,
    is_forked,
    iterations_left,
    loop_is_short,
    priors_are_in,
    rebuilds_left,
    result_is_current,
    retry_is_current,
    thread_is_free,
)
from machines.loop.recovery import (
    delay_attempt,
    fail,
    halve_context,
    handle_error,
    keep_waiting,
    repeat_effect,
    stop,
)
from machines.loop.runs import place, states_of
from machines.loop.steps import (
    StepResult,
    advance_step,
    ask_model,
    finish,
    next_iteration,
    run_action,
    run_experience,
    run_intention,
    run_observation,
    run_short_yield,
    run_update,
    run_yield,
    take_context,
    take_prefix,
    take_priors,
)
from machines.models.chorus import (
    AIFailed,
    AttemptDelayed,
    CarrierLost,
    ChartChanged,
    ChorusEvent,
    ChorusResponse,
    ChorusState,
    NetworkFailed,
    PriorsRetrieved,
    RetryDue,
    RunCancelled,
    RunStarted,
    StateLost,
    StepCompleted,
)
from machines.models.effects import RunEffect
from machines.outcomes import refused
from machines.statechart import (
    Accepted,
    Chart,
    EdgeKind,
    Edges,
    Machine,
    Reaction,
    Refusal,
)

on = Edges[ChorusState, ChorusResponse, RunEffect]()


class ChorusChart(Chart[ChorusState]):
    """Chorus: one run of the six-step loop over a prompt"""

    machine = "chorus"
    edge_kinds: ClassVar = {
        "ai_failed": EdgeKind.FAILURE,
        "network_failed": EdgeKind.FAILURE,
        "state_lost": EdgeKind.FAILURE,
        "carrier_lost": EdgeKind.FAILURE,
        "chart_changed": EdgeKind.FAILURE,
        "attempt_delayed": EdgeKind.RETRY,
        "retry_due": EdgeKind.RETRY,
        "cancel": EdgeKind.CANCEL,
    }

    queued = State(initial=True)

    class running(State.Parallel):  # noqa: N801 - a state, named as it is drawn
        class step(State.Compound):  # noqa: N801
            action = State(initial=True)
            experience = State()
            intention = State()
            observation = State()
            update = State()
            yielding = State()

            priors_retrieved = on(
                PriorsRetrieved,
                experience.to(experience),
                when=[result_is_current],
                unless=[priors_are_in],
                do=[take_priors, ask_model],
            ) | on(
                PriorsRetrieved,
                yielding.to(yielding),
                when=[result_is_current],
                unless=[priors_are_in],
                do=[take_priors, ask_model],
            )
            step_completed = (
                on(
                    StepCompleted,
                    action.to(experience),
                    when=[result_is_current],
                    unless=[answer_is_enough, loop_is_short],
                    do=[advance_step, run_experience],
                )
                | on(
                    StepCompleted,
                    action.to(yielding),
                    when=[result_is_current, loop_is_short],
                    unless=[answer_is_enough],
                    do=[advance_step, run_short_yield],
                )
                | on(
                    StepCompleted,
                    experience.to(intention),
                    when=[result_is_current, priors_are_in],
                    do=[advance_step, run_intention],
                )
                | on(
                    StepCompleted,
                    intention.to(observation),
                    when=[result_is_current],
                    do=[advance_step, run_observation],
                )
                | on(
                    StepCompleted,
                    observation.to(update),
                    when=[result_is_current],
                    do=[advance_step, run_update],
                )
                | on(
                    StepCompleted,
                    update.to(action),
                    when=[result_is_current, another_loop_is_wanted, iterations_left],
                    do=[advance_step, next_iteration, run_action],
                )
                | on(
                    StepCompleted,
                    update.to(yielding),
                    when=[result_is_current],
                    do=[advance_step, run_yield],
                )
            )

        class health(State.Compound):  # noqa: N801
            stable = State(initial=True)
            recovering = State()

            ai_failed = on(
                AIFailed,
                stable.to(recovering),
                when=[result_is_current, failure_may_be_retried, attempts_left],
                unless=[context_may_be_halved],
                do=[handle_error],
            ) | on(
                AIFailed,
                stable.to(recovering),
                when=[result_is_current, context_may_be_halved],
                do=[halve_context],
            )
            network_failed = on(
                NetworkFailed,
                stable.to(recovering),
                when=[result_is_current, failure_may_be_retried, attempts_left],
                do=[handle_error],
            )
            state_lost = on(
                StateLost,
                stable.to(recovering),
                when=[result_is_current, rebuilds_left],
                do=[handle_error],
            )
            carrier_lost = on(
                CarrierLost,
                stable.to(recovering),
                when=[result_is_current, rebuilds_left],
                do=[handle_error],
            )
            chart_changed = on(
                ChartChanged,
                stable.to(recovering),
                when=[change_is_current, chart_leads_on, rebuilds_left],
                do=[handle_error],
            ) | on(
                ChartChanged,
                recovering.to(recovering),
                when=[change_is_current, chart_leads_on, rebuilds_left],
                do=[keep_waiting],
            )
            attempt_delayed = on(
                AttemptDelayed,
                stable.to(recovering),
                when=[result_is_current],
                unless=[attempt_has_waited],
                do=[delay_attempt],
            )
            retry_due = on(
                RetryDue, recovering.to(stable), when=[retry_is_current], do=[repeat_effect]
            )

    finished = State(final=True)
    failed = State(final=True)
    cancelled = State(final=True)

    start = (
        on(
            RunStarted,
            queued.to(running),
            when=[thread_is_free],
            unless=[is_forked],
            do=[take_context, run_action],
        )
        | on(
            RunStarted,
            queued.to(running.step.action),
            when=[thread_is_free, goes_on_with_action],
            do=[take_context, take_prefix, run_action],
        )
        | on(
            RunStarted,
            queued.to(running.step.experience),
            when=[thread_is_free, goes_on_with_experience],
            do=[take_context, take_prefix, run_experience],
        )
        | on(
            RunStarted,
            queued.to(running.step.intention),
            when=[thread_is_free, goes_on_with_intention],
            do=[take_context, take_prefix, run_intention],
        )
        | on(
            RunStarted,
            queued.to(running.step.observation),
            when=[thread_is_free, goes_on_with_observation],
            do=[take_context, take_prefix, run_observation],
        )
        | on(
            RunStarted,
            queued.to(running.step.update),
            when=[thread_is_free, goes_on_with_update],
            do=[take_context, take_prefix, run_update],
        )
        | on(
            RunStarted,
            queued.to(running.step.yielding),
            when=[thread_is_free, goes_on_with_yield],
            unless=[loop_is_short],
            do=[take_context, take_prefix, run_yield],
        )
        | on(
            RunStarted,
            queued.to(running.step.yielding),
            when=[thread_is_free, goes_on_with_yield, loop_is_short],
            do=[take_context, take_prefix, run_short_yield],
        )
        | on(
            RunStarted,
            queued.to(finished),
            when=[thread_is_free, answer_is_kept],
            do=[take_context, take_prefix, finish],
        )
    )
    step_completed = on(
        StepCompleted,
        running.step.yielding.to(finished),
        when=[result_is_current, priors_are_in],
        do=[advance_step, finish],
    ) | on(
        StepCompleted,
        running.step.action.to(finished),
        when=[result_is_current, answer_is_enough],
        do=[advance_step, finish],
    )
    ai_failed = on(
        AIFailed,
        failed.from_(running),
        when=[result_is_current],
        unless=[failure_may_be_retried],
        do=[fail],
    ) | on(
        AIFailed,
        failed.from_(running),
        when=[result_is_current],
        unless=[attempts_left],
        do=[fail],
    )
    network_failed = on(
        NetworkFailed,
        failed.from_(running),
        when=[result_is_current],
        unless=[failure_may_be_retried],
        do=[fail],
    ) | on(
        NetworkFailed,
        failed.from_(running),
        when=[result_is_current],
        unless=[attempts_left],
        do=[fail],
    )
    state_lost = on(
        StateLost,
        failed.from_(running),
        when=[result_is_current],
        unless=[rebuilds_left],
        do=[fail],
    )
    carrier_lost = on(
        CarrierLost,
        failed.from_(running),
        when=[result_is_current],
        unless=[rebuilds_left],
        do=[fail],
    )
    chart_changed = (
        on(
            ChartChanged,
            queued.to(failed),
            when=[change_is_current],
            unless=[chart_leads_on],
            do=[fail],
        )
        | on(
            ChartChanged,
            failed.from_(running),
            when=[change_is_current],
            unless=[chart_leads_on],
            do=[fail],
        )
        | on(
            ChartChanged,
            failed.from_(running),
            when=[change_is_current],
            unless=[rebuilds_left],
            do=[fail],
        )
    )
    cancel = on(RunCancelled, queued.to(cancelled), do=[stop]) | on(
        RunCancelled, cancelled.from_(running), do=[stop]
    )


ChorusMachine = Machine[ChorusState, ChorusEvent, ChorusResponse, RunEffect]


@cache
def chorus_machine() -> ChorusMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(ChorusChart, states_of=states_of, place=place)


EQUIVALENT: Final = frozenset(
    {
        "chorus:c8ecd28eb995",
        "chorus:37ddf1f5a20d",
        "chorus:3f71717782a1",
        "chorus:4524cdac7791",
        "chorus:444986d2b15e",
        "chorus:aad38cd3bb39",
    }
)
"""Fingerprints of earlier declarations that lead a run through the same states by the same events."""


def known_fingerprints() -> frozenset[str]:
    """Of the declarations whose runs this one may lead on."""
    return EQUIVALENT | {chorus_machine().fingerprint}


def transform_state(state: ChorusState, event: ChorusEvent) -> StepResult:
    """(state, event) -> (state, response, effects), through the chart.

    Raises:
        InvalidTransition: the chart refuses; the state is as it was.
    """
    match chorus_machine().fire(state, event):
        case Accepted(state=new, responses=responses, effects=effects):
            return Reaction(new, responses, effects)
        case Refusal() as refusal:
            raise refused(refusal)


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

"""The breaker chart: attempts are held back from an endpoint that keeps failing. Declared here, nowhere
else.

    closed --failures_reach_threshold--> open --probe_is_due--> half_open --> closed | open

While the breaker is open an attempt is delayed, never failed: runs have few attempts, and an
endpoint that is away for a minute must cost none of them. An attempt is delayed once; when it comes
again it goes out, whatever the state, so no breaker holds a run for ever. The memory has a breaker of
the same chart, in which nothing but the owner probes. The shell around both is
`server.concurrency.circuit_breaker`.
"""

# ruff: noqa: A003 - the states have the pattern's names; nothing here opens a file

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.models.breaker import (
    Admitted,
    AttemptAbandoned,
    AttemptAnswered,
    AttemptAsked,
    AttemptFailed,
    BreakerEvent,
    BreakerResponse,
    BreakerState,
    BreakerStatus,
    Delayed,
    EndpointDropped,
)
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Answered = Reaction[BreakerState, BreakerResponse, object]


def probe_is_due(state: BreakerState, event: AttemptAsked) -> bool:
    """The breaker has been open for as long as it must be."""
    return state.probe_at is not None and event.at >= state.probe_at


def attempt_has_waited(_: BreakerState, event: AttemptAsked) -> bool:
    """The attempt was delayed once already: an open breaker holds no run for ever."""
    return event.has_waited


def failures_reach_threshold(state: BreakerState, _: object) -> bool:
    """With this one, as many attempts failed in a row as the policy allows."""
    return state.failures + 1 >= state.policy.threshold


def report_is_of_the_probe(state: BreakerState, event: AttemptFailed | AttemptAbandoned) -> bool:
    """The report is of the probe: what began before the breaker opened tells nothing new."""
    return event.attempt == state.probe


def admit(state: BreakerState, _: object) -> Answered:
    """The attempt goes to the endpoint at once."""
    return Reaction(state, (Admitted(is_probe=False),))


def begin_probe(state: BreakerState, event: AttemptAsked) -> Answered:
    """This attempt shows whether the endpoint is back."""
    probing = state.model_copy(update={"probe_at": None, "probe": event.attempt})
    return Reaction(probing, (Admitted(is_probe=True),))


def delay(state: BreakerState, event: AttemptAsked) -> Answered:
    """The attempt is told how long to wait before it asks again."""
    return Reaction(state, (Delayed(wait_ms=delay_ms(state, event)),))


def forget_failures(state: BreakerState, _: object) -> BreakerState:
    """As in the beginning."""
    return BreakerState(endpoint=state.endpoint, policy=state.policy, status=state.status)


def count_failure(state: BreakerState, _: object) -> BreakerState:
    """One failure in a row more."""
    return state.model_copy(update={"failures": state.failures + 1})


def schedule_probe(state: BreakerState, event: AttemptFailed) -> BreakerState:
    """No probe before a wait that doubles with each probe that failed."""
    policy = state.policy
    wait = min(max(2 * state.wait_seconds, policy.first_wait_seconds), policy.longest_wait_seconds)
    return state.model_copy(
        update={
            "failures": 0,
            "wait_seconds": wait,
            "probe_at": event.at + wait,
            "probe": None,
        }
    )


def await_another_probe(state: BreakerState, event: AttemptAbandoned) -> BreakerState:
    """The next attempt probes at once: this one showed nothing."""
    return state.model_copy(update={"probe_at": event.at, "probe": None})


def delay_ms(state: BreakerState, event: AttemptAsked) -> int:
    """Milliseconds that an attempt waits: until the probe is due, and a part of what is left of the
    longest delay, so that many that wait do not come at once. While a probe is out, that part alone.
    """
    longest = state.policy.longest_delay_seconds
    due = 0.0 if state.probe_at is None else max(state.probe_at - event.at, 0.0)
    spread = min(longest - due, max(state.wait_seconds, state.policy.first_wait_seconds))
    return int(1000 * min(due + event.jitter * max(spread, 0.0), longest))


on = Edges[BreakerState, BreakerResponse, object]()


class BreakerChart(Chart[BreakerState]):
    """Breaker: holds attempts back from an endpoint that keeps failing"""

    machine = "breaker"
    edge_kinds: ClassVar = {
        "failed": EdgeKind.FAILURE,
        "abandoned": EdgeKind.RETRY,
        "drop": EdgeKind.CANCEL,
    }

    closed = State(initial=True)
    open = State()
    half_open = State()
    retired = State(final=True)

    attempt = (
        on(AttemptAsked, closed.to(closed), do=[admit])
        | on(AttemptAsked, open.to(half_open), when=[probe_is_due], do=[begin_probe])
        | on(AttemptAsked, open.to(half_open), when=[attempt_has_waited], do=[begin_probe])
        | on(AttemptAsked, open.to(open), do=[delay])
        | on(AttemptAsked, half_open.to(half_open), when=[attempt_has_waited], do=[admit])
        | on(AttemptAsked, half_open.to(half_open), do=[delay])
    )
    answered = on(AttemptAnswered, closed.from_(closed, open, half_open), do=[forget_failures])
    failed = (
        on(AttemptFailed, closed.to(open), when=[failures_reach_threshold], do=[schedule_probe])
        | on(AttemptFailed, closed.to(closed), do=[count_failure])
        | on(AttemptFailed, half_open.to(open), when=[report_is_of_the_probe], do=[schedule_probe])
    )
    abandoned = on(
        AttemptAbandoned,
        half_open.to(open),
        when=[report_is_of_the_probe],
        do=[await_another_probe],
    )
    drop = on(EndpointDropped, retired.from_(closed, open, half_open), do=[forget_failures])


BreakerMachine = Machine[BreakerState, BreakerEvent, BreakerResponse, object]


@cache
def breaker_machine() -> BreakerMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(BreakerChart, states_of=lambda state: (state.status.value,), place=_place)


def _place(state: BreakerState, _: BreakerEvent, states: Configuration) -> BreakerState:
    return state.model_copy(update={"status": BreakerStatus(states[0])})

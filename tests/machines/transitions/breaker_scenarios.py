"""Breakers and events for them, and the scenario of each edge of the breaker chart."""

from collections.abc import Iterator
from typing import Final

from machines.breaker import breaker_machine
from machines.models.breaker import (
    AttemptAbandoned,
    AttemptAnswered,
    AttemptAsked,
    AttemptFailed,
    BreakerEvent,
    BreakerPolicy,
    BreakerState,
    EndpointDropped,
)
from machines.statechart import Accepted
from machines.statechart.scenarios import Catalogue, Refused, Taken

POLICY: Final = BreakerPolicy(threshold=2)
EARLY: Final = 100.0
PROBE_AT: Final = EARLY + POLICY.first_wait_seconds
PROBE: Final = "the probe"
OTHER: Final = "an attempt that began before"

# --- Events --------------------------------------------------------------------------------------


def asked(
    at: float = EARLY, *, attempt: str = PROBE, has_waited: bool = False, jitter: float = 0.5
) -> AttemptAsked:
    """Somebody wants to ask the endpoint."""
    return AttemptAsked(attempt=attempt, at=at, has_waited=has_waited, jitter=jitter)


def answered(attempt: str = PROBE) -> AttemptAnswered:
    """The endpoint is there."""
    return AttemptAnswered(attempt=attempt, at=EARLY)


def failed(attempt: str = PROBE, at: float = EARLY) -> AttemptFailed:
    """The endpoint is not there."""
    return AttemptFailed(attempt=attempt, at=at)


def abandoned(attempt: str = PROBE) -> AttemptAbandoned:
    """Nobody waits for the attempt any more."""
    return AttemptAbandoned(attempt=attempt, at=EARLY)


def events_at(_: BreakerState) -> Iterator[BreakerEvent]:
    """An event of each kind."""
    yield asked()
    yield answered()
    yield failed()
    yield abandoned()
    yield EndpointDropped()


# --- Breakers ------------------------------------------------------------------------------------


def closed(**changes: object) -> BreakerState:
    """A breaker that lets everything through."""
    return BreakerState(endpoint="scripted-1", policy=POLICY).model_copy(update=changes)


def after(state: BreakerState, event: BreakerEvent) -> BreakerState:
    """The state that the event leads to."""
    outcome = breaker_machine().fire(state, event)
    assert isinstance(outcome, Accepted), outcome
    return outcome.state


def opened() -> BreakerState:
    """A breaker that spares its endpoint until `PROBE_AT`."""
    state = closed()
    for _ in range(POLICY.threshold):
        state = after(state, failed(OTHER))
    return state


def half_open() -> BreakerState:
    """A breaker whose probe is out."""
    return after(opened(), asked(PROBE_AT))


def retired() -> BreakerState:
    """A breaker of a server that goes away."""
    return after(closed(), EndpointDropped())


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the breaker chart."""
    return Catalogue(
        machine=breaker_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=(closed(), opened(), half_open(), retired()),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    worn = closed(failures=POLICY.threshold - 1)
    yield Taken("edge_breaker_attempt_closed_closed", closed(), asked())
    yield Taken("edge_breaker_answered_closed_closed", worn, answered())
    yield Taken("edge_breaker_failed_closed_closed", closed(), failed())
    yield Taken("edge_breaker_failed_closed_open", worn, failed())

    patient = asked(EARLY, has_waited=True)
    yield Taken("edge_breaker_attempt_open_open", opened(), asked())
    yield Taken("edge_breaker_attempt_open_half_open", opened(), asked(PROBE_AT))
    yield Taken("edge_breaker_attempt_open_half_open_2", opened(), patient)
    yield Taken("edge_breaker_answered_open_closed", opened(), answered(OTHER))

    yield Taken("edge_breaker_attempt_half_open_half_open", half_open(), patient)
    yield Taken("edge_breaker_attempt_half_open_half_open_2", half_open(), asked(PROBE_AT))
    yield Taken("edge_breaker_answered_half_open_closed", half_open(), answered())
    yield Taken("edge_breaker_failed_half_open_open", half_open(), failed())
    yield Taken("edge_breaker_abandoned_half_open_open", half_open(), abandoned())

    for state in (closed(), opened(), half_open()):
        edge = f"edge_breaker_drop_{state.status.value}_retired"
        yield Taken(edge, state, EndpointDropped())


def _refused() -> Iterator[Refused]:
    yield Refused(("report_is_of_the_probe",), half_open(), failed(OTHER))
    yield Refused(("report_is_of_the_probe",), half_open(), abandoned(OTHER))

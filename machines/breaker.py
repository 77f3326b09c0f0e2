"""The breaker chart: a model endpoint that keeps failing is spared. Declared here, nowhere else.

    closed --failures_reach_threshold--> open --probe_is_due--> half_open --> closed | open

While the breaker is open an attempt is delayed, never failed: runs have few attempts, and an
endpoint that is away for a minute must cost none of them. An attempt is delayed once; when it comes
again it goes out, whatever the state, so no breaker holds a run for ever. The pure functions below
say what each edge makes of the state; the shell around it is `server.llm.breaker`.
"""

# ruff: noqa: A003 - the states have the names that everybody knows them by; nothing here opens a file

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.chart import Chart, EdgeKind
from machines.models.breaker import (
    Admitted,
    AttemptAsked,
    BreakerEvent,
    BreakerResponse,
    BreakerState,
    BreakerStatus,
    Delayed,
)
from machines.runtime import Machine


class BreakerChart(Chart):
    """Breaker: a model endpoint that is spared while it keeps failing"""

    machine = "breaker"
    edge_kinds: ClassVar = {
        "failed": EdgeKind.FAILURE,
        "abandoned": EdgeKind.RETRY,
        "drop": EdgeKind.CANCEL,
    }

    class endpoint(State.Compound):  # noqa: N801 - a state, named as it is drawn
        closed = State(initial=True)
        open = State()
        half_open = State()
        retired = State(final=True)

        attempt = (
            closed.to(closed, on="admit")
            | open.to(half_open, cond="probe_is_due", on="begin_probe")
            | open.to(half_open, cond="attempt_has_waited", on="begin_probe")
            | open.to(open, on="delay")
            | half_open.to(half_open, cond="attempt_has_waited", on="admit")
            | half_open.to(half_open, on="delay")
        )
        answered = (
            closed.to(closed, on="forget_failures")
            | open.to(closed, on="forget_failures")
            | half_open.to(closed, on="forget_failures")
        )
        failed = (
            closed.to(open, cond="failures_reach_threshold", on="spare_endpoint")
            | closed.to(closed, on="count_failure")
            | half_open.to(open, cond="report_is_of_the_probe", on="spare_endpoint")
        )
        abandoned = half_open.to(open, cond="report_is_of_the_probe", on="await_another_probe")
        drop = (
            closed.to(retired, on="forget_endpoint")
            | open.to(retired, on="forget_endpoint")
            | half_open.to(retired, on="forget_endpoint")
        )

    # Guards

    def probe_is_due(self) -> bool:
        return bool(self.model.event.at >= self.model.state.probe_at)

    def attempt_has_waited(self) -> bool:
        """One delay for each attempt, so that a spared endpoint holds no run for ever."""
        return bool(self.model.event.has_waited)

    def failures_reach_threshold(self) -> bool:
        return bool(self.model.state.failures + 1 >= self.model.state.policy.threshold)

    def report_is_of_the_probe(self) -> bool:
        """What began before the breaker opened tells nothing new when it fails."""
        return bool(self.model.event.attempt == self.model.state.probe)

    # Callbacks

    def admit(self) -> None:
        self.model.responses.append(Admitted(is_probe=False))

    def begin_probe(self) -> None:
        self.model.state = begin_probe(self.model.state, self.model.event)
        self.model.responses.append(Admitted(is_probe=True))

    def delay(self) -> None:
        wait = delay_ms(self.model.state, self.model.event)
        self.model.responses.append(Delayed(wait_ms=wait))

    def forget_failures(self) -> None:
        self.model.state = forget_failures(self.model.state)

    def count_failure(self) -> None:
        state: BreakerState = self.model.state
        self.model.state = state.model_copy(update={"failures": state.failures + 1})

    def spare_endpoint(self) -> None:
        self.model.state = spare_endpoint(self.model.state, self.model.event.at)

    def await_another_probe(self) -> None:
        self.model.state = await_another_probe(self.model.state, self.model.event.at)

    def forget_endpoint(self) -> None:
        self.model.state = forget_endpoint(self.model.state)


BreakerMachine = Machine[BreakerState, BreakerEvent, BreakerResponse, object]


@cache
def breaker_machine() -> BreakerMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(
        BreakerChart,
        instance_of=lambda state: state.endpoint,
        configuration_of=lambda state: ("endpoint", state.status.value),
    )


def begin_probe(state: BreakerState, event: AttemptAsked) -> BreakerState:
    """This attempt shows whether the endpoint is back."""
    return state.model_copy(
        update={"status": BreakerStatus.HALF_OPEN, "probe_at": None, "probe": event.attempt}
    )


def delay_ms(state: BreakerState, event: AttemptAsked) -> int:
    """Milliseconds that an attempt waits: until the probe is due, and a part of what is left of the
    longest delay, so that many that wait do not come at once. While a probe is out, that part alone.
    """
    longest = state.policy.longest_delay_seconds
    due = 0.0 if state.probe_at is None else max(state.probe_at - event.at, 0.0)
    spread = min(longest - due, max(state.wait_seconds, state.policy.first_wait_seconds))
    return int(1000 * min(due + event.jitter * max(spread, 0.0), longest))


def forget_failures(state: BreakerState) -> BreakerState:
    """The endpoint is there: closed, as new."""
    return BreakerState(endpoint=state.endpoint, policy=state.policy)


def spare_endpoint(state: BreakerState, at: float) -> BreakerState:
    """Open: no probe before a wait that doubles with each probe that failed."""
    policy = state.policy
    wait = min(max(2 * state.wait_seconds, policy.first_wait_seconds), policy.longest_wait_seconds)
    return state.model_copy(
        update={
            "status": BreakerStatus.OPEN,
            "failures": 0,
            "wait_seconds": wait,
            "probe_at": at + wait,
            "probe": None,
        }
    )


def await_another_probe(state: BreakerState, at: float) -> BreakerState:
    """Open again, and the next attempt probes at once: this one showed nothing."""
    return state.model_copy(update={"status": BreakerStatus.OPEN, "probe_at": at, "probe": None})


def forget_endpoint(state: BreakerState) -> BreakerState:
    """Retired: nothing is asked any more."""
    return forget_failures(state).model_copy(update={"status": BreakerStatus.RETIRED})

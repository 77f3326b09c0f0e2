"""The shell around the breaker chart: attempts are asked for before, and reported after.

Whether an attempt is admitted, delayed or probes is decided in `machines.breaker`. What is attempted,
and which of its failures show that the endpoint is away, is known to the owner.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final, assert_never

from machines.breaker import breaker_machine
from machines.models.breaker import (
    Admitted,
    AttemptAbandoned,
    AttemptAnswered,
    AttemptAsked,
    AttemptFailed,
    BreakerEvent,
    BreakerPolicy,
    BreakerResponse,
    BreakerState,
    BreakerStatus,
    Delayed,
    EndpointDropped,
)
from machines.statechart import Accepted, Refusal

log = logging.getLogger(__name__)

OPEN: Final = BreakerStatus.OPEN


class NotAdmitted(Exception):
    """The attempt must not be made."""

    def __init__(self, wait_ms: int | None) -> None:
        """`wait_ms`: how long it waits before it is asked for again; None where no wait helps."""
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


class Attempt:
    """An attempt under way; its first report counts, and no later one."""

    def __init__(
        self,
        name: str,
        is_probe: bool,
        fire: Callable[[BreakerEvent], object],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self.is_probe = is_probe
        """Whether it shows if the endpoint is back; then it reports as soon as it knows."""
        self._fire: Callable[[BreakerEvent], object] | None = fire
        self._clock = clock

    def answered(self) -> None:
        """The endpoint answered, with whatever."""
        self._report(AttemptAnswered)

    def failed(self) -> None:
        """The endpoint was not reached, was cut off, or said that it cannot serve."""
        self._report(AttemptFailed)

    def abandoned(self) -> None:
        """The attempt shows nothing of the endpoint."""
        self._report(AttemptAbandoned)

    def _report(self, kind: Callable[..., BreakerEvent]) -> None:
        fire, self._fire = self._fire, None
        if fire is not None:
            fire(kind(attempt=self._name, at=self._clock()))


class CircuitBreaker:
    """One endpoint's breaker.

    Args:
        endpoint: names it in the log.
        policy: when the endpoint counts as dead, and how long the breaker stays open.
        clock: seconds that never step back.
        random: in [0, 1); spreads the attempts that wait.
        on_open: called whenever a failure opens a closed breaker.
    """

    def __init__(
        self,
        endpoint: str,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._random = random
        self._on_open = on_open
        self._state = BreakerState(endpoint=endpoint, policy=policy)
        self._names = map(str, count(1))

    @property
    def status(self) -> BreakerStatus:
        """Where the breaker stands, for operators."""
        return self._state.status

    @contextmanager
    def attempt(self, *, has_waited: bool) -> Iterator[Attempt]:
        """Make an attempt inside; where it reports nothing, it is answered if the
        block ends well, and abandoned if it raises.

        Args:
            has_waited: whether it was delayed before; then it is admitted, unless `drop` was called.

        Raises:
            NotAdmitted: the block is not entered.
        """
        name = next(self._names)
        asked = AttemptAsked(
            attempt=name, at=self._clock(), has_waited=has_waited, jitter=self._random()
        )
        match self._fire(asked):
            case (Admitted(is_probe=is_probe),):
                attempt = Attempt(name, is_probe, self._fire, self._clock)
            case (Delayed(wait_ms=wait),):
                raise NotAdmitted(wait)
            case _:
                raise NotAdmitted(None)
        try:
            yield attempt
            attempt.answered()
        finally:
            attempt.abandoned()

    def drop(self) -> None:
        """Admit nothing more."""
        self._fire(EndpointDropped())

    def _fire(self, event: BreakerEvent) -> tuple[BreakerResponse, ...]:
        """What the chart responds; nothing where it refuses."""
        before = self._state.status
        match breaker_machine().fire(self._state, event):
            case Refusal():
                return ()
            case Accepted(state=state, responses=responses):
                self._state = state
            case outcome:
                assert_never(outcome)
        if state.status is not before:
            level = logging.WARNING if state.status is OPEN else logging.INFO
            log.log(level, "the breaker of %s: %s -> %s", state.endpoint, before, state.status)
            if before is BreakerStatus.CLOSED and state.status is OPEN:
                self._on_open()
        return responses

"""The state of a model endpoint's circuit breaker, its events, and what it says to an attempt.

Values only; which state follows which is the chart's (`machines.breaker`). Moments are seconds of a
clock that never steps back, from an arbitrary start: a breaker lives in one process and is not
stored.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from machines.models.domain import Frozen, ValidationResult, validation


class BreakerStatus(StrEnum):
    """States of the breaker chart."""

    CLOSED = "closed"
    """Attempts reach the endpoint."""
    OPEN = "open"
    """Attempts are held back, since the endpoint keeps failing."""
    HALF_OPEN = "half_open"
    """One attempt, the probe, shows whether the endpoint is back."""
    RETIRED = "retired"


class BreakerPolicy(Frozen):
    """When an endpoint counts as dead, and how long the breaker stays open."""

    threshold: int = Field(default=5, ge=1)
    """Failures in a row, of whichever runs, that open the breaker."""
    first_wait_seconds: float = Field(default=1.0, gt=0)
    """From the opening to the first probe; doubled with each probe that fails."""
    longest_wait_seconds: float = Field(default=24.0, gt=0)
    longest_delay_seconds: float = Field(default=30.0, gt=0)
    """No attempt is delayed longer. What lies between the longest wait and this is room to spread
    the attempts that wait, so that they do not reach the endpoint all at once."""


class BreakerState(Frozen):
    """One breaker."""

    endpoint: str
    """Names the endpoint, for operators."""
    policy: BreakerPolicy = BreakerPolicy()
    status: BreakerStatus = BreakerStatus.CLOSED
    failures: int = Field(default=0, ge=0)
    """In a row, while closed."""
    wait_seconds: float = Field(default=0.0, ge=0)
    """How long the breaker stays open before the probe; 0 while closed."""
    probe_at: float | None = None
    """When the probe is due, while open."""
    probe: str | None = None
    """Names the attempt that probes, while half open."""

    def validate_state(self) -> ValidationResult:
        return validation(
            {
                "failures stay below the threshold": self.failures >= self.policy.threshold,
                "an open breaker knows when to probe": (
                    (self.status is BreakerStatus.OPEN) != (self.probe_at is not None)
                ),
                "a half-open breaker knows its probe": (
                    (self.status is BreakerStatus.HALF_OPEN) != (self.probe is not None)
                ),
                "the wait keeps its bound": self.wait_seconds > self.policy.longest_wait_seconds,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class AttemptAsked(Frozen):
    """A caller wants to ask the endpoint."""

    event: Literal["attempt"] = "attempt"
    attempt: str
    """Names the attempt among all of this endpoint."""
    at: float
    has_waited: bool
    """Whether it was delayed before: then it goes out now."""
    jitter: float = Field(ge=0, lt=1)
    """Randomness that spreads the attempts which wait, drawn by the shell."""


class _Report(Frozen):
    attempt: str
    at: float


class AttemptAnswered(_Report):
    """The endpoint answered, with whatever: it is there."""

    event: Literal["answered"] = "answered"


class AttemptFailed(_Report):
    """The endpoint was not reached, was cut off, or said that it cannot serve."""

    event: Literal["failed"] = "failed"


class AttemptAbandoned(_Report):
    """The caller gave the attempt up: it shows nothing of the endpoint."""

    event: Literal["abandoned"] = "abandoned"


class EndpointDropped(Frozen):
    """The server asks this endpoint nothing any more."""

    event: Literal["drop"] = "drop"


BreakerEvent = AttemptAsked | AttemptAnswered | AttemptFailed | AttemptAbandoned | EndpointDropped

# --- Verdicts ------------------------------------------------------------------------------------


class Admitted(Frozen):
    """The attempt goes out, and its end is reported."""

    verdict: Literal["admitted"] = "admitted"
    is_probe: bool


class Delayed(Frozen):
    """The attempt waits; asked again with `has_waited`, it goes out."""

    verdict: Literal["delayed"] = "delayed"
    wait_ms: int = Field(ge=0)


BreakerResponse = Admitted | Delayed
"""What an attempt is told."""

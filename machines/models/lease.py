"""A server's lease on the store that it shares with others: its state and its events.

Values only; which state follows which is the chart's (`machines.lease`). Moments are seconds of a clock
that never steps back, from an arbitrary start: each server measures its own silence. Until when a
lease runs is the database's to say, by its own clock.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from machines.models.domain import Frozen, ValidationResult, validation
from machines.models.ids import ServerId

LEASE_SECONDS = 10.0
"""Of a server that was given no other."""


class LeaseStatus(StrEnum):
    """States of the lease chart."""

    JOINING = "joining"
    """The server asks for its lease, and carries nothing."""
    LIVE = "live"
    """The lease was renewed lately: the server commits, and carries runs."""
    SUSPECT = "suspect"
    """It was not renewed for a while: the server commits nothing that others might do meanwhile."""
    DEAD = "dead"
    """It is over: others carry what this server carried. The server joins again by another name."""


class LeasePolicy(Frozen):
    """The lengths of a lease, in seconds."""

    seconds: float = Field(default=LEASE_SECONDS, gt=0)
    """How long it runs once it is renewed, on the database's clock."""

    @property
    def renew_seconds(self) -> float:
        """How long after a renewal the next one is asked for."""
        return self.seconds / 5

    @property
    def suspect_seconds(self) -> float:
        """Without renewal, after which the server stops itself: well before others declare it dead."""
        return self.seconds * 3 / 5


class Lease(Frozen):
    """One server's lease. `id` is new at each start, and after each loss."""

    id: ServerId
    policy: LeasePolicy = LeasePolicy()
    status: LeaseStatus = LeaseStatus.JOINING
    renewed_at: float | None = None
    """When the newest renewal that succeeded was asked for; None before the first."""

    def validate_state(self) -> ValidationResult:
        held = self.status in {LeaseStatus.LIVE, LeaseStatus.SUSPECT}
        return validation({"a lease that runs knows its renewal": held and self.renewed_at is None})


# --- Events --------------------------------------------------------------------------------------


class LeaseGranted(Frozen):
    """The database knows the server."""

    event: Literal["granted"] = "granted"
    at: float
    """When it was asked for."""


class LeaseRenewed(Frozen):
    """The database let the lease run on."""

    event: Literal["renewed"] = "renewed"
    at: float
    """When it was asked for."""


class LeaseChecked(Frozen):
    """The server is about to commit, or the time for a renewal has come."""

    event: Literal["checked"] = "checked"
    at: float


class LeaseLost(Frozen):
    """The lease ran out, and the server was declared dead; or the database lost commits, and what the server
    carries is not what it says."""

    event: Literal["lost"] = "lost"


class LeaseReleased(Frozen):
    """The server ends in order."""

    event: Literal["released"] = "released"


LeaseEvent = LeaseGranted | LeaseRenewed | LeaseChecked | LeaseLost | LeaseReleased

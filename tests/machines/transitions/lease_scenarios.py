"""Leases and events for them, and the scenario of each edge of the lease chart."""

from collections.abc import Iterator
from typing import Final

from machines.lease import lease_machine
from machines.models.ids import ServerId
from machines.models.lease import (
    Lease,
    LeaseChecked,
    LeaseEvent,
    LeaseGranted,
    LeaseLost,
    LeasePolicy,
    LeaseReleased,
    LeaseRenewed,
)
from machines.statechart import Accepted
from machines.statechart.scenarios import Catalogue, Refused, Taken

POLICY: Final = LeasePolicy()
BEGUN: Final = 100.0
SOON: Final = BEGUN + POLICY.renew_seconds
OVERDUE: Final = BEGUN + POLICY.suspect_seconds
SERVER: Final = ServerId("00000000-0000-4000-8000-00000000000a")

# --- Events --------------------------------------------------------------------------------------


def granted(at: float = BEGUN) -> LeaseGranted:
    """The database has written the server down."""
    return LeaseGranted(at=at)


def renewed(at: float = SOON) -> LeaseRenewed:
    """The database lets the lease run on."""
    return LeaseRenewed(at=at)


def checked(at: float = SOON) -> LeaseChecked:
    """The server looks how long ago that was."""
    return LeaseChecked(at=at)


def events_at(_: Lease) -> Iterator[LeaseEvent]:
    """An event of each kind, in time and late."""
    yield granted()
    yield renewed(BEGUN)
    yield renewed()
    yield checked()
    yield checked(OVERDUE)
    yield LeaseLost()
    yield LeaseReleased()


# --- Leases --------------------------------------------------------------------------------------


def joining() -> Lease:
    """A lease that is asked for."""
    return Lease(id=SERVER, policy=POLICY)


def after(lease: Lease, event: LeaseEvent) -> Lease:
    """The lease that the event leads to."""
    outcome = lease_machine().fire(lease, event)
    assert isinstance(outcome, Accepted), outcome
    return outcome.state


def live() -> Lease:
    """A lease that runs from `BEGUN`."""
    return after(joining(), granted())


def suspect() -> Lease:
    """A lease that was not renewed in time."""
    return after(live(), checked(OVERDUE))


def dead() -> Lease:
    """A lease that is over."""
    return after(suspect(), LeaseLost())


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the lease chart."""
    return Catalogue(
        machine=lease_machine(),
        taken=tuple(_taken()),
        refused=(Refused(("renewal_is_overdue",), live(), checked()),),
        standing=(joining(), live(), suspect(), dead()),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    yield Taken("edge_lease_granted_joining_live", joining(), granted())
    yield Taken("edge_lease_renewed_live_live", live(), renewed())
    yield Taken("edge_lease_renewed_suspect_live", suspect(), renewed(OVERDUE))
    yield Taken("edge_lease_checked_live_suspect", live(), checked(OVERDUE))
    for lease in (live(), suspect()):
        yield Taken(f"edge_lease_lost_{lease.status.value}_dead", lease, LeaseLost())
    for lease in (joining(), live(), suspect()):
        yield Taken(f"edge_lease_released_{lease.status.value}_dead", lease, LeaseReleased())

"""The lease chart: whether a server may go on with what it does. Declared here, nowhere else.

    joining --granted--> live <--> suspect --lost--> dead

Servers that share a store are equals: each renews a lease of its own, and carries runs while it is
live. One whose lease ran out is declared dead by the others, who take up its runs. A server that
cannot renew stops itself before that, so that no two carry the same run; what it tries all the same is
refused by the store, where each commit that advances a run says who carries it. The shell is
`server.runs.lease`.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.models.effects import JoinAgain, LeaseEffect, StopCarrying
from machines.models.lease import (
    Lease,
    LeaseChecked,
    LeaseEvent,
    LeaseGranted,
    LeaseLost,
    LeaseReleased,
    LeaseRenewed,
    LeaseStatus,
)
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Ended = Reaction[Lease, object, LeaseEffect]


def renewal_is_overdue(lease: Lease, event: LeaseChecked) -> bool:
    """The lease was not renewed for six tenths of its length (6 of 10 seconds)."""
    return lease.renewed_at is None or event.at - lease.renewed_at >= lease.policy.suspect_seconds


def note_renewal(lease: Lease, event: LeaseGranted | LeaseRenewed) -> Lease:
    """The lease runs from when it was asked for: the answer may have been long on its way."""
    return lease.changed(renewed_at=event.at)


def stop_carrying(lease: Lease, _: object) -> Ended:
    """The server breaks off what it does for runs."""
    return Reaction(lease, (), (StopCarrying(),))


def join_again(lease: Lease, _: object) -> Ended:
    """The server asks for another lease."""
    return Reaction(lease, (), (JoinAgain(),))


on = Edges[Lease, object, LeaseEffect]()


class LeaseChart(Chart[Lease]):
    """Lease: whether a server that shares its store may go on"""

    machine = "lease"
    edge_kinds: ClassVar = {
        "checked": EdgeKind.RETRY,
        "lost": EdgeKind.FAILURE,
        "released": EdgeKind.CANCEL,
    }

    joining = State(initial=True)
    live = State()
    suspect = State()
    dead = State(final=True)

    granted = on(LeaseGranted, joining.to(live), do=[note_renewal])
    renewed = on(LeaseRenewed, live.from_(live, suspect), do=[note_renewal])
    checked = on(LeaseChecked, live.to(suspect), when=[renewal_is_overdue])
    lost = on(LeaseLost, dead.from_(live, suspect), do=[stop_carrying, join_again])
    released = on(LeaseReleased, dead.from_(joining, live, suspect), do=[stop_carrying])


LeaseMachine = Machine[Lease, LeaseEvent, object, LeaseEffect]


@cache
def lease_machine() -> LeaseMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(LeaseChart, states_of=lambda lease: (lease.status.value,), place=_place)


def _place(lease: Lease, _: LeaseEvent, states: Configuration) -> Lease:
    return lease.changed(status=LeaseStatus(states[0]))

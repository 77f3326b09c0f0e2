"""Every machine of the system, in one list: for drawings, for tests, and for a start that compiles them.

A chart that is not named here has no drawing and no test. Here are also the declarations that entries of
the journal may name; nothing else.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from machines.branch import branch_machine
from machines.breaker import breaker_machine
from machines.chorus import chorus_machine
from machines.connection import connection_machine
from machines.declarations import Declaration, declaration_of, earlier_declarations
from machines.invitation import invitation_machine
from machines.invite_link import invite_link_machine
from machines.lease import lease_machine
from machines.message import message_machine
from machines.removal import removal_machine
from machines.statechart import AnyChart
from machines.statechart.machine import Machine
from machines.thread import thread_machine


def all_machines() -> tuple[Machine[Any, Any, Any, Any], ...]:
    """Each of them; a run's machine is the first."""
    return (
        chorus_machine(),
        message_machine(),
        connection_machine(),
        thread_machine(),
        invitation_machine(),
        invite_link_machine(),
        removal_machine(),
        branch_machine(),
        breaker_machine(),
        lease_machine(),
    )


def journaled_machines() -> tuple[Machine[Any, Any, Any, Any], ...]:
    """Those whose transitions are in the journal: the machines of `machines.models.journal.Fired`."""
    return (
        chorus_machine(),
        message_machine(),
        thread_machine(),
        invitation_machine(),
        invite_link_machine(),
        removal_machine(),
        branch_machine(),
    )


def all_charts() -> tuple[AnyChart, ...]:
    """Their declarations."""
    return tuple(each.chart for each in all_machines())


@cache
def known_declarations() -> Mapping[str, Declaration]:
    """By fingerprint: what the charts declare today, and what those of earlier versions declared."""
    today = {each.fingerprint: declaration_of(each.topology) for each in journaled_machines()}
    return MappingProxyType({**earlier_declarations(), **today})

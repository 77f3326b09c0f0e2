"""Table and engine agree at values that no chart reaches, and where guards and actions fail on them."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.branch import Branch, BranchEvent
from machines.models.breaker import BreakerEvent, BreakerState
from machines.models.chorus import ChorusEvent, ChorusState
from machines.models.connection import ConnectionEvent, ConnectionState
from machines.models.invitation import Invitation, InvitationEvent
from machines.models.invite_link import InviteLink, InviteLinkEvent
from machines.models.lease import Lease, LeaseEvent
from machines.models.message import Message, MessageEvent
from machines.models.removal import Removal, RemovalEvent
from machines.models.thread import Thread, ThreadOperation
from machines.statechart.engine import EngineMachine, compare
from tests.machines.transitions.spaces import SPACES
from tests.support.strategies import values_of

pytestmark = pytest.mark.unmeasured

VALUES: Final[dict[str, tuple[Any, Any]]] = {
    "chorus": (ChorusState, ChorusEvent),
    "message": (Message, MessageEvent),
    "connection": (ConnectionState, ConnectionEvent),
    "thread": (Thread, ThreadOperation),
    "invitation": (Invitation, InvitationEvent),
    "invite_link": (InviteLink, InviteLinkEvent),
    "removal": (Removal, RemovalEvent),
    "branch": (Branch, BranchEvent),
    "breaker": (BreakerState, BreakerEvent),
    "lease": (Lease, LeaseEvent),
}
"""The states and the events of each chart."""


@pytest.mark.parametrize("name", SPACES)
def test_any_event_at_any_value_comes_to_the_same_in_the_table_and_in_the_engine(name: str) -> None:
    space, (states, events) = SPACES[name](), VALUES[name]
    engine = EngineMachine(space.machine)

    @given(values_of(states), st.lists(values_of(events), max_size=5))
    def check(state: Any, foreign: list[Any]) -> None:
        for event in (*space.events_at(state), *foreign):
            compare(space.machine, engine, state, event)

    check()

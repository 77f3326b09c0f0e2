"""The runtime: one machine for each chart, that no event and no thread leaves in a bad state."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from machines.models.domain import Thread, ThreadStatus
from machines.models.operations import AddMessage
from machines.runtime import Accepted, Machine
from machines.thread import ThreadChart, thread_machine
from tests.transitions.thread_scenarios import add_message, archive, join, rename, thread
from tests.transitions.values import BOB, CAROL, SOON


class Faulty(AddMessage):
    """An operation with a defect: it raises in the callback."""

    def apply_to(self, thread: Thread) -> Thread:
        raise RuntimeError(f"a defect at version {thread.version}")


class Contrary(AddMessage):
    """An operation with a defect: it makes another state than the chart's."""

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, status=ThreadStatus.ARCHIVED)


def fresh_machine() -> Machine[Thread, AddMessage, object, object]:
    """A machine of its own, so that a test can watch its table being compiled."""
    return Machine(
        ThreadChart,
        instance_of=lambda value: value.id,
        configuration_of=lambda value: ("thread", value.status.value),
    )


def test_a_defect_in_a_callback_propagates_and_the_machine_goes_on() -> None:
    with pytest.raises(RuntimeError, match="a defect at version 1"):
        thread_machine().fire(thread(), Faulty(at=SOON, actor=None))
    outcome = thread_machine().fire(thread(), add_message())
    assert isinstance(outcome, Accepted)
    assert outcome.state.message_count == 1
    assert len(outcome.transitions) == 1


def test_a_callback_that_disagrees_with_the_chart_is_a_defect_and_not_an_outcome() -> None:
    with pytest.raises(AssertionError, match="archived"):
        thread_machine().fire(thread(), Contrary(at=SOON, actor=None))
    assert isinstance(thread_machine().fire(thread(), rename()), Accepted)


def test_a_final_state_of_one_value_does_not_stop_the_machine_for_others() -> None:
    ended = thread_machine().fire(thread(), archive())
    assert isinstance(ended, Accepted)
    assert isinstance(thread_machine().fire(thread(), join(CAROL)), Accepted)


def test_a_transition_names_the_value_and_the_edge_that_it_took() -> None:
    outcome = thread_machine().fire(thread(), archive(BOB))
    assert isinstance(outcome, Accepted)
    (taken,) = outcome.transitions
    assert (taken.machine, taken.instance) == ("thread", thread().id)
    assert (taken.source, taken.target) == ("active", "archived")


def test_threads_that_fire_at_once_get_each_their_own_outcome() -> None:
    machine, together = fresh_machine(), Barrier(8)

    def fire(count: int) -> int:
        if count < together.parties:
            together.wait(timeout=30)  # the table is compiled while others want it
        outcome = machine.fire(thread(message_count=count), add_message())
        assert isinstance(outcome, Accepted)
        return outcome.state.message_count

    with ThreadPoolExecutor(together.parties) as pool:
        assert list(pool.map(fire, range(200))) == [count + 1 for count in range(200)]


def test_a_fingerprint_is_the_declaration_and_nothing_else() -> None:
    assert fresh_machine().fingerprint == thread_machine().fingerprint

    class Renamed(ThreadChart):
        machine = "other"

    other: Machine[Thread, AddMessage, object, object] = Machine(
        Renamed, instance_of=lambda value: value.id, configuration_of=lambda _: ("thread",)
    )
    assert other.fingerprint.split(":")[1] != thread_machine().fingerprint.split(":")[1]

"""Which states of a stored value have a holding time."""

from itertools import product

from machines.charts import journaled_machines
from machines.chorus import chorus_machine
from machines.loop.runs import states_of
from machines.models.chorus import Health, RunStatus
from machines.models.heat import machine_of, timed_states
from machines.models.outputs import StepEnum
from machines.statechart import topology
from tests.support.journal_values import message, run, thread

NOT_TIMED = {"submitted", "approved", "named", "drafted", "raised", "forked"}
"""States that no value rests in, and the one in which most messages stay for ever."""
KINDS = ("run", "message", "thread", "invitation", "invite_link", "removal", "branch")


def test_every_state_in_which_a_value_waits_is_timed_and_no_other() -> None:
    assert {machine.topology.machine for machine in journaled_machines()} == set(
        map(machine_of, KINDS)
    )
    for machine, kind in zip(journaled_machines(), KINDS, strict=True):
        if kind == "run":
            continue
        for node in topology(machine.chart).nodes:
            is_timed = not node.final and node.name not in NOT_TIMED
            assert timed_states(kind, {"status": node.name}) == ({node.name} if is_timed else set())


def test_a_run_is_timed_in_its_step_in_its_health_and_as_a_whole() -> None:
    one = run(message(thread(), 0))
    names = {node.name for node in topology(chorus_machine().chart).nodes}
    assert timed_states("run", vars(one)) == {"queued"}
    for step, health in product(StepEnum, Health):
        running = one.changed(status=RunStatus.RUNNING, current_step=step, health=health)
        assert timed_states("run", vars(running)) == {"running", *states_of(running)} <= names
    for status in RunStatus:
        if status.final:
            assert timed_states("run", vars(one.changed(status=status))) == set()

"""`sismic`: an interpreter for each value, with the topology, guards and actions of the chart.

The interpreter lives as long as its value. Guards and actions are the lines of Python that the
library asks for, each a call of the chart's own method; of several edges for one event the first
that is declared has the highest priority. Its checks of contracts are off.
"""

from collections.abc import Callable
from typing import Any

from sismic.interpreter import Interpreter
from sismic.model import (
    BasicState,
    CompoundState,
    OrthogonalState,
    Statechart,
    StateMixin,
    Transition,
)

from benchmarks.scenarios import Desk, Living, Scenario, body_of, compete
from machines.statechart import Guard, Node, NodeKind, Topology

OUTERMOST = "outermost"
"""The library wants one state around all others."""


class _Interpreted:
    def __init__(self, scenario: Scenario, statechart: Statechart) -> None:
        self._desk = Desk(scenario)
        context = {"body": body_of(scenario, self._desk)}
        self._interpreter = Interpreter(statechart, initial_context=context, ignore_contract=True)
        self._interpreter.execute_once()
        self._leaves = {place.active: states for states, place in scenario.machine.table.items()}

    @property
    def value(self) -> Any:
        return self._desk.value

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        self._interpreter.queue(event.event)
        step = self._interpreter.execute_once()
        if step is None or not step.transitions:
            return False
        desk.land(self._leaves[frozenset(self._interpreter.configuration) - {OUTERMOST}])
        return True


def build(scenario: Scenario) -> Callable[[], Living]:
    topology = scenario.topology
    statechart = Statechart(topology.machine)
    first = next(node.name for node in topology.within(None) if node.initial)
    statechart.add_state(CompoundState(OUTERMOST, initial=first), None)
    for node in topology.nodes:
        statechart.add_state(_state(topology, node), node.parent or OUTERMOST)
    for place, edge in enumerate(topology.edges):
        statechart.add_transition(
            Transition(
                edge.source,
                edge.target,
                event=edge.event,
                guard=" and ".join(map(_call, edge.guards)) or None,
                action="\n".join(f"body.{action}()" for action in edge.actions),
                priority=-place,
            )
        )
    statechart.validate()
    return lambda: _Interpreted(scenario, statechart)


def _state(topology: Topology, node: Node) -> StateMixin:
    """Final states are basic ones here: a final one would end the interpreter."""
    match node.kind:
        case NodeKind.PARALLEL:
            return OrthogonalState(node.name)
        case NodeKind.COMPOUND:
            children = [each for each in topology.nodes if each.parent == node.name]
            return CompoundState(
                node.name, initial=next(each.name for each in children if each.initial)
            )
        case NodeKind.ATOMIC:
            return BasicState(node.name)


def _call(guard: Guard) -> str:
    return f"{'' if guard.expected else 'not '}body.{guard.name}()"


if __name__ == "__main__":
    compete(build)

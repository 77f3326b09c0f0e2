"""`transitions`: a machine for each value, with the topology, guards and actions of the chart.

`Machine` where a chart is flat, `HierarchicalMachine` where it nests; the machine lives as long as
its value. Automatic transitions are left out.
"""

from collections.abc import Callable
from typing import Any

from transitions import Machine, MachineError
from transitions.extensions import HierarchicalMachine
from transitions.extensions.nesting import NestedState

from benchmarks.scenarios import Desk, Living, Scenario, body_of, compete
from machines.statechart import Configuration, Node, NodeKind, Topology


class _Driven:
    def __init__(self, scenario: Scenario, kind: type[Machine], declared: dict[str, Any]) -> None:
        self._desk = Desk(scenario)
        self._body = body_of(scenario, self._desk)
        self._machine = kind(model=self._body, auto_transitions=False, **declared)
        self._leaves = {
            _spelled(scenario.topology, states): states for states in scenario.machine.table
        }

    @property
    def value(self) -> Any:
        return self._desk.value

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        try:
            accepted = getattr(self._body, event.event)()
        except MachineError:
            return False
        if accepted:
            state = self._body.state
            desk.land(self._leaves[state if isinstance(state, str) else tuple(state)])
        return bool(accepted)


def build(scenario: Scenario) -> Callable[[], Living]:
    topology = scenario.topology
    nested = any(node.kind is not NodeKind.ATOMIC for node in topology.nodes)
    kind = HierarchicalMachine if nested else Machine
    NestedState.separator = "."  # its own is part of our names
    inner = topology.within(None)
    declared = {
        "states": [_state(topology, node) if nested else node.name for node in inner],
        "initial": next(node.name for node in inner if node.initial),
        "transitions": [
            {
                "trigger": edge.event,
                "source": _path(topology, edge.source),
                "dest": _path(topology, edge.target),
                "conditions": [guard.name for guard in edge.guards if guard.expected],
                "unless": [guard.name for guard in edge.guards if not guard.expected],
                "before": list(edge.actions),
            }
            for edge in topology.edges
        ],
    }
    return lambda: _Driven(scenario, kind, declared)


def _state(topology: Topology, node: Node) -> dict[str, Any] | str:
    children = [each for each in topology.nodes if each.parent == node.name]
    if not children:
        return node.name
    inner = [_state(topology, each) for each in children]
    if node.kind is NodeKind.PARALLEL:
        return {"name": node.name, "parallel": inner}
    initial = next(each.name for each in children if each.initial)
    return {"name": node.name, "children": inner, "initial": initial}


def _path(topology: Topology, name: str) -> str:
    """As the library names a nested state: the states around it first."""
    return ".".join([*reversed(topology.ancestors(name)), name])


def _spelled(topology: Topology, states: Configuration) -> str | tuple[str, ...]:
    """As the library keeps a configuration: one name, or one for each region."""
    paths = tuple(_path(topology, name) for name in states)
    return paths if len(paths) > 1 else paths[0]


if __name__ == "__main__":
    compete(build)

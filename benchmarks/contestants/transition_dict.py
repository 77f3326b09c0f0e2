"""A dict, by hand: (active states, event) to guards, actions and the states that follow.

The floor: what the guards, the actions and the placing cost when next to nothing decides which of
them to call. It names no edge that was taken and no guard that was false.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from benchmarks.scenarios import Desk, Living, Scenario, compete
from machines.statechart import Configuration, Edge, NodeKind, Topology
from machines.statechart.chart import ActionRule, GuardRule

Row = tuple[tuple[tuple[GuardRule, bool], ...], tuple[ActionRule, ...], Configuration]
"""Guards and what they must give; actions; the states that follow."""


class _Looked:
    def __init__(
        self, scenario: Scenario, table: dict[tuple[Configuration, str], list[Row]]
    ) -> None:
        self._desk = Desk(scenario)
        self._table = table
        self._at: Configuration = (_initial(scenario.topology),)

    @property
    def value(self) -> Any:
        return self._desk.value

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        for guards, actions, target in self._table.get((self._at, event.event), ()):
            for guard, expected in guards:
                if guard(desk.value, event) is not expected:
                    break
            else:
                desk.chosen.extend(actions)
                desk.land(target)
                self._at = target
                return True
        return False


def build(scenario: Scenario) -> Callable[[], Living]:
    table: dict[tuple[Configuration, str], list[Row]] = {}
    for leaves, active in _configurations(scenario.topology):
        for event in scenario.topology.allowed(active):
            table[leaves, event] = [
                (
                    tuple((guard.rule, guard.expected) for guard in edge.guards),
                    edge.rules,
                    _after(scenario.topology, leaves, edge),
                )
                for edge in scenario.topology.edges_from(active, event)
            ]
    return lambda: _Looked(scenario, table)


def _regions(topology: Topology) -> list[list[str]]:
    """The states of each region of the parallel state; none where there is none."""
    parallel = [node.name for node in topology.nodes if node.kind is NodeKind.PARALLEL]
    regions = [node.name for node in topology.nodes if node.parent in parallel]
    return [[node.name for node in topology.within(each)] for each in regions]


def _configurations(topology: Topology) -> Iterator[tuple[Configuration, frozenset[str]]]:
    regions = _regions(topology)
    within = {name for region in regions for name in region}
    plain = [
        (node.name,)
        for node in topology.nodes
        if node.kind is NodeKind.ATOMIC and node.name not in within
    ]
    for leaves in [*plain, *(product(*regions) if regions else ())]:
        around = {outer for name in leaves for outer in topology.ancestors(name)}
        yield leaves, frozenset(leaves) | around


def _after(topology: Topology, leaves: Configuration, edge: Edge) -> Configuration:
    regions = _regions(topology)
    if topology.node(edge.target).kind is NodeKind.PARALLEL:
        return tuple(region[0] for region in regions)
    for place, region in enumerate(regions):
        if edge.target in region:
            return (*leaves[:place], edge.target, *leaves[place + 1 :])
    return (edge.target,)


def _initial(topology: Topology, name: str | None = None) -> str:
    inner = next(node.name for node in topology.within(name) if node.initial)
    return _initial(topology, inner) if topology.within(inner) else inner


if __name__ == "__main__":
    compete(build)

"""A dict, by hand: (active states, event) to guards, actions and the states that follow.

The floor: what the guards, the actions and the stamp cost when next to nothing decides which of them
to call. It names no edge that was taken and no guard that was false.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from benchmarks.stories import Desk, Living, Story, body_of, compete
from machines.topology import Edge, NodeKind, Topology

Leaves = tuple[str, ...]
"""The innermost active states, one for each region."""
Row = tuple[tuple[tuple[str, bool], ...], tuple[str, ...], Leaves]
"""Guards and what they must give; actions; the states that follow."""


class _Looked:
    def __init__(self, story: Story, table: dict[tuple[Leaves, str], list[Row]]) -> None:
        self._desk = Desk(story.values[0])
        self._body = body_of(story, self._desk)
        self._table = table
        self._stamp = story.machine.settle
        self._at: Leaves = (_initial(story.topology),)

    @property
    def value(self) -> Any:
        return self._desk.state

    def take(self, event: Any) -> bool:
        desk, body = self._desk, self._body
        desk.begin(event)
        for guards, actions, target in self._table.get((self._at, event.event), ()):
            for guard, expected in guards:
                if getattr(body, guard)() is not expected:
                    break
            else:
                for action in actions:
                    getattr(body, action)()
                desk.state = self._stamp(desk.state, event)
                self._at = target
                return True
        return False


def build(story: Story) -> Callable[[], Living]:
    table: dict[tuple[Leaves, str], list[Row]] = {}
    for leaves, active in _configurations(story.topology):
        for event in story.topology.allowed(active):
            table[leaves, event] = [
                (
                    tuple((guard.name, guard.expected) for guard in edge.guards),
                    edge.actions,
                    _after(story.topology, leaves, edge),
                )
                for edge in story.topology.edges_from(active, event)
            ]
    return lambda: _Looked(story, table)


def _regions(topology: Topology) -> list[list[str]]:
    """The states of each region of the parallel state; none where there is none."""
    parallel = [node.name for node in topology.nodes if node.kind is NodeKind.PARALLEL]
    regions = [node.name for node in topology.nodes if node.parent in parallel]
    return [[node.name for node in topology.nodes if node.parent == each] for each in regions]


def _configurations(topology: Topology) -> Iterator[tuple[Leaves, frozenset[str]]]:
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


def _after(topology: Topology, leaves: Leaves, edge: Edge) -> Leaves:
    regions = _regions(topology)
    if topology.node(edge.target).kind is NodeKind.PARALLEL:
        return tuple(region[0] for region in regions)
    for place, region in enumerate(regions):
        if edge.target in region:
            return (*leaves[:place], edge.target, *leaves[place + 1 :])
    return (edge.target,)


def _initial(topology: Topology) -> str:
    (root,) = (node.name for node in topology.nodes if node.parent is None)
    return next(node.name for node in topology.nodes if node.parent == root and node.initial)


if __name__ == "__main__":
    compete(build)

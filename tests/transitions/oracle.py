"""What a chart must do, worked out from its declared nodes and edges alone.

This is the statechart rule written once more, without the engine and without the table: which
edge is the first that is enabled, which states hold afterwards, and which combinations of states
there are. The tests compare the two; nothing here fires a machine.
"""

from collections.abc import Callable, Iterator
from itertools import product

from machines.topology import Edge, Guard, NodeKind, Topology

Configuration = frozenset[str]
"""Names of all states that hold at the same time."""


class OrthogonalEdges(AssertionError):
    """Two regions would move at once: the charts promise one edge for each event."""


def lineage(chart: Topology, name: str) -> tuple[str, ...]:
    """The state and those around it, innermost first."""
    return (name, *chart.ancestors(name))


def configurations(chart: Topology) -> frozenset[Configuration]:
    """Every combination of states that the nesting of the chart allows."""
    (root,) = (node.name for node in chart.nodes if node.parent is None)
    return frozenset(_within(chart, root))


def first_enabled(
    chart: Topology, active: Configuration, event: str, is_true: Callable[[Guard], bool]
) -> Edge | None:
    """The edge that must be taken: of the innermost states first, then in the order of declaration.

    Raises:
        OrthogonalEdges: two edges are enabled of which neither is inside the other's state.
    """
    enabled = [
        edge
        for edge in chart.edges
        if edge.event == event and edge.source in active and all(map(is_true, edge.guards))
    ]
    if not enabled:
        return None
    deepest = max(enabled, key=lambda edge: len(lineage(chart, edge.source)))  # the first of these
    for edge in enabled:
        if edge.source not in lineage(chart, deepest.source):
            raise OrthogonalEdges(f"{event}: both {deepest.id} and {edge.id} are enabled")
    return deepest


def after(chart: Topology, active: Configuration, edge: Edge) -> Configuration:
    """The states that hold once the edge was taken.

    Everything within the innermost state around both ends is left, then the target is entered.
    """
    around_target = tuple(chart.ancestors(edge.target))
    common = next(name for name in chart.ancestors(edge.source) if name in around_target)
    stays = frozenset(name for name in active if common not in chart.ancestors(name))
    path = around_target[: around_target.index(common)]
    return stays.union(path, {edge.target}, _initial_within(chart, edge.target))


def _initial_within(chart: Topology, name: str) -> Iterator[str]:
    """The states that are entered with `name`: all regions, or the initial child, and so on."""
    kind = chart.node(name).kind
    for child in chart.nodes:
        if child.parent == name and (kind is NodeKind.PARALLEL or child.initial):
            yield child.name
            yield from _initial_within(chart, child.name)


def _within(chart: Topology, name: str) -> Iterator[Configuration]:
    children = [node.name for node in chart.nodes if node.parent == name]
    match chart.node(name).kind:
        case NodeKind.ATOMIC:
            yield frozenset({name})
        case NodeKind.COMPOUND:
            for child in children:
                yield from (inner | {name} for inner in _within(chart, child))
        case NodeKind.PARALLEL:
            for regions in product(*(list(_within(chart, child)) for child in children)):
                yield frozenset({name}).union(*regions)

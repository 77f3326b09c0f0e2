"""What a drawing draws of a chart's edges.

An edge from a state to itself is a row within the state. The others are arrows: edges of one kind
between the same two states share a line, and the box in its middle has a row for each of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from diagrams.changes import Change
from machines.statechart import Edge, EdgeKind, Topology

Kind = EdgeKind | Change
"""What the edges of an arrow have in common, and its look stands for."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Edges of one kind between the same two states."""

    machine: str
    source: str
    target: str
    kind: Kind
    edges: tuple[Edge, ...]

    @property
    def id(self) -> str:
        """Of the box in the middle; no two arrows have the same."""
        return f"arrow_{self.machine}_{self.source}_{self.target}_{self.kind.value}"

    @property
    def tail_id(self) -> str:
        """Of the line from the source to the box."""
        return f"{self.id}_tail"

    @property
    def head_id(self) -> str:
        """Of the line from the box to the target."""
        return f"{self.id}_head"


def stays(edge: Edge) -> bool:
    """Whether the edge leads from a state to itself."""
    return edge.source == edge.target


def arrows(
    chart: Topology, kind_of: Callable[[Edge], Kind] = attrgetter("kind")
) -> Iterator[Arrow]:
    """In the order in which their first edges are declared."""
    gathered: dict[tuple[str, str, Kind], list[Edge]] = {}
    for edge in chart.edges:
        if not stays(edge):
            gathered.setdefault((edge.source, edge.target, kind_of(edge)), []).append(edge)
    for (source, target, kind), edges in gathered.items():
        yield Arrow(chart.machine, source, target, kind, tuple(edges))


def leads_back(chart: Topology, arrow: Arrow) -> bool:
    """Whether the target is declared before the source, so that the arrow points upwards."""
    names = [node.name for node in chart.nodes]
    return names.index(arrow.target) < names.index(arrow.source)


def is_main_path(chart: Topology, arrow: Arrow) -> bool:
    """Whether the arrow is what usually leads from a state to the one declared next beside it."""
    source, target = chart.node(arrow.source), chart.node(arrow.target)
    beside = [node for node in chart.nodes if node.parent == source.parent]
    return (
        all(edge.kind is EdgeKind.NORMAL for edge in arrow.edges)
        and target in beside
        and beside.index(target) == beside.index(source) + 1
    )


def surrounding(chart: Topology, arrow: Arrow) -> str | None:
    """The innermost state around both ends; None where the arrow is outside of all states."""
    around_target = set(chart.ancestors(arrow.target))
    return next((name for name in chart.ancestors(arrow.source) if name in around_target), None)

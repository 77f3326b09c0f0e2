"""A declaration as a Mermaid state diagram (https://mermaid.js.org/syntax/stateDiagram.html).

Pages that render Mermaid (a pull request, a wiki) show it without a picture beside them. It says what
the drawing says, `event [guards] / actions` for each edge. Edges between the same two states share an
arrow, since Mermaid draws one loop at a state and lays labels over each other; kinds of edges have no
look of their own, and the order in which edges are tried is not told.
"""

from collections.abc import Iterator
from typing import Final

from diagrams.labels import one_line
from machines.declarations import Declaration
from machines.statechart import Node, NodeKind, Topology

_INDENT: Final = "    "


def mermaid_source(declared: Declaration) -> str:
    """The text of one machine: the same bytes for the same declaration."""
    chart = declared.topology()
    lines = (
        "---",
        f"title: {_quoted(chart.title)}",
        "---",
        "stateDiagram-v2",
        *(f"{_INDENT}{line}" for line in _inside(chart, None)),
        *(f"{_INDENT}{line}" for line in _arrows(chart)),
        *(f"{_INDENT}{node.id} --> [*]" for node in chart.nodes if node.final),
    )
    return "\n".join(lines) + "\n"


def _inside(chart: Topology, name: str | None) -> Iterator[str]:
    """The states within a state, or within the machine for None; between two regions a bar."""
    is_parallel = name is not None and chart.node(name).kind is NodeKind.PARALLEL
    for number, node in enumerate(chart.within(name)):
        if is_parallel and number:
            yield "--"
        if node.initial and not is_parallel:
            yield f"[*] --> {node.id}"
        yield from _state(chart, node)


def _state(chart: Topology, node: Node) -> Iterator[str]:
    # An id that no word of Mermaid's own is; the name is what is shown.
    named = f'state "{node.name}" as {node.id}'
    if node.kind is NodeKind.ATOMIC:
        yield named
        return
    yield f"{named} {{"
    yield from (f"{_INDENT}{line}" for line in _inside(chart, node.name))
    yield "}"


def _arrows(chart: Topology) -> Iterator[str]:
    """A line for each two states that have edges between them, in the order of the first edges."""
    said: dict[tuple[str, str], list[str]] = {}
    for edge in chart.edges:
        ends = (chart.node(edge.source).id, chart.node(edge.target).id)
        said.setdefault(ends, []).append(one_line(edge))
    for (source, target), lines in said.items():
        yield f"{source} --> {target}: {'<br/>'.join(lines)}"


def _quoted(title: str) -> str:
    """A YAML string in single quotes."""
    return "'" + title.replace("'", "''") + "'"

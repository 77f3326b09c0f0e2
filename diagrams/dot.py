"""A chart's topology as Graphviz source: a pure function, the same bytes at every call.

States are nodes, states with states in them clusters, and each arrow is a line from its source to
a box with its labels and on to its target. A box is a node, since Graphviz keeps nodes apart and
leads lines around them, which it does not do for the labels of edges. Everything stands on a card,
whose label is the drawing's title.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import graphviz  # type: ignore[import-untyped]

from diagrams import labels, style
from diagrams.arrows import Arrow, arrows, is_main_path, leads_back, stays, surrounding
from machines.statechart import Edge, Node, NodeKind, Topology

_UNSEEN = {"style": "invis", "weight": "0"}
"""Lines that only say what is drawn above what."""


class DrawingFailed(Exception):
    """Graphviz cannot lay a drawing out; the message is one sentence that says what to do."""


def dot_source(chart: Topology) -> str:
    """The Graphviz source of one machine."""
    return Drawing(chart).source()


class LaidOut(NamedTuple):
    """What `dot` made of a source."""

    svg: str
    """As `dot -Tsvg` writes it."""
    widths: Mapping[tuple[float, float], float]
    """By the place where a text begins, in the SVG's units: the room that it was given."""


def laid_out(source: str) -> LaidOut:
    """The drawing of a source, and how wide each of its texts was taken to be.

    Raises:
        DrawingFailed: `dot` is missing or fails.
    """
    return LaidOut(_piped(source, "svg"), _widths(json.loads(_piped(source, "json"))))


def _piped(source: str, format_: str) -> str:
    try:
        return str(graphviz.Source(source).pipe(format=format_, encoding="utf-8"))
    except graphviz.ExecutableNotFound as error:
        raise DrawingFailed(
            "Graphviz' `dot` is needed to draw and was not found: apt install graphviz"
        ) from error
    except graphviz.CalledProcessError as error:
        said = " ".join(str(error.stderr).split())
        raise DrawingFailed(f"Graphviz' `dot` could not lay out a drawing: {said}") from error


def _widths(drawing: Mapping[str, Any]) -> dict[tuple[float, float], float]:
    """The texts among the drawing operations of `dot -Tjson`, whose y axis points up."""
    return {
        (round(operation["pt"][0], 1), round(-operation["pt"][1], 1)): operation["width"]
        for part in (*drawing.get("objects", ()), *drawing.get("edges", ()), drawing)
        for operation in part.get("_ldraw_", ())
        if operation["op"] == "T"
    }


def legend_id(chart: Topology) -> str:
    """The id of the legend's element."""
    return f"legend_{chart.machine}"


def card_id(chart: Topology) -> str:
    """The id of the card that everything stands on."""
    return f"card_{chart.machine}"


class Drawing:
    """One machine on its way into Graphviz source. A drawing that shows more than the chart overrides
    `head`, `rows` and `state_look`.
    """

    def __init__(self, chart: Topology, arrows_: Iterable[Arrow] | None = None) -> None:
        """
        Args:
            arrows_: those of the chart; by default the edges of one kind share an arrow.
        """
        self._chart = chart
        self._layout = style.LAYOUTS.get(chart.machine, style.Layout())
        self._arrows = tuple(arrows(chart) if arrows_ is None else arrows_)

    def source(self) -> str:
        graph = graphviz.Digraph(
            self._chart.machine,
            graph_attr={
                "bgcolor": "transparent",
                "compound": "true",
                "fontname": style.FONT,
                "nodesep": f"{self._layout.node_gap:g}",
                "pad": "0.02",
                "ranksep": f"{self._layout.rank_gap:g}",
                "splines": self._layout.lines,
            },
            node_attr={"fontname": style.FONT, "fontsize": f"{style.STATE_SIZE:g}"},
            edge_attr={"arrowsize": "0.8", "penwidth": "1.4"},
        )
        if any(node.kind is NodeKind.PARALLEL for node in self._chart.nodes):
            # The older ranking lets one region push the other down; with a single level of states
            # it gives the calmer drawing. Graphviz takes any value of `newrank` for a yes.
            graph.attr(newrank="true")
        with graph.subgraph(name="cluster_card") as card:
            card.attr(**self._card())
            self._add_initial(card, None)
            self._add_level(card, None)
        return str(graph.source)

    def head(self) -> str:
        """The label of the card."""
        chart = self._chart
        return labels.title_and_legend(chart.title, legend_id(chart), chart.edges)

    def rows(self, edges: Iterable[Edge]) -> str:
        """The rows of a table, which tell edges."""
        return labels.rows(self._chart, edges, wrap=self._layout.wrap)

    def state_look(self, _: Node) -> dict[str, str]:
        """What differs from the usual look of a state."""
        return {}

    def state_name(self, node: Node) -> str:
        """The text of a state."""
        return labels.font(node.name, size=style.STATE_SIZE, bold=True)

    def _children(self, name: str | None) -> list[Node]:
        return list(self._chart.within(name))

    def _add_level(self, graph: graphviz.Digraph, name: str | None) -> None:
        """The states within `name`, and the arrows that leave it at neither end."""
        for node in self._children(name):
            if node.kind is NodeKind.ATOMIC:
                graph.node(node.name, **self._state(node))
                continue
            with graph.subgraph(name=_cluster(node.name)) as cluster:
                cluster.attr(**self._compound(node))
                self._add_initial(cluster, node.name)
                self._add_level(cluster, node.name)
                self._add_exit(cluster, node)
        for arrow in self._arrows:
            if surrounding(self._chart, arrow) == name:
                self._add_arrow(graph, arrow)

    def _state(self, node: Node) -> dict[str, str]:
        rows = f"<TR><TD>{self.state_name(node)}</TD></TR>"
        inner = [edge for edge in self._chart.edges if stays(edge) and edge.source == node.name]
        if inner:
            rows += "<HR/>" + self.rows(inner)
        return {
            "id": node.id,
            "class": "state atomic final" if node.final else "state atomic",
            "shape": "box",
            "style": "rounded,filled",
            "color": style.FINAL_BORDER if node.final else style.STATE_BORDER,
            "fillcolor": style.FINAL_FILL if node.final else style.STATE_FILL,
            "penwidth": "1.2",
            "peripheries": "2" if node.final else "1",
            "margin": "0.1,0.04",
            "label": labels.table(rows),
        } | self.state_look(node)

    def _card(self) -> dict[str, str]:
        """What the whole machine is drawn on, with its title and what the colours mean."""
        return {
            "id": card_id(self._chart),
            "class": "card",
            "style": "rounded,filled",
            "labeljust": "l",
            "margin": "28" if self._layout.lines == "ortho" else "20",
            "color": style.CARD_BORDER,
            "fillcolor": style.CARD_FILL,
            "label": self.head(),
        }

    def _compound(self, node: Node) -> dict[str, str]:
        look = {
            "id": node.id,
            "class": f"state {node.kind.value}",
            "style": "rounded,filled",
            "labeljust": "l",
            "margin": "14",
            "color": style.STATE_BORDER,
            "fillcolor": style.COMPOUND_FILL,
            "label": f"<{self.state_name(node)}>",
        }
        if node.parent and self._chart.node(node.parent).kind is NodeKind.PARALLEL:
            look |= {
                "class": f"{look['class']} region",
                "style": "rounded,filled,dashed",
                "color": style.REGION_BORDER,
                "fillcolor": style.REGION_FILL,
            }
        return look | self.state_look(node)

    def _add_initial(self, graph: graphviz.Digraph, name: str | None) -> None:
        """The dot with an arrow to where a compound state begins, or the whole machine for None;
        regions all begin at once.
        """
        if name is not None and self._chart.node(name).kind is NodeKind.PARALLEL:
            return
        entry = _entry(name or self._chart.machine)
        begin = f"initial_{self._chart.machine}{f'_{name}' if name else ''}"
        mark = {"id": begin, "class": "initial", "color": style.INK}
        shape = {"shape": "circle", "width": "0.14", "fixedsize": "true", "label": ""}
        graph.node(entry, **mark, **shape, style="filled", fillcolor=style.INK)
        first = next(child for child in self._children(name) if child.initial)
        mark["id"] = f"{begin}_arrow"
        graph.edge(entry, self._head(first.name), **mark, weight="10")

    def _add_exit(self, graph: graphviz.Digraph, node: Node) -> None:
        """An unseen point at the foot of a compound state, where its own arrows begin."""
        if not self._has_exit(node.name):
            return
        graph.node(
            _exit(node.name),
            **{"class": "unseen"},
            shape="point",
            style="invis",
            width="0",
            height="0",
        )
        for region in self._children(node.name):
            graph.edge(self._last_leaf(region.name), _exit(node.name), **_UNSEEN)

    def _add_arrow(self, graph: graphviz.Digraph, arrow: Arrow) -> None:
        look = style.LOOKS[arrow.kind]
        graph.node(
            arrow.id,
            id=arrow.id,
            shape="box",
            style=f"rounded,filled,{look.line}",
            color=look.color,
            fillcolor=style.LABEL_FILL,
            penwidth="0.7",
            margin="0.06,0.02",
            width="0",
            height="0",
            label=labels.table(self.rows(arrow.edges)),
        )
        for above, below in self._order_of(arrow):
            graph.edge(above, below, **_UNSEEN)
        line = {
            "color": look.color,
            "style": look.line,
            "weight": str(self._layout.main_weight if is_main_path(self._chart, arrow) else 1),
        }
        tail, head = self._tail(arrow.source), self._head(arrow.target)
        tail_clip, head_clip = self._clip(arrow.source), self._clip(arrow.target)
        if leads_back(self._chart, arrow):
            # Declared against its direction, so that the ranks run from first to last state.
            back = {"dir": "back", **line, **_clipped("ltail", head_clip)}
            graph.edge(head, arrow.id, id=arrow.head_id, **back)
            plain = {"dir": "none", **line, **_clipped("lhead", tail_clip)}
            graph.edge(arrow.id, tail, id=arrow.tail_id, **plain)
        else:
            plain = {"dir": "none", **line, **_clipped("ltail", tail_clip)}
            graph.edge(tail, arrow.id, id=arrow.tail_id, **plain)
            graph.edge(arrow.id, head, id=arrow.head_id, **line, **_clipped("lhead", head_clip))

    def _order_of(self, arrow: Arrow) -> Iterator[tuple[str, str]]:
        """(above, below): all regions lie below an arrow into a parallel state, and an arrow out
        of a state within a compound one lies below its foot, like the arrows of that one itself.
        """
        if self._chart.node(arrow.target).kind is NodeKind.PARALLEL:
            _, *others = self._children(arrow.target)
            yield from ((arrow.id, self._head(region.name)) for region in others)
        left = set(self._chart.ancestors(arrow.source)) - set(self._chart.ancestors(arrow.target))
        yield from ((_exit(name), arrow.id) for name in sorted(left) if self._has_exit(name))

    def _has_exit(self, name: str) -> bool:
        return any(arrow.source == name for arrow in self._arrows)

    def _clip(self, name: str) -> str | None:
        """The cluster at whose border a line ends, where the state is one."""
        return None if self._chart.node(name).kind is NodeKind.ATOMIC else _cluster(name)

    def _head(self, name: str) -> str:
        """The node at which lines into a state end."""
        match self._chart.node(name).kind:
            case NodeKind.ATOMIC:
                return name
            case NodeKind.COMPOUND:
                return _entry(name)
            case NodeKind.PARALLEL:
                return self._head(self._children(name)[0].name)

    def _tail(self, name: str) -> str:
        """The node at which lines out of a state begin."""
        return name if self._chart.node(name).kind is NodeKind.ATOMIC else _exit(name)

    def _last_leaf(self, name: str) -> str:
        children = self._children(name)
        return self._last_leaf(children[-1].name) if children else name


def _cluster(name: str) -> str:
    return f"cluster_{name}"


def _entry(name: str) -> str:
    return f"entry_{name}"


def _exit(name: str) -> str:
    return f"exit_{name}"


def _clipped(end: str, cluster: str | None) -> dict[str, str]:
    return {} if cluster is None else {end: cluster}

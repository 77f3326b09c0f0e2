"""From Graphviz' SVG to ours, and what `check` reads back from it.

Graphviz draws an arrow as three elements (line, box, line) and puts the cells with the edges' ids
into the box. Here they become one element for each edge, with the edge's literal id, so that a page
lights up a state or a path by a class on that element alone:

    g.state   > path (the shape), text       one for each state
    g.edge    > path.line, polygon.head, path.box, polygon.row, text
    g.edge.stays > polygon.row, text         an edge within its state
    g.arrow   > path.line, polygon.head, path.box    lines that several edges share

The edges of a shared arrow have transparent copies of its lines: what is lit is lit for one edge.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

# Read are drawings of our own and what `dot` makes of them, nothing from outside.
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from diagrams import style
from diagrams.arrows import Arrow
from diagrams.changes import Change
from diagrams.dot import LaidOut
from diagrams.labels import alike, explained
from machines.statechart import Topology

HASH_ATTRIBUTE = "data-dot-sha256"
_SVG = "http://www.w3.org/2000/svg"
_DASHES = {look.color: look.dashes for look in style.LOOKS.values()}
_CELL = "a_"
"""What Graphviz puts before the ids of cells."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a committed SVG says, without its layout."""

    dot_hash: str
    """SHA-256 of the `.dot` that it was drawn from, in hex; empty where it names none."""
    texts: dict[str, list[str]]
    """Of each `card_...`, `state_...` and `edge_...` id: the text of each element that has it."""


def finish(drawn: LaidOut, chart: Topology, arrows: Sequence[Arrow], dot_hash: str) -> str:
    """The committed SVG, from what `dot` wrote.

    Raises:
        ValueError: it is no SVG, or lacks an element of an edge or the width of a text.
    """
    root, graph = _graph_of(drawn)
    content = _elements(graph, chart, arrows)
    svg = _whole(root, graph, content, chart.title, f"machine {chart.machine}")
    svg.set(HASH_ATTRIBUTE, dot_hash)
    return _text_of(svg)


def finish_changes(
    drawn: LaidOut,
    machine: str,
    title: str,
    changes: Mapping[str, Change],
    said: Mapping[str, str],
) -> str:
    """The SVG of a drawing of changes, from what `dot` wrote. What changed has a class that says how.

    Args:
        changes: by the id of a state or an edge.
        said: by the id of an edge, what a pointer at it is told.

    Raises:
        ValueError: it is no SVG, or lacks the width of a text.
    """
    root, graph = _graph_of(drawn)
    content: list[Element] = []
    for element in graph.findall(_tag("g")):
        id_ = element.get("id", "")
        if element.get("class") == "node unseen":
            continue
        cells = _take_cells(element)
        kind = element.get("class", "").partition(" ")[2]
        element.set("class", f"{kind} {changes[id_].value}" if id_ in changes else kind)
        content.append(element)
        for cell_id, shapes in cells.items():
            if cell_id in changes:
                whole = [_title(said[cell_id]), *shapes] if cell_id in said else shapes
                content.append(_group(cell_id, f"edge {changes[cell_id].value}", whole))
            else:
                content.append(_group(cell_id, "legend", shapes))
    return _text_of(_whole(root, graph, content, title, f"machine changes {machine}"))


def _graph_of(drawn: LaidOut) -> tuple[Element, Element]:
    """The root of an SVG and the graph in it, cleaned and with fixed texts. Raises ValueError."""
    ElementTree.register_namespace("", _SVG)
    root = _parsed(drawn.svg)
    graph = root.find(_tag("g"))
    if graph is None:
        raise ValueError("the SVG has no graph in it")
    _clean(root)
    _fix_extents(root, drawn.widths)
    return root, graph


def _whole(
    root: Element, graph: Element, content: Iterable[Element], title: str, classes: str
) -> Element:
    """A root of our own with the finished elements."""
    finished = Element(_tag("g"), {"class": "graph", "transform": graph.get("transform", "")})
    finished.extend(content)
    width, height = root.get("viewBox", "0 0 0 0").split()[2:]
    svg = Element(
        _tag("svg"),
        {
            "viewBox": root.get("viewBox", ""),
            "width": _pixels(width),
            "height": _pixels(height),
            "role": "img",
            "aria-label": title,
            "class": classes,
            "font-family": style.FONT,
        },
    )
    svg.append(finished)
    return svg


def _text_of(svg: Element) -> str:
    ElementTree.indent(svg, space=" ")
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def read(text: str) -> Picture:
    """What a committed SVG says.

    Raises:
        ValueError: it is no XML.
    """
    root = _parsed(text)
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for element in root.iter():
        id_ = element.get("id", "")
        if id_.startswith(("card_", "state_", "edge_")):
            words = (part.text or "" for part in element.iter(_tag("text")))
            texts[id_].append(" ".join(" ".join(words).split()))
    return Picture(root.get(HASH_ATTRIBUTE, ""), dict(texts))


def _elements(graph: Element, chart: Topology, arrows: Sequence[Arrow]) -> Iterator[Element]:
    """The finished elements in the order in which they are painted."""
    by_id = {element.get("id", ""): element for element in graph.findall(_tag("g"))}
    boxes = {arrow.id: arrow for arrow in arrows}
    halves = {half for arrow in arrows for half in (arrow.tail_id, arrow.head_id)}
    edges = {edge.id: edge for edge in chart.edges}
    rows = {alike(chart, edge)[0].id for edge in chart.edges}
    needed = {*boxes, *halves, *(_CELL + id_ for id_ in rows)}
    missing = sorted(needed - {group.get("id", "") for group in graph.iter(_tag("g"))})
    if missing:
        raise ValueError(f"the SVG lacks {missing[0]}")
    for id_, element in by_id.items():
        if id_ in halves or element.get("class") == "node unseen":
            continue
        cells = _take_cells(element)
        if id_ in boxes:
            arrow = boxes[id_]
            lines = [*_drawn(by_id[arrow.tail_id], "line"), *_drawn(by_id[arrow.head_id], "line")]
            yield from _arrow(chart, arrow, [*lines, *_drawn(element, "box")], cells)
            continue
        # Graphviz puts its own word (node, edge, cluster) before the classes that we gave.
        element.set("class", element.get("class", "").partition(" ")[2])
        yield element
        for cell_id, drawn in cells.items():
            edge = edges.get(cell_id)
            if edge is None:
                yield _group(cell_id, "legend", drawn)
                continue
            for each in alike(chart, edge):
                yield _group(
                    each.id,
                    f"edge {each.kind.value} stays",
                    [_title(explained(chart, each)), *_row(drawn, is_first=each is edge)],
                )


def _arrow(
    chart: Topology, arrow: Arrow, lines: list[Element], cells: dict[str, list[Element]]
) -> Iterator[Element]:
    shared = len(arrow.edges) > 1
    if shared:
        yield _group(arrow.id, f"arrow {arrow.kind.value}", lines)
        lines = [_transparent(line) for line in lines if line.get("class") != "box"]
    for edge in arrow.edges:
        first, *_ = alike(chart, edge)
        content = [
            _title(explained(chart, edge)),
            *(deepcopy(line) for line in lines),
            *_row(cells[first.id], is_first=edge is first),
        ]
        yield _group(edge.id, f"edge {edge.kind.value}{' shared' if shared else ''}", content)


def _row(drawn: list[Element], *, is_first: bool) -> list[Element]:
    """The label of an edge; of those that share a row, all but the first one's are unseen until lit."""
    if is_first:
        return drawn
    copies = deepcopy(drawn)
    for part in copies:
        part.set("visibility", "hidden")
    return copies


def _take_cells(element: Element) -> dict[str, list[Element]]:
    """Remove the cells that have ids from an element; gives what was drawn in each."""
    cells: dict[str, list[Element]] = {}
    for cell in element.findall(_tag("g")):
        element.remove(cell)
        drawn = [part for anchor in cell for part in anchor]
        for part in drawn:
            if part.tag == _tag("polygon"):
                part.set("class", "row")
        cells[cell.get("id", "").removeprefix(_CELL)] = drawn
    return cells


def _drawn(element: Element, path_class: str) -> list[Element]:
    """The shapes of an element, each with the class that a page knows it by."""
    shapes = [each for each in element if each.tag in {_tag("path"), _tag("polygon")}]
    for shape in shapes:
        shape.set("class", path_class if shape.tag == _tag("path") else "head")
    return shapes


def _transparent(shape: Element) -> Element:
    copy = deepcopy(shape)
    for attribute in ("stroke", "fill"):
        if copy.get(attribute, "none") != "none":
            copy.set(attribute, "transparent")
    return copy


def _clean(root: Element) -> None:
    """Set our dashes; drop blanks, names of Graphviz' own, and what it repeats on each text."""
    for parent in root.iter():
        for child in list(parent):
            text = (child.text or "").strip()
            if child.tag == _tag("title") or (child.tag == _tag("text") and not text):
                parent.remove(child)
            elif child.tag == _tag("text"):
                child.attrib.pop("font-family", None)
                child.text = text
            elif "stroke-dasharray" in child.attrib and child.get("stroke", "") in _DASHES:
                child.set("stroke-dasharray", _DASHES[child.get("stroke", "")])


def _fix_extents(root: Element, widths: Mapping[tuple[float, float], float]) -> None:
    """Give each text the room that Graphviz gave it, so that it fills its box in any font."""
    for text in root.iter(_tag("text")):
        place = (round(float(text.get("x", "0")), 1), round(float(text.get("y", "0")), 1))
        if place not in widths:
            raise ValueError(f"the text {text.text!r} has no width")
        text.set("textLength", f"{widths[place]:g}")
        text.set("lengthAdjust", "spacingAndGlyphs")


def _group(id_: str, classes: str, content: Iterable[Element]) -> Element:
    group = Element(_tag("g"), {"id": id_, "class": classes})
    group.extend(content)
    return group


def _title(text: str) -> Element:
    title = Element(_tag("title"))
    title.text = text
    return title


def _pixels(points: str) -> str:
    return str(round(float(points) * 4 / 3))


def _parsed(text: str) -> Element:
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - as above
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from error


def _tag(name: str) -> str:
    return f"{{{_SVG}}}{name}"

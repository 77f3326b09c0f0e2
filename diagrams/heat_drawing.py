"""What a machine did, drawn on its committed SVG: nothing is laid out anew.

    drawn = heat_picture(svg_text, heat, said=("all threads", "2026-11-30 04:00 to 06:00 UTC"))

An edge is the wider and the darker the more often it was taken, a state the darker the longer it was
held (p95), by the scale that `diagrams.heat_scale` and the page share. Counts, times and the guards that
refused stand at their edges and states in words, whole in tooltips; the legend has the scale and the units.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

# Read are drawings of our own, nothing from outside.
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from diagrams import style
from diagrams.heat_scale import LIGHT, NEVER_DOTS, NEVER_WIDTH, WIDTHS
from diagrams.heat_words import count_text, duration_text, held_text, tokens_text
from machines.models.heat import (
    QUANTILE_ERROR,
    GuardCount,
    MachineHeat,
    class_begins,
    class_of,
    whole_begins,
)

_SVG: Final = "http://www.w3.org/2000/svg"
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_LINE_HEIGHT: Final = 18.0
_MARGIN: Final = 20.0
_GUARDS: Final = re.compile(r"^(?P<event>\w+)[^\[\n]*\[(?P<guards>[^\]]*)\]", re.MULTILINE)
"""In the title of an edge."""
_CHARACTER: Final = 5.9
"""The width of a character of a badge, in the mean."""
_FIRST_SAMPLE: Final = 350
_SAMPLE_WIDTH: Final = 110
"""Of the samples in the legend: from the left, and from one to the next."""
_MOST_GUARDS: Final = 8
"""That the legend names; tooltips have the rest."""


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


def heat_picture(svg: str, heat: MachineHeat, said: Sequence[str]) -> str:
    """The drawing with the heat on it.

    Args:
        svg: The committed drawing of the machine.
        said: What the legend says of where and when: one line each.

    Raises:
        ValueError: `svg` is no drawing of ours.
    """
    ElementTree.register_namespace("", _SVG)
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    except ElementTree.ParseError as error:
        raise ValueError("it is no SVG") from error
    graph = root.find(_tag("g"))
    if graph is None:
        raise ValueError("it has no graph in it")
    known = {element.get("id", ""): element for element in graph.iter(_tag("g"))}
    badges = [*_color_states(known, heat), *_color_edges(known, heat)]
    graph.extend(badges)
    _add_legend(root, _legend(heat, said))
    root.set("class", f"{root.get('class', '')} heat".strip())
    ElementTree.indent(root, space=" ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def unknown_edges(svg: str, heat: MachineHeat) -> Mapping[str, int]:
    """Edges that were taken and are not in the drawing: those of an earlier declaration."""
    return {id_: count for id_, count in heat.edges.items() if f'id="{id_}"' not in svg}


# --- States and edges ----------------------------------------------------------------------------


def _color_states(known: Mapping[str, Element], heat: MachineHeat) -> Iterator[Element]:
    begins = class_begins(times.p95_ms for times in heat.states.values())
    for name, times in heat.states.items():
        element = known.get(f"state_{heat.machine}_{name}")
        if element is None:
            continue
        step = class_of(begins, times.p95_ms)
        is_leaf = "atomic" in element.get("class", "").split()
        shape = element.find(_tag("path"))
        if shape is None:
            continue
        if is_leaf:
            shape.set("fill", LIGHT.fills[step])
            for text in element.iter(_tag("text")):
                text.set("fill", LIGHT.inks[step])
        tokens = heat.steps.get(name)
        spent = tokens_text(tokens) if tokens else ""
        whole = [f"{name}: left {count_text(times.count)} times", held_text(times)]
        if tokens is not None:
            whole.append(
                f"{count_text(tokens.answers)} answers, each {spent or 'of unknown tokens'}"
            )
        _explain(element, whole)
        lines = [held_text(times), *([spent] if spent else [])]
        box = _box_of([shape])
        if is_leaf:
            yield _badge((box.left + box.right) / 2, box.bottom + 1, lines, middle=True)
        else:
            yield _badge(box.right - 190, box.top - 6, lines)


def _color_edges(known: Mapping[str, Element], heat: MachineHeat) -> Iterator[Element]:
    # A guard of several edges is told of at the first: which of them it closed is not counted.
    refused = list(heat.refused)
    for line in _lines(known.values(), heat.machine):
        yield from _color_line(line, heat, refused)


class _Line(NamedTuple):
    """What is drawn of one line."""

    shown: Element
    """Has the line that is seen: of the arrow that several edges share, or the edge."""
    edges: Mapping[str, Element]
    """By id."""


def _lines(elements: Iterable[Element], machine: str) -> Iterable[_Line]:
    edges: dict[str, dict[str, Element]] = defaultdict(dict)
    arrows: dict[str, Element] = {}
    for element in elements:
        id_, classes = element.get("id", ""), element.get("class", "").split()
        line = element.find(f"{_tag('path')}[@class='line']")
        way = id_ if line is None else line.get("d", "")
        if "arrow" in classes:
            arrows[way] = element
        elif id_.startswith(f"edge_{machine}_"):
            edges[way][id_] = element
    return [_Line(arrows.get(way, next(iter(each.values()))), each) for way, each in edges.items()]


def _color_line(line: _Line, heat: MachineHeat, refused: list[GuardCount]) -> Iterator[Element]:
    """Takes out of `refused` what stands at an edge now."""
    taken = {id_: heat.edges[id_] for id_ in line.edges if id_ in heat.edges}
    if taken:
        # Edges that share a line have one width, that of all of them.
        step = class_of(whole_begins(heat.edges.values()), sum(taken.values()))
        _widen(line.shown, step)
    else:
        _dot(line.shown)
    for id_, element in line.edges.items():
        count = taken.get(id_, 0)
        _explain(element, _told(id_, count, heat))
        if "stays" in element.get("class", "").split():
            for row in element.iter(_tag("polygon")):
                row.set("fill", style.LABEL_FILL)
        if not count:
            _dot(element)
        words = [_times(count)] if count else []
        texts = [_box_of([text]) for text in element.iter(_tag("text"))]
        for each in _refused_at(element, refused) if texts else ():
            words += [f"refused {_times(each.count)} by", each.guard]
            refused.remove(each)
        if texts and words:
            left, top = min(each.left for each in texts), min(each.top for each in texts)
            yield _badge(left - 6, top - 13 - 11 * len(words), words)


def _refused_at(element: Element, refused: Sequence[GuardCount]) -> Sequence[GuardCount]:
    """What a guard of this edge refused."""
    found = _GUARDS.search(element.findtext(_tag("title"), ""))
    if found is None:
        return ()
    guards = found["guards"].split(", ")
    return [each for each in refused if each.event == found["event"] and each.guard in guards]


def _times(count: int) -> str:
    return f"{count_text(count)}\N{MULTIPLICATION SIGN}"


def _told(edge: str, count: int, heat: MachineHeat) -> list[str]:
    """The lines of an edge's tooltip."""
    event = edge.removeprefix(f"edge_{heat.machine}_")
    lines = [f"taken {count_text(count)} times"]
    for verb, guards in (("refused", heat.refused), ("kept an edge closed", heat.passed_over)):
        lines += [
            f"{each.guard or 'no edge from the state'} {verb} {count_text(each.count)} times"
            for each in guards
            if event.startswith(f"{each.event}_")
        ]
    return lines


def _widen(element: Element, step: int) -> None:
    for part in element:
        match part.get("class"):
            case "line":
                part.set("stroke", LIGHT.lines[step])
                part.set("stroke-width", f"{WIDTHS[step]:g}")
            case "head":
                part.set("fill", LIGHT.lines[step])
                part.set("stroke", LIGHT.lines[step])
                part.set("stroke-width", f"{1 + step:g}")
            case "box":
                part.set("stroke", LIGHT.lines[step])
            case _:
                pass


def _dot(element: Element) -> None:
    """Show that an edge was never taken. Its words stay as readable as all others."""
    for part in element:
        match part.get("class"):
            case "line":
                part.set("stroke", LIGHT.never)
                part.set("stroke-width", f"{NEVER_WIDTH:g}")
                part.set("stroke-dasharray", NEVER_DOTS)
            case "head":
                part.set("fill", "none")
                part.set("stroke", LIGHT.never)
            case _ if part.tag == _tag("text"):
                part.set("fill", LIGHT.never)
            case _:
                pass


def _explain(element: Element, lines: Iterable[str]) -> None:
    """Put lines into the tooltip, before what it says already."""
    title = element.find(_tag("title"))
    if title is None:
        title = Element(_tag("title"))
        element.insert(0, title)
    title.text = "\n".join([*lines, *([title.text] if title.text else [])])


def _box_of(shapes: Iterable[Element]) -> _Box:
    """What paths and texts cover, nearly."""
    xs: list[float] = []
    ys: list[float] = []
    for shape in shapes:
        if shape.tag == _tag("text"):
            numbers = [float(shape.get(name, "0")) for name in ("x", "y")]
        else:
            numbers = [float(each) for each in _NUMBER.findall(shape.get("d", ""))]
        xs += numbers[::2]
        ys += numbers[1::2]
    return _Box(min(xs, default=0), min(ys, default=0), max(xs, default=0), max(ys, default=0))


def _badge(x: float, y: float, lines: Sequence[str], *, middle: bool = False) -> Element:
    """Words on a white label whose top left corner, or the middle of whose top, is at a point."""
    width = max(map(len, lines)) * _CHARACTER + 8
    left = x - width / 2 if middle else x
    badge = Element(_tag("g"), {"class": "badge"})
    SubElement(
        badge,
        _tag("rect"),
        {
            "x": f"{left:.1f}",
            "y": f"{y:.1f}",
            "width": f"{width:.1f}",
            "height": f"{len(lines) * 11 + 2}",
            "rx": "3",
            "fill": style.LABEL_FILL,
            "stroke": LIGHT.lines[3],
            "stroke-width": "0.7",
        },
    )
    for number, line in enumerate(lines, 1):
        _text(
            badge,
            left + width / 2,
            y + 11 * number - 1.5,
            line,
            size=9.5,
            bold=True,
            anchor="middle",
        )
    return badge


# --- The legend ----------------------------------------------------------------------------------


def _add_legend(root: Element, legend: Element) -> None:
    """Below the drawing, which keeps its size and place, on a card of its own."""
    left, top, width, height = map(float, root.get("viewBox", "0 0 0 0").split())
    lines = 1 + max(
        round(float(each.get("y", "0")) / _LINE_HEIGHT) for each in legend.iter(_tag("text"))
    )
    added = _MARGIN + lines * _LINE_HEIGHT
    grown = height + added
    root.set("viewBox", f"{left:.2f} {top:.2f} {width:.2f} {grown:.2f}")
    if height:
        root.set("height", str(round(float(root.get("height", "0")) * grown / height)))
    x, y = left + _MARGIN, top + height + _MARGIN / 2
    legend.set("transform", f"translate({x:g} {y:g})")
    card = {"x": f"{8 - _MARGIN:g}", "y": "0", "rx": "12"}
    size = {"width": f"{width - 16:.1f}", "height": f"{added - _MARGIN / 2 - 2:.1f}"}
    look = {"fill": LIGHT.ground, "stroke": style.CARD_BORDER}
    legend.insert(0, Element(_tag("rect"), card | size | look))
    root.append(legend)


def _legend(heat: MachineHeat, said: Sequence[str]) -> Element:
    legend = Element(_tag("g"), {"class": "heat-legend"})
    y = _LINE_HEIGHT
    _text(legend, 0, y, f"Heat of {heat.machine}: {', '.join(said)}", size=14, bold=True)
    y += _LINE_HEIGHT + 4
    taken = whole_begins(heat.edges.values())
    _text(legend, 0, y, f"An edge: how often it was taken{_from(taken)}", size=11)
    for step, count, x in _samples(taken):
        _line(legend, x, y, LIGHT.lines[step], WIDTHS[step])
        _text(legend, x + 40, y, _times(round(count)), size=11)
    y += _LINE_HEIGHT
    held = class_begins(each.p95_ms for each in heat.states.values())
    _text(legend, 0, y, f"A state: how long it was held, p95{_from(held)}", size=11)
    for step, ms, x in _samples(held):
        swatch = {"x": f"{x:g}", "y": f"{y - 12:g}", "width": "34", "height": "14", "rx": "3"}
        look = {"fill": LIGHT.fills[step], "stroke": style.STATE_BORDER, "stroke-width": "0.7"}
        SubElement(legend, _tag("rect"), swatch | look)
        _text(legend, x + 40, y, duration_text(ms), size=11)
    y += _LINE_HEIGHT
    _text(legend, 0, y, "An edge that was never taken", size=11)
    _line(legend, _FIRST_SAMPLE, y, LIGHT.never, NEVER_WIDTH, NEVER_DOTS)
    for note in _notes(heat):
        y += _LINE_HEIGHT
        _text(legend, 0, y, note, size=11, color=style.MUTED)
    return legend


def _from(begins: Sequence[float]) -> str:
    return ", logarithmic scale, from" if len(begins) > 1 else ""


def _samples(begins: Sequence[float]) -> Iterator[tuple[int, float, float]]:
    """Each class that a number may be in, with what begins it and where its sample stands."""
    for place, begin in enumerate(begins):
        # Of classes that begin alike the last is meant.
        if begin not in begins[place + 1 :]:
            yield class_of(begins, begin), begin, _FIRST_SAMPLE + place * _SAMPLE_WIDTH


def _line(
    parent: Element, x: float, y: float, color: str, width: float, dots: str | None = None
) -> None:
    ends = {"x1": f"{x:g}", "x2": f"{x + 34:g}", "y1": f"{y - 4:g}", "y2": f"{y - 4:g}"}
    look = {"stroke": color, "stroke-width": f"{width:g}"}
    if dots is not None:
        look["stroke-dasharray"] = dots
    SubElement(parent, _tag("line"), ends | look)


def _notes(heat: MachineHeat) -> Iterator[str]:
    yield (
        "p50, p95: from entering a state to leaving it, half and 95 % of the times, within "
        f"{math.ceil(QUANTILE_ERROR * 100)} %. Tokens: of the request + of the answer, for each "
        "completed call, in the mean."
    )
    yield "States without a time were not left."
    yield from _guards("Refused, by the guard that was false", heat.refused)
    yield from _guards("Kept an earlier edge closed", heat.passed_over)


def _guards(what: str, guards: Sequence[GuardCount]) -> Iterator[str]:
    if not guards:
        return
    told = [
        f"{each.event} [{each.guard or 'no edge'}] {count_text(each.count)}\N{MULTIPLICATION SIGN}"
        for each in guards[:_MOST_GUARDS]
    ]
    if more := len(guards) - _MOST_GUARDS:
        told += [f"and {more} more"] if more > 0 else []
    for begin in range(0, len(told), 4):
        yield f"{what if begin == 0 else '  '}{': ' if begin == 0 else ''}{', '.join(told[begin : begin + 4])}"


def _text(
    parent: Element,
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    bold: bool = False,
    color: str = style.INK,
    anchor: str = "start",
) -> None:
    look = {"x": f"{x:.1f}", "y": f"{y:.1f}", "font-size": f"{size:g}", "fill": color}
    if bold:
        look["font-weight"] = "bold"
    if anchor != "start":
        look["text-anchor"] = anchor
    SubElement(parent, _tag("text"), look).text = words


def _tag(name: str) -> str:
    return f"{{{_SVG}}}{name}"

"""What a machine did, drawn on its committed SVG: nothing is laid out anew.

    drawn = heat_picture(svg_text, heat, said=("all threads", "2026-11-30 04:00 to 06:00 UTC"))

An edge is the wider and the darker the more often it was taken, a state the darker the longer it was
held (p95). Both follow one palette whose steps differ in lightness, so that they are told apart in grey
and by readers who do not see every colour. Counts and times stand at their edges and states in words,
whole in tooltips; the legend has the units.
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
from diagrams.heat_words import count_text, duration_text, held_text, tokens_text
from machines.models.heat import QUANTILE_ERROR, GuardCount, MachineHeat

PALETTE: Final = ("#fff3cf", "#fdc65f", "#f0851a", "#b84a05", "#6f2403")
"""From little to much; the lightness falls by more than 10 of 100 at each step."""

_LINES: Final = ("#e0b050", "#d58018", "#b85405", "#8a3604", "#551b01")
"""The same hues, dark enough for a line on white."""
_WIDTHS: Final = (1.4, 2.4, 3.8, 5.6, 8.0)
_ON_DARK: Final = "#ffffff"
_UNTAKEN: Final = "0.3"
"""The opacity of an edge that was not taken."""

_SVG: Final = "http://www.w3.org/2000/svg"
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_LINE_HEIGHT: Final = 18.0
_MARGIN: Final = 20.0
_CHARACTER: Final = 5.4
"""The width of a character of a badge, in the mean."""
_PLACES: Final = (270, 390, 510, 630, 750)
"""Of the samples in the legend, from the left."""
_MOST_GUARDS: Final = 8
"""That the legend names; tooltips have the rest."""


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


class _Scale:
    """Five classes between the smallest and the largest of some numbers, by their logarithms."""

    def __init__(self, numbers: Iterable[float]) -> None:
        known = [max(each, 1e-3) for each in numbers]
        self._low = math.log(min(known, default=1.0))
        self._step = (math.log(max(known, default=1.0)) - self._low) / len(PALETTE)

    def step_of(self, number: float) -> int:
        """From 0 to 4; where all numbers are alike, the middle."""
        if self._step == 0:
            return len(PALETTE) // 2
        place = (math.log(max(number, 1e-3)) - self._low) / self._step
        return min(len(PALETTE) - 1, int(place + 1e-9))

    def begins(self) -> Sequence[tuple[int, float]]:
        """Each class, and the smallest number that it may have."""
        if self._step == 0:
            return [(len(PALETTE) // 2, math.exp(self._low))]
        return [(n, math.exp(self._low + n * self._step)) for n in range(len(PALETTE))]

    def whole_begins(self) -> Sequence[tuple[int, int]]:
        """Likewise of whole numbers, but for classes between two of which none lies."""
        begins = [(step, math.ceil(begin - 1e-6)) for step, begin in self.begins()]
        later = [*(begin for _, begin in begins[1:]), math.inf]
        return [one for one, after in zip(begins, later, strict=True) if one[1] < after]


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
    scale = _Scale(times.p95_ms for times in heat.states.values())
    for name, times in heat.states.items():
        element = known.get(f"state_{heat.machine}_{name}")
        if element is None:
            continue
        step = scale.step_of(times.p95_ms)
        is_leaf = "atomic" in element.get("class", "").split()
        shape = element.find(_tag("path"))
        if shape is None:
            continue
        if is_leaf:
            shape.set("fill", PALETTE[step])
            for text in element.iter(_tag("text")):
                text.set("fill", _ON_DARK if step >= 3 else style.INK)
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
    for lines in _lines(known.values(), heat.machine):
        yield from _color_line(lines, heat)


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


def _color_line(line: _Line, heat: MachineHeat) -> Iterator[Element]:
    taken = {id_: heat.edges[id_] for id_ in line.edges if id_ in heat.edges}
    if taken:
        # Edges that share a line have one width, that of all of them.
        _widen(line.shown, _Scale(heat.edges.values()).step_of(sum(taken.values())))
    else:
        _pale(line.shown)
    for id_, element in line.edges.items():
        count = taken.get(id_, 0)
        _explain(element, _told(id_, count, heat))
        if "stays" in element.get("class", "").split():
            for row in element.iter(_tag("polygon")):
                row.set("fill", style.LABEL_FILL)
        if not count:
            _pale(element)
            continue
        texts = [_box_of([text]) for text in element.iter(_tag("text"))]
        if texts:
            left, top = min(each.left for each in texts), min(each.top for each in texts)
            yield _badge(left - 6, top - 24, [f"{count_text(count)}\N{MULTIPLICATION SIGN}"])


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
                part.set("stroke", _LINES[step])
                part.set("stroke-width", f"{_WIDTHS[step]:g}")
            case "head":
                part.set("fill", _LINES[step])
                part.set("stroke", _LINES[step])
                part.set("stroke-width", f"{1 + step:g}")
            case "box":
                part.set("stroke", _LINES[step])
            case _:
                pass


def _pale(element: Element) -> None:
    for part in element:
        # A row in a dark state stays white.
        if part.get("class") != "row":
            part.set("opacity", _UNTAKEN)


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
            "stroke": _LINES[3],
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
    """Below the drawing, which keeps its size and place."""
    left, top, width, height = map(float, root.get("viewBox", "0 0 0 0").split())
    lines = 1 + max(
        round(float(each.get("y", "0")) / _LINE_HEIGHT) for each in legend.iter(_tag("text"))
    )
    grown = height + _MARGIN + lines * _LINE_HEIGHT
    root.set("viewBox", f"{left:.2f} {top:.2f} {width:.2f} {grown:.2f}")
    if height:
        root.set("height", str(round(float(root.get("height", "0")) * grown / height)))
    legend.set("transform", f"translate({left + _MARGIN:g} {top + height + _MARGIN / 2:g})")
    root.append(legend)


def _legend(heat: MachineHeat, said: Sequence[str]) -> Element:
    legend = Element(_tag("g"), {"class": "heat-legend"})
    y = _LINE_HEIGHT
    _text(legend, 0, y, f"Heat of {heat.machine}: {', '.join(said)}", size=14, bold=True)
    y += _LINE_HEIGHT + 4
    _text(legend, 0, y, "An edge: how often it was taken (\N{MULTIPLICATION SIGN}), from", size=11)
    taken = _Scale(heat.edges.values()).whole_begins() if heat.edges else ()
    for (step, count), x in zip(taken, _PLACES, strict=False):
        line = {"x1": f"{x:g}", "x2": f"{x + 34:g}", "y1": f"{y - 4:g}", "y2": f"{y - 4:g}"}
        look = {"stroke": _LINES[step], "stroke-width": f"{_WIDTHS[step]:g}"}
        SubElement(legend, _tag("line"), line | look)
        _text(legend, x + 40, y, count_text(count), size=11)
    y += _LINE_HEIGHT
    _text(legend, 0, y, "A state: how long it was held, p95 from", size=11)
    held = _Scale(each.p95_ms for each in heat.states.values()).begins() if heat.states else ()
    for (step, ms), x in zip(held, _PLACES, strict=False):
        swatch = {"x": f"{x:g}", "y": f"{y - 12:g}", "width": "34", "height": "14", "rx": "3"}
        look = {"fill": PALETTE[step], "stroke": style.STATE_BORDER, "stroke-width": "0.7"}
        SubElement(legend, _tag("rect"), swatch | look)
        _text(legend, x + 40, y, duration_text(ms), size=11)
    for note in _notes(heat):
        y += _LINE_HEIGHT
        _text(legend, 0, y, note, size=11, color=style.MUTED)
    return legend


def _notes(heat: MachineHeat) -> Iterator[str]:
    yield (
        "p50, p95: from entering a state to leaving it, half and 95 % of the times, within "
        f"{math.ceil(QUANTILE_ERROR * 100)} %. Tokens: of the request + of the answer, for each "
        "completed call, in the mean."
    )
    yield "Pale edges were not taken, states without a time not left."
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

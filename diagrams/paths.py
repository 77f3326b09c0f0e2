"""A way through a machine, drawn on its committed SVG: what it takes is lit, and listed below in its order.

    lit(svg_text, [("edge_message_submit_submitted_pending", "submit"), ...])

Nothing is laid out anew, so that a reader finds everything where it always stands.
"""

from collections.abc import Sequence
from typing import Final

# Read are drawings of our own, nothing from outside.
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from diagrams import style

_SVG: Final = "http://www.w3.org/2000/svg"
_LIT: Final = "#c2410c"
_LINE_HEIGHT: Final = 16
_MARGIN: Final = 20


def lit(svg: str, way: Sequence[tuple[str, str]]) -> str:
    """The drawing with a way on it.

    Args:
        way: The id of each edge that is taken, and what to say of it.

    Raises:
        ValueError: `svg` is no drawing of ours, or lacks one of the edges.
    """
    ElementTree.register_namespace("", _SVG)
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    except ElementTree.ParseError as error:
        raise ValueError("it is no SVG") from error
    known = {element.get("id", "") for element in root.iter()}
    edges = list(dict.fromkeys(edge for edge, _ in way))
    missing = [edge for edge in edges if edge not in known]
    if missing:
        raise ValueError(f"the drawing has no {missing[0]}")
    left, top, width, height = map(float, root.get("viewBox", "0 0 0 0").split())
    grown = height + _MARGIN + _LINE_HEIGHT * len(way)
    root.set("viewBox", f"{left:g} {top:g} {width:g} {grown:g}")
    root.set("height", str(round(float(root.get("height", "0")) * grown / height)))
    look = Element(f"{{{_SVG}}}style")
    look.text = _css(edges)
    root.insert(0, look)
    for number, (_, said) in enumerate(way, 1):
        line = Element(
            f"{{{_SVG}}}text",
            {
                "x": f"{left + _MARGIN:g}",
                "y": f"{top + height + _LINE_HEIGHT * number:g}",
                "font-size": str(style.STATE_SIZE),
                "fill": _LIT,
            },
        )
        line.text = f"{number}. {said}"
        root.append(line)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _css(edges: Sequence[str]) -> str:
    """What is taken stands out, and the rest steps back."""
    lines = ", ".join(f"#{edge} .line" for edge in edges)
    heads = ", ".join(f"#{edge} .head" for edge in edges)
    whole = ", ".join(f"#{edge}" for edge in edges)
    return (
        f".edge, .arrow {{ opacity: 0.3 }} {whole} {{ opacity: 1 }} "
        f"{lines} {{ stroke: {_LIT}; stroke-width: 3; stroke-dasharray: none }} "
        f"{heads} {{ fill: {_LIT}; stroke: {_LIT} }}"
    )

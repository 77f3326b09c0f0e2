"""How the classes of heat look, on a light ground and on a dark one: what `heat_drawing` and the page share.

Which number is in which class is `machines.models.heat.class_begins`. The lightness of the classes differs,
so that they are told apart in grey and by readers who do not see every colour; an edge's class is its
width too, and every number stands beside what it colours. Words on a class have a contrast of 4.5 at least,
lines of 3. An edge that was never taken is thin, dotted and grey, with an empty arrowhead.

The page's `heat.css` has `page_css` between two marks; a test holds it to this module.
"""

from typing import Final, NamedTuple


class Look(NamedTuple):
    """The colours of one ground, each for the five classes from little to much."""

    ground: str
    fills: tuple[str, ...]
    """Of states."""
    inks: tuple[str, ...]
    """Of words on them."""
    lines: tuple[str, ...]
    """Of edges."""
    never: str
    """Of an edge that was never taken, and of its words."""


LIGHT: Final = Look(
    ground="#fbfcfe",
    fills=("#fff3cf", "#fdc65f", "#f0851a", "#b84a05", "#6f2403"),
    inks=("#1f2937", "#1f2937", "#1f2937", "#ffffff", "#ffffff"),
    lines=("#c8801a", "#a9640e", "#874807", "#652f03", "#401900"),
    never="#5b6472",
)
DARK: Final = Look(
    ground="#1c1f24",
    fills=("#33291a", "#57421f", "#8a6426", "#c8923c", "#f4cf83"),
    inks=("#f3f1ea", "#f3f1ea", "#f3f1ea", "#17150f", "#17150f"),
    lines=("#85672b", "#a58038", "#c79b47", "#e6b75c", "#ffdf9a"),
    never="#969ca8",
)

WIDTHS: Final = (1.4, 2.4, 3.8, 5.6, 8.0)
"""Of lines, by class."""
NEVER_WIDTH: Final = 0.9
NEVER_DOTS: Final = "1,4"
"""The `stroke-dasharray` of an edge that was never taken."""


def page_css() -> str:
    """The rules of the classes `heat-0` to `heat-4`, and of `heat-none`."""
    never = _both(LIGHT.never, DARK.never)
    rules = [
        (
            "svg.heat .heat-none:is(.edge, .arrow) > .line",
            {
                "stroke": never,
                "stroke-width": f"{NEVER_WIDTH:g}",
                "stroke-dasharray": NEVER_DOTS.replace(",", " "),
            },
        ),
        ("svg.heat .heat-none:is(.edge, .arrow) > .head", {"stroke": never, "fill": "none"}),
        ("svg.heat .heat-none:is(.edge, .arrow) > text", {"fill": never}),
        (".heat-scale .heat-none.edge", {"border-top": f"2px dotted {never}"}),
    ]
    for number, width in enumerate(WIDTHS):
        line = _both(LIGHT.lines[number], DARK.lines[number])
        edge, state = (
            f"svg.heat .heat-{number}:is(.edge, .arrow) >",
            f"svg.heat .state.heat-{number} >",
        )
        rules += [
            (f"{edge} .line", {"stroke": line, "stroke-width": f"{width:g}"}),
            (f"{edge} .head", {"stroke": line, "fill": line}),
            (
                f"{state} path:first-of-type",
                {"fill": _both(LIGHT.fills[number], DARK.fills[number])},
            ),
            (f"{state} text", {"fill": _both(LIGHT.inks[number], DARK.inks[number])}),
            (f".heat-scale .heat-{number}.state", _swatch(number)),
            (
                f".heat-scale .heat-{number}.edge",
                {"border-top": f"{width:g}px solid {line}"},
            ),
        ]
    return "\n".join(_rule(selector, declared) for selector, declared in rules)


def _swatch(number: int) -> dict[str, str]:
    return {
        "background": _both(LIGHT.fills[number], DARK.fills[number]),
        "color": _both(LIGHT.inks[number], DARK.inks[number]),
    }


def _both(light: str, dark: str) -> str:
    return f"light-dark({light}, {dark})"


def _rule(selector: str, declared: dict[str, str]) -> str:
    lines = [f"  {name}: {value};" for name, value in declared.items()]
    return "\n".join([f"{selector} {{", *lines, "}", ""])

"""Two ways through a machine on its committed SVG: what they share, and where each goes on by itself.

    with_two_ways(svg, common=("edge_chorus_start_queued_running",), one=(...), other=(...))

Nothing is laid out anew. Each kind has a colour of the palette of Okabe and Ito, which the colour-blind
tell apart, and a line of its own, so that a print without colour says as much.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from diagrams import style

_LINE_HEIGHT: Final = 20
_MARGIN: Final = 24
_SAMPLE: Final = 48
"""Length of a line in the legend."""


@dataclass(frozen=True, slots=True)
class _Look:
    color: str
    dashes: str
    meaning: str


_LOOKS: Final[Mapping[str, _Look]] = MappingProxyType(
    {
        "common": _Look("#000000", "none", "both, before the fork"),
        "one": _Look("#0072b2", "10 4", "the one run"),
        "other": _Look("#d55e00", "3 4", "the other run"),
        "both": _Look("#8a4f7d", "12 4 2 4", "both, each by itself"),
    }
)


def with_two_ways(
    svg: str, *, common: Collection[str], one: Collection[str], other: Collection[str]
) -> str:
    """The drawing with two ways on it, and a legend below.

    Args:
        common: Ids of the edges that are one and the same step of both.
        one, other: Those that each took by itself.

    Raises:
        ValueError: `svg` is no drawing of ours, or lacks one of the edges.
    """
    known = set(re.findall(r'<g id="(edge_[A-Za-z0-9_]+)"', svg))
    for edge in (*common, *one, *other):
        if edge not in known:
            raise ValueError("the drawing has no such edge")
    shared = set(one) & set(other)
    kinds = {
        "common": set(common),
        "one": set(one) - shared - set(common),
        "other": set(other) - shared - set(common),
        "both": shared - set(common),
    }
    box = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', svg)
    tall = re.search(r' height="(\d+)"', svg)
    if box is None or tall is None:
        raise ValueError("it is no drawing of ours")
    left, top, width, height = map(float, box.groups())
    grown = height + _MARGIN + _LINE_HEIGHT * len(_LOOKS)
    svg = svg.replace(box[0], f'viewBox="{left:g} {top:g} {width:g} {grown:g}"', 1)
    svg = svg.replace(tall[0], f' height="{round(int(tall[1]) * grown / height)}"', 1)
    begin = svg.index(">") + 1
    legend = _legend(left + _MARGIN, top + height + _MARGIN / 2)
    end = svg.rindex("</svg>")
    return f"{svg[:begin]}<style>{_css(kinds)}</style>{svg[begin:end]}{legend}{svg[end:]}"


def _css(kinds: Mapping[str, Collection[str]]) -> str:
    """What was taken stands out, and the rest steps back."""
    taken = sorted(edge for edges in kinds.values() for edge in edges)
    rules = [".edge, .arrow { opacity: 0.25 }"]
    if taken:
        rules.append(f"{', '.join(f'#{edge}' for edge in taken)} {{ opacity: 1 }}")
    for kind, edges in kinds.items():
        look = _LOOKS[kind]
        rules += [
            f"#{edge} .line {{ stroke: {look.color}; stroke-width: 3.5; "
            f"stroke-dasharray: {look.dashes} }} "
            f"#{edge} .head {{ fill: {look.color}; stroke: {look.color} }}"
            for edge in sorted(edges)
        ]
    return " ".join(rules)


def _legend(x: float, y: float) -> str:
    lines: list[str] = []
    for look in _LOOKS.values():
        y += _LINE_HEIGHT
        lines.append(
            f'<path d="M{x:g},{y - 4:g}H{x + _SAMPLE:g}" fill="none" stroke="{look.color}" '
            f'stroke-width="3.5" stroke-dasharray="{look.dashes}"/>'
            f'<text x="{x + _SAMPLE + 10:g}" y="{y:g}" font-size="{style.STATE_SIZE}" '
            f'fill="{style.INK}">{look.meaning}</text>'
        )
    return f'<g class="ways">{"".join(lines)}</g>'

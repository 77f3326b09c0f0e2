"""How the drawings look: colours, fonts, and where each machine's layout needs a hand.

Nothing here knows what a machine does. A drawing is a light card, so that it reads the same on a
light and on a dark page; colours are presentation attributes, so that a page's CSS overrides them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from diagrams.arrows import Kind
from diagrams.changes import Change
from machines.statechart import EdgeKind

FONT = "Helvetica,Arial,sans-serif"
TITLE_SIZE = 17
STATE_SIZE = 13
EVENT_SIZE = 11
DETAIL_SIZE = 10
"""Points; guards and actions."""

STRUT_SIZE = 12
"""Points of the blank that ends a line: it sets the height of the line."""

INK = "#1f2937"
MUTED = "#5b6472"
CARD_FILL = "#fbfcfe"
CARD_BORDER = "#d5dbe5"
STATE_FILL = "#e8f0fe"
STATE_BORDER = "#3b5b92"
FINAL_FILL = "#eceff3"
FINAL_BORDER = "#5b6472"
COMPOUND_FILL = "#f3f6fb"
REGION_FILL = "#ffffff"
REGION_BORDER = "#94a3b8"
LABEL_FILL = "#ffffff"


@dataclass(frozen=True, slots=True)
class EdgeStyle:
    """The look of one kind of edge."""

    color: str
    line: Literal["solid", "dashed", "dotted"]
    """What Graphviz draws."""
    dashes: str
    """`stroke-dasharray` in the SVG, since Graphviz knows one pattern of dashes only."""
    meaning: str
    """What the legend says."""


EDGE_STYLES: Mapping[Kind, EdgeStyle] = {
    EdgeKind.NORMAL: EdgeStyle("#1f4e8c", "solid", "", "ordinary"),
    EdgeKind.FAILURE: EdgeStyle("#b42318", "dashed", "6,3", "failure"),
    EdgeKind.RETRY: EdgeStyle("#8f5200", "dotted", "2,3", "retry"),
    EdgeKind.CANCEL: EdgeStyle("#6b3fa0", "dashed", "10,3,2,3", "cancel"),
}

CHANGE_STYLES: Mapping[Kind, EdgeStyle] = {
    Change.ADDED: EdgeStyle("#14713d", "solid", "", "added"),
    Change.REMOVED: EdgeStyle("#b42318", "dashed", "6,3", "removed"),
    Change.CHANGED: EdgeStyle("#8f5200", "dotted", "2,3", "changed"),
    Change.KEPT: EdgeStyle("#667080", "solid", "", "as it was"),
}
"""In a drawing of what changed, in which kinds have no look of their own."""

LOOKS: Mapping[Kind, EdgeStyle] = {**EDGE_STYLES, **CHANGE_STYLES}

CHANGE_FILLS: Mapping[Change, str] = {
    Change.ADDED: "#e3f5e9",
    Change.REMOVED: "#fdeae8",
    Change.CHANGED: "#fff1d2",
    Change.KEPT: "#f5f6f8",
}
"""Of states."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the layout of one machine's drawing is told, beyond its states and edges."""

    wrap: int = 40
    """Characters in a line of an edge's label."""
    lines: Literal["ortho", "spline"] = "ortho"
    """Right-angled lines are easier to follow; Graphviz cannot end them at a cluster's border."""
    node_gap: float = 0.35
    """Inches between neighbours of a rank."""
    rank_gap: float = 0.35
    """Inches between ranks."""
    main_weight: int = 1
    """How straight the path through the ordinary states wants to be, against all other lines."""


LAYOUTS: Mapping[str, Layout] = {
    "chorus": Layout(lines="spline", rank_gap=0.42, main_weight=4),
    "message": Layout(lines="spline", wrap=34),
    "connection": Layout(wrap=36, main_weight=3),
    "thread": Layout(wrap=64),
}
"""By machine; one that is not named has the usual layout."""

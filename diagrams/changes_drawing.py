"""What changed in a machine, as one drawing: both declarations in one graph, laid out once.

What was added is green, what was removed red, what is otherwise amber with both texts, and the rest
grey. So every part has one place, and is looked for in one picture.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from diagrams import code_words, labels, style, svg
from diagrams.arrows import arrows, stays
from diagrams.changes import Change, EdgeChange, MachineChanges, Reworded, StateChange
from diagrams.code_changes import RuleChange
from diagrams.dot import Drawing, laid_out, legend_id
from diagrams.labels import Word
from diagrams.redirections import renamed
from machines.declarations import Declaration, DeclaredEdge, DeclaredState
from machines.statechart import Edge, Node, NodeKind, Topology

_SIGNS: Final = {Change.ADDED: "+", Change.REMOVED: "\N{MINUS SIGN}", Change.CHANGED: "~"}
_MOST_MEANINGS: Final = 12
"""Lines at the head of a drawing; the summary has all."""
_WAS, _IS = _SIGNS[Change.REMOVED], _SIGNS[Change.ADDED]


class Union(NamedTuple):
    """A chart that has every part of both declarations."""

    chart: Topology
    states: dict[str, StateChange]
    """By name."""
    edges: dict[str, EdgeChange]
    """By the id in the drawing."""
    code: tuple[RuleChange, ...] = ()
    """Guards and actions whose code changed."""
    meanings: Mapping[str, str] = MappingProxyType({})
    """By name: what the guards and actions say by which edges differ."""
    reworded: tuple[Reworded, ...] = ()


def changes_source(changes: MachineChanges, title: str) -> str:
    """The Graphviz source of the drawing.

    Args:
        title: what stands at its head.
    """
    return _ChangesDrawing(union_of(changes), title).source()


def changes_picture(changes: MachineChanges, title: str) -> str:
    """The drawing as an SVG.

    Raises:
        DrawingFailed: `dot` is missing or fails.
        ValueError: it wrote an SVG that `diagrams.svg` does not know.
    """
    both = union_of(changes)
    source = _ChangesDrawing(both, title).source()
    kinds = {node.id: both.states[node.name].change for node in both.chart.nodes}
    kinds |= {id_: change.change for id_, change in both.edges.items()}
    said = {id_: _explained(both.chart, id_, change) for id_, change in both.edges.items()}
    return svg.finish_changes(laid_out(source), both.chart.machine, title, kinds, said)


def _explained(chart: Topology, id_: str, change: EdgeChange) -> str:
    """What a pointer at an edge is told: its label, what its guards mean, and the code that changed."""
    (edge,) = (each for each in chart.edges if each.id == id_)
    return "\n".join((labels.explained(chart, edge), *code_words.explained(change.code)))


def union_of(changes: MachineChanges) -> Union:
    """Both declarations as one chart; where they differ, it has the newer one's part."""
    used: Counter[str] = Counter()
    edges: dict[str, EdgeChange] = {}
    for change in sorted(changes.edges, key=lambda each: each.new is None):
        # A removed edge may have left its id to another one.
        used[change.edge.id] += 1
        count = used[change.edge.id]
        edges[change.edge.id if count == 1 else f"{change.edge.id}_was"] = change
    ids = {id(change): id_ for id_, change in edges.items()}
    declared = [each for each in (changes.old, changes.new) if each is not None]
    whole = Declaration(
        machine=changes.machine,
        fingerprint=changes.declared.fingerprint,
        title=changes.declared.title,
        states=tuple(_states(changes.states)),
        edges=tuple(_renamed(each.edge, ids[id(each)]) for each in changes.edges),
        guards={name: text for each in declared for name, text in each.guards.items()},
        actions={name: text for each in declared for name, text in each.actions.items()},
    )
    code = () if changes.code is None else changes.code.changed
    states = {each.name: each for each in changes.states}
    return Union(whole.topology(), states, edges, code, changes.meanings, changes.reworded)


def _renamed(edge: DeclaredEdge, id_: str) -> DeclaredEdge:
    return edge.model_copy(update={"id": id_})


def _states(changes: Sequence[StateChange]) -> Iterator[DeclaredState]:
    """A state that has others within it in either declaration has them here, and one of them begins."""
    states = {each.name: state for each in changes if (state := each.new or each.old)}
    within = {name: [each for each in states.values() if each.parent == name] for name in states}
    outermost = [each for each in states.values() if each.parent is None]
    kinds = {each.name: _kind(each, bool(within[each.name])) for each in changes}
    begin = {_first(outermost, changes)}
    begin |= {_first(inner, changes) for name, inner in within.items() if inner}
    for name, state in states.items():
        is_region = state.parent is not None and kinds[state.parent] is NodeKind.PARALLEL
        yield state.model_copy(update={"kind": kinds[name], "initial": is_region or name in begin})


def _kind(change: StateChange, has_inner: bool) -> NodeKind:
    kinds = [state.kind for state in (change.new, change.old) if state is not None]
    return next((kind for kind in kinds if has_inner is not (kind is NodeKind.ATOMIC)), kinds[0])


def _first(beside: Sequence[DeclaredState], changes: Iterable[StateChange]) -> str:
    """The name of the one that begins: as it is, else as it was."""
    current = {each.name for each in changes if each.new}
    ranked = sorted(beside, key=lambda each: (not each.initial, each.name not in current))
    return ranked[0].name


class _ChangesDrawing(Drawing):
    """A union on its way into Graphviz source."""

    def __init__(self, both: Union, title: str) -> None:
        self._both = both
        self._title = title
        super().__init__(both.chart, arrows(both.chart, lambda edge: both.edges[edge.id].change))

    def head(self) -> str:
        changes = {
            *(each.change for each in self._both.states.values()),
            *(each.change for each in self._both.edges.values()),
        }
        looks = [each for each in Change if each in changes]
        return labels.head(
            self._title,
            legend_id(self._chart),
            labels.legend(looks, self._chart.edges),
            _told(self._both),
        )

    def rows(self, edges: Iterable[Edge]) -> str:
        return "".join(
            labels.row(edge.id, self._lines(edge), wrap=self._layout.wrap) for edge in edges
        )

    def _lines(self, edge: Edge) -> Iterator[list[list[Word]]]:
        """The label of an edge, and below it both texts of what changed."""
        change = self._both.edges[edge.id]
        what = change.change
        color = style.CHANGE_STYLES[what].color
        sign = [_SIGNS[what]] if what in _SIGNS else []
        if stays(edge):
            sign.append(labels.STAYS)
        yield list(_phrases(sign, change.shared, color, struck=what is Change.REMOVED))
        was, now = change.says
        if was or now:
            red, green = (
                style.CHANGE_STYLES[each].color for each in (Change.REMOVED, Change.ADDED)
            )
            yield [_words(f"{_WAS} {was}", red)]
            yield [_words(f"{_IS} {now}", green)]
        if change.code:
            said = f"code changed: {code_words.named(change.code)}"
            yield [[Word(each, style.DETAIL_SIZE, color) for each in said.split()]]

    def state_look(self, node: Node) -> dict[str, str]:
        change = self._both.states[node.name].change
        look = style.CHANGE_STYLES[change]
        if change is Change.KEPT:
            return {"color": style.REGION_BORDER, "fillcolor": style.CHANGE_FILLS[change]}
        return {
            "color": look.color,
            "fillcolor": style.CHANGE_FILLS[change],
            "style": f"rounded,filled,{look.line}",
            "penwidth": "1.8",
        }

    def state_name(self, node: Node) -> str:
        state = self._both.states[node.name]
        change = state.change
        color = style.INK if change is Change.KEPT else style.CHANGE_STYLES[change].color
        size = style.STATE_SIZE
        is_gone = change is Change.REMOVED
        text = labels.font(node.name, size=size, color=color, bold=True, struck=is_gone)
        if change is Change.KEPT:
            return text
        sign = labels.font(_SIGNS[change], size=size, color=color, bold=True)
        lines = [sign + labels.font(labels.GAP, size=size) + text]
        if change is Change.CHANGED:
            was, now = state.says
            red, green = (
                style.CHANGE_STYLES[each].color for each in (Change.REMOVED, Change.ADDED)
            )
            lines.append(labels.font(f"{_WAS} {was}", size=style.DETAIL_SIZE, color=red))
            lines.append(labels.font(f"{_IS} {now}", size=style.DETAIL_SIZE, color=green))
        return "<BR/>".join(lines)


def _told(both: Union) -> str:
    """What stands below the legend, once for all edges: what guards and actions mean by which edges differ,
    what is described in other words, and the code that changed. Nothing where there is none of it.
    """
    names = renamed(both.states.values(), both.edges.values())
    said = [
        *(f"{now} is {was} by another name" for was, now in names.items()),
        *(f"{name}: {text}" for name, text in islice(both.meanings.items(), _MOST_MEANINGS)),
    ]
    lines = [labels.font(each, size=style.DETAIL_SIZE, color=style.MUTED) for each in said]
    for each in both.reworded:
        lines += _difference(f"{each.what} {each.name} means", (f"-{each.old}", f"+{each.new}"))
    for heading, differences in code_words.shown(both.code):
        lines += _difference(heading, differences)
    rows = "".join(f'<TR><TD ALIGN="LEFT">{each}</TD></TR>' for each in lines)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0">{rows}</TABLE>' if rows else ""


def _difference(heading: str, differences: Iterable[str]) -> Iterator[str]:
    """Texts in a font: a heading, and lines that begin with `-` or `+`, or say how many more there are."""
    yield labels.font(heading, size=style.DETAIL_SIZE, bold=True)
    for each in differences:
        kind = {"-": Change.REMOVED, "+": Change.ADDED}.get(each[0])
        color = style.CHANGE_STYLES[kind].color if kind else style.MUTED
        text = f"{_SIGNS[kind]} {each[1:]}" if kind else each
        indented = text.replace("  ", "\N{NO-BREAK SPACE}" * 2)
        yield labels.font(indented, size=style.DETAIL_SIZE, color=color)


def _phrases(
    sign: list[str], edge: DeclaredEdge, color: str, *, struck: bool
) -> Iterator[list[Word]]:
    """An edge's label; where it is struck, its event alone, so that the rest can be read."""
    yield [
        *(Word(each, style.EVENT_SIZE, color, bold=True) for each in sign),
        Word(edge.event, style.EVENT_SIZE, color, bold=True, struck=struck),
    ]
    if edge.guards:
        yield _words(f"[{', '.join(edge.guards)}]", color)
    if edge.actions:
        yield _words(f"/ {', '.join(edge.actions)}", color)


def _words(text: str, color: str) -> list[Word]:
    """Broken after a comma, where a line is too long."""
    *others, last = text.split(", ")
    return [
        Word(each, style.DETAIL_SIZE, color) for each in (*(f"{each}," for each in others), last)
    ]

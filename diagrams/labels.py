"""The words on a drawing: `event [guard, not guard] / actions`, wrapped into lines.

Labels are Graphviz' HTML-like tables with a row for each edge, so that an edge that shares its arrow
with others, or that stays within its state, still has an element and an id of its own. Edges that
differ in their event alone have one row, which names the events.
"""

from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple

from diagrams import style
from diagrams.arrows import Kind, stays
from diagrams.changes import parts_text
from machines.statechart import Edge, EdgeKind, NodeKind, Topology

STAYS = "\N{CLOCKWISE OPEN CIRCLE ARROW}"
"""Stands before an edge that leads from a state to itself."""
GAP = "\N{NO-BREAK SPACE} "
"""Between words of two looks; a text of its own, so that the words keep their own widths."""


class Word(NamedTuple):
    """What is never broken across lines, and the look that it has."""

    text: str
    size: float
    color: str
    bold: bool = False
    struck: bool = False


def alike(chart: Topology, edge: Edge) -> tuple[Edge, ...]:
    """The edges that differ from this one in their event alone, itself among them, as declared."""

    def of(each: Edge) -> tuple[object, ...]:
        guards = tuple(guard.label for guard in each.guards)
        return (each.source, each.target, each.kind, guards, each.actions)

    return tuple(each for each in chart.edges if of(each) == of(edge))


def text_of(chart: Topology, edge: Edge) -> str:
    """The whole label in one line, with the events of all edges that are alike."""
    return _text(_phrases(chart, alike(chart, edge)))


def one_line(edge: Edge) -> str:
    """`event [guards] / actions` of this edge alone, without a look."""
    return f"{edge.event} {parts_text([each.label for each in edge.guards], edge.actions)}".rstrip()


def explained(chart: Topology, edge: Edge) -> str:
    """The label of this edge alone, and a line for each guard that says what it means."""
    sentences = {guard.label: guard.sentence for guard in edge.guards if guard.sentence}
    lines = (f"{label}: {sentence}" for label, sentence in sentences.items())
    return "\n".join((_text(_phrases(chart, (edge,))), *lines))


def rows(chart: Topology, edges: Iterable[Edge], *, wrap: int) -> str:
    """Table rows in lines of at most `wrap` characters where words allow, one for edges that are
    alike: it has the id of the first.
    """
    return "".join(
        row(edge.id, [_phrases(chart, together)], wrap=wrap)
        for edge in edges
        if edge is (together := alike(chart, edge))[0]
    )


def row(id_: str, lines: Iterable[Iterable[list[Word]]], *, wrap: int) -> str:
    """A table row with an id. Each of `lines` begins anew, and is wrapped where it is too long."""
    text = "<BR/>".join(_wrapped(line, wrap) for line in lines)
    return f'<TR><TD {link(id_)} BGCOLOR="transparent" ALIGN="LEFT" BALIGN="LEFT">{text}</TD></TR>'


def link(id_: str) -> str:
    """A cell's attributes that give it an element of its own in the SVG.

    Graphviz writes one (`<g id="a_{id}"><a>`) only for cells that link somewhere: hence HREF.
    """
    return f'ID="{id_}" HREF="#{id_}"'


def table(rows_of_table: str) -> str:
    """A label without a border of its own."""
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1">{rows_of_table}</TABLE>>'


def font(
    text: str, *, size: float, color: str = style.INK, bold: bool = False, struck: bool = False
) -> str:
    """Escaped text in a font."""
    inner = f"<B>{escape(text)}</B>" if bold else escape(text)
    inner = f"<S>{inner}</S>" if struck else inner
    return f'<FONT POINT-SIZE="{size:g}" COLOR="{color}">{inner}</FONT>'


def title_and_legend(title: str, legend_id: str, edges: Iterable[Edge]) -> str:
    """The head of a drawing; the legend explains what this drawing has, and no more: the looks of its
    edges, and what each guard means.
    """
    drawn = tuple(edges)
    kinds = {edge.kind for edge in drawn}
    looks = [kind for kind in EdgeKind if kind in kinds]
    return head(title, legend_id, legend(looks, drawn), _guards(drawn))


def head(title: str, legend_id: str, *parts: str) -> str:
    """The label of a card: its title, and below it the parts that are not empty."""
    text = font(title, size=style.TITLE_SIZE, bold=True)
    return table(
        f'<TR><TD ALIGN="LEFT">{text}</TD></TR>'
        f'<TR><TD ALIGN="LEFT" {link(legend_id)}>{_stacked(*parts)}</TD></TR>'
    )


def legend(looks: Iterable[Kind], edges: Iterable[Edge]) -> str:
    """A sample of each look, and what the signs on the edges say."""
    samples = [_sample(kind) for kind in looks]
    if any(stays(edge) for edge in edges):
        samples.append(_note(STAYS) + _note(" ") + _note("stays in its state"))
    samples.append(_note("event [guards] / actions"))
    cells = "".join(f"<TD>{sample}</TD>" for sample in samples)
    return (
        f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="1"><TR>{cells}</TR></TABLE>'
    )


def _stacked(*tables: str) -> str:
    rows = "".join(f'<TR><TD ALIGN="LEFT">{table}</TD></TR>' for table in filter(None, tables))
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'


def _guards(edges: Iterable[Edge]) -> str:
    """Each guard that is asked and says when it holds; nothing where none does."""
    guards = {guard.name: guard.sentence for edge in edges for guard in edge.guards}
    asked = {name: sentence for name, sentence in guards.items() if sentence}
    if not asked:
        return ""
    lines = "".join(
        f'<TR><TD ALIGN="LEFT">{font(name, size=style.DETAIL_SIZE)}</TD>'
        f'<TD ALIGN="LEFT">{_note(sentence.replace("`", ""))}</TD></TR>'
        for name, sentence in sorted(asked.items())
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{lines}</TABLE>'


def _sample(kind: Kind) -> str:
    look = style.LOOKS[kind]
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"'
        f' STYLE="rounded,{look.line}" COLOR="{look.color}" BGCOLOR="{style.LABEL_FILL}">'
        f"<TR><TD>{font(look.meaning, size=style.DETAIL_SIZE, color=look.color, bold=True)}</TD></TR>"
        f"</TABLE>"
    )


def _note(text: str) -> str:
    return font(text, size=style.DETAIL_SIZE, color=style.MUTED)


def _text(phrases: Iterable[list[Word]]) -> str:
    return " ".join(word.text for phrase in phrases for word in phrase)


def _phrases(chart: Topology, together: tuple[Edge, ...]) -> Iterator[list[Word]]:
    """Events, the state that they leave where that has states within it, guards, actions."""
    edge = together[0]
    color = style.EDGE_STYLES[edge.kind].color
    *others, last = (each.event for each in together)
    names = [*(f"{event}," for event in others), last]
    events = [Word(name, style.EVENT_SIZE, color, bold=True) for name in names]
    yield [Word(STAYS, style.EVENT_SIZE, color), *events] if stays(edge) else events
    if chart.node(edge.source).kind is not NodeKind.ATOMIC:
        yield [Word(f"from {edge.source}", style.DETAIL_SIZE, style.MUTED)]
    if edge.guards:
        yield _listed("[", [guard.label for guard in edge.guards], "]", style.INK)
    if edge.actions:
        yield _listed("/ ", edge.actions, "", style.MUTED)


def _listed(before: str, names: Iterable[str], after: str, color: str) -> list[Word]:
    *others, last = names
    texts = [*(f"{name}," for name in others), f"{last}{after}"]
    texts[0] = before + texts[0]
    return [Word(text, style.DETAIL_SIZE, color) for text in texts]


def _wrapped(phrases: Iterable[list[Word]], wrap: int) -> str:
    """A phrase begins a new line where it does not fit whole; so does a word of a long phrase."""
    lines: list[list[Word]] = [[]]
    for phrase in phrases:
        if lines[-1] and not _fits(lines[-1] + phrase, wrap):
            lines.append([])
        for word in phrase:
            if lines[-1] and not _fits([*lines[-1], word], wrap):
                lines.append([])
            lines[-1].append(word)
    return "<BR/>".join(_line(line) for line in lines)


def _fits(words: list[Word], wrap: int) -> bool:
    return len(" ".join(word.text for word in words)) <= wrap


def _line(words: list[Word]) -> str:
    """One font element for each run of words of one look, and one for each gap between two."""
    first, *others = words
    runs = [first]
    for word in others:
        last = runs.pop()
        if last[1:] == word[1:]:
            runs.append(last._replace(text=f"{last.text} {word.text}"))
        else:
            gap = " " if last.text == STAYS else GAP
            runs.extend((last, Word(gap, style.DETAIL_SIZE, last.color), word))
    shown = "".join(
        font(run.text, size=run.size, color=run.color, bold=run.bold, struck=run.struck)
        for run in runs
    )
    return shown + font(" ", size=style.STRUT_SIZE)

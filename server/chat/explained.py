"""What explains a run, as it comes over the wire, and as rich renderables. Pure.

`chorus trace` prints the same from a journal.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Self

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from server.chat.frames import WireValue
from server.chat.pieces import note
from server.chat.text import one_line

_INDENT = 8
_NOT_KNOWN = {
    "not_tried": "not asked: an edge before it was taken",
    "not_recorded": "passed over; an earlier version did not record why",
}


class ChatTransition(WireValue):
    machine: str
    event: str
    source: str
    target: str
    effects: tuple[str, ...] = ()


class ChatGuard(WireValue):
    name: str
    expected: bool
    value: bool | None = None
    """None where it was not asked, or that is not recorded."""


class ChatTriedEdge(WireValue):
    target: str
    verdict: str
    guards: tuple[ChatGuard, ...] = ()


class ChatEffect(WireValue):
    effect: str
    brought: str | None = None
    seq: int | None = None
    after_ms: int | None = None


class ChatExplained(WireValue):
    """One transition, with the edges that its event could have taken, in the order of trying."""

    seq: int
    at: datetime
    after_ms: int = 0
    transition: ChatTransition
    facts: Mapping[str, bool | int | float | str] = {}
    is_declared: bool = True
    judged: str = ""
    """How it is known what its guards said."""
    edges: tuple[ChatTriedEdge, ...] = ()
    effects: tuple[ChatEffect, ...] = ()


class RunExplanation(WireValue):
    """Why a run did what it did."""

    created_seq: int | None = None
    created_at: datetime | None = None
    transitions: tuple[ChatExplained, ...] = ()
    meanings: Mapping[str, str] = {}
    has_more: bool = False
    """Whether more transitions follow than one frame holds."""

    def followed_by(self, page: Self) -> Self:
        """This explanation with the next page of it; it has more where that page has."""
        changes = {
            "transitions": (*self.transitions, *page.transitions),
            "meanings": {**self.meanings, **page.meanings},
            "has_more": page.has_more and bool(page.transitions),
        }
        return self.model_copy(update=changes)


def explanation(told: RunExplanation) -> RenderableType:
    """Each transition on one line, and below it why it was taken and what it brought."""
    rows = list(_rows(told))
    if not rows:
        return note("Nothing has happened yet.")
    widths = [max(len(cells[place]) for cells, _ in rows) for place in range(len(_HEADINGS))]
    lines: list[RenderableType] = [_line(_HEADINGS, widths, "bold")]
    for cells, below in rows:
        lines.append(_line(cells, widths, ""))
        lines += [Padding(each, (0, 0, 0, _INDENT), expand=False) for each in below]
    return Group(*lines)


_HEADINGS = ("seq", "time", "offset", "machine", "event", "transition", "judged", "effects")
_RIGHT = frozenset({"seq", "offset"})


def _line(cells: tuple[str, ...], widths: list[int], style: str) -> Text:
    line = Text(style=style, overflow="fold")
    for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True):
        width = max(width, len(heading))
        padded = cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
        line.append(f"{padded}  ", style={"offset": "cyan", "time": "dim"}.get(heading, ""))
    line.rstrip()
    return line


def _rows(told: RunExplanation) -> Iterator[tuple[tuple[str, ...], list[Text]]]:
    times = [each.at for each in told.transitions]
    begin = told.created_at or (times[0] if times else None)
    if told.created_at is not None and told.created_seq is not None:
        yield _cells(told.created_seq, told.created_at, begin, ("", "created", "", "", "-")), []
    for each in told.transitions:
        taken = each.transition
        way = f"{taken.source} → {taken.target}"
        effects = ", ".join(taken.effects) or "-"
        names = (taken.machine, taken.event, way, each.judged, effects)
        cells = _cells(each.seq, each.at, begin, tuple(one_line(name, 80) for name in names))
        yield cells, list(_below(each, told))


def _cells(
    seq: int, at: datetime, begin: datetime | None, rest: tuple[str, ...]
) -> tuple[str, ...]:
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    offset = (at - begin).total_seconds() if begin else 0.0
    return (str(seq), time, f"+{offset:.3f}", *rest)


def _below(each: ChatExplained, told: RunExplanation) -> Iterator[Text]:
    """Why it was taken, and what came of it."""
    if facts := ", ".join(f"{_spaced(name)} {_plain(value)}" for name, value in each.facts.items()):
        yield Text(one_line(facts, 300), style="dim")
    if not each.is_declared:
        yield Text("the declaration of the machine as it was is not known", style="yellow")
    elif each.judged == "contradicted":
        yield Text("today's machine, given this event again, says something else", style="yellow")
    for edge in each.edges:
        yield _verdict(edge)
        for guard in edge.guards:
            if guard.value is not None:
                yield _guard(guard, told.meanings.get(guard.name, ""))
    for effect in each.effects:
        if effect.brought is not None and effect.after_ms is not None:
            waited = f"{effect.after_ms / 1000:.3f} s"
            brought = f"{effect.effect} brought {effect.brought} ({effect.seq}) after {waited}"
            yield Text(one_line(brought, 200), style="cyan")


def _verdict(edge: ChatTriedEdge) -> Text:
    target = one_line(edge.target, 80)
    if edge.verdict == "taken":
        why = "" if edge.guards else ": it has no guard"
        return Text(f"✓ to {target}{why}", style="bold")
    if edge.verdict == "passed_over":
        return Text(f"✗ to {target}")
    return Text(f"· to {target}: {_NOT_KNOWN.get(edge.verdict, edge.verdict)}", style="dim")


def _guard(guard: ChatGuard, meaning: str) -> Text:
    holds = guard.value is guard.expected
    line = Text("  ")
    line.append(one_line(guard.name, 80), style="green" if holds else "red")
    line.append(f" {_plain(bool(guard.value))}", style="bold")
    if meaning:
        line.append(f"  {one_line(meaning, 200)}", style="dim")
    return line


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

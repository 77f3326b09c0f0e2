"""What a changed machine means to the values that live by it: which edges they took, where they stand,
and what becomes of those that are not over. Pure: what happened is told, and comes from a journal.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from diagrams.changes import Change, MachineChanges
from machines.declarations import Declaration
from machines.statechart import Configuration, Topology
from machines.statechart.compiler import after, beginning, configurations


@dataclass(frozen=True, slots=True)
class EdgeUse:
    """How many values took an edge at least once."""

    live: int = 0
    finished: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one machine."""

    edges: Mapping[str, EdgeUse]
    """By id, of the edges that were asked for."""
    standing: Mapping[Configuration, int]
    """How many live values stand in each configuration of the older declaration."""
    elsewhere: int
    """Values whose journal names a state that the older declaration lacks."""


class Fate(StrEnum):
    """What becomes of a live value."""

    CONTINUES = "continues"
    """Everything that led out of where it stands still does."""
    CHANGED = "meets changes"
    """It goes on, and an edge that led out of where it stands is gone or another one."""
    STRANDED = "is stranded"
    """It cannot stand there, or has no way to an end any more."""


class UsageCounter:
    """Counts for one machine while its history is told, each value's from its beginning on."""

    def __init__(self, declared: Declaration, edges: Iterable[str]) -> None:
        """
        Args:
            declared: by which the values are followed.
            edges: ids of the edges whose values are counted.
        """
        self._chart = declared.topology()
        self._bits = {id_: 1 << place for place, id_ in enumerate(edges)}
        self._active: dict[str, frozenset[str] | None] = {}
        """By value: all states that hold; None where it went elsewhere."""
        self._took: dict[str, int] = {}
        self._begin = beginning(self._chart)
        self._names = {node.name for node in self._chart.nodes}
        self._after = cache(self._moved_from)

    def born(self, instance: str) -> None:
        """A value came to be."""
        self._active.setdefault(instance, self._begin)

    def moved(self, instance: str, edge: str, source: str, target: str) -> None:
        """A value took an edge."""
        if edge in self._bits:
            self._took[instance] = self._took.get(instance, 0) | self._bits[edge]
        active = self._active.get(instance, self._begin)
        self._active[instance] = None if active is None else self._after(active, source, target)

    def usage(self) -> Usage:
        """What was counted so far."""
        finals = {node.name for node in self._chart.nodes if node.final}
        standing: Counter[Configuration] = Counter()
        live: Counter[int] = Counter()
        finished: Counter[int] = Counter()
        elsewhere = 0
        for instance, active in self._active.items():
            took = self._took.get(instance, 0)
            if active is None:
                elsewhere += 1
            elif active & finals:
                finished[took] += 1
            else:
                live[took] += 1
                standing[self._chart.innermost(active)] += 1
        uses = {
            id_: EdgeUse(
                sum(count for took, count in live.items() if took & bit),
                sum(count for took, count in finished.items() if took & bit),
            )
            for id_, bit in self._bits.items()
        }
        return Usage(uses, dict(sorted(standing.items())), elsewhere)

    def _moved_from(
        self, active: frozenset[str], source: str, target: str
    ) -> frozenset[str] | None:
        if source not in active or target not in self._names:
            return None
        return after(self._chart, active, source, target)


def fate_of(changes: MachineChanges, configuration: Configuration) -> tuple[Fate, str]:
    """What becomes of a live value that stands in a configuration of the older declaration, and why."""
    if changes.old is None or changes.new is None:
        return Fate.STRANDED, "the machine is gone"
    old, new = changes.old.topology(), changes.new.topology()
    if reason := _why_stranded(old, new, configuration):
        return Fate.STRANDED, reason
    active = _around(old, configuration)
    met = [
        f"`{each.old.event}` {'is gone' if each.change is Change.REMOVED else 'is another'}"
        for each in changes.edges
        if each.old is not None
        and each.old.source in active
        and each.change in {Change.REMOVED, Change.CHANGED}
    ]
    return (Fate.CHANGED, ", ".join(dict.fromkeys(met))) if met else (Fate.CONTINUES, "")


def _why_stranded(old: Topology, new: Topology, configuration: Configuration) -> str | None:
    names = {node.name for node in new.nodes}
    if gone := [name for name in configuration if name not in names]:
        return f"{_listed(gone)} {'is' if len(gone) == 1 else 'are'} gone"
    places = {new.innermost(active): active for active in configurations(new)}
    if configuration not in places:
        return f"{_listed(configuration)} is no place of its own any more"
    active = places[configuration]
    if ended := [node.name for node in new.nodes if node.final and node.name in active]:
        return f"{_listed(ended)} is final now"
    if _may_end(old, _around(old, configuration)) and not _may_end(new, active):
        return "no way leads to a final state any more"
    return None


def _may_end(chart: Topology, active: frozenset[str]) -> bool:
    """Whether some path leads to a final state, were every guard to hold."""
    finals = {node.name for node in chart.nodes if node.final}
    seen, waiting = {active}, [active]
    while waiting:
        here = waiting.pop()
        if here & finals:
            return True
        for there in _next(chart, here):
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    return False


def _next(chart: Topology, active: frozenset[str]) -> Iterator[frozenset[str]]:
    return (
        after(chart, active, edge.source, edge.target)
        for edge in chart.edges
        if edge.source in active
    )


def _around(chart: Topology, configuration: Configuration) -> frozenset[str]:
    """The states of a configuration with those around them."""
    return frozenset(configuration).union(*map(chart.ancestors, configuration))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

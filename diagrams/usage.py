"""Which edges the values of a machine took, and where those stand that are not over. Pure: what happened
is told, and comes from a journal. What becomes of them decides `machines.migrations`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from machines.declarations import Declaration
from machines.statechart import Configuration
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
        self._places = {self._chart.innermost(each): each for each in configurations(self._chart)}
        self._names = {node.name for node in self._chart.nodes}
        self._after = cache(self._moved_from)

    def born(self, instance: str) -> None:
        """A value came to be."""
        self._active.setdefault(instance, self._begin)

    def moved(
        self, instance: str, edge: str, source: str, target: str, stands: Configuration = ()
    ) -> None:
        """A value took an edge.

        Args:
            stands: where its chart took it over from an earlier declaration.
        """
        if edge in self._bits:
            self._took[instance] = self._took.get(instance, 0) | self._bits[edge]
        active = self._places.get(stands) if stands else self._active.get(instance, self._begin)
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

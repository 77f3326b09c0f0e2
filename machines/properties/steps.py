"""A step: one transition of one machine, as a rule sees it.

A step says the same whether a search over the reachable space made it or a journal recorded it, so
that one rule judges both. Its event and its value are JSON, which is what a journal holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from machines.charts import all_charts
from machines.statechart import Topology, topology

Fields = Mapping[str, Any]
"""The fields of a value or an event, as JSON."""


@dataclass(frozen=True, slots=True)
class Step:
    """One edge that was taken. A field that is not recorded is missing: to read it is a KeyError."""

    machine: str
    instance: str
    """Id of the value that moved."""
    event: str
    source: str
    """The state that the edge leaves; it may be one around the innermost."""
    target: str
    edge: str
    """Its id in the drawing."""
    effects: tuple[str, ...]
    """Names of the effects that it emitted."""
    said: Fields
    """The event."""
    value: Fields
    """The value afterwards."""
    was: Fields = field(default_factory=dict)
    """The value before. A search knows it; of a journal's steps it is not recorded."""

    @property
    def is_first(self) -> bool:
        """Whether it leaves the state in which its machine begins."""
        return self.source in life_of(self.machine).initial

    @property
    def is_last(self) -> bool:
        """Whether it reaches a final state."""
        return self.target in life_of(self.machine).final


@dataclass(frozen=True, slots=True)
class Life:
    """Where the values of a machine begin and end."""

    initial: frozenset[str]
    final: frozenset[str]


@cache
def life_of(machine: str) -> Life:
    """By the chart of today; no states of a machine that there is no chart of any more."""
    for chart in map(topology, all_charts()):
        if chart.machine == machine:
            finals = (node.name for node in chart.within(None) if node.final)
            return Life(frozenset(_initial(chart)), frozenset(finals))
    return Life(frozenset(), frozenset())


def moment(text: str) -> datetime:
    """A time as JSON has it."""
    return datetime.fromisoformat(text)


def _initial(chart: Topology) -> set[str]:
    """The initial state, and what is initial within it."""
    found: set[str] = set()
    for node in chart.nodes:
        if node.initial and (node.parent is None or node.parent in found):
            found.add(node.name)
    return found

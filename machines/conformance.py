"""Whether what a journal says of a value follows from the declarations that wrote it.

Each transition is held against the declaration whose fingerprint its entry has: the edge is declared
and is that of the event, it leaves a state in which the value stands, the guards that are recorded as
false belong to the edges before it, and a value that is over stays so. A value that another declaration
takes over stands where its entry says that it took it over, else in the states of the same names. No code
of a chart is run, so a value of any age is checked; what its guards and actions computed is not. Pure:
the history is told, one transition after the other, a value's own in their order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from machines.declarations import Declaration
from machines.statechart import Configuration, Edge, ImpossibleOutcome, Topology, asked
from machines.statechart.compiler import after, beginning, configurations


class Taken(Protocol):
    """A transition as a journal records it: `MachineTransition`, or what is read of one."""

    @property
    def machine(self) -> str: ...
    @property
    def instance(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def edge(self) -> str: ...
    @property
    def passed_over(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Violation:
    """A transition that does not follow from its declaration; the first of its value."""

    machine: str
    instance: str
    sentence: str


class _Kept:
    """A declaration, and what is asked of it again and again."""

    def __init__(self, declared: Declaration) -> None:
        self.shape: Topology = declared.topology()
        self.edges: Mapping[str, Edge] = {edge.id: edge for edge in self.shape.edges}
        self.finals = frozenset(node.name for node in self.shape.nodes if node.final)
        self.begin = beginning(self.shape)
        self._reached: dict[tuple[frozenset[str], str, str], frozenset[str]] = {}
        self._asked: dict[tuple[frozenset[str], str, tuple[str, ...]], _Asked] = {}

    @cached_property
    def places(self) -> Mapping[Configuration, frozenset[str]]:
        """All states that hold in each configuration."""
        return {self.shape.innermost(active): active for active in configurations(self.shape)}

    def after(self, active: frozenset[str], edge: Edge) -> frozenset[str]:
        """The states that hold once the edge was taken."""
        taken = (active, edge.source, edge.target)
        if taken not in self._reached:
            self._reached[taken] = after(self.shape, *taken)
        return self._reached[taken]

    def asked(self, active: frozenset[str], edge: Edge, passed_over: tuple[str, ...]) -> "_Asked":
        """What is known of the guards on the way to the edge."""
        said = (active, edge.id, passed_over)
        if said not in self._asked:
            row = self.shape.edges_from(active, edge.event)
            problem = ""
            try:
                asked(row, edge, passed_over)
            except ImpossibleOutcome as impossible:
                problem = str(impossible)
            are_recorded = bool(passed_over) or (bool(row) and row[0].id == edge.id)
            self._asked[said] = _Asked(problem, are_recorded)
        return self._asked[said]


class _Asked(NamedTuple):
    """The guards of the edges before one that was taken."""

    problem: str
    """Why no values of them lead there; empty where some do."""
    are_recorded: bool
    """Whether the entry says what they said, or there are none."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a value is, by the declaration that wrote its last transition."""

    fingerprint: str
    active: frozenset[str]


class Conformance:
    """The check of a journal's history: tell it with `born` and `moved`, then read the rest."""

    def __init__(self, declared: Mapping[str, Declaration]) -> None:
        """
        Args:
            declared: by fingerprint.
        """
        self._declared = declared
        self._kept: dict[str, _Kept] = {}
        self._standing: dict[tuple[str, str], _Standing | None] = {}
        """By machine and value; None before its first transition."""
        self._unknown: dict[tuple[str, str], str] = {}
        """Values of which a transition has a fingerprint that is not known."""
        self._violations: dict[tuple[str, str], Violation] = {}

    def born(self, machine: str, instance: str) -> None:
        """A value came to be."""
        self._standing.setdefault((machine, instance), None)

    def moved(self, taken: Taken, fingerprints: str, stands: Configuration = ()) -> bool:
        """A value took an edge; gives whether its entry says, too, what the guards before that edge said.

        Args:
            fingerprints: of the charts that accepted its entry, as the entry has them.
            stands: where the chart took it over from an earlier declaration; empty where it did not.
        """
        key = (taken.machine, taken.instance)
        if key in self._unknown or key in self._violations:
            return False
        begins = f"{taken.machine}:"
        found = next((each for each in fingerprints.split() if each.startswith(begins)), "")
        if found not in self._declared:
            self._unknown[key] = found
            return False
        standing = self._standing.get(key)
        try:
            active, are_recorded = self._moved(taken, found, standing, stands)
        except _NotDeclared as violation:
            self._violations[key] = Violation(*key, str(violation))
            return False
        self._standing[key] = _Standing(found, active)
        return are_recorded

    def _moved(
        self,
        taken: Taken,
        fingerprint: str,
        standing: _Standing | None,
        stands: Configuration,
    ) -> tuple[frozenset[str], bool]:
        """The states that hold afterwards, and whether the guards are recorded. Raises _NotDeclared."""
        kept = self._by(fingerprint)
        edge = kept.edges.get(taken.edge)
        if edge is None:
            raise _NotDeclared(f"took {taken.edge}, which {fingerprint} does not declare")
        said = (taken.event, taken.source, taken.target)
        if said != (edge.event, edge.source, edge.target):
            raise _NotDeclared(f"took {taken.edge} by {said[0]} from {said[1]} to {said[2]}")
        active = kept.begin if standing is None else standing.active
        if stands:
            if standing is not None and standing.active & self._by(standing.fingerprint).finals:
                raise _NotDeclared(f"took {taken.edge} after it ended")
            active = self._place(stands, kept, fingerprint)
        elif standing is not None and standing.fingerprint != fingerprint:
            active = self._carried(standing, kept, fingerprint)
        stood = " ".join(kept.shape.innermost(active))
        if active & kept.finals:
            raise _NotDeclared(f"took {taken.edge} after it ended in {stood}")
        if edge.source not in active:
            raise _NotDeclared(f"took {taken.edge} while it stood in {stood}")
        guards = kept.asked(active, edge, taken.passed_over)
        if guards.problem:
            raise _NotDeclared(f"took {taken.edge}, and on its way {guards.problem}")
        return kept.after(active, edge), guards.are_recorded

    def _carried(self, standing: _Standing, kept: _Kept, fingerprint: str) -> frozenset[str]:
        """The states that hold by a later declaration. Raises _NotDeclared where it has none such."""
        place = self._by(standing.fingerprint).shape.innermost(standing.active)
        return self._place(place, kept, fingerprint)

    def _place(self, place: Configuration, kept: _Kept, fingerprint: str) -> frozenset[str]:
        """All states that hold there. Raises _NotDeclared where a declaration has no such place."""
        if place not in kept.places:
            raise _NotDeclared(f"stood in {' '.join(place)}, which {fingerprint} does not declare")
        return kept.places[place]

    def _by(self, fingerprint: str) -> _Kept:
        if fingerprint not in self._kept:
            self._kept[fingerprint] = _Kept(self._declared[fingerprint])
        return self._kept[fingerprint]

    # --- What was found ---

    @property
    def violations(self) -> tuple[Violation, ...]:
        return tuple(self._violations.values())

    @property
    def unknown(self) -> Mapping[str, int]:
        """How many values each fingerprint wrote of which no declaration is known."""
        return Counter(self._unknown.values())

    def checked(self, machine: str) -> int:
        """How many values of a machine follow from their declarations."""
        others = self._unknown.keys() | self._violations.keys()
        return sum(key[0] == machine and key not in others for key in self._standing)

    def standing(self, machine: str) -> Iterator[tuple[str, Configuration]]:
        """Where each value of a machine that follows from its declarations is, once it has moved."""
        others = self._unknown.keys() | self._violations.keys()
        for key, standing in self._standing.items():
            if key[0] == machine and key not in others and standing is not None:
                shape = self._by(standing.fingerprint).shape
                yield key[1], shape.innermost(standing.active)


class _NotDeclared(Exception):
    """A transition that does not follow; the text goes on after the value's name."""

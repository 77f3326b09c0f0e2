"""What differs between two declarations of one machine, and between the code of what both name. Pure: no
code of either is run.

States are known by their names. An edge is known by its event and its two ends; where several have the
same, those that are most alike are taken for each other, so that an edge that is declared between two
others changes neither. An edge that leads elsewhere was removed and added.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from diagrams.code_changes import Code, CodeComparison, RuleChange, What
from machines.declarations import Declaration, DeclaredEdge, DeclaredState
from machines.statechart.topology import NOT


class Change(StrEnum):
    """What became of a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state on its way from one declaration to the other."""

    old: DeclaredState | None
    new: DeclaredState | None

    @property
    def name(self) -> str:
        state = self.new or self.old
        assert state is not None  # noqa: S101 - it is in one of them
        return state.name

    @property
    def change(self) -> Change:
        return _change(self.old, self.new, self.old == self.new)

    @property
    def says(self) -> tuple[str, str]:
        """What of it changed: as it was, as it is."""
        old, new = self.old, self.new
        if old is None or new is None:
            return ("", "")
        told = [
            (said(old), said(new))
            for said in (_place, _kind, _beginning, _end)
            if said(old) != said(new)
        ]
        return (", ".join(was for was, _ in told), ", ".join(now for _, now in told))


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """An edge on its way from one declaration to the other."""

    old: DeclaredEdge | None
    new: DeclaredEdge | None
    turns: tuple[int, int] | None = None
    """Where the order changed in which edges are tried: its turn among those of its state and event
    that both declare, from 1, as it was and as it is."""
    code: tuple[RuleChange, ...] = ()
    """Its guards and actions, of those that both name, whose code changed."""

    @property
    def edge(self) -> DeclaredEdge:
        """As it is; as it was where it was removed."""
        edge = self.new or self.old
        assert edge is not None  # noqa: S101 - it is in one of them
        return edge

    @property
    def change(self) -> Change:
        return _change(self.old, self.new, not self.is_declared_otherwise and not self.code)

    @property
    def is_declared_otherwise(self) -> bool:
        """Whether it differs in more than the code of what stands on it."""
        same = self.old and self.new and _content(self.old) == _content(self.new)
        return not same or self.turns is not None

    @property
    def shared(self) -> DeclaredEdge:
        """The edge with the parts of its label that both have."""
        guards, actions = self._parts_that_changed()
        without = {"guards": ()} if guards else {}
        return self.edge.model_copy(update=without | ({"actions": ()} if actions else {}))

    @property
    def says(self) -> tuple[str, str]:
        """The parts of its label that changed: as they were, as they are; empty where it has none."""
        if self.old is None or self.new is None:
            return ("", "")
        guards, actions = self._parts_that_changed()
        was, now = [], []
        if guards:
            was.append(parts_text(self.old.guards, ()) or "[]")
            now.append(parts_text(self.new.guards, ()) or "[]")
        if actions:
            was.append(parts_text((), self.old.actions) or "/")
            now.append(parts_text((), self.new.actions) or "/")
        if self.old.kind is not self.new.kind:
            was.append(self.old.kind.value)
            now.append(self.new.kind.value)
        if self.turns is not None:
            was.append(f"tried as number {self.turns[0]}")
            now.append(f"tried as number {self.turns[1]}")
        return (" ".join(was), " ".join(now))

    @property
    def names_that_changed(self) -> tuple[str, ...]:
        """Guards and actions that one side has here, or has otherwise; all of an edge that comes or goes."""
        was = () if self.old is None else (*self.old.guards, *self.old.actions)
        now = () if self.new is None else (*self.new.guards, *self.new.actions)
        other = [each for each in (*was, *now) if (each in was) is not (each in now)]
        return tuple(dict.fromkeys(each.removeprefix(NOT) for each in other))

    def _parts_that_changed(self) -> tuple[bool, bool]:
        """Whether its guards, and whether its actions did."""
        if self.old is None or self.new is None:
            return (False, False)
        return (self.old.guards != self.new.guards, self.old.actions != self.new.actions)


@dataclass(frozen=True, slots=True)
class Reworded:
    """A guard or an action that both declare, and describe in other words."""

    what: str
    """`guard` or `action`."""
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class MachineChanges:
    """A machine on its way from one declaration to the other."""

    old: Declaration | None
    new: Declaration | None
    states: tuple[StateChange, ...]
    """All of both, outer ones before those within them."""
    edges: tuple[EdgeChange, ...]
    """All of both."""
    reworded: tuple[Reworded, ...]
    code: Code | None = None
    """None where it was not compared."""

    @property
    def declared(self) -> Declaration:
        """As it is; as it was where it was removed."""
        declared = self.new or self.old
        assert declared is not None  # noqa: S101 - it is in one of them
        return declared

    @property
    def machine(self) -> str:
        return self.declared.machine

    @property
    def change(self) -> Change:
        parts = set(self._parts()) <= {Change.KEPT}
        same = parts and not self.reworded and self.titles is None and not self.computes
        return _change(self.old, self.new, same)

    @property
    def titles(self) -> tuple[str, str] | None:
        """As it was and as it is, where it is another."""
        if self.old is None or self.new is None or self.old.title == self.new.title:
            return None
        return (self.old.title, self.new.title)

    @property
    def meanings(self) -> dict[str, str]:
        """What the guards and actions say by which edges differ, by name, where a docstring says it."""
        said = {
            name: text
            for each in (self.old, self.new)
            if each is not None
            for name, text in (*each.guards.items(), *each.actions.items())
        }
        names = dict.fromkeys(name for each in self.edges for name in each.names_that_changed)
        return {name: said[name] for name in names if said.get(name)}

    @property
    def removes(self) -> bool:
        """Whether the machine, a state or an edge of it is gone."""
        return self.new is None or Change.REMOVED in self._parts()

    @property
    def redeclares(self) -> bool:
        """Whether a state or an edge of both is declared otherwise: by its guards, actions or order."""
        return any(each.change is Change.CHANGED for each in self.states) or any(
            each.change is Change.CHANGED and each.is_declared_otherwise for each in self.edges
        )

    @property
    def computes(self) -> bool:
        """Whether a guard or an action that both name has other code."""
        return self.code is not None and bool(self.code.changed)

    @property
    def lacks_code(self) -> bool:
        """Whether the code of a guard or an action that both name was not found on both sides."""
        return self.code is not None and bool(self.code.unknown)

    def _parts(self) -> Iterator[Change]:
        yield from (each.change for each in self.states)
        yield from (each.change for each in self.edges)


def compare(
    old: Iterable[Declaration], new: Iterable[Declaration], source: CodeComparison | None = None
) -> tuple[MachineChanges, ...]:
    """Every machine of both, those of `new` first in their order.

    Args:
        source: compares the code of what both name; without it that is not compared.

    Raises:
        UnreadableSource: a module cannot be parsed.
    """
    before = {each.machine: each for each in old}
    after = {each.machine: each for each in new}
    return tuple(
        _compared(before.get(name), after.get(name), source)
        for name in dict.fromkeys((*after, *before))
    )


def _compared(
    old: Declaration | None, new: Declaration | None, source: CodeComparison | None
) -> MachineChanges:
    code = source.of(old, new) if source and old and new else None
    edges = _edges(old.edges if old else (), new.edges if new else ())
    return MachineChanges(
        old,
        new,
        _states(old.states if old else (), new.states if new else ()),
        tuple(_with_code(each, code.changed) for each in edges) if code else edges,
        tuple(_reworded(old, new)) if old and new else (),
        code,
    )


def _with_code(change: EdgeChange, changed: Iterable[RuleChange]) -> EdgeChange:
    if change.old is None or change.new is None:
        return change
    both = rules_of(change.old) & rules_of(change.new)
    return replace(change, code=tuple(each for each in changed if (each.what, each.name) in both))


def rules_of(edge: DeclaredEdge) -> set[tuple[What, str]]:
    """The guards and actions that stand on an edge."""
    guards: set[tuple[What, str]] = {("guard", each.removeprefix(NOT)) for each in edge.guards}
    return guards | {("action", each) for each in edge.actions}


# --- States --------------------------------------------------------------------------------------


def _states(
    old: tuple[DeclaredState, ...], new: tuple[DeclaredState, ...]
) -> tuple[StateChange, ...]:
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    names = _merged([each.name for each in old], [each.name for each in new])
    changes = {name: StateChange(before.get(name), after.get(name)) for name in names}
    return tuple(changes[name] for name in _nested(changes))


def _nested(changes: dict[str, StateChange]) -> Iterator[str]:
    """Names with outer states first: each stands within what the newer declaration says."""

    def parent(change: StateChange) -> str | None:
        state = change.new or change.old
        return state.parent if state else None

    def within(name: str | None) -> Iterator[str]:
        for each, change in changes.items():
            if parent(change) == name:
                yield each
                yield from within(each)

    yield from within(None)


def _place(state: DeclaredState) -> str:
    return f"within {state.parent}" if state.parent else "outermost"


def _kind(state: DeclaredState) -> str:
    return state.kind.value


def _beginning(state: DeclaredState) -> str:
    return "initial" if state.initial else "not initial"


def _end(state: DeclaredState) -> str:
    return "final" if state.final else "not final"


# --- Edges ---------------------------------------------------------------------------------------

_Ends = tuple[str, str, str]


def _edges(old: tuple[DeclaredEdge, ...], new: tuple[DeclaredEdge, ...]) -> tuple[EdgeChange, ...]:
    pairs: dict[str, DeclaredEdge] = {}
    """By the id of the newer edge: the older one."""
    for ends in dict.fromkeys(map(_ends, new)):
        left = [each for each in old if _ends(each) == ends]
        waiting = [each for each in new if _ends(each) == ends]
        for likeness in _LIKENESS:
            for edge in list(waiting):
                found = next((each for each in left if likeness(each) == likeness(edge)), None)
                if found is not None:
                    pairs[edge.id] = found
                    left.remove(found)
                    waiting.remove(edge)
    known = {each.id: f"new {edge_id}" for edge_id, each in pairs.items()}
    # An older edge stands for the newer one that it became, so that both orders can be merged.
    order = _merged(
        [known.get(each.id, f"old {each.id}") for each in old], [f"new {each.id}" for each in new]
    )
    before = {f"old {each.id}": each for each in old}
    after = {f"new {each.id}": each for each in new}
    turns = _turns(old, new, pairs)
    return tuple(
        EdgeChange(pairs.get(after[key].id), after[key], turns.get(after[key].id))
        if key in after
        else EdgeChange(before[key], None)
        for key in order
    )


def _ends(edge: DeclaredEdge) -> _Ends:
    return (edge.event, edge.source, edge.target)


def _content(edge: DeclaredEdge) -> tuple[object, ...]:
    return (edge.guards, edge.actions, edge.kind)


_LIKENESS: Final[tuple[Callable[[DeclaredEdge], object], ...]] = (
    _content,
    lambda edge: edge.guards,
    lambda edge: edge.actions,
    _ends,
)
"""What two edges with the same ends have in common, the most first."""


def _turns(
    old: tuple[DeclaredEdge, ...], new: tuple[DeclaredEdge, ...], pairs: dict[str, DeclaredEdge]
) -> dict[str, tuple[int, int]]:
    """By the id of the newer edge, where its turn among those of its state and event is another."""
    turns: dict[str, tuple[int, int]] = {}
    places = {each.id: place for place, each in enumerate(old)}
    for asked in dict.fromkeys((each.source, each.event) for each in new):
        common = [each for each in new if (each.source, each.event) == asked and each.id in pairs]
        before = sorted(common, key=lambda each: places[pairs[each.id].id])
        for turn, edge in enumerate(common):
            if before.index(edge) != turn:
                turns[edge.id] = (before.index(edge) + 1, turn + 1)
    return turns


def parts_text(guards: Iterable[str], actions: Iterable[str]) -> str:
    """`[guards] / actions`, each where there is one: what stands behind the event of an edge."""
    parts = (("[", ", ".join(guards), "]"), ("/ ", ", ".join(actions), ""))
    return " ".join("".join(part) for part in parts if part[1])


# --- What both share -----------------------------------------------------------------------------

T = TypeVar("T")


def _change(old: object | None, new: object | None, same: bool) -> Change:
    if old is None:
        return Change.ADDED
    if new is None:
        return Change.REMOVED
    return Change.KEPT if same else Change.CHANGED


def _reworded(old: Declaration, new: Declaration) -> Iterator[Reworded]:
    for what, before, after in (
        ("guard", old.guards, new.guards),
        ("action", old.actions, new.actions),
    ):
        for name in before:
            if name in after and before[name] != after[name]:
                yield Reworded(what, name, before[name], after[name])


def _merged(old: list[T], new: list[T]) -> list[T]:
    """The items of both, each once: `new` in its order, and what it lacks behind what it stood behind
    in `old`."""
    merged = list(new)
    place = 0
    for each in old:
        if each in merged:
            place = merged.index(each) + 1
        else:
            merged.insert(place, each)
            place += 1
    return merged

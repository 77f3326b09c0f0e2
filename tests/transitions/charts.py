"""Charts that nobody declared, for hypothesis: states nested at random, and edges between any two.

The house's own charts have one pair of regions and few edges across levels; these have what the
statechart rules make of the rest: regions that move together or exclude each other, edges into and out
of them, edges from and to the root.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import new_class
from typing import Any, Final, cast

from hypothesis import strategies as st
from statemachine import State
from statemachine.transition_list import TransitionList

from machines.chart import Chart

GUARDS: Final = ("is_warm", "is_wet", "is_late")
ACTIONS: Final = ("knock", "wait", "enter")
EVENTS: Final = ("push", "pull")

MOST_DEPTH: Final = 2
MOST_REGIONS: Final = 3
MOST_EDGES: Final = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """A state and those within it; atomic without any."""

    parallel: bool = False
    within: tuple["Shape", ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge, between states that are named by their place in the order of declaration."""

    event: str
    source: int
    target: int
    cond: tuple[str, ...]
    unless: tuple[str, ...]
    on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weather:
    """An event that says itself which guards hold and which methods have a defect."""

    event: str
    true: frozenset[str]
    faulty: frozenset[str]


def _asked(self: Chart, name: str) -> bool:
    if name in self.model.event.faulty:
        raise RuntimeError(f"a defect in {name}")
    return name in self.model.event.true


class Weathered(Chart):
    """What all these charts can be asked and told."""

    machine = "weathered"
    validate_disconnected_states = False
    validate_trap_states = False
    validate_final_reachability = False

    def is_warm(self) -> bool:
        return _asked(self, "is_warm")

    def is_wet(self) -> bool:
        return _asked(self, "is_wet")

    def is_late(self) -> bool:
        return _asked(self, "is_late")

    def knock(self) -> None:
        _asked(self, "knock")

    def wait(self) -> None:
        _asked(self, "wait")

    def enter(self) -> None:
        _asked(self, "enter")


def charts() -> st.SearchStrategy[type[Chart]]:
    """Chart classes with a compound root, at most `MOST_EDGES` edges and two events."""
    return _roots().flatmap(
        lambda root: st.lists(_arrows(root), min_size=4, max_size=MOST_EDGES).map(
            lambda arrows: declared(root, arrows)
        )
    )


def weathers() -> st.SearchStrategy[Weather]:
    """Events for them, one in a while with a defect."""
    return st.builds(
        Weather,
        st.sampled_from(EVENTS),
        st.frozensets(st.sampled_from(GUARDS)),
        st.just(frozenset[str]()) | st.frozensets(st.sampled_from((*GUARDS, *ACTIONS)), max_size=1),
    )


def declared(root: Shape, arrows: Iterable[Arrow]) -> type[Chart]:
    """The chart class of a shape and its arrows, as if somebody had written it."""
    states: list[Any] = []
    top = _state(root, states, initial=True)
    events: dict[str, TransitionList] = {}
    for arrow in arrows:
        drawn = states[arrow.source].to(
            states[arrow.target],
            cond=list(arrow.cond),
            unless=list(arrow.unless),
            on=list(arrow.on),
        )
        events[arrow.event] = events[arrow.event] | drawn if arrow.event in events else drawn
    made = new_class("MadeUp", (Weathered,), {}, lambda body: body.update(s0=top, **events))
    return cast("type[Chart]", made)


def count(shape: Shape) -> int:
    """How many states a shape has."""
    return 1 + sum(map(count, shape.within))


def _state(shape: Shape, states: list[Any], *, initial: bool) -> Any:
    """The state of a shape; it and those within it are added to `states`, outer ones first."""
    place = len(states)
    states.append(None)
    if not shape.within:
        states[place] = State(initial=initial)
        return states[place]
    children = {}
    for number, child in enumerate(shape.within):
        name = f"s{len(states)}"
        children[name] = _state(child, states, initial=number == 0 and not shape.parallel)
    kind = State.Parallel if shape.parallel else State.Compound
    state: Any = new_class(
        f"s{place}", (kind,), {"initial": initial}, lambda body: body.update(children)
    )
    states[place] = state
    return state


def _roots() -> st.SearchStrategy[Shape]:
    return _compounds(MOST_DEPTH).filter(lambda root: _regions(root) <= MOST_REGIONS)


def _compounds(depth: int) -> st.SearchStrategy[Shape]:
    return _several(_shapes(depth - 1)).map(lambda within: Shape(within=within))


def _shapes(depth: int) -> st.SearchStrategy[Shape]:
    atomic = st.just(Shape())
    if depth == 0:
        return atomic
    # Regions are mostly compound: an edge of one that is atomic leaves the others too.
    regions = _several(_compounds(depth) | _compounds(depth) | atomic)
    return atomic | regions.map(lambda within: Shape(True, within)) | _compounds(depth)


def _several(shapes: st.SearchStrategy[Shape]) -> st.SearchStrategy[tuple[Shape, ...]]:
    return st.lists(shapes, min_size=2, max_size=3).map(tuple)


def _regions(shape: Shape) -> int:
    """How many states without states within them may be active at once."""
    inner = tuple(map(_regions, shape.within)) or (1,)
    return sum(inner) if shape.parallel else max(inner)


def _siblings(shape: Shape, place: int = 0) -> Iterator[tuple[int, ...]]:
    """The places of the states within each compound state."""
    places: list[int] = []
    following = place + 1
    for child in shape.within:
        places.append(following)
        yield from _siblings(child, following)
        following += count(child)
    if places and not shape.parallel:
        yield tuple(places)


def _arrows(root: Shape) -> st.SearchStrategy[Arrow]:
    anywhere = st.integers(0, count(root) - 1)
    # Most edges are short: long ones leave all regions, so that nothing is taken together.
    short = st.sampled_from(list(_siblings(root))).flatmap(
        lambda places: st.tuples(st.sampled_from(places), st.sampled_from(places))
    )
    some_guards = st.just(()) | st.sampled_from(GUARDS).map(lambda guard: (guard,))
    return st.builds(
        lambda ends, **more: Arrow(source=ends[0], target=ends[1], **more),
        short | short | st.tuples(anywhere, anywhere),
        event=st.sampled_from(EVENTS),
        cond=some_guards,
        unless=some_guards,
        on=st.lists(st.sampled_from(ACTIONS), max_size=2, unique=True).map(tuple),
    )

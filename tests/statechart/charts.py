"""Charts made up by hypothesis: states nested at random, and edges between any two.

The house's own charts have one pair of regions and few edges across levels; these have what the
statechart rules make of the rest: edges into and out of regions, from and to the states around them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import new_class
from typing import Any, Final, cast

from hypothesis import strategies as st
from statemachine import State
from statemachine.transition_list import TransitionList

from machines.statechart import AnyChart, Chart, Configuration, Edges, Machine, Reaction

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


def _rule(name: str) -> Callable[[object, Weather], bool]:
    """A guard that the event answers, or an action that gives the value back; either may fail."""

    def asked(_: object, event: Weather) -> bool:
        if name in event.faulty:
            raise RuntimeError(f"a defect in {name}")
        return name in event.true

    asked.__name__ = name
    return asked


def _action(name: str) -> Callable[[Configuration, Weather], Reaction[Configuration, str, object]]:
    rule = _rule(name)

    def act(value: Configuration, event: Weather) -> Reaction[Configuration, str, object]:
        rule(value, event)
        return Reaction(value, (name,))

    act.__name__ = name
    return act


on: Final = Edges[Configuration, str, object]()
RULES: Final = {name: _rule(name) for name in GUARDS}
DEEDS: Final = {name: _action(name) for name in ACTIONS}


class Weathered(Chart[Configuration]):
    """What all these charts have in common."""

    machine = "weathered"
    validate_disconnected_states = False
    validate_trap_states = False
    validate_final_reachability = False


def machine_of(chart: AnyChart) -> Machine[Configuration, Weather, str, object]:
    """A machine whose value is the configuration itself."""
    return Machine(chart, states_of=lambda states: states, place=lambda _, __, states: states)


def charts() -> st.SearchStrategy[AnyChart]:
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


def declared(root: Shape, arrows: Iterable[Arrow]) -> AnyChart:
    """The chart class of a shape and its arrows, as if somebody had written it.

    Arrows that would let one event move two regions are left out: such a chart is not compiled.
    """
    states: list[Any] = []
    top = _state(root, states, initial=True)
    events: dict[str, TransitionList] = {}
    for arrow in _one_region_each(root, arrows):
        drawn = on(
            Weather,
            states[arrow.source].to(states[arrow.target]),
            when=[RULES[name] for name in arrow.cond],
            unless=[RULES[name] for name in arrow.unless],
            do=[DEEDS[name] for name in arrow.on],
        )
        events[arrow.event] = events[arrow.event] | drawn if arrow.event in events else drawn
    made = new_class("MadeUp", (Weathered,), {}, lambda body: body.update(s0=top, **events))
    return cast("AnyChart", made)


def _one_region_each(root: Shape, arrows: Iterable[Arrow]) -> Iterator[Arrow]:
    paths = list(_paths(root, ()))
    kept: list[Arrow] = []
    for arrow in arrows:
        rivals = [paths[each.source] for each in kept if each.event == arrow.event]
        if not any(_side_by_side(root, paths[arrow.source], rival) for rival in rivals):
            kept.append(arrow)
            yield arrow


def _paths(shape: Shape, path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Which child, and which of its children and so on, leads to each state, in their order."""
    yield path
    for number, child in enumerate(shape.within):
        yield from _paths(child, (*path, number))


def _side_by_side(shape: Shape, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two states are in different regions of a parallel one."""
    if not one or not other:
        return False
    if one[0] != other[0]:
        return shape.parallel
    return _side_by_side(shape.within[one[0]], one[1:], other[1:])


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
    # Most edges are short: long ones leave all regions.
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

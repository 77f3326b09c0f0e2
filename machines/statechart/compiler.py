"""A chart compiled into a table: for each configuration and event, what may be taken, and to where.

The rules are those of python-statemachine's engine, worked out once for each chart instead of once
for each event. The engine stays the definition: `machines.statechart.engine` runs it beside the table,
over the whole reachable space of every chart and over charts that the tests make up.

1. An event takes one edge: the innermost states' come first, then the order of declaration; the
   first whose guards hold. A chart in which one event could move two regions is refused.
2. The edge leaves all states within the innermost compound state around both of its ends, and enters
   its target, what is around it up to that state, and the initial states within.

A table holds no value and no instance, so every thread may use it at any time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product, takewhile
from typing import assert_never

from machines.statechart.chart import AnyChart
from machines.statechart.topology import (
    Configuration,
    Edge,
    NodeKind,
    Topology,
    problems_of,
    topology,
)


class UnsupportedDeclaration(TypeError):
    """A chart declares what no table is compiled of; the text says what, and what to do instead."""


Row = tuple[tuple[Edge, Configuration], ...]
"""The edges that an event may take, in the order in which they are tried, and where each leads."""


@dataclass(frozen=True, slots=True)
class Place:
    """One configuration."""

    active: frozenset[str]
    """All states that hold: the innermost ones and those around them."""
    allowed: tuple[str, ...]
    """Events that some edge declares here, sorted."""
    rows: Mapping[str, Row]
    """For each of `allowed`."""


Table = Mapping[Configuration, Place]


def compile_table(chart: AnyChart) -> Table:
    """The table of a chart class, of every configuration that its nesting allows.

    Raises:
        UnsupportedDeclaration: with a sentence for each thing that a table cannot say.
    """
    problems = list(problems_of(chart))
    if problems:
        raise UnsupportedDeclaration(f"{chart.__name__} is not compiled: {'; '.join(problems)}.")
    return table_of(topology(chart))


def table_of(shape: Topology) -> Table:
    """The table of a chart's plain values, whatever class they came from."""
    return {shape.innermost(active): _place(shape, active) for active in configurations(shape)}


def configurations(shape: Topology) -> Iterator[frozenset[str]]:
    """Every set of states that the nesting of a chart lets hold together."""
    yield from chain(*(_within(shape, node.name) for node in shape.within(None)))


def beginning(shape: Topology) -> frozenset[str]:
    """The states that hold before the first event."""
    active: set[str] = set()
    for node in shape.nodes:  # outer states before those within them
        around = node.parent
        if around is None or around in active:
            is_region = around is not None and shape.node(around).kind is NodeKind.PARALLEL
            if node.initial or is_region:
                active.add(node.name)
    return frozenset(active)


def after(shape: Topology, active: frozenset[str], source: str, target: str) -> frozenset[str]:
    """The states that hold once an edge from `source` to `target` was taken where `active` held."""
    around = shape.ancestors(target)
    domain = next(
        (
            name
            for name in shape.ancestors(source)
            if name in around and shape.node(name).kind is NodeKind.COMPOUND
        ),
        None,
    )
    stays = {name for name in active if domain and domain not in shape.ancestors(name)}
    holds = stays | {target, *takewhile(lambda name: name != domain, around)}
    for node in shape.nodes:  # outer states before those within them
        beside = {each.name for each in shape.within(node.parent)}
        if node.parent in holds and (
            shape.node(node.parent).kind is NodeKind.PARALLEL
            or (node.initial and not beside & holds)
        ):
            holds.add(node.name)
    return frozenset(holds)


def _within(shape: Topology, name: str) -> Iterator[frozenset[str]]:
    """Every combination of `name` and states within it."""
    inner = [list(_within(shape, child.name)) for child in shape.within(name)]
    kind = shape.node(name).kind
    match kind:
        case NodeKind.ATOMIC:
            yield frozenset({name})
        case NodeKind.COMPOUND:
            yield from (each | {name} for each in chain(*inner))
        case NodeKind.PARALLEL:
            yield from (frozenset({name}).union(*each) for each in product(*inner))
        case _:
            assert_never(kind)


def _place(shape: Topology, active: frozenset[str]) -> Place:
    allowed = shape.allowed(active)
    rows = {
        event: tuple(
            (edge, shape.innermost(after(shape, active, edge.source, edge.target)))
            for edge in shape.edges_from(active, event)
        )
        for event in allowed
    }
    return Place(active, allowed, rows)

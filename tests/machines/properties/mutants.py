"""Charts with one mistake in them, and what finds it.

    python -m tests.machines.properties.mutants             # 100 of them; some minutes
    python -m tests.machines.properties.mutants 7 200       # another seed, and how many

A mutant drops or negates one guard of an edge, leads an edge elsewhere, or has no such edge. It is killed
by a rule that it breaks, by a search that cannot finish, leaves something uncovered or meets a value that
is not valid, or by a scenario that comes out otherwise. One that survives all of them is named: either it
takes the steps of the chart, since a guard repeats what an edge before it says, or a rule is missing.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Final

from machines.properties import Rule, all_rules
from machines.properties.checking import Move, Node, check, searched
from machines.statechart import Accepted, Edge, Guard, Machine, NodeKind, Refusal, Topology
from machines.statechart.compiler import table_of
from machines.statechart.coverage import uncovered
from machines.statechart.engine import AnyMachine
from machines.statechart.scenarios import Catalogue, Taken
from tests.machines.transitions.catalogues import CATALOGUES
from tests.machines.transitions.spaces import SPACES

SEED: Final = 2026
HOW_MANY: Final = 100


@dataclass(frozen=True)
class Mutant:
    """A machine whose chart has a mistake."""

    machine: str
    mistake: str
    shape: Topology

    def __str__(self) -> str:
        return f"{self.machine}: {self.mistake}"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    by: str
    """`rule`, `search`, `coverage` or `scenario`; empty where it survived."""
    what: str = ""
    """What found it."""
    is_alike: bool = False
    """Whether it survived since it takes the same steps as the chart, in every reachable state."""


class MutatedMachine(Machine[Any, Any, Any, Any]):
    """A machine that runs another shape than its chart declares."""

    def __init__(self, original: AnyMachine, shape: Topology) -> None:
        super().__init__(original.chart, states_of=original.states_of, place=original.place)
        self.topology = shape
        self.table = table_of(shape)


def mutants_of(machine: AnyMachine) -> Iterator[Mutant]:
    """Every single mistake of the four kinds."""
    shape = machine.topology
    for edge in shape.edges:
        for mistake, changed in _mistakes(shape, edge):
            edges = tuple(
                each
                for old in shape.edges
                for each in (
                    (changed,) if old is edge and changed else () if old is edge else (old,)
                )
            )
            yield Mutant(machine.name, f"{edge.id} {mistake}", replace(shape, edges=edges))


def sampled(seed: int = SEED, how_many: int = HOW_MANY) -> list[Mutant]:
    """Mutants of all machines, as often of each as it has."""
    every = [mutant for name in SPACES for mutant in mutants_of(SPACES[name]().machine)]
    return Random(seed).sample(every, how_many)


def judged(mutant: Mutant) -> Verdict:
    """What finds the mistake first: a rule, else the search, else a scenario."""
    space = SPACES[mutant.machine]()
    machine = MutatedMachine(space.machine, mutant.shape)
    try:
        graph, reached = searched(replace(space, machine=machine))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found
        return Verdict(mutant, "search", f"{type(error).__name__}: {error}"[:120])
    for rule in _rules_of(mutant.machine):
        if check(rule, graph) is not None:
            return Verdict(mutant, "rule", rule.name)
    if left := uncovered(replace(space, machine=machine), reached):
        return Verdict(mutant, "coverage", left[0][:120])
    if failing := next(_failing(CATALOGUES[mutant.machine](), machine), ""):
        return Verdict(mutant, "scenario", failing)
    return Verdict(mutant, "", is_alike=graph.moves == _declared_moves(mutant.machine))


@cache
def _declared_moves(machine: str) -> dict[Node, list[Move]]:
    return searched(SPACES[machine]())[0].moves


def _rules_of(machine: str) -> list[Rule]:
    return [
        rule
        for rule in all_rules()
        if rule.about.keys.keys() == {machine}
        or (rule.about.is_one_value and machine in rule.about.keys)
    ]


def _mistakes(shape: Topology, edge: Edge) -> Iterator[tuple[str, Edge | None]]:
    yield "is removed", None
    for guard in edge.guards:
        rest = tuple(each for each in edge.guards if each is not guard)
        yield f"drops {guard.label}", replace(edge, guards=rest)
        turned = tuple(_turned(each) if each is guard else each for each in edge.guards)
        yield f"negates {guard.label}", replace(edge, guards=turned)
    for node in shape.nodes:
        # Beside the old target, or at the top; into a state with others in it no edge leads by mistake.
        places = {shape.node(edge.target).parent, None}
        if node.name != edge.target and node.kind is NodeKind.ATOMIC and node.parent in places:
            yield f"leads to {node.name}", replace(edge, target=node.name)


def _turned(guard: Guard) -> Guard:
    return replace(guard, expected=not guard.expected)


def _failing(catalogue: Catalogue, machine: AnyMachine) -> Iterator[str]:
    """Scenarios that come out otherwise."""
    for each in catalogue.scenarios:
        try:
            outcome = machine.fire(each.state, each.event)
        except Exception as error:  # noqa: BLE001 - as above
            yield f"{type(error).__name__} at {each.event.event}"
            continue
        if isinstance(each, Taken):
            if not isinstance(outcome, Accepted) or outcome.edge.id != each.edge:
                yield f"no {each.edge}"
            elif _declared(catalogue, each.edge).target != outcome.edge.target:
                yield f"{each.edge} leads elsewhere"
        elif not isinstance(outcome, Refusal) or outcome.guards != each.guards:
            yield f"no refusal for {', '.join(each.guards)}"


def _declared(catalogue: Catalogue, edge: str) -> Edge:
    return next(each for each in catalogue.machine.topology.edges if each.id == edge)


def main(arguments: list[str]) -> int:
    """Judge mutants, and print what became of them; gives 1 where less than 95 of 100 were killed."""
    seed, how_many = (*map(int, arguments), *(SEED, HOW_MANY)[len(arguments) :])
    found: Counter[str] = Counter()
    survivors: list[Verdict] = []
    for mutant in sampled(seed, how_many):
        verdict = judged(mutant)
        found[verdict.by or "none"] += 1
        if not verdict.by:
            survivors.append(verdict)
        print(f"{verdict.by or 'SURVIVED':9} {mutant}  {verdict.what}", flush=True)
    killed = how_many - len(survivors)
    print(f"{killed} of {how_many} killed, seed {seed}: {dict(found)}")
    for verdict in survivors:
        alike = " (it takes the same steps in every reachable state)" if verdict.is_alike else ""
        print(f"survived: {verdict.mutant}{alike}")
    return 0 if killed * 100 >= 95 * how_many else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

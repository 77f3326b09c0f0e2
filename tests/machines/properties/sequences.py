"""Steps of a small machine of letters, and graphs of them: what forms and searches are tested with."""

from collections.abc import Iterable, Mapping

from machines.properties.checking import Graph, Move
from machines.properties.form import Rule, Test, named
from machines.properties.monitor import Broken, Monitor
from machines.properties.steps import Step


def letter(said: str, instance: str = "it", *, source: str = "open", target: str = "open") -> Step:
    """A step whose event is a letter."""
    return Step("message", instance, said, source, target, "edge", (), {}, {})


def letters(word: str, instance: str = "it") -> list[Step]:
    """A step for each letter."""
    return [letter(each, instance) for each in word]


def says(*wanted: str) -> Test:
    """The step's event is one of these letters."""
    return named(" or ".join(wanted), lambda step: step.event in wanted)


def broken_by(rule: Rule, steps: Iterable[Step]) -> list[Broken]:
    """What a monitor finds in the steps of one stream."""
    monitor = Monitor([rule])
    return [broken for step in steps for broken in monitor.see(step)]


def graph(arrows: Mapping[int, str]) -> Graph:
    """A graph that begins at node 0.

    Args:
        arrows: By node, what may happen there, separated by spaces: `a1` leads by the letter a to node 1;
            `a1!` is bound to happen.
    """
    made = Graph(initial=[0], present=frozenset({"it"}))
    targets: set[int] = set()
    for node, leaving in arrows.items():
        for arrow in leaving.split():
            target = int(arrow[1:].rstrip("!"))
            targets.add(target)
            assured = "it" if arrow.endswith("!") else None
            made.moves.setdefault(node, []).append(Move((letter(arrow[0]),), target, assured))
    for node in {0, *arrows, *targets}:
        made.moves.setdefault(node, [])
    return made

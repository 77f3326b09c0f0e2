"""Which guards an accepted event asked, and what they said: worked out, not asked again.

An event tries the edges of its state in their order, and the guards of each up to the first that does
not hold. So the edge that was taken, and for each edge before it the guard that ended it, tell the
value of every guard that was asked. Pure, and needs a chart's plain values alone, not its code.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from machines.statechart.topology import NOT, Edge


class ImpossibleOutcome(ValueError):
    """What is said to have been asked does not follow from the edges; the text says why."""


class Verdict(StrEnum):
    """What became of an edge that an event could have taken."""

    TAKEN = "taken"
    PASSED_OVER = "passed_over"
    """A guard did not hold."""
    NOT_TRIED = "not_tried"
    """An edge before it was taken."""
    NOT_RECORDED = "not_recorded"
    """It was passed over; which guard did not hold is not known."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One edge that an event could have taken."""

    edge: Edge
    verdict: Verdict
    values: tuple[bool | None, ...]
    """What each of `edge.guards` said; None where it was not asked, or that is not known."""


def asked(row: Sequence[Edge], taken: Edge, passed_over: Sequence[str]) -> tuple[Asked, ...]:
    """What was asked of the edges of a state and an event, in the order in which they are tried.

    Args:
        row: those edges; `Topology.edges_from` gives them.
        passed_over: of each edge before `taken` the label of the guard that did not hold. None at all
            where there are such edges is a record that was not kept.

    Raises:
        ImpossibleOutcome: no values of the guards lead there.
    """
    place = next((number for number, edge in enumerate(row) if edge.id == taken.id), None)
    if place is None:
        raise ImpossibleOutcome("was not to be tried")
    found = [*_passed_over(row[:place], passed_over)]
    found.append(Asked(taken, Verdict.TAKEN, tuple(guard.expected for guard in taken.guards)))
    found += [
        Asked(edge, Verdict.NOT_TRIED, (None,) * len(edge.guards)) for edge in row[place + 1 :]
    ]
    values_of(found)
    return tuple(found)


def values_of(found: Sequence[Asked]) -> Mapping[str, bool]:
    """The value of each guard that was asked, by its name.

    Raises:
        ImpossibleOutcome: a guard said both.
    """
    values: dict[str, bool] = {}
    for each in found:
        for guard, value in zip(each.edge.guards, each.values, strict=True):
            if value is not None and values.setdefault(guard.name, value) is not value:
                raise ImpossibleOutcome(f"found {guard.name} both true and false")
    return values


def _passed_over(before: Sequence[Edge], labels: Sequence[str]) -> Iterator[Asked]:
    if before and not labels:
        for edge in before:
            yield Asked(edge, Verdict.NOT_RECORDED, (None,) * len(edge.guards))
        return
    if len(labels) != len(before):
        raise ImpossibleOutcome(f"passed over {len(labels)} edges, not {len(before)}")
    for edge, label in zip(before, labels, strict=True):
        spelt = [guard.label for guard in edge.guards]
        if label not in spelt:
            name = label.removeprefix(NOT)
            raise ImpossibleOutcome(f"passed over {edge.id} for {name}, which it does not ask")
        last = spelt.index(label)
        yield Asked(
            edge,
            Verdict.PASSED_OVER,
            tuple(
                None if place > last else guard.expected is (place < last)
                for place, guard in enumerate(edge.guards)
            ),
        )

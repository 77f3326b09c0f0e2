"""Why a value did what it did: for each transition the guards that were asked, and what it brought. Pure.

The values of guards come from what the entry records; where an earlier version recorded nothing, from
replaying the run, if today's chart may; else they are not known, and told as such.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Final

from machines.decisions.facts import facts_of
from machines.decisions.moves import Move, moves_of
from machines.decisions.replay import Held, Replayed, replay
from machines.declarations import Declaration
from machines.models.domain import Created
from machines.models.journal import JournalEntry
from machines.models.wire.explained import (
    EffectView,
    ExplainedTransition,
    GuardView,
    Judged,
    TriedEdgeView,
)
from machines.models.wire.views import TransitionView
from machines.statechart import Edge, ImpossibleOutcome, Topology, asked
from machines.statechart.compiler import after, beginning

_ANSWERED_BY: Final[Mapping[str, frozenset[str]]] = {
    "AICall": frozenset(
        {
            "step_completed",
            "ai_failed",
            "network_failed",
            "attempt_delayed",
            "state_lost",
            "carrier_lost",
        }
    ),
    "RecallPriors": frozenset({"priors_retrieved", "state_lost", "carrier_lost"}),
    "ScheduleTimer": frozenset({"retry_due"}),
}
"""The events that a run's effects come back as. A run waits for one of them at a time."""

_Key = tuple[int, str, str]
"""An entry, a value and an edge."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened to a value and with it, and why."""

    born: JournalEntry | None
    """The entry by which it came to be; None where none of the entries is that."""
    transitions: tuple[ExplainedTransition, ...]
    meanings: Mapping[str, str] = field(default_factory=dict)
    """By name: when each guard holds."""


def explain(
    instance: str, entries: Sequence[JournalEntry], declared: Mapping[str, Declaration]
) -> Explanation:
    """Explain the transitions that entries hold.

    Args:
        instance: id of a run, message, thread, invitation, link, removal or branch.
        entries: those of its thread that are about it, in their order.
        declared: declarations by fingerprint.

    Raises:
        StateError: an entry holds a value that no value of today is made of.
    """
    born = next((each for each in entries if _is_born(instance, each)), None)
    found = _replayed(instance, entries, declared)
    moves = [move for entry in entries for move in moves_of(entry)]
    own = [move for move in moves if move.taken.instance == instance]
    following = {id(move): after for move, after in zip_longest(own, own[1:])}
    charts = _Charts(declared)
    last = born.at if born is not None else None
    transitions = []
    for move in moves:
        replayed = found.get((move.seq, move.taken.instance, move.taken.edge))
        agrees = replayed is not None and not replayed.differences
        edges = charts.tried(move, replayed.passed_over if replayed and agrees else ())
        transitions.append(
            ExplainedTransition(
                seq=move.seq,
                at=move.at,
                after_ms=_milliseconds(last, move.at),
                transition=TransitionView.model_validate(vars(move.taken)),
                facts=dict(facts_of(move.fired)),
                is_declared=move.fingerprint in declared,
                judged=_judged(move, replayed, edges, declared),
                edges=edges,
                effects=tuple(_effects(move, following.get(id(move)))),
            )
        )
        last = move.at
    return Explanation(born, tuple(transitions), charts.meanings)


def _is_born(instance: str, entry: JournalEntry) -> bool:
    return any(isinstance(each, Created) and each.id == instance for each in entry.changes)


def _replayed(
    instance: str, entries: Sequence[JournalEntry], declared: Mapping[str, Declaration]
) -> Mapping[_Key, Replayed]:
    """The value's own transitions, as far as their replay goes."""
    return {
        (each.move.seq, each.move.taken.instance, each.move.taken.edge): each
        for each in replay(instance, entries, declared)
    }


def _judged(
    move: Move,
    replayed: Replayed | None,
    edges: tuple[TriedEdgeView, ...],
    declared: Mapping[str, Declaration],
) -> Judged:
    """How it is known what the guards said."""
    if move.fingerprint not in declared:
        return Held.UNKNOWN.value
    if replayed is not None and replayed.differences:
        return "contradicted"
    if replayed is not None and replayed.held is Held.EXECUTED:
        return Held.EXECUTED.value
    are_known = bool(edges) and all(each.verdict != "not_recorded" for each in edges)
    return Held.RECORDED.value if are_known else Held.DECLARED.value


class _Charts:
    """The declarations that wrote the moves, and where each value stands by them."""

    def __init__(self, declared: Mapping[str, Declaration]) -> None:
        self._declared = declared
        self._shapes: dict[str, Topology] = {}
        self._active: dict[str, frozenset[str]] = {}
        self.meanings: dict[str, str] = {}
        """By name: when each guard that was told holds."""

    def tried(self, move: Move, executed: tuple[str, ...]) -> tuple[TriedEdgeView, ...]:
        """The edges of the event; empty where what wrote the move declares no such edge."""
        taken = move.taken
        shape = self._shape(move.fingerprint)
        edge = (
            next((each for each in shape.edges if each.id == taken.edge), None) if shape else None
        )
        if shape is None or edge is None:
            self._active.pop(taken.instance, None)
            return ()
        active = self._stood(shape, taken.instance, edge)
        self._active[taken.instance] = after(shape, active, edge.source, edge.target)
        row = shape.edges_from(active, edge.event)
        for passed_over in (taken.passed_over or executed, ()):
            try:
                told = asked(row, edge, passed_over)
            except ImpossibleOutcome:
                continue  # an equal chart has other edges, or the entry is damaged
            break
        else:
            return ()
        self.meanings |= {guard.name: guard.sentence for each in row for guard in each.guards}
        return tuple(
            TriedEdgeView(
                edge=each.edge.id,
                target=each.edge.target,
                verdict=each.verdict.value,
                guards=tuple(
                    GuardView(name=guard.name, expected=guard.expected, value=value)
                    for guard, value in zip(each.edge.guards, each.values, strict=True)
                ),
            )
            for each in told
        )

    def _shape(self, fingerprint: str) -> Topology | None:
        if fingerprint not in self._declared:
            return None
        if fingerprint not in self._shapes:
            self._shapes[fingerprint] = self._declared[fingerprint].topology()
        return self._shapes[fingerprint]

    def _stood(self, shape: Topology, instance: str, edge: Edge) -> frozenset[str]:
        """The states that held before an edge was taken. Of a value whose beginning is not among the
        entries that is what its edge says."""
        declared = {node.name for node in shape.nodes}
        for active in (self._active.get(instance, frozenset()), beginning(shape)):
            if edge.source in active and active <= declared:
                return active
        return frozenset({edge.source, *shape.ancestors(edge.source)})


def _effects(move: Move, following: Move | None) -> Iterator[EffectView]:
    for effect in move.taken.effects:
        answers = _ANSWERED_BY.get(effect, frozenset())
        if following is None or following.taken.event not in answers:
            yield EffectView(effect=effect)
            continue
        yield EffectView(
            effect=effect,
            brought=following.taken.event,
            seq=following.seq,
            after_ms=_milliseconds(move.at, following.at),
        )


def _milliseconds(since: datetime | None, until: datetime) -> int:
    """Never less than 0, also where a clock went back."""
    return 0 if since is None else max(0, (until - since) // timedelta(milliseconds=1))

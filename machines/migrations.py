"""What becomes of values that live when their chart changes: each goes on, is migrated, or is ended.

A value was led to where it stands by an earlier declaration of its chart. Today's chart leads it on

- as it is, where it has that place, an end can be reached from there, and everything that may come of
  what is under way is taken, there and in all places behind it;
- behind a `Migration`, which names for each state of one earlier declaration the state of today that
  takes its place;
- else not at all: it is ended, with a reason.

Decided on declarations alone, so that no code of the earlier chart is needed. To declare a migration,
add it to `MIGRATIONS`, and the earlier declaration to `machines/earlier/`.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any, Final

from machines.declarations import Declaration, DeclaredEdge
from machines.statechart import Configuration, Topology
from machines.statechart.compiler import after, configurations

ANSWERS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "chorus": {
        "queued": frozenset({"start"}),
        "experience": frozenset({"priors_retrieved"}),
        "yielding": frozenset({"priors_retrieved"}),
        "stable": frozenset(
            {
                "step_completed",
                "ai_failed",
                "network_failed",
                "attempt_delayed",
                "state_lost",
                "carrier_lost",
            }
        ),
        "recovering": frozenset({"retry_due"}),
    },
    "message": {"pending": frozenset({"expire"})},
    "invitation": {"invited": frozenset({"expire"})},
    "invite_link": {"open": frozenset({"expire"})},
    "removal": {"proposed": frozenset({"expire"})},
    "branch": {
        "growing": frozenset({"answer", "run_ended"}),
        "ready": frozenset({"expire"}),
        "proposed": frozenset({"expire"}),
    },
}
"""By machine and state: the events that what is under way there may bring. A value whose chart takes one
of them no more could wait for ever."""


# --- What becomes of a value ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Continue:
    """It goes on where it stands."""

    met: tuple[str, ...] = ()
    """What is different there, a clause for each event; empty where all that led away still does."""


@dataclass(frozen=True, slots=True)
class Migrate:
    """A declared migration takes it to another place."""

    configuration: Configuration
    """Of today's chart."""
    migration: "Migration"


@dataclass(frozen=True, slots=True)
class End:
    """Today's chart cannot lead it on."""

    reason: str
    """A clause; names of states and events stand between backquotes."""


Outcome = Continue | Migrate | End


# --- Declared migrations -------------------------------------------------------------------------


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Migration:
    """Leads the values of one earlier declaration into today's chart.

        Migration("chorus:0123456789ab", states={"observation": "update"})

    A run that is led into another step begins that step anew.
    """

    fingerprint: str
    """Of the earlier declaration, which is in `machines/earlier/`."""
    states: Mapping[str, str]
    """By the names of its innermost states: that of today. A state that is not named keeps its name."""
    value: Callable[[Any], Any] = field(default=_as_it_is)
    """(value in its new place) -> value: a pure function that changes what else must change. Of a run it
    leaves alone what its entries hold: prompt, messages, instructions, priors and steps."""

    @property
    def machine(self) -> str:
        return self.fingerprint.partition(":")[0]

    def place_of(self, configuration: Configuration) -> Configuration:
        """Where today's chart has what stood there."""
        return tuple(self.states.get(name, name) for name in configuration)


MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""Every one; at most one for each earlier declaration. They are looked at before anything is served."""


def problems_of(
    migrations: Iterable[Migration],
    earlier: Mapping[str, Declaration],
    today: Mapping[str, Declaration],
) -> Iterator[str]:
    """A sentence for each thing that is wrong with declared migrations.

    Args:
        earlier: by fingerprint.
        today: by machine.
    """
    seen: set[str] = set()
    for migration in migrations:
        name = f"The migration of {migration.fingerprint}"
        if migration.fingerprint in seen:
            yield f"{name} is declared twice."
            continue
        seen.add(migration.fingerprint)
        old, new = earlier.get(migration.fingerprint), today.get(migration.machine)
        if old is None:
            yield f"{name} is of a declaration that machines/earlier/ does not have."
        elif new is None:
            yield f"{name} is of a machine that is gone."
        else:
            yield from (f"{name} {each}" for each in _problems(migration, old, new))


def _problems(migration: Migration, old: Declaration, new: Declaration) -> Iterator[str]:
    names = {each.name for each in old.states}
    for name in sorted(migration.states.keys() - names):
        yield f"names {name}, which is no state of it."
    was, now = _Chart(old.topology()), _Chart(new.topology())
    for configuration in was.living:
        place = migration.place_of(configuration)
        if place not in now.places:
            yield (
                f"leads {' '.join(configuration)} to {' '.join(place)}, which is no state of the"
                f" {new.machine} chart."
            )
        elif place not in now.living:
            yield (
                f"leads {' '.join(configuration)} to {' '.join(place)}, where the {new.machine}"
                " chart is at its end."
            )


# --- The decision --------------------------------------------------------------------------------


class _Chart:
    """A chart's plain values, and what is asked of them again and again."""

    def __init__(self, shape: Topology) -> None:
        self.shape = shape
        self.names = {node.name for node in shape.nodes}
        self.finals = {node.name for node in shape.nodes if node.final}
        self.behind = cache(self._behind)
        self._after = cache(partial(after, shape))

    @cached_property
    def places(self) -> Mapping[Configuration, frozenset[str]]:
        """All states that hold in each configuration."""
        return {self.shape.innermost(each): each for each in configurations(self.shape)}

    @property
    def living(self) -> tuple[Configuration, ...]:
        """The configurations in which no state is final."""
        return tuple(place for place, active in self.places.items() if not active & self.finals)

    def _behind(self, active: frozenset[str]) -> Collection[frozenset[str]]:
        """What can be reached, were every guard to hold: the beginning, then what is near, then the rest."""
        seen = {active: None}
        waiting = deque([active])
        while waiting:
            here = waiting.popleft()
            if here & self.finals:
                continue
            for edge in self.shape.edges:
                if edge.source in here:
                    there = self._after(here, edge.source, edge.target)
                    if there not in seen:
                        seen[there] = None
                        waiting.append(there)
        return seen

    def ends(self, active: frozenset[str]) -> bool:
        """Whether some path leads to a final state, were every guard to hold."""
        return any(each & self.finals for each in self.behind(active))


class Succession:
    """Today's chart, and one earlier declaration whose values it takes over."""

    def __init__(
        self,
        old: Declaration,
        new: Declaration | None,
        migrations: Iterable[Migration] = MIGRATIONS,
    ) -> None:
        """
        Args:
            new: None where the machine is gone.
        """
        self._old_edges = old.edges
        self._new_edges = () if new is None else new.edges
        self._was = _Chart(old.topology())
        self._now = None if new is None else _Chart(new.topology())
        self._migration = next(
            (each for each in migrations if each.fingerprint == old.fingerprint), None
        )
        self._decided: dict[Configuration, Outcome] = {}

    @property
    def living(self) -> tuple[Configuration, ...]:
        """Where a value of the earlier declaration may stand that is not over."""
        return self._was.living

    def outcome(self, configuration: Configuration) -> Outcome:
        """What becomes of a value that stands in a configuration of the earlier declaration."""
        if configuration not in self._decided:
            self._decided[configuration] = self._outcome(configuration)
        return self._decided[configuration]

    def _outcome(self, configuration: Configuration) -> Outcome:
        if self._now is None:
            return End("the machine is gone")
        migration = self._migration
        place = configuration if migration is None else migration.place_of(configuration)
        if reason := self._why_not(self._now, configuration, place):
            return End(reason)
        if migration is not None:
            return Migrate(place, migration)
        return Continue(tuple(self._met(self._was.places[configuration])))

    def _why_not(self, now: _Chart, was: Configuration, place: Configuration) -> str | None:
        """Why no value can go on in a place of today's chart."""
        if gone := [name for name in place if name not in now.names]:
            return f"{_listed(gone)} {'is' if len(gone) == 1 else 'are'} gone"
        if place not in now.places:
            return f"{_listed(place)} is no place of its own any more"
        active = now.places[place]
        if ended := sorted(now.finals & active):
            return f"{_listed(ended)} is final now"
        behind = now.behind(active)
        if self._was.ends(self._was.places[was]) and not any(each & now.finals for each in behind):
            return "no way leads to a final state any more"
        answers = ANSWERS.get(now.shape.machine, {})
        for there in behind:
            if there & now.finals:
                continue
            taken = set(now.shape.allowed(there))
            for state in sorted(there & answers.keys()):
                if refused := sorted((answers[state] & self._taken_in(state)) - taken):
                    return f"{_listed(refused)} is not taken any more in {_listed(now.shape.innermost(there))}"
        return None

    def _taken_in(self, state: str) -> set[str]:
        """The events that the earlier declaration took while a state held."""
        return {
            event
            for active in self._was.places.values()
            if state in active
            for event in self._was.shape.allowed(active)
        }

    def _met(self, active: frozenset[str]) -> Iterator[str]:
        """What is different where a value stands, once for each event."""
        was, now = _by_turn(self._old_edges), _by_turn(self._new_edges)
        said = (
            f"`{event}` {'is another' if (event, source) in now else 'is gone'}"
            for (event, source), edges in was.items()
            if source in active and edges != now.get((event, source))
        )
        yield from dict.fromkeys(said)


def _by_turn(edges: Iterable[DeclaredEdge]) -> Mapping[tuple[str, str], list[object]]:
    """By event and source: what each edge says, in the order in which they are tried."""
    found: dict[tuple[str, str], list[object]] = {}
    for each in edges:
        found.setdefault((each.event, each.source), []).append(
            (each.target, each.guards, each.actions)
        )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

"""Random walks: what a machine becomes by events that hypothesis chooses, and what it said on the way.

A walk takes its events from the alphabets of `tests.machines.transitions.spaces`, so that late, foreign and
repeated ones are among them; those of `likely_at` are preferred, or few walks would get far.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from machines.statechart import Accepted, Refusal
from machines.statechart.engine import AnyMachine

Events = Callable[[Any], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Fired:
    """One event of a walk and its outcome."""

    before: Any
    event: Any
    outcome: Accepted[Any, Any, Any] | Refusal

    @property
    def after(self) -> Any:
        """The state afterwards; the same where the event was refused."""
        return self.outcome.state if isinstance(self.outcome, Accepted) else self.before


@dataclass(slots=True)
class Walk:
    """Everything that happened to one value."""

    initial: Any
    fired: list[Fired] = field(default_factory=list)

    @property
    def state(self) -> Any:
        """Where the walk is."""
        return self.fired[-1].after if self.fired else self.initial

    @property
    def accepted(self) -> list[Fired]:
        return [each for each in self.fired if isinstance(each.outcome, Accepted)]

    @property
    def events(self) -> list[Any]:
        """The accepted events, as a journal keeps them."""
        return [each.event for each in self.accepted]

    @property
    def effects(self) -> list[Any]:
        return [
            effect
            for each in self.fired
            if isinstance(each.outcome, Accepted)
            for effect in each.outcome.effects
        ]


@st.composite
def walks(
    draw: st.DrawFn,
    machine: AnyMachine,
    initial: Any,
    events_at: Events,
    *,
    likely_at: Events | None = None,
    length: int = 40,
) -> Walk:
    """Walks of at most `length` events; one that reached a final state meets a few events more."""
    walk = Walk(initial)
    for _ in range(draw(st.integers(1, length))):
        state = walk.state
        anything = likely_at is None or draw(st.integers(0, 4)) == 0
        possible = list(events_at(state) if anything or likely_at is None else likely_at(state))
        event = draw(st.sampled_from(possible))
        walk.fired.append(Fired(state, event, machine.fire(state, event)))
    return walk

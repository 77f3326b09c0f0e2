"""What entries add to the counts of the machines: pure, on bodies that were parsed.

A tally is a tree of sums with these branches, so that tallies of any periods add up:

    machine / "edges"  / id of the edge                        how often it was taken
    machine / "passed" / event / guard                         how often it closed an edge before that
    machine / "held"   / state / bucket of the holding time    how often it was held so long
    machine / "tokens" / state of the step / what is summed    of the calls that completed it

A holding time counts where the state is left. Entries of one thread must be counted in their order,
those of several in any.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from machines.models.heat import (
    GuardCount,
    HeldTimes,
    MachineHeat,
    StepTokens,
    bucket_of,
    machine_of,
    quantile,
    timed_states,
)
from machines.models.outputs import STATE_OF_STEP, StepEnum
from storage.journal.sources import Stored

Tally = dict[str, "int | Tally"]

Standing = Mapping[str, int]
"""The states that a value stands in, each with the moment at which it was entered, in microseconds."""

HOUR: Final = 3_600_000_000
"""Microseconds."""
DAY: Final = 24 * HOUR

_MILLISECOND: Final = 1_000


class ThreadHour(NamedTuple):
    """What a tally is of."""

    thread_id: str
    start: int
    """The beginning of the hour, in microseconds."""


class Counted:
    """The tallies of entries, and where they leave each value that waits for something."""

    def __init__(self) -> None:
        self.tallies: dict[ThreadHour, Tally] = {}
        self.standing: dict[str, Standing] = {}
        """By the id of a value: of those that were told, and of those that entries changed; empty where a
        value is over."""

    def see(self, thread_id: str, at: int, stored: Stored) -> None:
        """Count an entry of a thread.

        Args:
            at: Of the entry, in microseconds.
        """
        tally: Tally = {}
        for taken in stored.get("transitions", ()):
            machine = taken["machine"]
            _count(tally, machine, "edges", taken["edge"])
            for guard in taken.get("passed_over", ()):
                _count(tally, machine, "passed", taken["event"], guard)
        for fired in stored.get("fired", ()):
            if fired["event"].get("event") == "step_completed":
                _count_tokens(tally, fired["event"])
        for change in stored.get("changes", ()):
            self._move(tally, at, change)
        if tally:
            hour = ThreadHour(thread_id, at - at % HOUR)
            add(self.tallies.setdefault(hour, {}), tally)

    def _move(self, tally: Tally, at: int, change: Mapping[str, Any]) -> None:
        kind, id_ = change["kind"], change["id"]
        states = timed_states(kind, change.get("value", {}))
        before = self.standing.get(id_, {})
        if states == before.keys():
            return
        for state, since in before.items():
            if state not in states:
                _count(tally, machine_of(kind), "held", state, str(bucket_of(at - since)))
        self.standing[id_] = {state: before.get(state, at) for state in sorted(states)}


def changed_values(stored: Stored) -> Iterable[str]:
    """The ids of the values that an entry changes."""
    return (change["id"] for change in stored.get("changes", ()))


def add(to: Tally, more: Tally) -> None:
    """Let `to` hold the sums of both."""
    for name, each in more.items():
        if isinstance(each, int):
            before = to.get(name, 0)
            assert isinstance(before, int)  # noqa: S101 - a name is a sum or a branch everywhere
            to[name] = before + each
        else:
            branch = to.setdefault(name, {})
            assert isinstance(branch, dict)  # noqa: S101 - as above
            add(branch, each)


def tally_text(tally: Tally) -> str:
    """The JSON of a tally: the same text for the same sums."""
    return json.dumps(tally, sort_keys=True, separators=(",", ":"))


def tally_of(text: str) -> Tally:
    """The tally of a JSON text. Raises ValueError where it is none."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(map(_is_sums, found.values())):
        raise ValueError("no tally")
    return found


def standing_of(text: str) -> Standing:
    """The standing of a JSON text. Raises ValueError where it is none."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, int) for each in found.values()):
        raise ValueError("no states")
    return found


def heat_of(machine: str, tally: Mapping[str, Any]) -> MachineHeat:
    """What the branch of a machine says."""
    return MachineHeat(
        machine=machine,
        edges=dict(sorted(tally.get("edges", {}).items())),
        states={
            state: _held_times({int(bucket): count for bucket, count in times.items()})
            for state, times in sorted(tally.get("held", {}).items())
        },
        steps={
            step: StepTokens.model_validate(sums)
            for step, sums in sorted(tally.get("tokens", {}).items())
        },
        passed_over=tuple(_most_first(tally.get("passed", {}))),
    )


def _most_first(passed: Mapping[str, Mapping[str, int]]) -> list[GuardCount]:
    counts = [
        GuardCount(event=event, guard=guard, count=count)
        for event, guards in passed.items()
        for guard, count in guards.items()
    ]
    return sorted(counts, key=lambda each: (-each.count, each.event, each.guard))


def _held_times(times: Mapping[int, int]) -> HeldTimes:
    return HeldTimes(
        count=sum(times.values()),
        p50_ms=quantile(times, 0.5) / _MILLISECOND,
        p95_ms=quantile(times, 0.95) / _MILLISECOND,
    )


def _is_sums(value: object) -> bool:
    return isinstance(value, int) or (
        isinstance(value, dict) and all(map(_is_sums, value.values()))
    )


def _count_tokens(tally: Tally, completed: Mapping[str, Any]) -> None:
    sums: Tally = {"answers": 1, "counted": 0, "prompt_tokens": 0, "completion_tokens": 0}
    match completed.get("usage"):
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            told = {"counted": 1, "prompt_tokens": prompt, "completion_tokens": completion}
            sums.update(told)
    step = STATE_OF_STEP[StepEnum(completed["step"])]
    add(tally, {machine_of("run"): {"tokens": {step: sums}}})


def _count(tally: Tally, *names: str) -> None:
    more: Tally = {names[-1]: 1}
    for name in reversed(names[:-1]):
        more = {name: more}
    add(tally, more)

"""How often the machines took their edges, how long values stood in their states, and what was refused.

Holding times are kept as a histogram of fixed buckets, sixteen to each power of two microseconds, so
that histograms of any periods add up. A quantile that is read from one is that of the nearest rank,
within `QUANTILE_ERROR` of what was measured.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import AwareDatetime, Field

from machines.models.domain import Frozen
from machines.models.outputs import STATE_OF_STEP, StepEnum, Value

Histogram = Mapping[int, int]
"""How many times fell into each bucket."""

_BITS: Final = 4
"""Of a bucket's place within its power of two."""
_PLACES: Final = 1 << _BITS

QUANTILE_ERROR: Final = 1 / (2 * _PLACES)
"""Of a quantile, relative to the true one: half the width of a bucket."""


def bucket_of(micros: int) -> int:
    """The bucket that a time falls into; a time below zero, from clocks that disagree, counts as none."""
    if micros < _PLACES:
        return max(micros, 0)
    shift = micros.bit_length() - _BITS - 1
    return (shift + 1) * _PLACES + (micros >> shift) - _PLACES


def middle_of(bucket: int) -> float:
    """The middle of a bucket, in microseconds."""
    if bucket < _PLACES:
        return bucket
    shift, place = divmod(bucket, _PLACES)
    width = 1 << (shift - 1)
    return (_PLACES + place) * width + (width - 1) / 2


def quantile(times: Histogram, share: float) -> float:
    """The time, in microseconds, that this share of the times does not pass.

    Raises:
        ValueError: there are no times.
    """
    rank = max(1, -int(-share * sum(times.values()) // 1))
    for bucket in sorted(times):
        rank -= times[bucket]
        if rank <= 0:
            return middle_of(bucket)
    raise ValueError("no times were counted")


CLASSES: Final = 5
"""Of the scale of heat, from little to much."""

_LEAST: Final = 1.0
"""A count, or a millisecond: below it nothing is told apart."""


def class_begins(numbers: Iterable[float]) -> tuple[float, ...]:
    """The scale of heat for some numbers: with which number each of the classes begins, which divide the way
    from the smallest to the largest by its logarithm. One where all are alike; none where there are none.
    """
    known = [max(each, _LEAST) for each in numbers]
    if not known:
        return ()
    low, high = math.log(min(known)), math.log(max(known))
    if low == high:
        return (min(known),)
    return (min(known), *(math.exp(low + n * (high - low) / CLASSES) for n in range(1, CLASSES)))


def whole_begins(counts: Iterable[int]) -> tuple[int, ...]:
    """Likewise of whole numbers. Classes between two of which no whole number lies begin alike, and the
    last of them is meant."""
    return tuple(math.ceil(begin - 1e-9) for begin in class_begins(counts))


def class_of(begins: Sequence[float], number: float) -> int:
    """The class of a number, from 0; where all numbers are alike, the middle."""
    if len(begins) < CLASSES:
        return CLASSES // 2
    return max(0, bisect_right(begins, number) - 1)


class HeldTimes(Value):
    """How long values stood in a state, from entering it to leaving it."""

    count: int = Field(ge=1)
    """How many left it."""
    p50_ms: float = Field(ge=0)
    p95_ms: float = Field(ge=0)


class StepTokens(Value):
    """Tokens of the completed calls of a step, as the endpoint counted them."""

    answers: int = Field(ge=1)
    """Calls that completed the step."""
    counted: int = Field(ge=0)
    """Those of them whose tokens the endpoint told; the sums are of these alone."""
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class GuardCount(Value):
    """How often a guard was false for an event."""

    event: str
    guard: str
    """With `not ` before it where it had to be false; empty where the state has no edge for the event."""
    count: int = Field(ge=1)


class MachineHeat(Value):
    """What one machine did in a period."""

    machine: str
    edges: dict[str, int] = {}
    """By the id of an edge, as the drawing names it: how often it was taken."""
    states: dict[str, HeldTimes] = {}
    """By the name of a state: of those in which a value waits for something."""
    steps: dict[str, StepTokens] = {}
    """By the name of the state of a step; of runs alone."""
    refused: tuple[GuardCount, ...] = ()
    """Guards that refused an event, the most frequent first."""
    passed_over: tuple[GuardCount, ...] = ()
    """Guards that closed an edge before the one that an event took; likewise."""


class Heat(Frozen):
    """What the machines did in a period, in one thread or in all."""

    since: AwareDatetime | None
    """A whole hour, included; None is the beginning."""
    until: AwareDatetime | None
    """A whole hour, not included; None is now."""
    machines: tuple[MachineHeat, ...]
    """Sorted by name; those that did nothing are left out."""
    uncounted: int = Field(default=0, ge=0)
    """Entries of the journal that are not counted yet, where they are too many to be counted at once."""


class Refusals(Frozen):
    """Refusals of one guard that were seen in one hour, in one thread."""

    thread_id: str
    hour: AwareDatetime
    machine: str
    event: str
    guard: str
    count: int = Field(ge=1)


_AWAITED: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("pending",),
    "thread": ("active",),
    "invitation": ("invited",),
    "invite_link": ("open",),
    "removal": ("proposed",),
    "branch": ("growing", "ready", "proposed"),
}
"""By the kind of a value: the states in which something is awaited. Of its other states most last no time
or have no end, and a message stays approved for ever, unless it is written anew."""


def machine_of(kind: str) -> str:
    """The machine of a kind of stored value; a run's is called after what it performs."""
    return "chorus" if kind == "run" else kind


def timed_states(kind: str, value: Mapping[str, object]) -> frozenset[str]:
    """The states of a stored value whose holding times are told; none where it is over.

    Args:
        value: Its fields, or what JSON has of them.
    """
    status = value.get("status")
    if kind != "run":
        return frozenset({str(status)} if status in _AWAITED.get(kind, ()) else ())
    if status == "running":
        step = STATE_OF_STEP[StepEnum(str(value["current_step"]))]
        return frozenset({"running", step, str(value["health"])})
    return frozenset({"queued"} if status == "queued" else ())

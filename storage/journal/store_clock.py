"""The clock of a database, as its servers know it: one clock for all of them.

    clock = StoreClock()
    clock.read(time, asked=before, answered=after)
    clock.now()

A reading says what the database's clock showed at some moment between a question and its answer; from then
on this process' own seconds carry it on. So nothing is asked to know the time, and a step of the machine's
wall clock changes nothing. The midpoint errs by half the round trip at most (Cristian, "Probabilistic
clock synchronization", 1989), so a reading that came slowly does not replace a better one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

DRIFT: Final = 0.0005
"""By how much two machines' seconds may differ, as a share of them."""


@dataclass(frozen=True, slots=True)
class _Reading:
    time: datetime
    at: float
    """The moment, in this process' seconds, at which the clock is taken to have shown it."""
    error: float
    """Seconds by which that may be wrong."""


class StoreClock:
    """Any thread may read it, and ask it for the time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nothing was read yet.

        Args:
            monotonic: Seconds of this process, from an arbitrary start.
        """
        self.monotonic = monotonic
        self._reading: _Reading | None = None

    def now(self) -> datetime | None:
        """The time by the database's clock; None before the first reading."""
        reading = self._reading
        return None if reading is None else _carried(reading, self.monotonic())

    def read(self, shown: datetime, *, asked: float, answered: float) -> None:
        """Take a reading, unless a better one is there.

        Args:
            shown: What the database's clock showed, in any time zone.
            asked: When it was asked, by `monotonic`.
            answered: When the answer was had.
        """
        new = _Reading(shown.astimezone(UTC), (asked + answered) / 2, (answered - asked) / 2)
        kept = self._reading
        if kept is not None:
            error = kept.error + (answered - kept.at) * DRIFT
            difference = abs(_carried(kept, new.at) - new.time).total_seconds()
            # A clock that stepped, or a machine that slept, shows what the former reading cannot explain.
            if new.error > error and difference <= new.error + error:
                return
        self._reading = new


def _carried(reading: _Reading, at: float) -> datetime:
    return reading.time + timedelta(seconds=at - reading.at)

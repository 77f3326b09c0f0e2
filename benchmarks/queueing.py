"""A simulation of servers on one database: how long a step of a run waits for what serves it.

Runs begin at random moments (a Poisson process) and are shared out in turn. Each is a row of steps: the
model takes its time, which costs nobody anything, then the run's server works, and then the database
does, which all servers share. A server works on one thing at a time, the database on as many as it has
cores, each in the order in which they came. What is counted is the time that a step waits for others,
beside the work itself. Seeded: the same numbers give the same answer.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

STEPS: Final = 6
"""Of a run."""


@dataclass(frozen=True, slots=True)
class House:
    """What serves the runs."""

    servers: int
    server_seconds: float
    """Work of a server for a step."""
    database_seconds: float
    """Work of the database for a step; as much for each of its cores."""
    database_cores: int = 1
    model_seconds: float = 5.0
    """A step's mean time at the model; exponentially distributed."""


@dataclass(slots=True)
class _Queue:
    """Something that works on what comes, in its order."""

    workers: list[float]
    """When each is free again: a heap."""
    worked: float = 0.0

    def done_at(self, now: float, work: float) -> float:
        """When work that comes now is done."""
        free = heapq.heappop(self.workers)
        done = max(now, free) + work
        heapq.heappush(self.workers, done)
        self.worked += work
        return done


@dataclass(slots=True)
class Waited:
    """What a simulation gave."""

    seconds: list[float] = field(default_factory=list)
    """That each step waited, in ascending order."""
    server_busy: float = 0.0
    """Share of their time in which servers worked."""
    database_busy: float = 0.0

    def percentile(self, share: float) -> float:
        """Seconds that `share` (0 to 1) of the steps did not wait longer than."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def simulate(house: House, runs_a_second: float, *, seconds: float, seed: int = 1) -> Waited:
    """Let runs begin for so many seconds, and all of them end."""
    dice = random.Random(seed)
    servers = [_Queue([0.0]) for _ in range(house.servers)]
    database = _Queue([0.0] * house.database_cores)
    waited = Waited()
    events: list[tuple[float, int, Callable[[float], None]]] = []
    number = 0

    def at(moment: float, what: Callable[[float], None]) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (moment, number, what))

    def think(now: float, server: _Queue, left: int) -> None:
        if left:
            at(
                now + dice.expovariate(1 / house.model_seconds),
                lambda then: work(then, server, left),
            )

    def work(now: float, server: _Queue, left: int) -> None:
        took = dice.expovariate(1 / house.server_seconds)
        done = server.done_at(now, took)
        at(done, lambda then: write(then, server, left, done - now - took))

    def write(now: float, server: _Queue, left: int, before: float) -> None:
        took = dice.expovariate(1 / house.database_seconds)
        done = database.done_at(now, took)
        waited.seconds.append(before + done - now - took)
        think(done, server, left - 1)

    begun, count = 0.0, 0
    while (begun := begun + dice.expovariate(runs_a_second)) < seconds:
        server = servers[count % house.servers]
        at(begun, lambda now, server=server: think(now, server, STEPS))  # type: ignore[misc]
        count += 1
    last = 0.0
    while events:
        last, _, what = heapq.heappop(events)
        what(last)
    waited.seconds.sort()
    waited.server_busy = sum(each.worked for each in servers) / last / house.servers
    waited.database_busy = database.worked / last / house.database_cores
    return waited

"""`python -m benchmarks scale`: how much hardware so many users need, by arithmetic and by simulation.

The costs of a run are figures that `make bench ONLY="run streaming commits"` measures; those below were
measured once, and options replace them. The arithmetic multiplies them; the simulation
(`benchmarks.queueing`) shows why a server is not to be filled to its end.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from benchmarks.queueing import STEPS, House, simulate

USERS: Final = (1_000, 10_000, 100_000, 1_000_000)
LOADS: Final = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of what servers could do, that are simulated."""
SERVERS: Final = (1, 2, 4, 8)
STEPS_SIMULATED: Final = 60_000

_DAY: Final = 86_400
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run of six steps costs, and what bounds a server and a database."""

    server_ms: float = 123.0
    """CPU of the server, beside streaming; texts are embedded by the model's endpoint."""
    embedding_ms: float = 450.0
    """CPU of the server, where it embeds the prompt and the answer itself."""
    database_ms: float = 25.0
    """CPU of PostgreSQL."""
    tokens: float = 1_500.0
    """That are streamed to the co-authors."""
    tokens_a_second: float = 35_000.0
    """Streamed tokens for a second of a server's CPU, gathered as they are."""
    entries: float = 16.0
    commits: float = 8.0
    """Made durable by the database; fewer, where many wait together."""
    stored_kib: float = 40.0
    """That stay in the database."""
    logged_kib: float = 53.0
    """Of write-ahead log: what a replica receives, and an archive keeps."""
    seconds: float = 40.0
    """From the prompt to the answer; most of it is the model's time."""

    @property
    def server_seconds(self) -> float:
        """CPU of the server, streaming with it."""
        return self.server_ms / 1000 + self.tokens / self.tokens_a_second


@dataclass(frozen=True, slots=True)
class Use:
    """How a service is used, and how full its machines may be."""

    prompts_a_day: float = 10.0
    """Of a user who comes; each is a run."""
    peak: float = 4.0
    """Times the mean of a day."""
    fill: float = 0.6
    """Share of a core that is planned with."""
    embeds: bool = False
    """Whether servers embed texts themselves."""
    database_cores: int = 8
    """Of one PostgreSQL."""
    database_gib_a_day: float = 256.0
    """That one PostgreSQL shall take, with its log."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many users need."""

    users: int
    runs_a_second: float
    """At the peak."""
    at_once: float
    """Runs that go on at the same time, at the peak."""
    servers: int
    """Of one core each."""
    database_cores: float
    commits_a_second: float
    stored_gib: float
    """A day."""
    logged_gib: float
    """A day."""
    databases: int
    """1 until the threads must be shared out."""


def plan(users: int, costs: Costs, use: Use) -> Plan:
    """The arithmetic."""
    runs_a_day = users * use.prompts_a_day
    peak = runs_a_day / _DAY * use.peak
    of_server = costs.server_seconds + (costs.embedding_ms / 1000 if use.embeds else 0.0)
    cores = peak * costs.database_ms / 1000 / use.fill
    stored = runs_a_day * costs.stored_kib * 1024 / _GIB
    logged = runs_a_day * costs.logged_kib * 1024 / _GIB
    return Plan(
        users=users,
        runs_a_second=peak,
        at_once=peak * costs.seconds,
        servers=max(1, math.ceil(peak * of_server / use.fill)),
        database_cores=cores,
        commits_a_second=peak * costs.commits,
        stored_gib=stored,
        logged_gib=logged,
        databases=max(
            1,
            math.ceil(cores / use.database_cores),
            math.ceil((stored + logged) / use.database_gib_a_day),
        ),
    )


def runs_of_a_server(costs: Costs, use: Use) -> float:
    """Runs a second that one server of one core carries."""
    of_server = costs.server_seconds + (costs.embedding_ms / 1000 if use.embeds else 0.0)
    return use.fill / of_server


def runs_of_a_database(costs: Costs, use: Use) -> float:
    """Runs a second that one PostgreSQL carries, by its cores and by what it shall take in a day."""
    by_cores = use.fill * use.database_cores / (costs.database_ms / 1000)
    kib = costs.stored_kib + costs.logged_kib
    by_bytes = use.database_gib_a_day * _GIB / (kib * 1024) / _DAY * use.peak
    return min(by_cores, by_bytes)


def main(arguments: Sequence[str]) -> int:
    """Print the plan and the simulation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    for values in (Costs(), Use()):
        for each in fields(values):
            default = getattr(values, each.name)
            option = f"--{each.name.replace('_', '-')}"
            if isinstance(default, bool):
                parser.add_argument(option, action="store_true")
            else:
                parser.add_argument(option, type=type(default), default=default)
    chosen = vars(parser.parse_args(arguments))
    costs = replace(Costs(), **{each.name: chosen[each.name] for each in fields(Costs)})
    use = replace(Use(), **{each.name: chosen[each.name] for each in fields(Use)})
    if min(value for value in (*chosen["users"], *_numbers(costs), *_numbers(use))) <= 0:
        parser.error("every number is above zero")
    for line in (*report(chosen["users"], costs, use), "", *simulated(costs, use)):
        print(line, flush=True)
    return 0


def _numbers(values: Costs | Use) -> Iterator[float]:
    for each in fields(values):
        value = getattr(values, each.name)
        if not isinstance(value, bool):
            yield value


def report(users: Sequence[int], costs: Costs, use: Use) -> Iterator[str]:
    """The arithmetic, as a table."""
    one = runs_of_a_server(costs, use)
    yield (
        f"A server of one core carries {one:.1f} runs a second ({one * _DAY / use.peak:,.0f} a day,"
        f" {one * costs.seconds:,.0f} at once), filled to {use.fill:.0%}."
    )
    yield f"A PostgreSQL carries {runs_of_a_database(costs, use):,.0f} runs a second."
    yield ""
    yield (
        f"{'users':>11} {'runs/s':>8} {'at once':>9} {'servers':>8} {'db cores':>9} {'commits/s':>10}"
        f" {'GiB/day':>8} {'log GiB':>8} {'databases':>9}"
    )
    for each in (plan(count, costs, use) for count in users):
        yield (
            f"{each.users:>11,} {each.runs_a_second:>8.1f} {each.at_once:>9,.0f} {each.servers:>8,}"
            f" {each.database_cores:>9.1f} {each.commits_a_second:>10,.0f} {each.stored_gib:>8.1f}"
            f" {each.logged_gib:>8.1f} {each.databases:>9}"
        )


def simulated(costs: Costs, use: Use) -> Iterator[str]:
    """How long a step waits, by how full the servers are."""
    yield "What a step waits for others, in ms, by how full the servers are (simulated):"
    yield f"{'servers':>8} {'full':>6} {'runs/s':>8} {'p50':>7} {'p99':>7} {'db full':>8}"
    of_server = costs.server_seconds + (costs.embedding_ms / 1000 if use.embeds else 0.0)
    for servers in SERVERS:
        house = House(
            servers=servers,
            server_seconds=of_server / STEPS,
            database_seconds=costs.database_ms / 1000 / STEPS,
            database_cores=use.database_cores,
            model_seconds=costs.seconds / STEPS,
        )
        for load in LOADS:
            rate = load * servers / of_server
            waited = simulate(house, rate, seconds=STEPS_SIMULATED / STEPS / rate)
            yield (
                f"{servers:>8} {load:>6.0%} {rate:>8.1f} {1000 * waited.percentile(0.5):>7.0f}"
                f" {1000 * waited.percentile(0.99):>7.0f} {waited.database_busy:>8.0%}"
            )

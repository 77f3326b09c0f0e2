"""The fault campaign: every scenario, one table, and a seed that makes a failure happen again.

    python -m tests.faults.campaign [--short] [--seed N] [--only NAME]

Only the registry, the count and the table live here. A scenario is an async function in another
module of this package that registers itself:

    @scenario("kill")
    async def kills(campaign: Campaign) -> None:
        campaign.injected("SIGKILL at a random moment", lost=0, duplicated=0)

Every random choice of a scenario comes from `campaign.random`, which follows from the seed and the
scenario's name alone: `--only` does not change what a scenario does.
"""

import argparse
import asyncio
import importlib
import logging
import pkgutil
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

import tests.faults

Scenario = Callable[["Campaign"], Awaitable[None]]

MOST_SHOWN: Final = 20
"""Failures of one scenario that are printed."""

HEADINGS: Final = ("fault", "times injected", "survived", "lost", "duplicated")


@dataclass(slots=True)
class Count:
    """What became of one kind of fault."""

    fault: str
    injected: int = 0
    survived: int = 0
    lost: int = 0
    """Acknowledged requests, entries, frames or runs that were gone."""
    duplicated: int = 0
    """Requests, steps or frames that came to pass twice."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        numbers = (self.injected, self.survived, self.lost, self.duplicated)
        return self.fault, *map(str, numbers)

    @property
    def clean(self) -> bool:
        """Whether every fault was survived, and nothing was lost or done twice."""
        return self.survived == self.injected and not self.lost and not self.duplicated


@dataclass(slots=True)
class Campaign:
    """What a scenario is given: its dice, its folder, and the table to count in."""

    name: str
    """The scenario's."""
    seed: int
    short: bool
    """Whether a few faults of each kind must do."""
    folder: Path
    """Empty, and the scenario's alone."""
    random: random.Random
    counts: dict[str, Count] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def injected(
        self,
        fault: str,
        times: int = 1,
        *,
        survived: int | None = None,
        lost: int = 0,
        duplicated: int = 0,
    ) -> None:
        """Count faults of one kind and what they did; survived unless said otherwise."""
        count = self.counts.setdefault(fault, Count(fault))
        count.injected += times
        count.survived += times if survived is None else survived
        count.lost += lost
        count.duplicated += duplicated

    def failed(self, what: str) -> None:
        """Note what went wrong, in a sentence, and go on."""
        self.failures.append(what)

    @contextmanager
    def fault(self, fault: str) -> Iterator[None]:
        """Count one fault; survived where the block ends without a failure.

        An AssertionError, or a test's `fail`, is noted; anything else is a bug of the scenario and
        passes through.
        """
        before = len(self.failures)
        try:
            yield
        except (AssertionError, pytest.fail.Exception) as error:
            self.failed(f"{fault}: {error}")
        self.injected(fault, survived=int(len(self.failures) == before))


_SCENARIOS: dict[str, Scenario] = {}
_PATIENT: set[str] = set()


def scenario(name: str, *, patient: bool = False) -> Callable[[Scenario], Scenario]:
    """Register a scenario under a name for `--only`.

    Args:
        patient: It mostly waits, and minds no busy machine: it is carried out beside the others.
    """

    def register(function: Scenario) -> Scenario:
        assert name not in _SCENARIOS, f"two scenarios are named {name}"
        _SCENARIOS[name] = function
        if patient:
            _PATIENT.add(name)
        return function

    return register


def scenarios() -> dict[str, Scenario]:
    """All of them by name, in the order of their modules' names."""
    for module in sorted(found.name for found in pkgutil.iter_modules(tests.faults.__path__)):
        if not module.startswith("test_"):
            importlib.import_module(f"tests.faults.{module}")
    return dict(_SCENARIOS)


async def perform(name: str, *, seed: int, short: bool, folder: Path) -> Campaign:
    """Carry out one scenario; what it raises becomes a failure of it."""
    campaign = Campaign(
        name=name,
        seed=seed,
        short=short,
        folder=folder,
        random=random.Random(f"{seed}/{name}"),
    )
    try:
        await scenarios()[name](campaign)
    except (AssertionError, pytest.fail.Exception) as error:
        campaign.failed(str(error))
    except Exception:  # noqa: BLE001 - a scenario that breaks must not end the others
        campaign.failed(traceback.format_exc())
    if any(not count.clean for count in campaign.counts.values()) and not campaign.failures:
        campaign.failed("a fault was not survived, or something was lost or done twice")
    return campaign


def table(counts: Sequence[Count]) -> str:
    """The table in Markdown, padded so that it reads well in a terminal too."""
    total = Count("all")
    for count in counts:
        total.injected += count.injected
        total.survived += count.survived
        total.lost += count.lost
        total.duplicated += count.duplicated
    rows = [HEADINGS, *(count.cells for count in (*counts, total))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rule = [
        "-" * width if column == 0 else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])


def reproduce(campaign: Campaign) -> str:
    """The command that makes a failure happen again."""
    short = " --short" if campaign.short else ""
    return f"python -m tests.faults.campaign{short} --seed {campaign.seed} --only '{campaign.name}'"


async def run(names: Sequence[str], *, seed: int, short: bool) -> int:
    """Carry out scenarios, print what happens and the table; gives the exit code."""
    print(f"seed {seed}", flush=True)
    done: dict[str, Campaign] = {}

    async def one_by_one(some: Sequence[str]) -> None:
        for name in some:
            with tempfile.TemporaryDirectory(prefix="chorus-faults-") as folder:
                began = time.monotonic()
                done[name] = await perform(name, seed=seed, short=short, folder=Path(folder))
            tell(done[name], time.monotonic() - began)

    await asyncio.gather(
        one_by_one([name for name in names if name not in _PATIENT]),
        one_by_one([name for name in names if name in _PATIENT]),
    )
    print(f"\n{table([count for name in names for count in done[name].counts.values()])}")
    return int(any(campaign.failures for campaign in done.values()))


def tell(campaign: Campaign, seconds: float) -> None:
    """Print what became of a scenario, and how to see a failure again."""
    outcome = "FAILED" if campaign.failures else "ok"
    print(f"{campaign.name}: {outcome} in {seconds:.0f} s")
    for failure in campaign.failures[:MOST_SHOWN]:
        print(f"  {failure}")
    if len(campaign.failures) > MOST_SHOWN:
        print(f"  and {len(campaign.failures) - MOST_SHOWN} more")
    if campaign.failures:
        print(f"  to see it again: {reproduce(campaign)}")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The command line; gives the exit code."""
    known = scenarios()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--short", action="store_true", help="a few faults of each kind")
    parser.add_argument("--seed", type=int, help="the dice; a new one unless given")
    parser.add_argument("--only", action="append", choices=sorted(known), metavar="NAME")
    options = parser.parse_args(arguments)
    # A fake whose client was killed cannot answer it, and that is no news here.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    return asyncio.run(run(options.only or list(known), seed=seed, short=options.short))


if __name__ == "__main__":
    # The registry is that of the imported module, which `python -m` would make a second of.
    from tests.faults.campaign import main as imported_main

    sys.exit(imported_main(sys.argv[1:]))

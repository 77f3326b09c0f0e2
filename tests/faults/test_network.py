"""A short campaign against the network in each test run; `make faults` does it at length.

One server serves all of it; the last test ends it and starts it again.
"""

import random

import pytest

from server.sockets.outbox import HIGH_WATER, OUTBOX_CAP
from tests.conftest import Tally
from tests.faults.drifting import UNLIMITED, drift
from tests.faults.network import (
    FLOOD,
    LONG,
    LONGEST_PING_SECONDS,
    MEBIBYTE,
    TOO_SLOW,
    come_back,
    stall,
)
from tests.support.obedient_model import ObedientModel
from tests.support.served import ServerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.settings(**UNLIMITED)]


async def test_a_line_that_breaks_at_any_byte_costs_nobody_an_entry(
    server: ServerProcess, tally: Tally
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    found = await drift(server, random.Random(seed), people=3, breaks=8)
    assert not found.problems, f"seed {seed}: " + "\n".join(found.problems)
    assert (found.lost, found.duplicated) == (0, 0), f"seed {seed}: {found}"
    assert found.cut >= 5, f"seed {seed}: too few lines broke: {found}"
    tally(f"network: {found.cut} lines cut, {found.muted} half open, {found.entries} entries kept")


async def test_consumers_that_read_nothing_are_closed_in_bounded_memory_and_others_are_served(
    server: ServerProcess,
) -> None:
    consumers = 6
    found = await stall(server, consumers=consumers)
    assert found.closed == consumers, f"who reads nothing must be closed: {found.codes}"
    assert TOO_SLOW in found.codes, f"who reads again must be told why: {found.codes}"
    assert found.grown_bytes <= found.budget_bytes, (
        f"{consumers} that read nothing cost {found.grown_bytes / MEBIBYTE:.0f} MiB"
    )
    assert found.received == FLOOD
    longest = max(found.latencies)
    assert longest < LONGEST_PING_SECONDS, f"who reads waited {longest:.1f} s for who does not"


async def test_a_server_that_goes_away_tells_everybody_and_takes_all_back_at_once(
    server: ServerProcess, model: ObedientModel, tally: Tally
) -> None:
    people = 150
    found = await come_back(server, model, people=people)
    assert not found.problems, "\n".join(found.problems)
    assert (found.told, found.exit_code) == (people, 0)
    assert found.run_status == "finished", "the run that was under way must go on by itself"
    assert found.back == people, f"{people - found.back} did not see every entry once"
    tally(f"network: {people} resumed at once in {found.seconds:.1f} s")


async def test_the_flood_is_larger_than_what_may_wait() -> None:
    assert FLOOD * len(LONG) > 4 * (OUTBOX_CAP + HIGH_WATER), "nobody would be too slow"

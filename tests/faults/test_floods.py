"""A flood of each kind, and somebody who is on the same server."""

import statistics

import pytest

from tests.conftest import Tally
from tests.faults.floods import FLOODS, PINGS_IN_SHORT, delays_in
from tests.support.served import ServerProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.settings(llm="offline", frames_per_second=50, read_kib_per_second=512),
]

FACTOR = 10
MARGIN_SECONDS = 0.05
"""Before reads were paced a flood made the median a thousand times as long; a test machine that has
other things to do makes it twice as long."""


@pytest.mark.parametrize("sent", FLOODS)
async def test_a_flood_delays_nobody_else(server: ServerProcess, sent: str, tally: Tally) -> None:
    delays = await delays_in(FLOODS[sent], server, PINGS_IN_SHORT)
    tally(f"flood of {sent}: {delays}")
    usual, most = statistics.median(delays.quiet), statistics.median(delays.flooded)
    assert most <= FACTOR * usual + MARGIN_SECONDS, f"a flood of {sent}: {delays}"

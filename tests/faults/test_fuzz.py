"""A short fuzz run in each test run; `make faults` sends a hundred thousand frames."""

import random
from pathlib import Path

import pytest

from tests.conftest import Tally
from tests.faults.fuzz import (
    FRAMES_IN_SHORT,
    SOCKET_FRAMES_IN_SHORT,
    fuzz_sessions,
    fuzz_sockets,
)
from tests.faults.hostile_frames import HostileFrames
from tests.support.client import connected
from tests.support.served import served


@pytest.fixture
def seed() -> int:
    """Printed where a test fails, since it stands in the traceback."""
    return random.SystemRandom().randrange(1_000_000)


async def test_whatever_a_session_is_sent_it_replies_once_and_touches_nobody_else(
    tmp_path: Path, seed: int, tally: Tally
) -> None:
    try:
        answers = await fuzz_sessions(tmp_path, random.Random(seed), FRAMES_IN_SHORT)
    except AssertionError as error:
        pytest.fail(f"seed {seed}: {error}")
    assert len(answers) > 10, f"seed {seed}: the frames reach too little: {answers}"
    tally(f"fuzz: {sum(answers.values())} frames, {len(answers)} kinds of answers")


async def test_whatever_comes_through_a_socket_the_others_are_served(
    tmp_path: Path, seed: int
) -> None:
    async with served(tmp_path) as server:
        try:
            await fuzz_sockets(server.url, random.Random(seed), SOCKET_FRAMES_IN_SHORT)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")


async def test_twenty_bad_frames_in_a_row_end_the_connection_of_who_sent_them(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as server, connected(server.url) as abuser:
        for _ in range(20):
            await abuser.send("no JSON at all")
        assert await abuser.close_code() == 1008


def test_the_same_dice_make_the_same_frames() -> None:
    first, second = (HostileFrames(random.Random(11)) for _ in range(2))
    for _ in range(50):
        assert first.next() == second.next()

"""The short version of the fault campaign: a few deaths while runs are forked, crashes, and failures of
the journal.

All of it is `make faults`; what fails here prints the command that makes it happen again.
"""

import asyncio
from pathlib import Path

from storage.journal.schema import METADATA, servers
from tests.conftest import Tally
from tests.faults.campaign import Campaign, Count, perform, reproduce, table
from tests.faults.faulty_server import AT_THE_EDGE, WRITE_POINTS

SEED = 1
SCENARIOS = ("forks", "crash", "journal")


async def test_whatever_is_killed_or_refused_nothing_is_lost_or_done_twice(
    tmp_path: Path, tally: Tally
) -> None:
    folders = await asyncio.to_thread(_folders, tmp_path)
    done = await asyncio.gather(
        *(
            perform(name, seed=SEED, short=True, folder=folder)
            for name, folder in zip(SCENARIOS, folders, strict=True)
        )
    )
    counts = [count for campaign in done for count in campaign.counts.values()]
    for line in table(counts).splitlines():
        tally(line)
    assert not any(campaign.failures for campaign in done), "\n".join(map(_told, done))
    assert all(count.clean and count.injected for count in counts)


def test_every_table_of_the_journal_has_a_write_point() -> None:
    points = {point.rpartition(" ")[2] for point in (*WRITE_POINTS, *AT_THE_EDGE)}
    # A folder has one server at a time, and writes none down.
    assert set(METADATA.tables) - {servers.name} <= points


def test_the_table_adds_up_and_says_what_is_not_clean() -> None:
    one = Count("a power cut", injected=3, survived=3)
    other = Count("a spill", injected=2, survived=1, lost=4, duplicated=5)
    assert one.clean
    assert not other.clean
    assert table([one, other]).splitlines() == [
        "| fault       | times injected | survived | lost | duplicated |",
        "| ----------- | -------------: | -------: | ---: | ---------: |",
        "| a power cut |              3 |        3 |    0 |          0 |",
        "| a spill     |              2 |        1 |    4 |          5 |",
        "| all         |              5 |        4 |    4 |          5 |",
    ]


def _folders(parent: Path) -> list[Path]:
    folders = [parent / name for name in SCENARIOS]
    for folder in folders:
        folder.mkdir()
    return folders


def _told(campaign: Campaign) -> str:
    if not campaign.failures:
        return f"{campaign.name}: ok"
    return "\n".join(
        [f"{campaign.name}: see it again by {reproduce(campaign)}", *campaign.failures]
    )

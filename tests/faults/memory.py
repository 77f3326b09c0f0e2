"""The memory fails: a Qdrant server that misbehaves, and a folder that is gone, damaged or locked.

Meanwhile conversations go on and a search says that memory is unavailable; afterwards the index
catches up by itself, and `chorus verify` finds nothing.
"""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from server.stores import MEMORY_FOLDER
from storage.embedded.database import MemoryDatabase
from storage.embedded.store import DATABASE_FILE, VECTORS_FILE
from storage.journal.sqlite import JOURNAL_FILE
from tests.faults.campaign import Campaign, scenario
from tests.faults.kill import Life
from tests.standins.qdrant.faults import Does, Fault
from tests.support.eventually import eventually
from tests.support.fake_qdrant import Failing, FakeQdrant, fake_qdrant

PATIENCE: Final = 40.0

NOW_AND_THEN: Final[Mapping[str, Fault]] = {
    "answers 429 with Retry-After": Fault(does=Does.STATUS, status=429, retry_after="1", every=3),
    "answers 500": Fault(does=Does.STATUS, status=500, every=3),
    "hangs up before its work": Fault(does=Does.CUT, every=3),
    "hangs up in place of an answer": Fault(does=Does.LOSE, every=3),
    "answers half a second late": Fault(does=Does.DELAY, seconds=0.5),
    "ends no answer": Fault(does=Does.DRIP, every=9),
    "does not say whether it wrote": Fault(does=Does.UNSURE, every=2),
}
"""What becomes of some requests, while others are answered."""

Change = Callable[[], Awaitable[None]]


@scenario("qdrant server", patient=True)
async def server_fails(campaign: Campaign) -> None:
    """A Qdrant server that refuses, stalls, drips, answers errors, loses answers or all it has,
    disappears."""
    outage, gone = (3.0, 5.0) if campaign.short else (8.0, 60.0)
    dice = random.Random(campaign.random.random())
    async with (
        fake_qdrant() as qdrant,
        Life.begun(campaign.folder / "life", dice, settings={"qdrant_url": qdrant.url}) as life,
    ):
        for failing in Failing:
            await memory_away(
                campaign,
                life,
                f"qdrant: {failing}",
                _set(qdrant, failing),
                _set(qdrant, None),
                outage,
                # What is carried out and not told is told at the second try.
                searchable=failing in {Failing.LOSES_THE_ANSWER, Failing.READ_ONLY},
            )
        await memory_away(
            campaign, life, "qdrant: disappears", qdrant.disappear, qdrant.appear, gone
        )

        async def reappear_empty() -> None:
            qdrant.lose_everything()
            await qdrant.appear()

        await memory_away(
            campaign, life, "qdrant: comes back empty", qdrant.disappear, reappear_empty, outage
        )
        with campaign.fault("qdrant: loses its collections while it runs"):
            await life.load.work(1)
            qdrant.lose_everything()
            await life.load.alice.search()
            await until_caught_up(life)
            await life.load.work(1)
        await close_clean(life, campaign)


@scenario("qdrant now and then", patient=True)
async def server_fails_now_and_then(campaign: Campaign) -> None:
    """A Qdrant server of whose requests some fail, while all the others are answered."""
    seconds = 2.0 if campaign.short else 15.0
    dice = random.Random(campaign.random.random())
    async with (
        fake_qdrant() as qdrant,
        Life.begun(campaign.folder / "life", dice, settings={"qdrant_url": qdrant.url}) as life,
    ):
        load = life.load
        for what, fault in NOW_AND_THEN.items():
            with campaign.fault(f"qdrant, now and then: {what}"):
                await load.work(0.5)
                failed, load.stores_fail = qdrant.failed, True
                qdrant.faults.set(fault)
                prompt = await load.alice.ask(
                    "submit_prompt", thread_id=load.public, prompt=f"While it {what}"
                )
                await load.work(seconds)
                if prompt is not None:
                    end_of = await load.alice.line.end_of(prompt["run_id"])
                    assert end_of["status"] != "failed", f"a run failed: {end_of}"
                assert qdrant.failed > failed, "no request met the fault"
                qdrant.faults.set()
                await until_searchable(life)
                load.stores_fail = False
                await until_caught_up(life)
        await close_clean(life, campaign)


@scenario("memory folder", patient=True)
async def folder_fails(campaign: Campaign) -> None:
    """The folder of the embedded memory is deleted, damaged, locked."""
    dice = random.Random(campaign.random.random())
    async with Life.begun(campaign.folder / "life", dice) as life:
        folder = life.server.data / MEMORY_FOLDER

        async def delete() -> None:
            await asyncio.to_thread(shutil.rmtree, folder)

        with campaign.fault("memory: folder deleted under a running server"):
            await life.load.work(1)
            await delete()
            await life.load.work(2)
            await until_caught_up(life)
        for fault, damage in (
            ("memory: folder deleted", delete),
            ("memory: folder damaged", lambda: asyncio.to_thread(overwrite, folder, dice)),
        ):
            with campaign.fault(fault):
                await life.load.work(1)
                await life.server.kill()
                await life.examine()
                await damage()
                await life.rise()
                await life.load.work(1)
                await until_caught_up(life)
        with campaign.fault("memory: folder locked by another process"):
            await life.server.kill()
            await life.examine()
            holder = await asyncio.to_thread(MemoryDatabase, folder / DATABASE_FILE)
            life.load.stores_fail = True
            await life.rise()
            await life.load.work(1)
            told = life.load.unavailable
            await life.load.alice.search()
            assert life.load.unavailable > told, "a search found something in a locked folder"
            await asyncio.to_thread(holder.close)
            await until_searchable(life)
            life.load.stores_fail = False
            await until_caught_up(life)
        await close_clean(life, campaign)


async def memory_away(
    campaign: Campaign,
    life: Life,
    fault: str,
    begin: Change,
    end: Change,
    seconds: float,
    *,
    searchable: bool = False,
) -> None:
    """Let the memory fail while everybody works, and look that it catches up."""
    load = life.load
    with campaign.fault(fault):
        await load.work(0.5)
        told, load.stores_fail = load.unavailable, True
        await begin()
        try:
            prompt = await load.alice.ask(
                "submit_prompt", thread_id=load.public, prompt=f"While it is away: {fault} {told}"
            )
            searching = asyncio.create_task(load.bob.search())
            await load.work(seconds)
            await searching
            if prompt is not None:
                end_of = await load.alice.line.end_of(prompt["run_id"])
                assert end_of["status"] != "failed", f"a run failed: {end_of}"
        finally:
            await end()
        assert searchable or load.unavailable > told, "nobody was told that memory is unavailable"
        await until_searchable(life)
        load.stores_fail = False
        await until_caught_up(life)


async def until_searchable(life: Life) -> None:
    """Wait until a search is answered again."""

    async def answered() -> bool:
        told = life.load.unavailable
        await life.load.alice.search()
        return told == life.load.unavailable

    await eventually(answered, "a search was answered after the memory's return", within=PATIENCE)


async def until_caught_up(life: Life) -> None:
    """Wait until nothing waits for the memory."""
    waiting = -1

    async def none_waits() -> bool:
        nonlocal waiting
        waiting = await asyncio.to_thread(_waiting, life.server.data)
        return waiting == 0

    await life.load.rest()
    await eventually(
        none_waits, lambda: f"no task waited for the memory; {waiting} do", within=PATIENCE
    )


async def close_clean(life: Life, campaign: Campaign) -> None:
    """Settle; before any repair, `verify` must find nothing."""
    await life.load.rest()
    await until_caught_up(life)
    await life.load.compare()
    assert await life.server.stop() == 0, life.server.log()
    code, told, errors = await life.server.command("verify")
    assert code == 0, f"the memory did not catch up by itself: {told}{errors}"
    await life.server.start()
    assert await life.load.come(), "the server ended by itself"
    await life.close_into(campaign)


def overwrite(folder: Path, dice: random.Random) -> None:
    """Other bytes in the middle of what the memory keeps of messages."""
    for name in (DATABASE_FILE, VECTORS_FILE):
        file = folder / name
        with file.open("r+b") as opened:
            for place in range(0, file.stat().st_size, 2_048):
                opened.seek(place)
                opened.write(dice.randbytes(64))


def _waiting(data: Path) -> int:
    with closing(sqlite3.connect(f"file:{data / JOURNAL_FILE}?mode=ro", uri=True)) as journal:
        (waiting,) = journal.execute("SELECT count(*) FROM memory_tasks WHERE waiting").fetchone()
    return int(waiting)


def _set(qdrant: FakeQdrant, failing: Failing | None) -> Change:
    async def change() -> None:
        qdrant.failing = failing

    return change

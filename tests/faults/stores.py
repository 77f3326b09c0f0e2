"""The stores fail: the journal's disk is full, its commits fail, its file is damaged.

While the journal fails, nobody is told of anything that is not durable, the answer is
`storage_unavailable` and may be retried, `/readyz` says so, and all goes on by itself afterwards. What
Qdrant does wrong is in `tests.faults.memory`.
"""

import asyncio
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from string import ascii_lowercase
from typing import Final

from machines.models.journal import JournalEntry
from storage.journal.sqlite import JOURNAL_FILE
from tests.faults.campaign import Campaign, scenario
from tests.faults.faulty_server import Orders
from tests.faults.kill import Life
from tests.faults.load import Load
from tests.support.eventually import eventually

DISK: Final = "48m"
"""Of the small disk; a server with an empty memory needs a few MiB."""

PATIENCE: Final = 30.0

REFUSALS: Final = 6
"""Requests that are refused before a fault ends."""

Change = Callable[[], Awaitable[None]]
Key = tuple[str, int]
"""A stream, and the number of an entry in it."""

Entries = dict[Key, str]


async def until_ready(life: Life, ready: bool) -> None:
    """Wait until `/readyz` says so."""
    wanted = 200 if ready else 503
    status = None

    async def said() -> bool:
        nonlocal status
        async with life.load.http.get(f"{life.server.url}/readyz") as answer:
            status = answer.status
        return status == wanted

    await eventually(said, lambda: f"/readyz said {wanted}; it says {status}", within=PATIENCE)


async def journal_away(
    campaign: Campaign, life: Life, fault: str, begin: Change, end: Change
) -> None:
    """Let the journal fail while everybody works, and come back while they go on."""
    load = life.load
    with campaign.fault(fault):
        await load.work(1)
        refused = load.unavailable
        load.stores_fail = True
        await begin()
        working = asyncio.create_task(load.work(PATIENCE))
        try:
            await until_ready(life, ready=False)
            await eventually(
                lambda: load.unavailable >= refused + REFUSALS,
                lambda: f"{REFUSALS} requests were refused; {load.unavailable - refused} were",
                within=PATIENCE,
            )
        finally:
            await end()
            load.stop()
            await working
        await until_ready(life, ready=True)
        load.stores_fail = False
        assert await load.ask_again(), "the server ended although it should have waited"
        await load.work(1)


@scenario("journal")
async def journal_fails(campaign: Campaign) -> None:
    """A full disk, and commits that fail half-way or whose answer is lost."""
    folder = campaign.folder
    async with (
        small_disk(folder) as disk,
        Life.begun(
            folder / "life", random.Random(campaign.random.random()), data=disk.folder / "data"
        ) as life,
    ):
        rounds = 1 if campaign.short else 2

        def ordered(orders: Orders) -> Change:
            return lambda: asyncio.to_thread(orders.write, life.orders)

        for _ in range(rounds):
            await journal_away(
                campaign,
                life,
                "journal: disk full",
                lambda: disk.fill(life),
                lambda: disk.make_room(life),
            )
            await journal_away(
                campaign,
                life,
                "journal: a commit raises half-way",
                ordered(Orders(refuse="commit")),
                ordered(Orders()),
            )
            await journal_away(
                campaign,
                life,
                "journal: a commit is durable, and raises",
                ordered(Orders(refuse="answer")),
                ordered(Orders()),
            )
        await life.close_into(campaign)


# --- A damaged file ------------------------------------------------------------------------------

Damage = Callable[[Path, random.Random], Collection[Key] | None]
"""Damages a file; gives the entries that may be lost by it, where that is known."""


def cut_short(file: Path, dice: random.Random) -> None:
    """The end of the file is gone."""
    size = file.stat().st_size
    os.truncate(file, int(size * dice.uniform(0.5, 0.95)))


def overwritten(file: Path, dice: random.Random) -> None:
    """Some places of the file, but not its first page, hold other bytes."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        for _ in range(dice.randint(1, 8)):
            opened.seek(dice.randrange(4096, size - 256))
            opened.write(dice.randbytes(dice.randint(32, 256)))


def without_header(file: Path, _: random.Random) -> Collection[Key]:
    """Its first page is gone, and with it the knowledge of what lies where, but no entry."""
    with file.open("r+b") as opened:
        opened.write(bytes(4096))
    return ()


def altered(file: Path, dice: random.Random) -> Collection[Key]:
    """One letter of one entry is another one, and all of it is still an entry."""
    whole = stored_entries(file.parent)
    stream, seq = dice.choice(sorted(whole))
    body = other = whole[stream, seq]
    while other == body or not _is_entry(other, stream, seq):
        letter = dice.choice([found.start() for found in re.finditer("[a-z]", body)])
        other = f"{body[:letter]}{dice.choice(ascii_lowercase)}{body[letter + 1 :]}"
    with closing(sqlite3.connect(file)) as journal, journal:
        journal.execute(
            "UPDATE entries SET body = ? WHERE stream = ? AND seq = ?", (other, stream, seq)
        )
    return [key for key in whole if key[0] == stream and key[1] >= seq]


def _is_entry(body: str, stream: str, seq: int) -> bool:
    try:
        entry = JournalEntry.model_validate_json(body)
    except ValueError:
        return False
    return (entry.stream, entry.seq) == (stream, seq)


def emptied(file: Path, _: random.Random) -> None:
    """The file has no bytes any more."""
    os.truncate(file, 0)


SAVED: Final[dict[str, Damage]] = {
    "journal: file cut short": cut_short,
    "journal: bytes overwritten": overwritten,
    "journal: first page gone": without_header,
    "journal: a letter altered": altered,
}
BEYOND_HELP: Final[dict[str, Damage]] = {
    "journal: file emptied": emptied,
}


@scenario("damaged journal", patient=True)
async def journal_damaged(campaign: Campaign) -> None:
    """A damaged file is named, kept aside, and saved as far as it is whole."""
    folder = campaign.folder / "life"
    async with Life.begun(folder, random.Random(campaign.random.random())) as life:
        await life.load.work(2 if campaign.short else 5)
        await life.load.rest()
        assert await life.server.stop() == 0
        whole = await asyncio.to_thread(stored_entries, life.server.data)
        master = folder / "master"
        await asyncio.to_thread(shutil.copytree, life.server.data, master)
        for fault, damage in {**SAVED, **BEYOND_HELP}.items():
            for _ in range(1 if campaign.short or fault in BEYOND_HELP else 3):
                await asyncio.to_thread(shutil.rmtree, life.server.data)
                await asyncio.to_thread(shutil.copytree, master, life.server.data)
                file = life.server.data / JOURNAL_FILE
                lost = await asyncio.to_thread(damage, file, campaign.random)
                with campaign.fault(fault):
                    if fault in SAVED:
                        await saved(life, file, whole, lost)
                    else:
                        await refused(life, file)


async def saved(
    life: Life, file: Path, whole: Entries, may_be_lost: Collection[Key] | None
) -> None:
    """The damage is named and mended, and what is served then was true before."""
    damaged = await asyncio.to_thread(file.read_bytes)
    code, told, errors = await life.server.command("verify")
    assert "Traceback" not in errors, errors
    if code == 0:
        assert may_be_lost is None, "the damage was not noticed"
        return  # what was overwritten held nothing
    code, mended, errors = await life.server.command("verify", "--repair")
    assert code == 0, f"verify --repair said {mended}{errors}"
    assert (await life.server.command("verify"))[0] == 0, "a repaired journal still has problems"
    if "is damaged" in told:
        (aside,) = file.parent.glob(f"{file.name}.damaged-*[0-9]")
        assert JOURNAL_FILE in told.splitlines()[0]
        assert await asyncio.to_thread(aside.read_bytes) == damaged, (
            "the file was not kept as it was"
        )
    there = await asyncio.to_thread(stored_entries, file.parent)
    assert there, "nothing was saved"
    strange = [key for key, body in there.items() if whole.get(key) != body]
    assert not strange, f"entries that never were: {strange[:5]}"
    if may_be_lost is not None:
        lost = whole.keys() - there.keys() - set(may_be_lost)
        assert not lost, f"whole entries that were not saved: {sorted(lost)[:5]}"
    await life.server.start()
    async with Load.on(life.server, life.model, life.dice) as newcomers:
        await newcomers.begin()
        await newcomers.work(0.5)
        await newcomers.rest()
        assert not newcomers.problems, newcomers.problems
    assert await life.server.stop() == 0


async def refused(life: Life, file: Path) -> None:
    """Every command says in one line that the file is damaged, and leaves it as it is."""
    before = await asyncio.to_thread(file.read_bytes)
    for command in (("verify",), ("verify", "--repair"), ("serve", "--port", "0")):
        code, told, errors = await life.server.command(*command)
        said = f"{told}{errors}"
        assert code == 1, f"chorus {command[0]} ended with {code}: {said}"
        assert "damaged" in said or "Nothing of the journal file can be read" in said, said
        assert len(errors.splitlines()) <= 1, errors
    assert await asyncio.to_thread(file.read_bytes) == before, "the damaged file was changed"


def stored_entries(data: Path) -> Entries:
    """The body of each entry of a closed journal, by stream and number. Blocks on the disk."""
    with closing(sqlite3.connect(data / JOURNAL_FILE)) as journal:
        rows = journal.execute("SELECT stream, seq, body FROM entries").fetchall()
    return {(stream, seq): body for stream, seq, body in rows}


# --- A small disk --------------------------------------------------------------------------------


class Disk:
    """A disk that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    async def fill(self, life: Life) -> None:
        """Take all the room that is left."""
        await asyncio.to_thread(self._fill)

    async def make_room(self, life: Life) -> None:
        """Give it back."""
        await asyncio.to_thread(self._filler.unlink)

    def _fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))


class LimitedFiles(Disk):
    """No disk of its own: the server's files may not grow beyond the journal's present size."""

    async def fill(self, life: Life) -> None:
        size = max(path.stat().st_size for path in life.server.data.glob("journal*"))
        resource.prlimit(life.server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    async def make_room(self, life: Life) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(life.server.pid, resource.RLIMIT_FSIZE, unlimited)


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[Disk]:
    """A small file system of its own where we may mount one; else a limit on the server's files."""
    mount = folder / "disk"
    await asyncio.to_thread(mount.mkdir)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(mount)]
    if os.geteuid() != 0 or (await asyncio.to_thread(_succeeds, command)) is False:
        yield LimitedFiles(mount)
        return
    try:
        yield Disk(mount)
    finally:
        await asyncio.to_thread(_succeeds, ["umount", "--lazy", str(mount)])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False

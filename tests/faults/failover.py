"""PostgreSQL fails over to a standby that lacks what was committed last, while clients of two servers write
and read.

What was acknowledged before the standby was made, and after the failover was noticed, is there; each
reader is shown every entry once, in order, under each epoch. Within the suite the same is
`tests/server/test_lost_commits.py`.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from server.services import Services
from tests.faults.campaign import Campaign, scenario
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.postgres import Cluster, cluster
from tests.support.reader import Reader
from tests.support.several_servers import several_servers
from tests.support.standby import Standby

SERVERS: Final = 2
ROUNDS: Final = 20
WORK_SECONDS: Final = (0.05, 0.4)
"""How long everybody writes before what happens next."""

Acknowledged = dict[int, str]
"""The name that each acknowledged entry gave to the thread."""


@scenario("failover")
async def failovers(campaign: Campaign) -> None:
    """Failovers that lose commits, one after the other."""
    with cluster() as postgres:
        url = await asyncio.to_thread(postgres.database, migrated=True)
        async with several_servers(SERVERS, campaign.folder, url) as servers:
            for _ in range(1 if campaign.short else ROUNDS):
                with campaign.fault("PostgreSQL: a failover that lost commits"):
                    await _fail_over(campaign.random, postgres, url, servers)
            assert await servers[0].journal.verify() == ()


async def _fail_over(
    dice: random.Random, postgres: Cluster, url: str, servers: Sequence[Services]
) -> None:
    ann = Identity()
    made = await (await Caller(servers[0]).sign_in(ann)).get("create_thread", name="Evening")
    thread_id = made["thread_id"]
    readers = [await Reader.begin(each, ann, thread_id) for each in servers]
    noticed = [each.epochs.losses for each in servers]

    async def work() -> None:
        await asyncio.sleep(dice.uniform(*WORK_SECONDS))

    kept: Acknowledged = {}
    async with _writing(servers, ann, thread_id, "kept", kept):
        await work()
    standby = await asyncio.to_thread(Standby, postgres, url)
    lost: Acknowledged = {}
    async with _writing(servers, ann, thread_id, "lost", lost):
        await eventually(lambda: len(lost) > SERVERS, "something is written that is lost")
        await work()
        await asyncio.to_thread(standby.promote)
        await eventually(
            lambda: [each.epochs.losses for each in servers] == [each + 1 for each in noticed],
            "every server notices, once",
        )
    await asyncio.gather(*(each.sent_away() for each in readers))
    async with _writing(servers, ann, thread_id, "kept after it", kept):
        await work()
    await _check(readers, servers[-1], ann, thread_id, kept)


async def _check(
    readers: Sequence[Reader], server: Services, ann: Identity, thread_id: str, kept: Acknowledged
) -> None:
    """What is kept is there, and every reader was shown each entry once under each epoch."""
    caller = await Caller(server).sign_in(ann)
    page = await caller.get("get_events", thread_id=thread_id, after_seq=0, limit=1000)
    there = {each["seq"]: json.dumps(each) for each in page["entries"]}
    missing = [seq for seq, name in kept.items() if name not in there.get(seq, "")]
    assert not missing, f"acknowledged entries are gone: {missing}"
    for reader in readers:
        await reader.has(page["head_seq"])
        reader.keep()
        assert len(reader.seen) == 2, f"it was sent away once: {list(reader.seen)}"
        for epoch, seqs in reader.seen.items():
            assert seqs == list(range(1, len(seqs) + 1)), f"under {epoch} it was shown {seqs}"
        assert len(reader.seen[reader.epoch]) == page["head_seq"]


@asynccontextmanager
async def _writing(
    servers: Sequence[Services],
    ann: Identity,
    thread_id: str,
    word: str,
    acknowledged: Acknowledged,
) -> AsyncIterator[None]:
    """Ann renames the thread at every server again and again, until the context ends."""
    is_over = asyncio.Event()

    async def write(server: Services, number: int) -> None:
        caller = Caller(server)
        count = 0
        while not is_over.is_set():
            if not caller.token or caller.line.closed is not None:
                caller.drop()
                caller = Caller(server)
                challenge = await caller.ask("connect", public_key=ann.public_key)
                if challenge["type"] == "error":
                    continue
                signature = ann.sign(challenge["data"]["statement"])
                init = await caller.ask("authenticate", signature=signature)
                if init["type"] == "error":
                    continue
                caller.token = init["data"]["session"]["token"]
            count += 1
            name = f"{word} {number} {count}"
            reply = await caller.ask("rename_thread", thread_id=thread_id, name=name)
            if reply["type"] == "accepted":
                acknowledged[reply["data"]["seq"]] = name
        caller.drop()

    writers = [asyncio.create_task(write(each, number)) for number, each in enumerate(servers)]
    try:
        yield
    finally:
        is_over.set()
        await asyncio.gather(*writers)

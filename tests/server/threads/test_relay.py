"""Followers anywhere: whichever server writes an entry, each has it once, in order, wherever it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machines.models.ids import ThreadId
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.lost_announcements import lose_announcements
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers

CHANGES = 15
"""That each writer makes, one after the other."""


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def servers(url: str, tmp_path: Path) -> AsyncIterator[list[Services]]:
    async with several_servers(2, tmp_path, url) as running:
        yield running


class Conversation:
    """A thread of Ann's, whom each server has a connection of."""

    def __init__(self, founders: list[Caller], thread_id: ThreadId, head_seq: int) -> None:
        self.founders = founders
        """One on each server, all of the same key."""
        self.thread_id = thread_id
        self.began = head_seq

    @classmethod
    async def begin(cls, servers: list[Services], visibility: str = "private") -> "Conversation":
        """Make it at the first server, and follow it at all of them."""
        ann = Identity()
        founders = [await Caller(server).sign_in(ann) for server in servers]
        made = await founders[0].get("create_thread", name="Evening", visibility=visibility)
        for founder in founders:
            await founder.get("get_thread", thread_id=made["thread_id"])
        return cls(founders, ThreadId(made["thread_id"]), made["seq"])

    async def rename(self, by: Caller, name: str) -> int:
        """Change it, and give the number of the entry."""
        reply = await by.get("rename_thread", thread_id=self.thread_id, name=name)
        seq: int = reply["seq"]
        return seq

    async def write_at_once(self, times: int = CHANGES) -> int:
        """Let every server write, all at the same time; gives the last number."""

        async def write(founder: Caller, who: int) -> int:
            return max([await self.rename(founder, f"{who} {n}") for n in range(times)])

        heads = await asyncio.gather(*(write(each, n) for n, each in enumerate(self.founders)))
        return max(heads)

    async def everyone_has(self, head_seq: int) -> None:
        """Every founder is shown the entries up to this one: each once, in order, and no other."""
        wanted = list(range(self.began + 1, head_seq + 1))
        for founder in self.founders:
            await self.has(founder, wanted)
            assert founder.line.closed is None

    async def has(self, follower: Caller, wanted: list[int]) -> None:
        """This one is shown exactly these entries."""
        await eventually(
            lambda: self.seqs(follower)[-1:] == wanted[-1:],
            lambda: f"{self.seqs(follower)} ends with {wanted[-1:]}",
        )
        assert self.seqs(follower) == wanted

    def seqs(self, caller: Caller) -> list[int]:
        """The numbers of the entries that came, as they came."""
        return [each["seq"] for each in caller.live(self.thread_id)]


@pytest.mark.parametrize("visibility", ["public", "private"])
async def test_followers_of_three_servers_have_each_entry_once_in_order_while_all_write(
    url: str, tmp_path: Path, visibility: str
) -> None:
    async with several_servers(3, tmp_path, url) as servers:
        conversation = await Conversation.begin(servers, visibility)
        head = await conversation.write_at_once()
        assert head == conversation.began + 3 * CHANGES
        await conversation.everyone_has(head)


async def test_who_begins_to_follow_while_another_server_writes_misses_nothing(
    servers: list[Services],
) -> None:
    conversation = await Conversation.begin(servers, "public")
    writing = asyncio.create_task(conversation.write_at_once())
    late = [await Caller(server).sign_in(Identity()) for server in servers * 5]
    shown = [await each.get("get_thread", thread_id=conversation.thread_id) for each in late]
    head = await writing
    await conversation.everyone_has(head)
    for each, snapshot in zip(late, shown, strict=True):
        await conversation.has(each, list(range(snapshot["head_seq"] + 1, head + 1)))


async def test_what_was_written_while_nothing_was_heard_is_found_by_the_heads(
    servers: list[Services], url: str, postgres: Cluster
) -> None:
    conversation = await Conversation.begin(servers)
    here, there = conversation.founders
    for _ in range(2):
        await eventually(lambda: len(listeners(postgres, url)) == 2, "both servers listen")
        for pid in listeners(postgres, url):
            postgres.run("SELECT pg_terminate_backend(%s)", pid)
        await conversation.rename(here, "written while it is cut")
        head = await conversation.rename(there, "and by the other")
        await conversation.everyone_has(head)


def listeners(postgres: Cluster, url: str) -> list[int]:
    """The connections that listen."""
    found = postgres.run(
        "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN chorus' AND datname = %s",
        url.rpartition("/")[2],
    )
    return [pid for (pid,) in found]


async def test_followers_have_every_entry_where_nothing_is_ever_heard(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_announcements(monkeypatch)
    async with several_servers(2, tmp_path, url) as servers:
        conversation = await Conversation.begin(servers)
        head = await conversation.write_at_once()
        await conversation.everyone_has(head)


async def test_followers_have_what_was_written_after_postgresql_came_back(
    servers: list[Services], postgres: Cluster
) -> None:
    conversation = await Conversation.begin(servers)
    postgres.stop()
    postgres.start()
    here, there = conversation.founders

    async def is_taken(by: Caller, name: str) -> bool:
        reply = await by.ask("rename_thread", thread_id=conversation.thread_id, name=name)
        return bool(reply["type"] == "accepted")

    await eventually(lambda: is_taken(here, "after the restart"), "the database takes it")
    await eventually(lambda: is_taken(there, "at the other"), "the database takes it there")
    head = await conversation.rename(here, "and the last one")
    await conversation.everyone_has(head)


async def test_who_leaves_through_another_server_has_that_as_the_last_frame_and_nothing_after_it(
    servers: list[Services],
) -> None:
    conversation = await Conversation.begin(servers)
    here, there = conversation.founders
    ben = Identity()
    ben_here, ben_there = [await Caller(server).sign_in(ben) for server in servers]
    await here.bring_in(ben_here, conversation.thread_id)
    await ben_there.get("get_thread", thread_id=conversation.thread_id)
    left = await ben_here.get("leave_co_authorship", thread_id=conversation.thread_id)
    for number in range(3):
        await conversation.rename(there, f"without Ben {number}")
    head = await conversation.rename(here, "the last one")
    await conversation.everyone_has(head)
    await eventually(
        lambda: conversation.seqs(ben_there)[-1:] == [left["seq"]], "he is shown that he left"
    )
    assert not any("without Ben" in text for text in ben_there.line.texts)


async def test_co_authors_and_the_invited_have_their_notices_on_every_server(
    servers: list[Services],
) -> None:
    ann, ben = Identity(), Identity()
    ann_here, ann_there = [await Caller(server).sign_in(ann) for server in servers]
    ben_there = await Caller(servers[1]).sign_in(ben)
    made = await ann_here.get("create_thread", name="Evening")
    thread_id = made["thread_id"]

    async def noticed(who: Caller, kind: str) -> Data:
        frame = await who.line.until(
            lambda each: bool(each["type"] == "notice" and each["data"]["kind"] == kind),
            f"a notice of {kind}",
        )
        return dict(frame["data"])

    assert (await noticed(ann_there, "thread_created"))["thread_id"] == thread_id
    await ann_here.get("invite_co_author", thread_id=thread_id, public_key=ben.public_key)
    invited = await noticed(ben_there, "invited")
    assert (invited["thread_id"], invited["head_seq"], invited["inbox"]) == (thread_id, 0, True)
    await ben_there.get("accept_invitation", thread_id=thread_id)
    await noticed(ann_here, "co_author_joined")

    await ann_here.get("mark_read", thread_id=thread_id, seq=1)
    assert (await noticed(ann_there, "read"))["head_seq"] == 1
    await ann_there.get("hide_thread", thread_id=thread_id, hidden=True)
    assert (await noticed(ann_here, "hidden"))["hidden"] is True


async def test_a_run_that_is_cancelled_at_another_server_asks_the_model_no_more(
    url: str, tmp_path: Path
) -> None:
    async with several_servers(2, tmp_path, url, moody=True) as servers:
        conversation = await Conversation.begin(servers)
        here, there = conversation.founders
        run = await here.get(
            "submit_prompt", thread_id=conversation.thread_id, prompt="HOLD this for good"
        )
        await eventually(
            lambda: servers[0].chorus.works_on(conversation.thread_id), "the model is asked"
        )
        await there.get("cancel_run", thread_id=conversation.thread_id, run_id=run["run_id"])
        await eventually(
            lambda: not servers[0].chorus.works_on(conversation.thread_id),
            "the model is asked no more",
        )
        head = await conversation.rename(there, "the last one")
        await conversation.everyone_has(head)

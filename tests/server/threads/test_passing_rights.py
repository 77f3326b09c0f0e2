"""Passing frames are sent to those alone who may read their thread when they are made, whichever server
somebody leaves through, and whatever becomes of the announcement."""

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from machines.models.ids import ThreadId
from machines.models.thread import Visibility
from server.commands.ask import Asker
from server.threads import passing_rights, presence, relay
from server.threads.broadcast import Broadcast
from server.threads.passing_rights import PassingRights
from tests.server.runs.test_passing_text import Pair, a_pair, responses, text_of
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.journal_values import ANN, BEN, thread
from tests.support.lost_announcements import lose_announcements
from tests.support.postgres import Cluster

ONE = thread("one", ANN, visibility=Visibility.PUBLIC)
FOLLOWER = Asker(BEN)
"""No co-author: nothing is told of their presence."""


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
def unannounced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that never hear what others commit, and do not look for it by themselves."""
    lose_announcements(monkeypatch)
    monkeypatch.setattr(relay, "LOOK_SECONDS", 3_600.0)
    monkeypatch.setattr(presence, "PRESENCE_SECONDS", 0.01)


async def joined_by(pair: Pair) -> tuple[Caller, Caller]:
    """Ben, a co-author who follows at the second server and is signed in at the first one as well."""
    ben = Identity()
    here, there = [await Caller(server).sign_in(ben) for server in pair.servers]
    await pair.here.bring_in(here, pair.thread_id)
    await there.get("get_thread", thread_id=pair.thread_id)
    return here, there


@pytest.mark.parametrize("carrier", ["where he leaves", "where he follows"])
async def test_who_left_through_another_server_is_sent_nothing_that_was_written_after_it(
    url: str, tmp_path: Path, unannounced: None, carrier: str
) -> None:
    async with a_pair(tmp_path, url) as pair:
        ben_here, ben_there = await joined_by(pair)
        gate = pair.model.hold("carry on", "action", first="For Ben too,", rest=" not for Ben.")
        ann = pair.here if carrier == "where he leaves" else pair.there
        asked = await ann.get("submit_prompt", thread_id=pair.thread_id, prompt="carry on")
        run_id = asked["run_id"]
        await eventually(
            lambda: text_of(ben_there, run_id, "action") == "For Ben too,", "Ben sees the beginning"
        )
        left = await ben_here.get("leave_co_authorship", thread_id=pair.thread_id)
        await pair.there.get("typing", thread_id=pair.thread_id)
        gate.opened.set()
        await eventually(
            lambda: text_of(pair.there, run_id, "action") == "For Ben too, not for Ben.",
            "Ann, who follows there, sees the rest",
        )
        last = [each for each in ben_there.line.frames if each["type"] != "notice"][-1]
        assert (last["seq"], last["data"]["kind"]) == (left["seq"], "co_author_left")
        assert not any("not for Ben" in text for text in ben_there.line.texts)


async def test_text_waits_while_the_journal_cannot_be_asked_and_comes_whole(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing_rights, "AGAIN_SECONDS", 0.01)
    async with a_pair(tmp_path, url) as pair:
        journal = pair.servers[1].journal
        heads, failed = journal.heads, asyncio.Event()

        async def away(_: Collection[ThreadId]) -> dict[ThreadId, int]:
            failed.set()
            raise JournalError("The journal cannot be read.")

        monkeypatch.setattr(journal, "heads", away)
        gate = pair.model.hold("wait", "action", first="Held back,", rest=" and sent.")
        asked = await pair.there.get("submit_prompt", thread_id=pair.thread_id, prompt="wait")
        await failed.wait()
        assert not responses(pair.there, asked["run_id"], "delta")
        monkeypatch.setattr(journal, "heads", heads)
        gate.opened.set()
        await eventually(
            lambda: text_of(pair.there, asked["run_id"], "action") == "Held back, and sent.",
            "all of it comes, in order",
        )


class Questions:
    """A journal that a test answers for."""

    def __init__(self) -> None:
        self.put: asyncio.Queue[asyncio.Future[dict[ThreadId, int]]] = asyncio.Queue()

    async def heads(self, thread_ids: Collection[ThreadId]) -> dict[ThreadId, int]:
        del thread_ids
        answer: asyncio.Future[dict[ThreadId, int]] = asyncio.get_running_loop().create_future()
        self.put.put_nowait(answer)
        return await answer


@pytest.fixture
async def held() -> AsyncIterator[tuple[Questions, Broadcast, PassingRights]]:
    """With a thread whose one follower has the entries up to 3."""
    questions, broadcast = Questions(), Broadcast()
    rights = PassingRights(questions, broadcast)
    broadcast.hold_passing(rights)
    broadcast.follow(ONE.id, FOLLOWER)
    broadcast.go_live(ONE.id, FOLLOWER, ONE, 3)
    asking = asyncio.create_task(rights.run())
    yield questions, broadcast, rights
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_what_is_made_while_the_journal_answers_waits_for_its_next_answer(
    held: tuple[Questions, Broadcast, PassingRights],
) -> None:
    questions, _, rights = held
    sent: list[str] = []
    rights.hold(ONE.id, lambda _: sent.append("one"))
    first = await questions.put.get()
    rights.hold(ONE.id, lambda _: sent.append("two"))
    first.set_result({ONE.id: 3})
    second = await questions.put.get()
    assert sent == ["one"]
    second.set_result({ONE.id: 3})
    await eventually(lambda: sent == ["one", "two"], "the next answer is about it")


async def test_what_waits_for_entries_is_gone_with_who_follows(
    held: tuple[Questions, Broadcast, PassingRights],
) -> None:
    questions, broadcast, rights = held
    sent: list[str] = []
    rights.hold(ONE.id, lambda _: sent.append("one"))
    (await questions.put.get()).set_result({ONE.id: 4})
    await eventually(lambda: broadcast.lags(ONE.id), "the follower lacks an entry")
    assert not sent
    broadcast.unfollow(ONE.id, FOLLOWER)
    broadcast.follow(ONE.id, FOLLOWER)
    broadcast.go_live(ONE.id, FOLLOWER, ONE, 4)
    rights.hold(ONE.id, lambda _: sent.append("two"))
    (await questions.put.get()).set_result({ONE.id: 4})
    await eventually(lambda: sent == ["two"], "who comes later is sent what is made later")

"""A commit that raised may be durable: the room finds out by itself, and goes on as if it had been told."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from machines.models.ids import ThreadId
from server.services import Services
from server.threads.broadcast import Delta
from tests.server.threads.forking import co_author, over
from tests.support.client import Data, Frame, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Moody, open_test_services
from tests.support.lossy import Lossy

SHORT = 1e-5
"""Of approval, in days: a second."""


class LossyServer:
    """A public thread that somebody follows, and a journal that may fail."""

    def __init__(self, services: Services, journal: Lossy, founder: Caller, thread_id: str) -> None:
        self.services = services
        self.journal = journal
        self.founder = founder
        self.thread_id = thread_id

    @property
    def asked(self) -> int:
        """Calls of the model."""
        model = self.services.model.model
        assert isinstance(model, Moody)
        return len(model.calls)

    async def shown(self, what: str, is_it: Callable[[Data], bool]) -> Data:
        """The data of an entry that the founder is shown without asking."""
        frame = await self.founder.line.until(
            lambda each: bool(each.get("seq")) and is_it(each["data"]), what
        )
        return dict(frame["data"])

    async def end_of_the_run(self) -> Data:
        """How the thread's run ended; every entry must have come once, in order."""
        ended = await self.shown(
            "the end of a run",
            lambda data: data.get("status") in {"finished", "failed", "cancelled"},
        )
        seqs = [each["seq"] for each in self.founder.live(self.thread_id)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "a gap, or a repeat"
        return ended


@pytest_asyncio.fixture
async def lossy_server(tmp_path: Path) -> AsyncIterator[LossyServer]:
    async with open_test_services(tmp_path, moody=True, approval_days=SHORT) as services:
        with pytest.MonkeyPatch.context() as patch:
            founder = await Caller(services).sign_in(Identity())
            thread = await founder.get("create_thread", name="Doubts", visibility="public")
            await founder.get("get_thread", thread_id=thread["thread_id"])
            lossy = Lossy(services.journal, patch)
            yield LossyServer(services, lossy, founder, thread["thread_id"])


async def refused_submit(
    lossy_server: LossyServer,
    caller: Caller,
    *,
    prompt: str = "What is it?",
    request_id: str | None = None,
) -> Frame:
    """A prompt that gets `storage_unavailable`."""
    reply = await caller.ask(
        "submit_prompt", thread_id=lossy_server.thread_id, prompt=prompt, request_id=request_id
    )
    assert reply["data"]["code"] == "storage_unavailable", reply
    assert reply["data"]["retryable"]
    return reply


@pytest.mark.parametrize("unreadable", [0, 3])
async def test_a_deadline_of_a_commit_in_doubt_is_kept(
    lossy_server: LossyServer, unreadable: int
) -> None:
    outsider = await Caller(lossy_server.services).sign_in(Identity())
    lossy_server.journal.silenced, lossy_server.journal.unreadable = 1, unreadable
    await refused_submit(lossy_server, outsider)
    await lossy_server.shown(
        "the prompt that nobody was told of", lambda data: data.get("kind") == "message_submitted"
    )
    await lossy_server.shown(
        "the end of its deadline", lambda data: data.get("kind") == "message_expired"
    )


async def test_a_run_of_a_commit_in_doubt_begins_at_once_and_is_remembered(
    lossy_server: LossyServer,
) -> None:
    lossy_server.journal.silenced = 1
    request_id = new_id()
    await refused_submit(lossy_server, lossy_server.founder, request_id=request_id)
    assert (await lossy_server.end_of_the_run())["status"] == "finished"
    assert lossy_server.asked == 6, "a step was taken again"
    again = await lossy_server.founder.get(
        "submit_prompt",
        thread_id=lossy_server.thread_id,
        prompt="What is it?",
        request_id=request_id,
    )
    assert again["message_id"], "what was durable is carried out again"


async def test_a_commit_in_doubt_is_followed_up_though_it_is_read_in_pieces(
    lossy_server: LossyServer,
) -> None:
    lossy_server.journal.silenced, lossy_server.journal.torn = 1, 2
    await refused_submit(lossy_server, lossy_server.founder)
    assert (await lossy_server.end_of_the_run())["status"] == "finished"
    assert lossy_server.asked == 6, (
        "a step was taken again, or only when somebody looked after the runs"
    )


async def test_a_run_all_of_whose_commits_are_in_doubt_takes_each_step_once(
    lossy_server: LossyServer,
) -> None:
    lossy_server.journal.silenced = 1_000
    await refused_submit(lossy_server, lossy_server.founder, prompt="STUMBLE once.")
    assert (await lossy_server.end_of_the_run())["status"] == "finished"
    assert lossy_server.asked == 7, "six steps, and the second attempt of the first"


async def test_what_a_commit_in_doubt_asked_of_the_memory_is_done_at_once(
    lossy_server: LossyServer,
) -> None:
    lossy_server.journal.silenced = 1
    await refused_submit(lossy_server, lossy_server.founder, prompt="HOLD on to the herons.")
    await lossy_server.shown("the prompt", lambda data: data.get("kind") == "message_submitted")

    async def found() -> bool:
        told = await lossy_server.founder.get(
            "search", query="herons", thread_id=lossy_server.thread_id
        )
        return bool(told["results"])

    await eventually(found, "the prompt is remembered")


async def test_a_commit_that_failed_leaves_nothing_behind(lossy_server: LossyServer) -> None:
    lossy_server.journal.failing = 1
    await refused_submit(lossy_server, lossy_server.founder)
    await lossy_server.founder.get(
        "rename_thread", thread_id=lossy_server.thread_id, name="No doubts"
    )
    kinds = [each["data"].get("kind") for each in lossy_server.founder.live(lossy_server.thread_id)]
    assert kinds == ["thread_renamed"]
    assert lossy_server.asked == 0


async def test_a_thread_whose_creation_is_in_doubt_is_made_once(lossy_server: LossyServer) -> None:
    for silenced, failing in ((1, 0), (0, 1)):
        lossy_server.journal.silenced, lossy_server.journal.failing = silenced, failing
        request_id = new_id()
        reply = await lossy_server.founder.ask("create_thread", name="New", request_id=request_id)
        assert reply["data"]["code"] == "storage_unavailable"
        made = await lossy_server.founder.get("create_thread", name="New", request_id=request_id)
        await lossy_server.founder.get("rename_thread", thread_id=made["thread_id"], name="Newer")
    listed = await lossy_server.founder.get("list_threads", scope="mine")
    assert sorted(each["name"] for each in listed["threads"]) == ["Doubts", "Newer", "Newer"]


async def test_a_run_goes_on_however_often_a_thread_cannot_be_read(
    lossy_server: LossyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "server.threads.rooms.MAX_KEPT_CHARACTERS", 0
    )  # nothing is kept, all is read
    lossy_server.journal.flaky = True

    async def accepted() -> bool:
        reply = await lossy_server.founder.ask(
            "submit_prompt", thread_id=lossy_server.thread_id, prompt="What is it?"
        )
        return bool(reply["type"] == "accepted")

    await eventually(accepted, "the prompt was accepted")
    assert (await lossy_server.end_of_the_run())["status"] == "finished"


async def test_who_may_have_left_hears_passing_words_only_once_it_is_certain_that_they_have_not(
    tmp_path: Path,
) -> None:
    async with open_test_services(tmp_path) as services:
        with pytest.MonkeyPatch.context() as patch:
            founder = await Caller(services).sign_in(Identity())
            leaver = await Caller(services).sign_in(Identity())
            private = ThreadId((await founder.get("create_thread", name="Doubts"))["thread_id"])
            await founder.bring_in(leaver, private)
            for each in (founder, leaver):
                await each.get("get_thread", thread_id=private)
            journal = Lossy(services.journal, patch)

            def heard() -> tuple[bool, bool]:
                """Whether the founder, and the one who leaves, hear what is said now."""
                for each in (founder, leaver):
                    each.line.clear()
                text = '{"type": "chorus_response", "data": {"status": "delta"}}'
                delta = Delta(("run", "action", 1, 1), 0, "so", text, for_co_authors=False)
                services.broadcast.publish_delta(private, delta)
                return bool(founder.line.frames), bool(leaver.line.frames)

            assert heard() == (True, True)
            # It may have been durable, and nobody can say so yet.
            journal.failing, journal.unreadable = 1, 1_000
            assert (await leaver.ask("leave_co_authorship", thread_id=private))["type"] == "error"
            assert heard() == (True, False)
            journal.unreadable = 0
            await eventually(lambda: heard() == (True, True), "who has not left hears again")
            journal.silenced = 1
            assert (await leaver.ask("leave_co_authorship", thread_id=private))["type"] == "error"
            assert heard() == (True, False)
            await founder.line.until(
                lambda each: each["data"].get("kind") == "co_author_left", "that somebody left"
            )
            assert heard() == (True, False)


def waiting_notices(caller: Caller) -> list[Data]:
    """What a connection was told of runs that wait for the journal."""
    return [
        each["data"]
        for each in caller.line.frames
        if each["type"] == "notice" and each["data"]["kind"] == "storage_unavailable"
    ]


async def test_who_follows_a_run_that_waits_for_the_journal_is_told_why_until_it_goes_on(
    lossy_server: LossyServer,
) -> None:
    founder, thread_id = lossy_server.founder, lossy_server.thread_id
    assert founder.identity is not None
    elsewhere = await Caller(lossy_server.services).sign_in(founder.identity)
    founder.line.clear()
    asked = await founder.get("submit_prompt", thread_id=thread_id, prompt="What is it?")
    lossy_server.journal.failing = 3
    assert (await lossy_server.end_of_the_run())["status"] == "finished"
    notices = waiting_notices(founder)
    assert len(notices) == 3, "one for each time that the journal failed"
    assert {each["message"] for each in notices} == {"The journal could not commit."}
    assert {each["head_seq"] for each in notices} == {asked["seq"]}, "the last entry it was sent"
    assert not waiting_notices(elsewhere), "it does not follow the thread"


async def test_outsiders_are_told_that_a_run_waits_and_not_that_a_forked_one_does(
    lossy_server: LossyServer,
) -> None:
    founder, thread = lossy_server.founder, {"thread_id": lossy_server.thread_id}
    outsider = await co_author(lossy_server.services)
    await outsider.get("get_thread", **thread)
    asked = await founder.get("submit_prompt", prompt="What is it?", **thread)
    lossy_server.journal.failing = 1
    await over(founder, asked["run_id"])
    assert len(waiting_notices(founder)) == len(waiting_notices(outsider)) == 1

    change = {"kind": "prompt", "text": "What else?"}
    forked = await founder.get(
        "fork_run", run_id=asked["run_id"], step="action", change=change, **thread
    )
    lossy_server.journal.failing = 2
    await over(founder, forked["run_id"])
    assert len(waiting_notices(founder)) == 1 + 2
    assert len(waiting_notices(outsider)) == 1


@pytest.mark.parametrize("certain", [True, False])
async def test_only_what_may_be_durable_all_the_same_is_in_doubt(
    lossy_server: LossyServer, certain: bool
) -> None:
    service = lossy_server.services.thread_service
    lossy_server.journal.failing, lossy_server.journal.certain = 1, certain
    lossy_server.journal.unreadable = 3
    await refused_submit(lossy_server, lossy_server.founder)
    facts = service.rooms.facts_of(ThreadId(lossy_server.thread_id))
    assert (facts is not None) == certain, (
        "what is known of a thread holds where nothing was written"
    )

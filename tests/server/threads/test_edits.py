"""A user writes their own newest message anew: what becomes of the old one, its run, answer and memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from machines.models.ids import MessageId
from server.services import Services
from storage.memory.points import Collection, message_point_id
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Moody, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


async def somebody(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


async def public_thread(owner: Caller, *guests: Caller) -> Data:
    made = await owner.get("create_thread", name="Edits", visibility="public")
    thread = {"thread_id": made["thread_id"]}
    for guest in guests:
        await owner.bring_in(guest, made["thread_id"])
    for each in (owner, *guests):
        await each.get("get_thread", **thread)
    return thread


async def ended(caller: Caller, run_id: str) -> str:
    over = {"finished", "failed", "cancelled"}
    frame = await caller.line.until(
        lambda each: each["data"].get("run_id") == run_id and each["data"].get("status") in over,
        f"the end of run {run_id}",
    )
    return str(frame["data"]["status"])


async def answered(caller: Caller, thread: Data, prompt: str, **more: str) -> Data:
    """A prompt whose run has finished."""
    sent = await caller.get("submit_prompt", prompt=prompt, **thread, **more)
    assert await ended(caller, sent["run_id"]) == "finished"
    return sent


async def shown(caller: Caller, thread: Data) -> list[Data]:
    """The thread's messages."""
    return list((await caller.get("get_thread", **thread))["messages"])


async def test_the_new_message_takes_the_place_of_the_old_one_and_of_its_answer(
    services: Services,
) -> None:
    owner, reader = await somebody(services), await somebody(services)
    thread = await public_thread(owner)
    await reader.get("get_thread", **thread)
    old = await answered(owner, thread, "What do rivres do?")
    new = await answered(owner, thread, "What do rivers do?", supersedes=old["message_id"])
    for follower in (owner, reader):
        told = [
            (each["data"]["kind"], each["data"]["message"])
            for each in follower.live(thread["thread_id"])
            if str(each["data"].get("kind")).startswith("message_")
        ]
        assert [kind for kind, _ in told] == [
            *("message_submitted", "message_superseded", "message_superseded"),
            "message_submitted",
        ]
        prompt, answer, _, _ = await shown(follower, thread)
        assert told[1][1] == prompt
        assert told[2][1] == answer
        assert (prompt["status"], prompt["superseded_by"]) == ("superseded", new["message_id"])
        assert prompt["content"] == "What do rivres do?", "who could read it can read it still"
        assert (answer["role"], answer["status"]) == ("chorus", "superseded")
        assert answer["html"]
    _, _, newer, its_answer = await shown(owner, thread)
    assert (newer["supersedes"], newer["status"]) == (old["message_id"], "approved")
    assert its_answer["status"] == "approved"
    assert await services.journal.verify() == ()


async def test_a_run_that_is_under_way_is_stopped_in_the_same_transaction(
    services: Services,
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    old = await owner.get("submit_prompt", prompt="HOLD this", **thread)
    new = await owner.get(
        "submit_prompt", prompt="Better this", supersedes=old["message_id"], **thread
    )
    assert await ended(owner, old["run_id"]) == "cancelled"
    assert await ended(owner, new["run_id"]) == "finished"
    kinds = [
        each["data"].get("kind") or each["data"]["status"]
        for each in owner.live(thread["thread_id"])
        if "seq" in each
    ]
    begun = kinds.index("message_superseded")
    assert kinds[begun : begun + 5] == [
        *("message_superseded", "cancelled", "message_submitted", "queued", "started"),
    ]
    refused = await owner.ask("retry_run", run_id=old["run_id"], **thread)
    assert refused["data"]["details"]["guards"] == ["message_is_approved"]


async def test_neither_prompts_nor_searches_know_it_any_more_and_verify_agrees(
    services: Services,
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    old = await answered(owner, thread, "The treasure lies under the old oak.")
    await answered(owner, thread, "The treasure is gone.", supersedes=old["message_id"])

    async def found() -> list[str]:
        results = (await owner.get("search", query="treasure oak"))["results"]
        return [each["content"] for each in results]

    async def is_forgotten() -> bool:
        return not any("old oak" in each for each in await found())

    await eventually(is_forgotten, "it is forgotten")
    assert "The treasure is gone." in await found()
    await answered(owner, thread, "Where is the treasure?")
    moody = services.model.model
    assert isinstance(moody, Moody)
    last = [each for each in moody.calls if "Where is" in each.messages[-1].content]
    assert last
    for call in last:
        assert "old oak" not in "".join(each.content for each in call.messages)
    await eventually(lambda: nothing_waits(services), "nothing waits")
    facts = await services.memory.facts(Collection.MESSAGES)
    ids = {each.id for each in facts.points}
    assert message_point_id(MessageId(old["message_id"])) not in ids
    given = await services.journal.given_to_memory(
        fingerprint=(await services.memory.facts(Collection.MESSAGES)).state.fingerprint or ""
    )
    assert given.messages <= len(ids), "the memory is not filled again at the next start"


async def nothing_waits(services: Services) -> bool:
    return await services.journal.first_queued(None) is None


async def test_only_the_author_may_and_only_their_newest_message(services: Services) -> None:
    owner, other = await somebody(services), await somebody(services)
    thread = await public_thread(owner, other)
    first = await answered(owner, thread, "First?")
    second = await answered(owner, thread, "Second?")
    await answered(other, thread, "Between?")

    async def refusal(caller: Caller, message_id: str) -> Data:
        frame = await caller.ask("submit_prompt", prompt="Mine", supersedes=message_id, **thread)
        return dict(frame["data"])

    by_other = await refusal(other, second["message_id"])
    assert by_other["code"] == "invalid_transition"
    assert "author_asks" in by_other["details"]["guards"]
    too_old = await refusal(owner, first["message_id"])
    assert too_old["details"]["guards"] == ["message_is_its_authors_newest"]
    elsewhere = await public_thread(owner)
    foreign = await answered(owner, elsewhere, "Elsewhere?")
    assert (await refusal(owner, foreign["message_id"]))["code"] == "not_found"
    await owner.get("get_thread", **thread)
    third = await answered(owner, thread, "Third?", supersedes=second["message_id"])
    assert (await refusal(owner, second["message_id"]))["code"] == "invalid_transition"
    await owner.get("archive_thread", **thread)
    assert (await refusal(owner, third["message_id"]))["code"] == "invalid_transition"
    assert all(each["content"] != "Mine" for each in await shown(owner, thread))


async def test_an_outsiders_pending_message_is_taken_back_and_needs_the_votes_anew(
    services: Services,
) -> None:
    owner, guest = await somebody(services), await somebody(services)
    thread = await public_thread(owner)
    await guest.get("get_thread", **thread)
    old = await guest.get("submit_prompt", prompt="Mai I ask?", **thread)
    new = await guest.get(
        "submit_prompt", prompt="May I ask?", supersedes=old["message_id"], **thread
    )
    assert new["run_id"] is None
    before, after = await shown(owner, thread)
    assert (before["status"], before["superseded_by"]) == ("withdrawn", new["message_id"])
    assert (after["status"], after["supersedes"]) == ("pending", old["message_id"])
    refused = await owner.ask("approve_message", message_id=old["message_id"], **thread)
    assert refused["data"]["code"] == "invalid_transition"
    await owner.get("approve_message", message_id=new["message_id"], **thread)
    assert [each["status"] for each in await shown(owner, thread)][:2] == ["withdrawn", "approved"]
    assert await services.journal.verify() == ()


async def test_who_is_no_co_author_any_more_takes_nothing_out_of_the_thread(
    services: Services,
) -> None:
    owner, guest = await somebody(services), await somebody(services)
    thread = await public_thread(owner, guest)
    sent = await answered(guest, thread, "Mine once?")
    await guest.get("leave_co_authorship", **thread)
    refused = await guest.ask(
        "submit_prompt", prompt="Mine still", supersedes=sent["message_id"], **thread
    )
    assert refused["data"]["details"]["guards"] == ["author_is_co_author_still"]


async def test_a_citation_of_a_message_that_was_written_anew_still_leads_to_it(
    services: Services,
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    old = await answered(owner, thread, "Rivers carry silt to the sea.")
    page = await owner.get("get_events", after_seq=0, limit=1_000, **thread)
    before = page["head_seq"]
    await answered(owner, thread, "Rivers carry sand to the sea.", supersedes=old["message_id"])
    page = await owner.get("get_events", after_seq=0, limit=1_000, **thread)
    kept = [each for each in page["entries"] if each["seq"] <= before]
    assert any(
        (each["data"].get("message") or {}).get("content") == "Rivers carry silt to the sea."
        for each in kept
    ), "the journal keeps both"
    (prompt, *_) = await shown(owner, thread)
    assert prompt["id"] == old["message_id"]


@pytest.mark.parametrize("again", [False, True])
async def test_the_same_edit_sent_twice_is_carried_out_once(
    services: Services, again: bool
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    old = await answered(owner, thread, "Once?")
    edit = {"prompt": "Twice?", "supersedes": old["message_id"], **thread}
    first = await owner.get("submit_prompt", request_id="edit-1", **edit)
    assert await ended(owner, first["run_id"]) == "finished"
    if again:
        assert await owner.get("submit_prompt", request_id="edit-1", **edit) == first
    assert len(await shown(owner, thread)) == 4

"""What a user hides of threads for themselves: on all their connections, and of nobody else's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from machines.models import user_thread
from server.services import Services
from tests.support.client import Identity
from tests.support.in_process import UNLIMITED, Caller, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, **UNLIMITED) as opened:
        yield opened


async def two_of(services: Services) -> tuple[Caller, Caller, str]:
    """Two co-authors, and their thread."""
    ada, ben = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    made = await ada.get("create_thread", name="Plans", visibility="private")
    await ada.bring_in(ben, made["thread_id"])
    return ada, ben, str(made["thread_id"])


async def names(caller: Caller, **data: Any) -> list[str]:
    page = await caller.get("list_threads", scope="mine", **data)
    return [each["name"] for each in page["threads"]]


async def hidden_of(caller: Caller, thread_id: str, **data: Any) -> list[str]:
    page = await caller.get("get_thread", thread_id=thread_id, **data)
    return list(page["hidden_messages"])


def is_hidden_notice(frame: dict[str, Any]) -> bool:
    return bool(frame["type"] == "notice" and frame["data"]["kind"] == "hidden")


async def test_a_hidden_message_is_told_to_its_user_on_every_connection_and_to_nobody_else(
    services: Services,
) -> None:
    ada, ben, thread_id = await two_of(services)
    tablet = await Caller(services).sign_in(ben.identity or Identity())
    sent = await ada.get("submit_prompt", thread_id=thread_id, prompt="A long story")
    message = {"thread_id": thread_id, "message_id": sent["message_id"]}
    for caller in (ada, ben, tablet):
        assert await hidden_of(caller, thread_id) == []
        caller.line.clear()
    accepted = await ben.get("hide_message", request_id="same", hidden=True, **message)
    assert accepted == await ben.get("hide_message", request_id="same", hidden=True, **message)
    assert {each for each in accepted.values() if each is not None} == set()
    for caller in (ben, tablet):
        told = await caller.line.until(is_hidden_notice, "that it is hidden")
        assert told["data"] == {**message, "head_seq": 0, "kind": "hidden", "hidden": True}
        assert await hidden_of(caller, thread_id) == [sent["message_id"]]
    assert await hidden_of(ben, thread_id, before_index=0) == []
    assert await hidden_of(ada, thread_id) == []
    tablet.line.clear()
    await ben.get("hide_message", hidden=True, **message)
    await ben.get("hide_message", hidden=False, **message)
    told = await tablet.line.until(is_hidden_notice, "that it is shown again")
    assert "hidden" not in told["data"]
    assert await hidden_of(tablet, thread_id) == []
    assert not [frame for frame in ada.line.frames if is_hidden_notice(frame)]
    conflict = await ben.ask("hide_message", request_id="same", hidden=False, **message)
    assert conflict["data"]["code"] == "conflict"


async def test_a_hidden_thread_leaves_one_s_own_list_and_stays_in_that_of_others(
    services: Services,
) -> None:
    ada, ben, thread_id = await two_of(services)
    await ben.get("create_thread", name="Others", visibility="public")
    tablet = await Caller(services).sign_in(ben.identity or Identity())
    tablet.line.clear()
    await ben.get("hide_thread", thread_id=thread_id, hidden=True)
    told = await tablet.line.until(is_hidden_notice, "that it is hidden")
    assert told["data"] == {
        "thread_id": thread_id,
        "head_seq": 0,
        "kind": "hidden",
        "hidden": True,
    }
    assert await names(tablet) == ["Others"]
    assert await names(tablet, hidden=True) == ["Plans"]
    assert await names(ada) == ["Plans"]
    assert await names(ada, hidden=True) == []
    shown = await ben.get("get_thread", thread_id=thread_id)
    assert shown["hidden"] is True
    assert "hidden" not in await ada.get("get_thread", thread_id=thread_id)
    phone = await Caller(services).sign_in(ben.identity or Identity())
    (init,) = [frame for frame in phone.line.frames if frame["type"] == "init"]
    assert [each["name"] for each in init["data"]["threads"]] == ["Others"]
    people = (await ben.get("list_people"))["people"]
    assert [each["public_key"] for each in people] == [ada.public_key]
    await ben.get("hide_thread", thread_id=thread_id, hidden=False)
    assert await names(ben) == ["Others", "Plans"]


async def test_pages_are_full_where_threads_between_are_hidden(services: Services) -> None:
    ada = await Caller(services).sign_in(Identity())
    for number in range(9):
        made = await ada.get("create_thread", name=str(number), visibility="private")
        if number % 3 != 0:
            await ada.get("hide_thread", thread_id=made["thread_id"], hidden=True)
    for hidden, expected in ((False, "630"), (True, "875421")):
        found: list[str] = []
        after: str | None = None
        while True:
            page = await ada.get("list_threads", scope="mine", limit=2, after=after, hidden=hidden)
            found += [each["name"] for each in page["threads"]]
            after = page["next"]
            if after is None:
                break
            assert len(page["threads"]) == 2
        assert "".join(found) == expected


async def test_a_vote_in_a_hidden_thread_still_waits_in_the_inbox(services: Services) -> None:
    ada = await Caller(services).sign_in(Identity())
    eve = await Caller(services).sign_in(Identity())
    made = await ada.get("create_thread", name="Plans", visibility="public")
    await ada.get("hide_thread", thread_id=made["thread_id"], hidden=True)
    await eve.get("submit_prompt", thread_id=made["thread_id"], prompt="May I?")
    assert [each["kind"] for each in (await ada.get("get_inbox"))["items"]] == ["vote"]


async def test_what_is_hidden_stays_so_over_a_restart_beside_what_was_read(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        ada, ben, thread_id = await two_of(services)
        sent = await ada.get("submit_prompt", thread_id=thread_id, prompt="A long story")
        await ben.get("mark_read", thread_id=thread_id, seq=1)
        await ben.get("hide_thread", thread_id=thread_id, hidden=True)
        message = {"thread_id": thread_id, "message_id": sent["message_id"]}
        await ben.get("hide_message", hidden=True, **message)
        assert await services.journal.verify() == ()
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        again = await Caller(services).sign_in(ben.identity or Identity())
        assert await names(again) == []
        assert await names(again, hidden=True) == ["Plans"]
        assert await hidden_of(again, thread_id) == [sent["message_id"]]


async def test_only_what_one_may_read_is_hidden_and_a_message_of_its_own_thread(
    services: Services,
) -> None:
    ada, ben, thread_id = await two_of(services)
    sent = await ada.get("submit_prompt", thread_id=thread_id, prompt="A long story")
    other = (await ben.get("create_thread", name="Others", visibility="private"))["thread_id"]
    eve = await Caller(services).sign_in(Identity())
    message_id = sent["message_id"]
    for caller, request, data in (
        (eve, "hide_thread", {"thread_id": thread_id}),
        (eve, "hide_message", {"thread_id": thread_id, "message_id": message_id}),
        (ben, "hide_message", {"thread_id": other, "message_id": message_id}),
        (ben, "hide_message", {"thread_id": thread_id, "message_id": other}),
    ):
        refused = await caller.ask(request, hidden=True, **data)
        assert refused["data"]["code"] == "not_found"


async def test_no_more_messages_of_a_thread_are_hidden_than_the_bound(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_thread, "MAX_HIDDEN_MESSAGES", 1)
    ada, _, thread_id = await two_of(services)
    first, second = [
        (await ada.get("submit_prompt", thread_id=thread_id, prompt=prompt))["message_id"]
        for prompt in ("one", "two")
    ]
    await ada.get("hide_message", thread_id=thread_id, message_id=first, hidden=True)
    request = {"thread_id": thread_id, "message_id": second, "hidden": True}
    assert (await ada.ask("hide_message", **request))["data"]["code"] == "too_large"
    await ada.get("hide_message", thread_id=thread_id, message_id=first, hidden=False)
    await ada.get("hide_message", **request)
    assert await hidden_of(ada, thread_id) == [second]

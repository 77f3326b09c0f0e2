"""The inbox: what awaits a user's answer, where they are mentioned, and how its count stays true."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from server.services import Services
from tests.support.client import Identity
from tests.support.in_process import UNLIMITED, Caller, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, **UNLIMITED) as opened:
        yield opened


async def named(services: Services, name: str) -> Caller:
    caller = await Caller(services).sign_in(Identity())
    await caller.get("set_name", name=name)
    return caller


async def thread_of(*callers: Caller, visibility: str = "private", name: str = "Plans") -> str:
    first, *others = callers
    made = await first.get("create_thread", name=name, visibility=visibility)
    for other in others:
        await first.bring_in(other, made["thread_id"])
    return str(made["thread_id"])


async def inbox(caller: Caller, **data: Any) -> dict[str, Any]:
    return await caller.get("get_inbox", **data)


def is_notice_of_inbox(frame: dict[str, Any]) -> bool:
    return frame["type"] == "notice" and frame["data"].get("inbox") is True


async def test_what_awaits_an_answer_stands_there_until_it_is_given(services: Services) -> None:
    ada, ben, eve = [await named(services, name) for name in ("Ada", "Ben", "Eve")]
    thread_id = await thread_of(ada, ben, visibility="public")
    sent = await eve.get("submit_prompt", thread_id=thread_id, prompt="May I? " + "x" * 300)
    found = await inbox(ada)
    (item,) = found["items"]
    assert (found["count"], found["next"]) == (1, None)
    assert (item["kind"], item["by_name"], item["thread_name"]) == ("vote", "Eve", "Plans")
    assert item["message_id"] == sent["message_id"]
    assert item["excerpt"].startswith("May I? xx")
    assert (len(item["excerpt"]), item["excerpt"][-1]) == (200, "…")
    assert (await inbox(eve))["items"] == []
    message = {"thread_id": thread_id, "message_id": sent["message_id"]}
    await ada.get("approve_message", **message)
    assert (await inbox(ada))["count"] == 0
    assert (await inbox(ben))["count"] == 1
    await eve.get("withdraw_message", **message)
    assert (await inbox(ben))["items"] == []


async def test_invitations_and_removals_wait_there_too(services: Services) -> None:
    ada, ben, cay, dan = [await named(services, name) for name in ("Ada", "Ben", "Cay", "Dan")]
    thread_id = await thread_of(ada, ben, cay)
    await ada.get("invite_co_author", thread_id=thread_id, public_key=dan.public_key)
    (asked,) = (await inbox(dan))["items"]
    assert (asked["kind"], asked["by_name"], asked["thread_name"]) == ("invitation", "Ada", "Plans")
    await ada.get("propose_removal", thread_id=thread_id, public_key=cay.public_key)
    (vote,) = (await inbox(ben))["items"]
    assert (vote["kind"], vote["by_name"], vote["name"]) == ("removal", "Ada", "Cay")
    assert vote["public_key"] == cay.public_key
    assert (await inbox(ada))["items"] == (await inbox(cay))["items"] == []
    await dan.get("decline_invitation", thread_id=thread_id)
    assert (await inbox(dan))["count"] == 0
    await ben.get(
        "vote_on_removal", thread_id=thread_id, public_key=cay.public_key, decision="keep"
    )
    assert (await inbox(ben))["count"] == 0


async def test_a_mention_is_told_kept_and_read_once_on_every_connection(services: Services) -> None:
    ada, ben = [await named(services, name) for name in ("Ada", "Ben B")]
    thread_id = await thread_of(ada, ben)
    tablet = await Caller(services).sign_in(ben.identity or Identity())
    prompt = "What does @ben b think?"
    sent = await ada.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    notice = await tablet.line.until(is_notice_of_inbox, "a notice of the inbox")
    assert notice["data"]["thread_id"] == thread_id
    await ben.get("set_name", name="Benjamin")
    page = await ben.get("get_thread", thread_id=thread_id)
    (message,) = [each for each in page["messages"] if each["id"] == sent["message_id"]]
    assert message["mentions"] == [{"public_key": ben.public_key, "start": 10, "end": 16}]
    found = await inbox(ben)
    (item,) = found["items"]
    assert found["count"] == 1
    assert (item["kind"], item["unread"], item["excerpt"]) == ("mention", True, prompt)
    tablet.line.clear()
    await ben.get("mark_read", thread_id=thread_id, seq=item["seq"])
    told = await tablet.line.until(is_notice_of_inbox, "that it was read")
    assert (told["data"]["kind"], told["data"]["head_seq"]) == ("read", item["seq"])
    (read,) = (await inbox(tablet))["items"]
    assert "unread" not in read
    assert (await inbox(tablet))["count"] == 0


async def test_what_was_read_stays_read_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        ada, ben = [await named(services, name) for name in ("Ada", "Ben")]
        thread_id = await thread_of(ada, ben)
        for prompt in ("@Ben one", "@Ben two"):
            await ada.get("submit_prompt", thread_id=thread_id, prompt=prompt)
        first = (await inbox(ben))["items"][-1]
        request = {"thread_id": thread_id, "seq": first["seq"]}
        await ben.get("mark_read", request_id="same", **request)
        await ben.get("mark_read", request_id="same", **request)
        await ben.get("mark_read", thread_id=thread_id, seq=0)
        refused = await ben.ask("mark_read", request_id="same", thread_id=thread_id, seq=0)
        assert refused["data"]["code"] == "conflict"
        beyond = await ben.ask("mark_read", thread_id=thread_id, seq=10_000)
        assert beyond["data"]["details"]["field"] == "seq"
        before = await inbox(ben)
        assert [each.get("unread") for each in before["items"]] == [True, None]
        assert await services.journal.verify() == ()
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        again = await Caller(services).sign_in(ben.identity or Identity())
        assert await inbox(again) == before


async def test_a_mention_in_a_message_that_waits_is_told_once_it_is_approved(
    services: Services,
) -> None:
    ada, ben, eve = [await named(services, name) for name in ("Ada", "Ben", "Eve")]
    thread_id = await thread_of(ada, ben, visibility="public")
    sent = await eve.get("submit_prompt", thread_id=thread_id, prompt="Is @Ben there?")
    message = {"thread_id": thread_id, "message_id": sent["message_id"]}
    assert [each["kind"] for each in (await inbox(ben))["items"]] == ["vote"]
    onlooker = await named(services, "Oz")
    shown = await onlooker.get("get_thread", thread_id=thread_id)
    assert "mentions" not in shown["messages"][0]
    await ada.get("approve_message", **message)
    await ben.get("approve_message", **message)
    assert [each["kind"] for each in (await inbox(ben))["items"]] == ["mention"]


async def test_who_leaves_a_thread_finds_nothing_of_it_any_more(services: Services) -> None:
    ada, ben, eve = [await named(services, name) for name in ("Ada", "Ben", "Eve")]
    thread_id = await thread_of(ada, ben, visibility="public")
    await eve.get("submit_prompt", thread_id=thread_id, prompt="A vote for both")
    await ada.get("submit_prompt", thread_id=thread_id, prompt="@Ben a secret")
    assert (await inbox(ben))["count"] == 2
    await ben.get("leave_co_authorship", thread_id=thread_id)
    assert await inbox(ben) == {"items": [], "count": 0, "next": None}
    other = await thread_of(ada)
    stranger = await eve.ask("mark_read", thread_id=other, seq=1)
    assert stranger["data"]["code"] == "not_found"


async def test_it_is_read_in_pages_what_waits_first(services: Services) -> None:
    ada, ben, eve = [await named(services, name) for name in ("Ada", "Ben", "Eve")]
    thread_id = await thread_of(ada, ben, visibility="public")
    await eve.get("submit_prompt", thread_id=thread_id, prompt="a vote")
    for number in range(3):
        await ada.get("submit_prompt", thread_id=thread_id, prompt=f"@Ben {number}")
    found: list[str] = []
    after: str | None = None
    while True:
        page = await inbox(ben, limit=1, after=after)
        assert (len(page["items"]), page["count"]) == (1, 4)
        found += [each["excerpt"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == ["a vote", "@Ben 2", "@Ben 1", "@Ben 0"]
    nowhere = await ben.ask("get_inbox", after="nowhere")
    assert nowhere["data"]["code"] == "invalid_field"


async def test_what_is_gathered_into_a_notice_keeps_that_the_inbox_changed(
    services: Services,
) -> None:
    ada, ben = [await named(services, name) for name in ("Ada", "Ben")]
    thread_id = await thread_of(ada, ben)
    ben.line.clear()
    await ada.get("rename_thread", thread_id=thread_id, name="One")
    await ada.get("submit_prompt", thread_id=thread_id, prompt="@Ben, quickly")
    await ada.get("rename_thread", thread_id=thread_id, name="Two")
    notice = await ben.line.until(is_notice_of_inbox, "a notice of the inbox")
    assert notice["data"]["thread_id"] == thread_id

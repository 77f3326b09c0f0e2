"""Who is there and who types: told to co-authors alone, gathered, and hidden both ways by who wants it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.services import Services
from server.threads import presence
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import UNLIMITED, Caller, open_test_services


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gathered is sent in the next turn of the loop."""
    monkeypatch.setattr(presence, "PRESENCE_SECONDS", 0.0)


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, **UNLIMITED) as opened:
        yield opened


def told(caller: Caller) -> list[tuple[set[str], set[str]]]:
    """Who was said to be there and to type, in order."""
    frames = [each for each in caller.line.frames if each["type"] == "presence"]
    assert all("seq" not in each for each in frames)
    return [(set(each["data"]["present"]), set(each["data"]["typing"])) for each in frames]


async def is_told(caller: Caller, present: set[str], typing: frozenset[str] = frozenset()) -> None:
    await eventually(
        lambda: told(caller)[-1:] == [(present, set(typing))],
        f"{present} are there and {set(typing)} type",
    )


async def thread_of(*callers: Caller, visibility: str = "public") -> str:
    first, *others = callers
    made = await first.get("create_thread", name="Plans", visibility=visibility)
    for other in others:
        await first.bring_in(other, made["thread_id"])
    return str(made["thread_id"])


async def people(services: Services, count: int) -> list[Caller]:
    return [await Caller(services).sign_in(Identity()) for _ in range(count)]


async def test_co_authors_see_each_other_come_type_and_go_and_strangers_see_nothing(
    services: Services,
) -> None:
    ada, ben, eve = await people(services, 3)
    thread_id = await thread_of(ada, ben)
    for caller in (eve, ada):
        await caller.get("get_thread", thread_id=thread_id)
    await is_told(ada, {ada.public_key})
    await ben.get("get_thread", thread_id=thread_id)
    both = {ada.public_key, ben.public_key}
    for caller in (ada, ben):
        await is_told(caller, both)
    tablet = await Caller(services).sign_in(ben.identity or Identity())
    await tablet.get("get_thread", thread_id=thread_id)
    await is_told(tablet, both)
    await ben.get("typing", thread_id=thread_id)
    await is_told(ada, both, frozenset({ben.public_key}))
    refused = await eve.ask("typing", thread_id=thread_id)
    assert refused["data"]["code"] == "forbidden"
    await ben.get("submit_prompt", thread_id=thread_id, prompt="Said")
    await is_told(ada, both)
    ben.drop()
    tablet.drop()
    await is_told(ada, {ada.public_key})
    assert told(eve) == []


async def test_typing_ends_by_itself_and_counts_once_in_a_while(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "TYPING_SECONDS", 0.0)
    ada, ben = await people(services, 2)
    thread_id = await thread_of(ada, ben)
    for caller in (ada, ben):
        await caller.get("get_thread", thread_id=thread_id)
    both = {ada.public_key, ben.public_key}
    await is_told(ada, both)
    await ben.get("typing", thread_id=thread_id)
    await eventually(lambda: (both, {ben.public_key}) in told(ada), "ben types")
    await is_told(ada, both)
    monkeypatch.setattr(presence, "TYPING_SECONDS", 60.0)
    await ben.get("typing", thread_id=thread_id)
    await is_told(ada, both, frozenset({ben.public_key}))
    before = len(told(ada))
    for _ in range(5):
        await ben.get("typing", thread_id=thread_id)
    await ada.get("typing", thread_id=thread_id)
    await is_told(ada, both, frozenset(both))
    assert len(told(ada)) <= before + 2


async def test_who_hides_it_is_not_told_of_and_is_told_nothing_on_any_connection(
    tmp_path: Path,
) -> None:
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        ada, ben = await people(services, 2)
        thread_id = await thread_of(ada, ben, visibility="private")
        for caller in (ada, ben):
            await caller.get("get_thread", thread_id=thread_id)
        await is_told(ada, {ada.public_key, ben.public_key})
        await ben.get("set_presence", shown=False)
        await is_told(ada, {ada.public_key})
        ben.line.clear()
        await ben.get("typing", thread_id=thread_id)
        await ada.get("typing", thread_id=thread_id)
        await is_told(ada, {ada.public_key}, frozenset({ada.public_key}))
        assert told(ben) == []
    async with open_test_services(tmp_path, **UNLIMITED) as services:
        again, other = [
            await Caller(services).sign_in(each.identity or Identity()) for each in (ben, ada)
        ]
        await again.get("get_thread", thread_id=thread_id)
        await other.get("get_thread", thread_id=thread_id)
        await is_told(other, {other.public_key})
        assert told(again) == []
        await again.get("set_presence", shown=True)
        for caller in (again, other):
            await is_told(caller, {ada.public_key, ben.public_key})


async def test_who_leaves_the_thread_is_not_there_any_more(services: Services) -> None:
    ada, ben = await people(services, 2)
    thread_id = await thread_of(ada, ben)
    for caller in (ada, ben):
        await caller.get("get_thread", thread_id=thread_id)
    await is_told(ada, {ada.public_key, ben.public_key})
    await ben.get("leave_co_authorship", thread_id=thread_id)
    await is_told(ada, {ada.public_key})
    ben.line.clear()
    await ada.get("typing", thread_id=thread_id)
    await is_told(ada, {ada.public_key}, frozenset({ada.public_key}))
    assert told(ben) == []


async def test_many_who_come_at_once_are_told_of_in_a_few_frames(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PRESENCE_SECONDS", 60.0)
    ada, ben = await people(services, 2)
    thread_id = await thread_of(ada, ben)
    await ada.get("get_thread", thread_id=thread_id)
    for _ in range(10):
        more = await Caller(services).sign_in(ben.identity or Identity())
        await more.get("get_thread", thread_id=thread_id)
        await more.get("typing", thread_id=thread_id)
    assert told(ada) == [({ada.public_key}, set())]

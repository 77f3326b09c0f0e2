"""Whom one knows: those with whom one co-authors a thread, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from server.services import Services
from tests.support.client import Identity
from tests.support.in_process import Caller, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


async def new_thread(host: Caller, name: str, *guests: Caller, visibility: str = "private") -> str:
    created = await host.get("create_thread", name=name, visibility=visibility)
    for guest in guests:
        await host.bring_in(guest, created["thread_id"])
    return str(created["thread_id"])


async def test_people_are_those_one_shares_threads_with_each_with_key_and_threads(
    services: Services,
) -> None:
    me, bob, carol, other = [await Caller(services).sign_in(Identity()) for _ in range(4)]
    for each in (bob, carol, other):
        await each.get("set_name", name="Sam")
    await new_thread(me, "First", bob)
    both = await new_thread(me, "Both", bob, carol)
    public = await new_thread(other, "Open house", visibility="public")
    await me.get("get_thread", thread_id=public)
    people = (await me.get("list_people"))["people"]
    assert {each["public_key"] for each in people} == {bob.public_key, carol.public_key}
    assert {each["name"] for each in people} == {"Sam"}
    known = {each["public_key"]: each for each in people}
    assert known[bob.public_key]["threads"] == ["Both", "First"]
    assert known[carol.public_key]["thread_count"] == 1
    await me.get("leave_co_authorship", thread_id=both)
    people = (await me.get("list_people"))["people"]
    assert [each["public_key"] for each in people] == [bob.public_key]
    assert people[0]["threads"] == ["First"]


async def test_of_many_shared_threads_a_few_are_named_and_all_are_counted(
    services: Services,
) -> None:
    me, bob = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    for number in range(5):
        await new_thread(me, f"Plan {number}", bob)
    (person,) = (await me.get("list_people"))["people"]
    assert person == {
        "public_key": bob.public_key,
        "name": None,
        "threads": ["Plan 4", "Plan 3", "Plan 2"],
        "thread_count": 5,
    }

"""Reads have an allowance: who reads too much waits, and nobody else does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.environment import system_environment
from server.services import Services
from server.sessions.quotas import READ_CHARACTERS, READ_SECONDS, READS_OF_AN_ADDRESS
from tests.support.client import Identity
from tests.support.in_process import Caller, open_test_services

KIB_PER_SECOND = 16
AT_ONCE = KIB_PER_SECOND * 1_024 * READ_SECONDS // READ_CHARACTERS
"""Reads that send next to nothing."""


class Time:
    """The monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def services(tmp_path: Path, time: Time) -> AsyncIterator[Services]:
    environment = replace(system_environment(), monotonic=time)
    async with open_test_services(
        tmp_path, environment=environment, read_kib_per_second=KIB_PER_SECOND
    ) as opened:
        yield opened


async def reads_until_refused(caller: Caller, type_: str, **data: Any) -> tuple[int, int]:
    """How many reads were answered, and the wait in ms that the next one was told."""
    for answered in range(100_000):
        reply = await caller.ask(type_, **data)
        if reply["type"] == "error":
            assert reply["data"]["code"] == "rate_limited"
            assert reply["data"]["retryable"] is True
            return answered, reply["data"]["retry_after_ms"]
    pytest.fail(f"{type_} has no bound")


@pytest.mark.parametrize("type_", ["get_thread", "get_events", "list_threads", "search"])
async def test_who_reads_without_end_is_told_when_to_come_again(
    services: Services, time: Time, type_: str
) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread_id = (await alice.get("create_thread", name="Read"))["thread_id"]
    data: dict[str, Any] = {
        "get_thread": {"thread_id": thread_id},
        "get_events": {"thread_id": thread_id, "after_seq": 0},
        "list_threads": {"scope": "mine"},
        "search": {"query": "read"},
    }[type_]
    answered, wait = await reads_until_refused(alice, type_, **data)
    assert AT_ONCE // 2 < answered <= AT_ONCE
    time.now += wait / 1_000
    assert (await alice.ask(type_, **data))["type"] != "error", "it was told when to come again"
    assert (await alice.ask(type_, **data))["data"]["code"] == "rate_limited"
    assert (await alice.ask("ping"))["type"] == "pong", "what is no read goes on"
    bob = await Caller(services).sign_in(Identity())
    assert (await bob.ask("list_threads", scope="mine"))["type"] == "threads"


async def test_a_long_page_costs_more_than_a_short_one(services: Services, time: Time) -> None:
    alice = await Caller(services).sign_in(Identity())
    short = (await alice.get("create_thread", name="Short"))["thread_id"]
    long = (await alice.get("create_thread", name="Long"))["thread_id"]
    for _ in range(4):
        await alice.get("submit_prompt", thread_id=long, prompt="long " * 6_000)
    of_short, _ = await reads_until_refused(alice, "get_events", thread_id=short, after_seq=0)
    time.now += 3 * READ_SECONDS
    of_long, wait = await reads_until_refused(alice, "get_events", thread_id=long, after_seq=0)
    assert of_long * 4 < of_short
    assert wait > 1_000, "the last page is paid for first"


async def test_what_is_caught_up_is_charged(services: Services) -> None:
    alice = await Caller(services).sign_in(Identity())
    created = await alice.get("create_thread", name="Long", visibility="public")
    thread_id = created["thread_id"]
    for _ in range(4):
        await alice.get("submit_prompt", thread_id=thread_id, prompt="long " * 6_000)
    plain, _ = await reads_until_refused(alice, "get_thread", thread_id=thread_id, limit=1)
    bob = await Caller(services, address="192.0.2.2").sign_in(Identity())
    caught_up, _ = await reads_until_refused(
        bob, "get_thread", thread_id=thread_id, limit=1, after_seq=0
    )
    assert caught_up < plain


async def test_many_keys_of_one_address_have_the_allowance_of_an_address(
    services: Services,
) -> None:
    answered = 0
    for _ in range(2 * READS_OF_AN_ADDRESS):
        somebody = await Caller(services).sign_in(Identity())
        answered += (await reads_until_refused(somebody, "list_threads", scope="mine"))[0]
    assert answered <= READS_OF_AN_ADDRESS * AT_ONCE
    elsewhere = await Caller(services, address="192.0.2.9").sign_in(Identity())
    assert (await elsewhere.ask("list_threads", scope="mine"))["type"] == "threads"


async def test_zero_is_no_limit(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, read_kib_per_second=0) as services:
        alice = await Caller(services).sign_in(Identity())
        for _ in range(3 * AT_ONCE):
            assert (await alice.ask("list_threads", scope="mine"))["type"] == "threads"

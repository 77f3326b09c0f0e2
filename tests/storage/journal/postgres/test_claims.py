"""Several servers take what is due and what waits from one database: each row is one server's, until the
time of its claim is over."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final, TypeVar

import pytest

from machines.models.ids import TimerId
from machines.models.journal import ApprovalTimer, IndexMessage, TimerRow
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from tests.support.eventually import PATIENCE
from tests.support.journal_values import at, batch, message, opening, thread

SERVERS: Final = 3
ROWS: Final = 120
LONG: Final = 3_600.0
"""Seconds; no test takes as long."""
TOKENS: Final = 20

T = TypeVar("T")


@pytest.fixture
async def journals(url: str) -> AsyncIterator[Sequence[PostgresJournal]]:
    """Of so many servers on one database."""
    async with AsyncExitStack() as stack:
        opened = [PostgresJournal(PostgresAddress.parse(url)) for _ in range(SERVERS)]
        for each in opened:
            await each.open()
            stack.push_async_callback(each.close)
        yield opened


async def taken_by_all(
    journals: Sequence[PostgresJournal], take: Callable[[PostgresJournal], Awaitable[Sequence[T]]]
) -> list[T]:
    """What all of them take together, each again and again until nothing is left."""

    async def taken(journal: PostgresJournal) -> list[T]:
        rows: list[T] = []
        while some := await take(journal):
            rows.extend(some)
        return rows

    return [row for rows in await asyncio.gather(*map(taken, journals)) for row in rows]


async def test_no_deadline_is_given_to_two_servers(journals: Sequence[PostgresJournal]) -> None:
    one = thread()
    rows = tuple(
        TimerRow(
            id=TimerId(f"approval:{n:03}"),
            due_at=at(n),
            timer=ApprovalTimer(thread_id=one.id, message_id=message(one, n).id),
        )
        for n in range(ROWS)
    )
    await journals[0].commit(opening(one).model_copy(update={"timers": rows}))
    taken = await taken_by_all(
        journals, lambda journal: journal.claim_timers(limit=7, seconds=LONG)
    )
    assert Counter(row.id for row in taken) == Counter(row.id for row in rows)
    assert await journals[1].claim_timers(limit=ROWS, seconds=LONG) == ()


async def test_no_memory_task_is_given_to_two_servers(journals: Sequence[PostgresJournal]) -> None:
    one = thread()
    messages = [message(one, n) for n in range(ROWS)]
    tasks = tuple(IndexMessage(thread_id=one.id, message_id=each.id) for each in messages)
    await journals[0].commit(opening(one, *messages).model_copy(update={"memory": tasks}))
    taken = await taken_by_all(journals, lambda journal: journal.claim_tasks(limit=7, seconds=LONG))
    assert Counter(found.task for found in taken) == Counter(tasks)


async def test_servers_never_take_the_same_token(journals: Sequence[PostgresJournal]) -> None:
    buckets = ("one", "another")

    async def take(journal: PostgresJournal, nth: int) -> str | None:
        name = buckets[nth % 2]
        wait = await journal.take_token(name, rate=1 / LONG, burst=TOKENS)
        return name if wait is None else None

    asked = [take(journal, nth) for nth in range(2 * TOKENS) for journal in journals]
    taken = Counter(await asyncio.gather(*asked))
    assert [taken[name] for name in buckets] == [TOKENS, TOKENS]


async def test_what_a_server_that_died_had_claimed_is_claimed_again(
    journals: Sequence[PostgresJournal],
) -> None:
    dead, heir, _ = journals
    one = thread()
    row = TimerRow(
        id=TimerId("approval:1"),
        due_at=at(0),
        timer=ApprovalTimer(thread_id=one.id, message_id=message(one, 0).id),
    )
    task = IndexMessage(thread_id=one.id, message_id=message(one, 0).id)
    await dead.commit(
        opening(one, message(one, 0)).model_copy(update={"timers": (row,), "memory": (task,)})
    )
    assert await dead.claim_timers(limit=1, seconds=0) == (row,)
    (claimed,) = await dead.claim_tasks(limit=1, seconds=0)
    assert await heir.claim_timers(limit=1, seconds=LONG) == (row,)
    assert await heir.claim_tasks(limit=1, seconds=LONG) == (claimed,)


async def test_the_memory_is_filled_by_one_server_at_a_time(
    journals: Sequence[PostgresJournal],
) -> None:
    inside = most = 0

    async def fill(journal: PostgresJournal) -> None:
        nonlocal inside, most
        async with journal.alone_with_memory():
            inside += 1
            most = max(most, inside)
            await journal.note("filling", "due")
            inside -= 1

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(fill, journals))
    assert most == 1


async def test_who_waits_for_the_memory_may_stop_waiting(
    journals: Sequence[PostgresJournal],
) -> None:
    first, second, _ = journals
    async with first.alone_with_memory():
        waiting = asyncio.create_task(_enter(second))
        await first.note("filling", "due")
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    await _enter(second)


async def _enter(journal: PostgresJournal) -> None:
    async with journal.alone_with_memory():
        pass


async def test_a_batch_sets_timers_and_tasks_that_nobody_has_claimed(
    journals: Sequence[PostgresJournal],
) -> None:
    one = thread()
    await journals[0].commit(opening(one, message(one, 0)))
    row = TimerRow(
        id=TimerId("approval:1"),
        due_at=at(0),
        timer=ApprovalTimer(thread_id=one.id, message_id=message(one, 0).id),
    )
    for _ in range(2):
        await journals[0].commit(batch(0).model_copy(update={"timers": (row,)}))
        assert await journals[1].claim_timers(limit=1, seconds=LONG) == (row,)

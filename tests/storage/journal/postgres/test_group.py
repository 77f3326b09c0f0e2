"""Many batches in one transaction: what shares it, what is refused in it, in whatever order it is taken."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import pytest
from sqlalchemy import Connection

from machines.models.errors import JournalConflict, JournalError
from machines.models.ids import MessageId, thread_stream, user_stream
from machines.models.journal import Batch, Committed, IndexMessage
from machines.models.message import MessageStatus
from storage.journal.postgres.group import write_group
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.prepared import PreparedBatch
from storage.journal.writer import Done
from tests.support.journal_values import (
    ANN,
    BEN,
    at,
    batch,
    entry,
    message,
    opening,
    reply,
    thread,
    user,
)

ROUNDS: Final = 30
STREAMS: Final = 20
ORIGIN: Final = "a-test"


@contextmanager
def writer_held(journal: PostgresJournal) -> Iterator[None]:
    """The writer is busy: what is submitted meanwhile waits for it together."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        go_on.wait()

    held = asyncio.ensure_future(journal._writer.submit(hold))
    try:
        yield
    finally:
        go_on.set()
        held.add_done_callback(lambda done: done.exception())


async def together(journal: PostgresJournal, *batches: Batch) -> list[Committed | BaseException]:
    """What becomes of batches that are in one group."""
    with writer_held(journal):
        await asyncio.sleep(0)
        waiting = [asyncio.ensure_future(journal.commit(each)) for each in batches]
        await asyncio.sleep(0)
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_batches_that_wait_together_share_one_transaction(journal: PostgresJournal) -> None:
    before = journal.commits
    results = await together(journal, *(opening(thread(f"t{n}")) for n in range(20)))
    assert all(isinstance(result, Committed) for result in results)
    assert journal.commits - before <= 3
    assert await journal.verify() == ()


async def test_batches_of_one_stream_follow_each_other_in_a_group(
    journal: PostgresJournal,
) -> None:
    one = thread("one", ANN, BEN)
    stream = thread_stream(one.id)
    prompt = message(one, 0, status=MessageStatus.PENDING)
    approved = prompt.transition_to(at(1), status=MessageStatus.APPROVED)
    counted = one.transition_to(at(2), message_count=1, co_authors=(BEN,))
    task = IndexMessage(thread_id=one.id, message_id=prompt.id)
    results = await together(
        journal,
        opening(one, prompt),
        batch(2, entry(stream, approved)),
        batch(2, entry(stream, kind="too late")),
        batch(3, entry(stream, counted)).model_copy(update={"memory": (task,)}),
    )
    assert [type(result) for result in results] == [
        Committed,
        Committed,
        JournalConflict,
        Committed,
    ]
    assert await journal.message(prompt.id) == approved
    (found,) = [each async for each in journal.approved_messages()]
    assert found == (approved, counted, 3)
    assert [queued.seq for queued in await journal.queued_tasks()] == [3]
    assert (await journal.threads_of(ANN, after=None, limit=9)).rows == ()
    assert await journal.verify() == ()


async def test_a_request_is_answered_once_in_a_group_and_across_groups(
    journal: PostgresJournal,
) -> None:
    def asked(name: str) -> Batch:
        one = thread(name)
        return opening(one).model_copy(update={"reply": reply(of=one)})

    first, second = await together(journal, asked("one"), asked("two"))
    assert isinstance(first, Committed)
    assert isinstance(second, JournalConflict)
    with pytest.raises(JournalConflict):
        await journal.commit(asked("three"))
    assert await journal.head(thread_stream(thread("two").id)) == 0
    assert await journal.verify() == ()


async def test_what_the_database_cannot_hold_is_refused_alone(journal: PostgresJournal) -> None:
    unfit = batch(0, entry(user_stream(BEN), user(BEN, "Be\0n")))
    good, bad, other = await together(
        journal, opening(thread("one")), unfit, opening(thread("two"))
    )
    assert isinstance(good, Committed)
    assert isinstance(other, Committed)
    assert isinstance(bad, JournalError)
    assert not bad.retryable
    assert await journal.user(BEN) is None
    assert await journal.verify() == ()


async def test_a_key_that_is_taken_in_another_stream_is_a_conflict_of_its_batch_alone(
    journal: PostgresJournal,
) -> None:
    one, other = thread("one"), thread("other")
    await journal.commit(opening(one, message(one, 0)))
    twin = message(one, 0).model_copy(update={"id": MessageId("twin")})
    good, bad = await together(journal, opening(other), batch(0, entry(user_stream(ANN), twin)))
    assert isinstance(good, Committed)
    assert isinstance(bad, JournalConflict)
    assert await journal.message(MessageId("twin")) is None


async def test_more_than_the_queue_holds_is_refused_and_certain(
    journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal._writer, "_most_waiting", 3)
    results = await together(journal, *(opening(thread(f"t{n}")) for n in range(5)))
    refused = [result for result in results if isinstance(result, JournalError)]
    assert refused
    assert all(each.certain and each.retryable for each in refused)
    written = sum(isinstance(result, Committed) for result in results)
    assert written + len(refused) == 5


def test_groups_that_take_the_same_streams_in_opposite_orders_never_deadlock(url: str) -> None:
    threads = [thread(f"t{n}") for n in range(STREAMS)]
    heads = dict.fromkeys((one.id for one in threads), 0)
    start = threading.Barrier(2)
    accepted: list[set[str]] = [set(), set()]
    failures: list[BaseException] = []

    def commit(who: int) -> None:
        order = threads if who == 0 else threads[::-1]
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in range(ROUNDS):
                start.wait()
                group = [
                    PreparedBatch.of(
                        batch(
                            heads[one.id],
                            entry(
                                thread_stream(one.id),
                                one.model_copy(update={"version": heads[one.id] + 1}),
                            ),
                        )
                    )
                    for one in order
                ]
                try:
                    outcomes = write_group(connection, group, ORIGIN)
                except BaseException as error:  # noqa: BLE001 - told to the test's own thread
                    failures.append(error)
                    outcomes = []
                accepted[who] = {
                    one.id
                    for one, outcome in zip(order, outcomes, strict=False)
                    if isinstance(outcome, Done)
                }
                start.wait()
                if who == 0:
                    for one in threads:
                        heads[one.id] += (one.id in accepted[0]) + (one.id in accepted[1])
                start.wait()

    racing = [threading.Thread(target=commit, args=(who,)) for who in (0, 1)]
    for each in racing:
        each.start()
    for each in racing:
        each.join()
    assert failures == []
    assert set(heads.values()) == {ROUNDS}, "of two for one place exactly one is accepted"
    with psycopg.connect(url) as connection:
        gaps = connection.execute(
            "SELECT stream FROM entries GROUP BY stream HAVING max(seq) <> count(*)"
        ).fetchall()
    assert gaps == []

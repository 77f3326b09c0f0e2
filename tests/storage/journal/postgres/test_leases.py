"""Leases on the database's clock, and runs that change hands: claims, releases, and the fence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from machines.models.chorus import ChorusState, RunProgress
from machines.models.errors import JournalError, NotCarried
from machines.models.ids import RunId, ServerId, thread_stream
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.postgres.leases import CLAIMED_AT_ONCE
from storage.journal.postgres.locks import lock_keys
from tests.support.eventually import eventually
from tests.support.journal_values import (
    batch,
    finished,
    message,
    opening,
    run,
    run_entry,
    started,
    thread,
    uuid,
)
from tests.support.postgres import Cluster

LONG = 600.0
"""Seconds that no test takes."""
CHART = "chorus:one"
A, B, C = (ServerId(uuid(name)) for name in "abc")


@pytest.fixture
async def journals(url: str) -> AsyncIterator[list[PostgresJournal]]:
    """Three on one database, as of three servers."""
    async with AsyncExitStack() as stack:
        opened = [PostgresJournal(PostgresAddress.parse(url)) for _ in range(3)]
        for each in opened:
            await each.open()
            stack.push_async_callback(each.close)
        yield opened


async def join(
    journal: PostgresJournal, server: ServerId, seconds: float = LONG, version: str = "test"
) -> None:
    await journal.join(server, version=version, seconds=seconds)


async def claim(journal: PostgresJournal, server: ServerId, *charts: str) -> set[RunId]:
    claimed = await journal.claim_runs(server, fingerprints=charts or (CHART,))
    return {each.id for each in claimed}


async def running(
    journal: PostgresJournal, name: str, carrier: ServerId, chart: str = CHART
) -> ChorusState:
    """A run that `carrier` has started, in a thread of its own."""
    one = thread(name)
    prompt = message(one, 0)
    queued = run(prompt)
    begun = started(queued)
    await journal.commit(opening(one, prompt))
    of_chart = run_entry(begun, "started", begun).model_copy(update={"fingerprint": chart})
    await journal.commit(batch(2, run_entry(queued, "queued", queued), of_chart, carrier=carrier))
    return begun


def later(of: ChorusState) -> ChorusState:
    """The run one step on."""
    return of.model_copy(update={"version": of.version + 1, "attempt": of.attempt + 1})


async def advance(journal: PostgresJournal, of: ChorusState, carrier: ServerId) -> None:
    """Bring a run that has just started its next result."""
    after = later(of)
    await journal.commit(
        batch(4, run_entry(after, "recovering", after), carrier=carrier, advances=(of.id,))
    )


async def expire(url: str, server: ServerId) -> None:
    """Let the database's clock have passed the end of a lease."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("UPDATE servers SET until = 1 WHERE id = %s", [server])


async def test_a_lease_is_renewed_until_it_runs_out_and_never_after(
    journals: list[PostgresJournal], url: str
) -> None:
    first, second, _ = journals
    await join(first, A)
    assert await first.heartbeat(A, seconds=LONG)
    await expire(url, A)
    assert not await first.heartbeat(A, seconds=LONG)
    await join(second, B)
    assert await claim(second, B) == set()
    assert not await first.heartbeat(A, seconds=LONG)
    assert not await first.heartbeat(C, seconds=LONG), "one that never joined"


async def test_runs_of_the_living_are_nobody_elses(journals: list[PostgresJournal]) -> None:
    first, second, _ = journals
    await join(first, A)
    await join(second, B)
    one = await running(first, "one", A)
    assert await claim(second, B) == set()
    await advance(first, one, A)
    (carried,) = await first.carried_runs(A)
    assert isinstance(carried, RunProgress)
    assert carried.id == one.id
    assert await first.carried_runs(B) == ()


async def test_a_run_of_the_dead_is_carried_on_and_its_former_carrier_is_fenced(
    journals: list[PostgresJournal], url: str
) -> None:
    first, second, _ = journals
    await join(first, A)
    await join(second, B)
    one = await running(first, "one", A)
    await expire(url, A)
    assert await claim(first, A) == set(), "the dead claim nothing"
    assert await claim(second, B) == {one.id}
    assert await claim(second, B) == set(), "it has it"
    with pytest.raises(NotCarried):
        await advance(first, one, A)
    assert await second.head(thread_stream(one.thread_id)) == 4
    await advance(second, one, B)


async def test_who_ends_in_order_gives_its_runs_back_and_the_others_hear_of_it(
    journals: list[PostgresJournal],
) -> None:
    first, second, _ = journals
    await join(first, A)
    await join(second, B)
    one = await running(first, "one", A)
    hearing = asyncio.ensure_future(second.run_released(LONG))
    while not hearing.done():  # told again, since it may not have listened yet
        await first.leave(A)
        await asyncio.wait([hearing], timeout=0.05)
    await hearing
    assert await claim(second, B) == {one.id}


async def test_runs_that_wait_or_are_over_are_not_claimed(
    journals: list[PostgresJournal],
) -> None:
    first, second, _ = journals
    await join(second, B)
    one = await running(first, "one", A)
    over = finished(one)
    await first.commit(batch(4, run_entry(over, "cancelled", over)))
    other = thread("other")
    prompt = message(other, 0)
    queued = run(prompt)
    await first.commit(opening(other, prompt))
    await first.commit(batch(2, run_entry(queued, "queued", queued)))
    assert await claim(second, B) == set()


async def test_a_run_of_a_chart_that_a_server_lacks_is_left_to_one_that_has_it(
    journals: list[PostgresJournal],
) -> None:
    first, second, third = journals
    await join(second, B)
    await join(third, C, version="0.2.0 chorus:two")
    newer = await running(first, "newer", A, "message:x chorus:two")
    older = await running(first, "older", A, "chorus:one message:x")
    assert await claim(second, B, "chorus:one") == {older.id}
    assert await claim(second, B, "chorus:one") == set()
    assert await claim(third, C, "chorus:one", "chorus:two") == {newer.id}


async def test_a_run_of_a_chart_that_no_living_server_has_is_taken_by_whoever_comes(
    journals: list[PostgresJournal], url: str
) -> None:
    first, second, third = journals
    await join(second, B)
    await join(third, C, version="0.2.0 chorus:two")
    newer = await running(first, "newer", A, "message:x chorus:two")
    assert await claim(second, B) == set()
    await expire(url, C)
    assert await claim(second, B) == {newer.id}
    assert await second.charts_of_runs([newer.id]) == {newer.id: "message:x chorus:two"}


async def test_a_run_whose_commit_is_under_way_is_left_to_the_next_try(
    journals: list[PostgresJournal], url: str
) -> None:
    first, second, _ = journals
    await join(second, B)
    one = await running(first, "one", A)
    (key,) = lock_keys([thread_stream(one.thread_id)])
    async with await psycopg.AsyncConnection.connect(url) as committing:
        await committing.execute("SELECT pg_advisory_xact_lock(%s)", [key])
        assert await claim(second, B) == set()
    assert await claim(second, B) == {one.id}


async def test_in_a_storm_of_claims_each_run_has_one_server(
    journals: list[PostgresJournal], url: str
) -> None:
    """Servers claim and die at the same time; in the end each run is carried by one that lives."""
    runs = [(await running(journals[0], f"t{n}", A)).id for n in range(CLAIMED_AT_ONCE + 6)]
    held: dict[ServerId, set[RunId]] = {}

    async def claim_all(journal: PostgresJournal, server: ServerId) -> None:
        await join(journal, server)
        held[server] = set()
        while True:
            claimed = await claim(journal, server)
            assert not claimed & set().union(*held.values()), "two have the same run"
            held[server] |= claimed
            if sum(map(len, held.values())) == len(runs):
                return

    for generation in range(3):
        names = [ServerId(uuid(f"{generation} {n}")) for n in range(len(journals))]
        await asyncio.gather(*map(claim_all, journals, names))
        assert set().union(*held.values()) == set(runs)
        for name in names:
            await expire(url, name)
        held.clear()


async def test_a_lease_outlives_the_connection_that_renews_it(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    first, *_ = journals
    await join(first, A)
    assert postgres.terminate_connections(url)
    with pytest.raises(JournalError) as lost:
        await first.heartbeat(A, seconds=LONG)
    assert lost.value.retryable
    assert await first.heartbeat(A, seconds=LONG)


async def test_each_renewal_reads_the_databases_clock(journals: list[PostgresJournal]) -> None:
    """One that was read wrongly, as by a machine that slept, is right again then."""
    first = journals[0]
    await join(first, A)
    seconds = first._clock.monotonic()
    first._clock.read(datetime(2000, 1, 1, tzinfo=UTC), asked=seconds, answered=seconds)
    wrong = first.now()
    assert wrong is not None
    assert wrong.year == 2000
    assert await first.heartbeat(A, seconds=LONG)
    right = first.now()
    assert right is not None
    assert abs(right - datetime.now(UTC)) < timedelta(minutes=1), "the database is on this machine"


async def test_runs_are_given_back_beside_a_commit_that_writes_them_in_another_order(
    journals: list[PostgresJournal], url: str
) -> None:
    leaving, _, _ = journals
    await join(leaving, A)
    one, other = [await running(leaving, name, A) for name in ("one", "other")]
    write = "UPDATE runs SET version = version WHERE id = %s"
    waits = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with (
        await psycopg.AsyncConnection.connect(url) as committing,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as looking,
    ):
        keys = lock_keys(thread_stream(each.thread_id) for each in (one, other))
        for key in keys:
            await committing.execute("SELECT pg_advisory_xact_lock(%s)", [key])
        # The row that stands last, and is given back last.
        await committing.execute(write, [other.id])
        left = asyncio.ensure_future(leaving.leave(A))

        async def is_waiting() -> bool:
            return (await (await looking.execute(waits)).fetchone()) == (1,)

        await eventually(is_waiting, "who leaves waits for the commit")
        await committing.execute(write, [one.id])
        await committing.commit()
    assert await left == 2

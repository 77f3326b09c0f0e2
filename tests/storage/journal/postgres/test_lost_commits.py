"""A database that lost commits is known by what is missing, gets a new epoch once, and is appended to only
after what was known of it is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest

from machines.models.errors import JournalError
from machines.models.ids import ServerId, thread_stream
from machines.models.journal import Batch
from storage.journal.postgres import engines
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.postgres.locks import take_naming
from tests.support.journal_values import at, batch, entry, opening, thread, uuid
from tests.support.postgres import Cluster
from tests.support.standby import Standby

ROOM = thread("room")
STREAM = thread_stream(ROOM.id)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(PostgresAddress.parse(url))
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


@pytest.fixture
async def journals(url: str) -> AsyncIterator[list[PostgresJournal]]:
    """Two on one database, as of two servers, with a room of one entry."""
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(opened(url)) for _ in range(2)]
        await both[0].commit(opening(ROOM))
        yield both


def renaming(head: int, second: int = 0) -> Batch:
    """One more entry of the room behind `head`."""
    return batch(head, entry(STREAM, at=at(second)))


async def standby_of(postgres: Cluster, url: str, name: str = "standby") -> Standby:
    return await asyncio.to_thread(Standby, postgres, url, name)


async def promote(standby: Standby) -> None:
    await asyncio.to_thread(standby.promote)


async def refuses(journal: PostgresJournal, head: int) -> None:
    """A batch is not written, and that is certain."""
    with pytest.raises(JournalError) as refused:
        await journal.commit(renaming(head))
    assert refused.value.certain
    assert refused.value.retryable


async def learns(journal: PostgresJournal) -> str:
    """The epoch after a loss that this journal knows of."""
    async with asyncio.timeout(20):
        return await journal.commits_lost()


async def test_what_was_decided_on_lost_commits_is_refused_until_the_loss_is_accepted(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, there = journals
    before = await here.epoch()
    standby = await standby_of(postgres, url)
    await here.commit(renaming(1))
    await there.commit(renaming(2))
    assert await here.epoch() == before, "to lose connections alone is no loss"
    await promote(standby)
    await refuses(here, 1)
    epoch = await learns(here)
    assert epoch == await here.epoch()
    assert epoch != before
    assert await here.origin() == before, "by which servers know what they share"
    await refuses(here, 1)
    await here.accept_epoch(epoch)
    await here.commit(renaming(1))

    await refuses(there, 2)
    assert await learns(there) == epoch, "the first to find out names it for all"
    await there.accept_epoch(epoch)
    await there.commit(renaming(2))
    assert await there.epoch() == epoch


async def test_an_entry_that_took_the_number_of_a_lost_one_is_noticed(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, _ = journals
    standby = await standby_of(postgres, url)
    await here.commit(renaming(1))
    async with opened(standby.url) as other:
        await other.commit(renaming(1, second=1))
    await promote(standby)
    await refuses(here, 2)
    assert await learns(here) == await here.epoch()


@pytest.mark.parametrize("how", ["heard of", "given to followers"])
async def test_lost_commits_of_a_server_that_is_gone_are_noticed_by_who_knew_of_them(
    journals: list[PostgresJournal], url: str, postgres: Cluster, how: str
) -> None:
    here, there = journals
    standby = await standby_of(postgres, url)
    async with here.changes() as changes:
        await there.commit(renaming(1))
        if how == "heard of":
            await anext(aiter(changes))
        else:
            tails = await here.entries_of_many({ROOM.id: 1}, max_bytes=1_000)
            assert tails[ROOM.id].head_seq == 2
            async with opened(standby.url) as other:
                await other.commit(renaming(1, second=1))
    await there.close()
    await promote(standby)
    await refuses(here, 2)
    assert await learns(here) == await here.epoch()


async def test_a_renewal_tells_the_epoch_to_who_has_heard_nothing(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, there = journals
    mine = ServerId(uuid("mine"))
    await there.join(mine, version="test", seconds=600)
    standby = await standby_of(postgres, url)
    await here.commit(renaming(1))
    await promote(standby)
    await refuses(here, 1)
    with pytest.raises(JournalError):
        await there.heartbeat(mine, seconds=600)
    assert await there.heartbeat(mine, seconds=600), "by the next connection"
    assert await learns(there) == await learns(here)


async def test_a_database_that_lost_its_epoch_too_gets_one_that_it_never_had(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, _ = journals
    epochs = [await here.epoch()]
    standbys = [await standby_of(postgres, url, name) for name in ("first", "second")]
    await here.commit(renaming(1))
    for standby in standbys:
        await promote(standby)
        await refuses(here, 1)
        epochs.append(await learns(here))
        await here.accept_epoch(epochs[-1])
    assert len(set(epochs)) == 3
    assert await here.origin() == epochs[0]


async def test_a_database_without_a_journal_is_no_loss_of_commits(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, _ = journals
    standby = await standby_of(postgres, url)
    name = standby.url.rpartition("/")[2]
    for sql in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
        await asyncio.to_thread(postgres.run, sql, database=name)
    await promote(standby)
    with pytest.raises(JournalError, match="no journal") as refused:
        await here.commit(renaming(1))
    assert refused.value.certain


async def test_a_database_that_takes_no_writes_is_not_connected_to_for_writing(
    journals: list[PostgresJournal], url: str, postgres: Cluster
) -> None:
    here, _ = journals
    database = f"ALTER DATABASE {url.rpartition('/')[2]}"
    await asyncio.to_thread(postgres.run, f"{database} SET default_transaction_read_only = on")
    await asyncio.to_thread(postgres.terminate_connections, url)
    await refuses(here, 1)
    await asyncio.to_thread(postgres.run, f"{database} RESET default_transaction_read_only")
    await here.commit(renaming(1))


async def test_who_hears_of_a_loss_writes_by_a_connection_that_is_made_after_it(
    journal: PostgresJournal, url: str
) -> None:
    """The one from before may lead to the database that lost its place, which still takes writes."""
    mine = ServerId(uuid("mine"))
    await journal.commit(opening(ROOM))
    await journal.join(mine, version="test", seconds=600)
    with psycopg.connect(url, autocommit=True) as other:

        def writers() -> set[object]:
            found = other.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = %s",
                [engines.process_name()],
            )
            return {pid for (pid,) in found}

        before = writers()
        assert len(before) == 1
        other.execute("UPDATE meta SET value = 'later' WHERE name = 'epoch'")
        assert await journal.heartbeat(mine, seconds=600)
        assert await learns(journal) == "later"
        await journal.accept_epoch("later")
        await journal.commit(renaming(1))
        assert writers() - before
    assert await journal.epoch() == "later", "nothing was lost that this process knew of"


async def test_who_names_a_database_anew_keeps_nobody_from_counting(
    journals: list[PostgresJournal], url: str
) -> None:
    here, _ = journals
    engine = engines.writing_engine(PostgresAddress.parse(url))
    with engine.connect() as connection, connection.begin():
        take_naming(connection)
        await here.count_entries(at(0))
    engine.dispose()
    left = await here.heat(None, since=None, until=None, most=0)
    assert left.uncounted == 0

"""What a commit tells other processes: each hears it once, and knows when it may have missed some."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from machines.models.errors import JournalError
from machines.models.ids import StreamId, thread_stream, user_stream
from storage.journal.answers import Change
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.announcements import changes_in, payloads_of
from storage.journal.postgres.journal import PostgresJournal
from tests.support.eventually import eventually
from tests.support.journal_values import ANN, batch, entry, message, opening, thread, user
from tests.support.postgres import Cluster


@pytest.fixture
def elsewhere(url: str) -> PostgresJournal:
    """The journal of another process: it listens, and writes nothing."""
    return PostgresJournal(PostgresAddress.parse(url))


async def test_another_process_hears_of_every_stream_that_a_commit_appends_to(
    journal: PostgresJournal, elsewhere: PostgresJournal
) -> None:
    one = thread("one")
    async with elsewhere.changes() as changes:
        heard = aiter(changes)
        await journal.commit(opening(one, message(one, 0)))
        assert await anext(heard) == Change(thread_stream(one.id), 0, 2)
        await journal.commit(batch(2, entry(thread_stream(one.id))))
        assert await anext(heard) == Change(thread_stream(one.id), 2, 3)
        await journal.commit(batch(0, entry(user_stream(ANN), user(ANN, "Ann"))))
        assert await anext(heard) == Change(user_stream(ANN), 0, 1)


async def test_a_connection_that_is_cut_is_an_error_and_a_new_one_hears(
    journal: PostgresJournal, elsewhere: PostgresJournal, postgres: Cluster
) -> None:
    async with elsewhere.changes() as changes:
        heard = aiter(changes)
        await eventually(lambda: journal_is_heard(journal, heard), "it listens")
        ended = postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query = 'LISTEN chorus' AND datname = %s",
            database_of(elsewhere),
        )
        assert len(ended) == 1
        with pytest.raises(JournalError):
            await all_heard(heard)
    async with elsewhere.changes() as changes:
        await journal_is_heard(journal, aiter(changes))


async def all_heard(heard: AsyncIterator[Change]) -> list[Change]:
    return [each async for each in heard]


async def journal_is_heard(journal: PostgresJournal, heard: AsyncIterator[Change]) -> bool:
    """Commit to a fresh thread, and wait until it is told."""
    one = thread(str(object()))
    await journal.commit(opening(one))
    async with asyncio.timeout(20):
        while (await anext(heard)).stream != thread_stream(one.id):
            pass
    return True


def database_of(journal: PostgresJournal) -> str:
    name = journal._address.url.database
    assert name is not None
    return name


async def test_a_database_that_is_away_cannot_be_listened_to() -> None:
    away = PostgresJournal(PostgresAddress.parse("postgresql://ann:secret@127.0.0.1:9/none"))
    with pytest.raises(JournalError) as refused:
        async with away.changes():
            pass
    assert "secret" not in str(refused.value)


def test_what_is_told_is_parted_into_what_postgresql_takes_and_read_again() -> None:
    changes = [Change(thread_stream(thread(f"t{n}").id), n, n + 1) for n in range(500)]
    parts = list(payloads_of("here", changes))
    assert len(parts) > 1
    assert all(len(part.encode()) <= 7_900 for part in parts)
    assert [each for part in parts for each in changes_in(part, without="there")] == changes
    assert [each for part in parts for each in changes_in(part, without="here")] == []
    assert list(payloads_of("here", [])) == []


def test_what_another_version_tells_is_left_out() -> None:
    payload = "there\nsession abc\nthread:t 1 2\nthread:t one two\n"
    assert list(changes_in(payload, without="here")) == [Change(StreamId("thread:t"), 1, 2)]


async def test_what_is_committed_here_is_not_told_and_what_another_commits_after_it_is(
    journal: PostgresJournal, url: str
) -> None:
    mine, other = thread("mine"), thread("other")
    elsewhere = PostgresJournal(PostgresAddress.parse(url))
    await elsewhere.open()
    try:
        async with journal.changes() as changes:
            heard = aiter(changes)
            await journal.commit(opening(mine))
            await elsewhere.commit(opening(other))
            assert await anext(heard) == Change(thread_stream(other.id), 0, 1)
    finally:
        await elsewhere.close()

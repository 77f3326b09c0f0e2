"""What a failure of PostgreSQL does to what is being written: certain, in doubt, or tried again; and
that nothing acknowledged is lost by any of them."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, NoReturn

import psycopg
import pytest

from machines.models.errors import JournalError
from machines.models.ids import StreamId, ThreadId, thread_stream
from machines.models.journal import Committed
from storage.journal.postgres import group
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.postgres.locks import lock_keys
from tests.storage.journal.journal_process import PROGRAM
from tests.support.eventually import eventually
from tests.support.forked import forked_output
from tests.support.journal_values import batch, entry, opening, thread
from tests.support.postgres import Cluster, cluster

KILLS: Final = 3
ENDS: Final = 40
"""Of connections, at moments that differ."""


@pytest.fixture
def durable() -> Iterator[tuple[Cluster, str]]:
    """A server of its own whose commits wait for the disk, and a migrated database in it."""
    with cluster(durable=True) as server:
        yield server, server.database(migrated=True)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(PostgresAddress.parse(url))
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


@contextmanager
def transaction(url: str, sql: str, *values: object) -> Iterator[None]:
    """Another program is in the middle of something."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode(), values or None)
        yield
        connection.rollback()


async def waits(postgres: Cluster, url: str, event: str) -> None:
    """The journal's writer waits in the database for something."""
    name = url.rpartition("/")[2]

    def found() -> bool:
        return bool(
            postgres.run(
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event = %s"
                " AND starts_with(application_name, 'chorus')",
                name,
                event,
            )
        )

    await eventually(found, f"the writer waits for {event}")


def end_writer(postgres: Cluster, url: str, event: str) -> None:
    """End the connection that waits, as an administrator does."""
    name = url.rpartition("/")[2]
    (ended,) = postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        " AND wait_event = %s AND starts_with(application_name, 'chorus')",
        name,
        event,
    )
    assert ended == (True,)


class TestConnectionLost:
    """Before COMMIT was sent it is tried again; after, no one knows."""

    async def test_before_the_commit_was_sent_the_same_is_written_by_a_new_connection(
        self, postgres: Cluster, url: str
    ) -> None:
        one = thread()
        (key,) = lock_keys([thread_stream(one.id)])
        async with opened(url) as journal:
            with transaction(url, "SELECT pg_advisory_xact_lock(%s)", key):
                writing = asyncio.ensure_future(journal.commit(opening(one)))
                await waits(postgres, url, "advisory")
                end_writer(postgres, url, "advisory")
                await waits(postgres, url, "advisory")
            assert isinstance(await writing, Committed)
            assert await journal.head(thread_stream(one.id)) == 1
            assert await journal.verify() == ()

    async def test_after_it_was_sent_and_before_it_was_done_the_batch_is_in_doubt(
        self, postgres: Cluster, url: str
    ) -> None:
        one = thread()
        async with opened(url) as journal:
            with transaction(url, "LOCK TABLE entries IN SHARE MODE"):
                writing = asyncio.ensure_future(journal.commit(opening(one)))
                await waits(postgres, url, "relation")
                end_writer(postgres, url, "relation")
                with pytest.raises(JournalError) as failed:
                    await writing
            assert not failed.value.certain
            assert failed.value.retryable
            assert await journal.head(thread_stream(one.id)) == 0
            await journal.commit(opening(one))
            assert await journal.verify() == ()

    async def test_one_that_is_left_within_its_pipeline_is_replaced(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = thread()
        ask = group._ask

        def leave_unread(connection: psycopg.Connection[Any], batches: Any) -> NoReturn:
            # As where the server says that it ends, and the end of the line is yet to come.
            monkeypatch.setattr(group, "_ask", ask)
            ask(connection, batches)
            connection.pgconn.send_query_params(b"SELECT 1", None)
            raise psycopg.OperationalError("the connection is lost")

        async with opened(url) as journal:
            monkeypatch.setattr(group, "_ask", leave_unread)
            assert isinstance(await journal.commit(opening(one)), Committed)
            assert await journal.head(thread_stream(one.id)) == 1

    async def test_after_it_was_done_and_before_it_was_told_the_batch_is_in_doubt_and_there(
        self, postgres: Cluster, url: str
    ) -> None:
        one = thread()
        async with opened(url) as journal:
            # A commit waits for a standby that never comes: it is durable here, and not told.
            postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            postgres.run("SELECT pg_reload_conf()")
            try:
                await eventually(
                    lambda: postgres.run("SHOW synchronous_standby_names") == [("nobody",)],
                    "commits wait for a standby",
                )
                writing = asyncio.ensure_future(journal.commit(opening(one)))
                await waits(postgres, url, "SyncRep")
                end_writer(postgres, url, "SyncRep")
                with pytest.raises(JournalError) as failed:
                    await writing
            finally:
                postgres.run("ALTER SYSTEM RESET synchronous_standby_names")
                postgres.run("SELECT pg_reload_conf()")
            assert not failed.value.certain
            assert await journal.head(thread_stream(one.id)) == 1
            assert await journal.verify() == ()

    async def test_reads_and_side_rows_survive_the_end_of_every_connection(
        self, postgres: Cluster, url: str
    ) -> None:
        async with opened(url) as journal:
            await journal.commit(opening(thread()))
            for n in range(3):
                assert postgres.terminate_connections(url)
                assert await journal.thread(thread().id) == thread()
                assert isinstance(await journal.commit(opening(thread(f"t{n}"))), Committed)
            assert postgres.terminate_connections(url)
            await journal.note("rebuild", "due")
            assert await journal.noted("rebuild") == "due"


class TestPassing:
    """What the database takes back and may take at the next try is tried again at once."""

    @pytest.mark.parametrize("code", ["40001", "40P01"])
    async def test_it_is_written_once(self, url: str, code: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SEQUENCE tries")
            connection.execute(
                f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') < 3 THEN RAISE 'not now' USING ERRCODE = '{code}'; END IF;
                RETURN NEW; END $$""".encode()
            )
            connection.execute(
                "CREATE TRIGGER refusing BEFORE INSERT ON threads"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        async with opened(url) as journal:
            assert isinstance(await journal.commit(opening(thread())), Committed)
            assert await journal.head(thread_stream(thread().id)) == 1
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT last_value FROM tries").fetchone() == (3,)

    async def test_a_lock_that_is_not_had_in_time_is_certain_and_told(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("storage.journal.postgres.engines.LOCK_SECONDS", 0.05)
        async with opened(url) as journal:
            with (
                transaction(url, "LOCK TABLE entries IN SHARE MODE"),
                pytest.raises(JournalError, match="locked") as failed,
            ):
                await journal.commit(opening(thread()))
            assert failed.value.certain
            assert failed.value.retryable
            await journal.commit(opening(thread()))


class TestServerGone:
    """PostgreSQL stops, and comes again."""

    async def test_while_it_is_gone_all_is_refused_and_then_all_goes_on(
        self, postgres: Cluster, url: str
    ) -> None:
        async with opened(url) as journal:
            await journal.commit(opening(thread()))
            postgres.stop()
            try:
                for failing in (journal.commit(opening(thread("two"))), journal.epoch()):
                    with pytest.raises(JournalError) as failed:
                        await failing
                    assert failed.value.retryable
                    assert failed.value.code == "storage_unavailable"
                    assert "127.0.0.1" not in failed.value.message
            finally:
                postgres.start()
            await journal.commit(opening(thread("two")))
            assert await journal.thread(thread().id) == thread()
            assert await journal.verify() == ()

    async def test_nothing_acknowledged_is_lost_when_it_crashes(
        self, durable: tuple[Cluster, str]
    ) -> None:
        server, url = durable
        heads: dict[StreamId, int] = {}
        async with opened(url) as journal:
            writing = [asyncio.ensure_future(_write_on(journal, f"t{n}", heads)) for n in range(5)]
            for _ in range(KILLS):
                enough = sum(heads.values()) + 50
                await eventually(partial(_reached, heads, enough), "commits go on")
                server.stop(signal.SIGQUIT)
                server.start()
            for each in writing:
                each.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            for stream, head in heads.items():
                assert await journal.head(stream) >= head
            assert await journal.verify() == ()

    async def test_a_connection_that_is_ended_at_any_moment_is_replaced(
        self, postgres: Cluster, url: str
    ) -> None:
        heads: dict[StreamId, int] = {}
        async with opened(url) as journal:
            writing = [asyncio.ensure_future(_write_on(journal, f"t{n}", heads)) for n in range(3)]
            for _ in range(ENDS):
                postgres.terminate_connections(url)
                enough = sum(heads.values()) + 5
                await eventually(partial(_reached, heads, enough), "commits go on")
            for each in writing:
                each.cancel()
            ended = await asyncio.gather(*writing, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended
            for stream, head in heads.items():
                assert await journal.head(stream) >= head


def _reached(heads: dict[StreamId, int], enough: int) -> bool:
    return sum(heads.values()) > enough


async def _write_on(journal: PostgresJournal, name: str, heads: dict[StreamId, int]) -> None:
    """Commit without end; where one is in doubt or refused, look what is there and go on."""
    one = thread(name)
    stream = thread_stream(one.id)
    head = 0
    while True:
        changed = one.model_copy(update={"version": head + 1})
        try:
            head = (await journal.commit(batch(head, entry(stream, changed)))).entries[-1].seq
            heads[stream] = head
        except JournalError:
            await asyncio.sleep(0.01)
            try:
                head = await journal.head(stream)
            except JournalError:
                continue


class TestProcesses:
    """Processes share a database; who would be alone with it waits for the end of all others."""

    async def test_a_database_in_use_is_held_alone_once_its_process_is_killed(
        self, postgres: Cluster, url: str
    ) -> None:
        with forked_output(*PROGRAM, url, "hold") as holder:
            assert holder.line() == "held\n"
            async with opened(url) as beside:
                await beside.commit(opening(thread()))
            journal = PostgresJournal(PostgresAddress.parse(url), alone=True)
            with pytest.raises(JournalError, match="stop them first"):
                await journal.open()

        async def opens() -> bool:
            try:
                await journal.open()
            except JournalError:
                return False
            return True

        await eventually(opens, "the lock ends with its process")
        with pytest.raises(JournalError, match="holds this database for itself"):
            await PostgresJournal(PostgresAddress.parse(url)).open()
        await journal.close()

    async def test_everything_acknowledged_survives_kills(self, url: str) -> None:
        acknowledged: dict[StreamId, int] = {}
        for _ in range(KILLS):
            with forked_output(*PROGRAM, url, "loop") as running:
                lines = [running.line() for _ in range(40)]
                rest = running.kill()
            lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
            for line in lines:
                stream, seq = line.split()
                acknowledged[StreamId(stream)] = int(seq)
        assert acknowledged
        async with opened(url) as journal:
            for written, last in acknowledged.items():
                assert await journal.head(written) >= last
                view = await journal.decision_view(ThreadId(written.removeprefix("thread:")))
                assert view is not None
                assert view.thread.version == view.head_seq
            assert await journal.verify() == ()

    async def test_who_lost_its_lock_to_another_writes_nothing_and_hears_of_it(
        self, postgres: Cluster, url: str
    ) -> None:
        async with opened(url) as first:
            await first.commit(opening(thread("one")))
            second = await _opened_in_place_of(first, postgres, url)
            try:
                async with asyncio.timeout(20):
                    await first.taken()
                with pytest.raises(JournalError, match="for itself"):
                    await first.commit(opening(thread("two")))
                assert await second.head(thread_stream(thread("two").id)) == 0
                await second.commit(opening(thread("two")))
            finally:
                await second.close()


async def _opened_in_place_of(
    first: PostgresJournal, postgres: Cluster, url: str
) -> PostgresJournal:
    """Another journal that held the database alone before the first could hold it again."""
    second = PostgresJournal(PostgresAddress.parse(url), alone=True)
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: object) -> None:
        begun.set()
        go_on.wait()

    held = asyncio.ensure_future(first._writer.submit(hold))
    await eventually(begun.is_set, "the writer is busy")
    postgres.terminate_connections(url)
    await second.open()
    go_on.set()
    await asyncio.gather(held, return_exceptions=True)
    return second

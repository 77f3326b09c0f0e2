"""The SQLite journal keeps the contract, and what is its own: group commit, crashes, locks, damage."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event

from machines.models.errors import JournalConflict, JournalError
from machines.models.ids import StreamId, ThreadId, thread_stream
from machines.models.journal import Committed
from storage.journal import inbox, memory_tasks, queries, runs
from storage.journal.dialect import journal_url, reading_engine
from storage.journal.entries import messages_of
from storage.journal.rows import entry_digest
from storage.journal.schema import METADATA
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.journal.furnished import SEEDED, contents, furnish
from tests.storage.journal.journal_contract import JournalContract
from tests.storage.journal.journal_process import PROGRAM
from tests.storage.journal.keep_journal import KEPT, restore
from tests.storage.journal.lineage_contract import LineageContract
from tests.support.empty_journal import put_empty_journal
from tests.support.forked import forked_output, run_forked
from tests.support.journal_values import (
    ANN,
    BEN,
    batch,
    entry,
    message,
    opening,
    run,
    run_entry,
    started,
    thread,
)

KILLS = 5
PAGE_BYTES = 4096


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    await asyncio.to_thread(put_empty_journal, tmp_path)
    opened = SqliteJournal(tmp_path / JOURNAL_FILE)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of the journal that the fixture `journal` opened, or would open."""
    return tmp_path / JOURNAL_FILE


@contextmanager
def write_locked(file: Path) -> Iterator[None]:
    """Another program holds the database's write lock: a commit that takes its time."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def edit(file: Path, *statements: str) -> None:
    """Change rows behind the journal's back."""
    other = sqlite3.connect(file)
    with other:
        for statement in statements:
            other.execute(statement)
    other.close()


def rows_of(file: Path, query: str) -> list[tuple[Any, ...]]:
    """What a journal holds that may be open."""
    other = sqlite3.connect(file)
    rows = other.execute(query).fetchall()
    other.close()
    return rows


def page_of(file: Path, table: str) -> int:
    """The number of the root page of a table or an index, from 1."""
    other = sqlite3.connect(file)
    (page,) = other.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
    ).fetchone()
    other.close()
    return int(page)


def overwrite_page(file: Path, page: int) -> None:
    """Destroy a page, as a bad disk does."""
    with file.open("r+b") as opened:
        opened.seek((page - 1) * PAGE_BYTES)
        opened.write(b"\xa5" * PAGE_BYTES)


def forget_index_rows(file: Path, index: str) -> None:
    """Leave an index empty that has rows to list."""
    empty_leaf = b"\x0a\x00\x00\x00\x00" + PAGE_BYTES.to_bytes(2, "big") + b"\x00"
    with file.open("r+b") as opened:
        opened.seek((page_of(file, index) - 1) * PAGE_BYTES)
        opened.write(empty_leaf + b"\x00" * (PAGE_BYTES - len(empty_leaf)))


class TestSqliteJournalKeepsTheContract(JournalContract):
    """Every promise of the Protocol, on SQLite."""


class TestSqliteJournalKeepsLineages(LineageContract):
    """What is promised of forks, on SQLite."""


class TestGroupCommit:
    """Waiting batches share a transaction, and a wait for the disk is nobody else's."""

    async def test_batches_that_wait_together_share_one_transaction(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        before = journal.commits
        with write_locked(file):
            waiting = [
                asyncio.ensure_future(journal.commit(opening(thread(f"t{n}")))) for n in range(20)
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        # The first may have been taken alone; all others waited behind it.
        assert journal.commits - before <= 2

    async def test_the_loop_and_the_readers_go_on_while_a_commit_waits(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        await journal.commit(opening(thread("old")))
        with write_locked(file):
            waiting = asyncio.ensure_future(journal.commit(opening(thread("new"))))
            for _ in range(50):
                await asyncio.sleep(0)
            assert await journal.decision_view(thread("old").id) is not None
            assert await journal.decision_view(thread("new").id) is None
            assert not waiting.done()
        await waiting
        assert await journal.decision_view(thread("new").id) is not None

    async def test_a_failed_transaction_fails_every_batch_in_it_and_the_next_one_succeeds(
        self, file: Path
    ) -> None:
        journal = SqliteJournal(file, busy_timeout=0.05)
        await journal.open()
        threads = [thread(f"t{n}") for n in range(5)]
        with write_locked(file):
            results = await asyncio.gather(
                *(journal.commit(opening(one)) for one in threads), return_exceptions=True
            )
        for result in results:
            assert isinstance(result, JournalError)
            assert result.retryable
            assert str(file) not in result.message
        for one in threads:
            assert await journal.decision_view(one.id) is None
        again = await asyncio.gather(*(journal.commit(opening(one)) for one in threads))
        assert all(isinstance(result, Committed) for result in again)
        await journal.close()

    async def test_closing_finishes_what_waits(self, file: Path) -> None:
        journal = SqliteJournal(file)
        await journal.open()
        waiting = [
            asyncio.ensure_future(journal.commit(opening(thread(f"t{n}")))) for n in range(5)
        ]
        await asyncio.sleep(0)
        await journal.close()
        assert all([isinstance(await one, Committed) for one in waiting])
        with pytest.raises(JournalError):
            await journal.commit(opening(thread("late")))
        with pytest.raises(JournalError):
            await journal.epoch()
        await journal.open()
        assert await journal.decision_view(thread("t4").id) is not None
        await journal.close()


class TestCrashes:
    """An acknowledgement outlives the process that gave it."""

    async def test_everything_acknowledged_survives_kills(self, file: Path) -> None:
        acknowledged: dict[StreamId, int] = {}
        for _ in range(KILLS):
            with forked_output(*PROGRAM, str(file), "loop") as running:
                lines = [running.line() for _ in range(40)]
                rest = running.kill()
            # The kill may have cut the last line.
            lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
            for line in lines:
                stream, seq = line.split()
                acknowledged[StreamId(stream)] = int(seq)
        journal = SqliteJournal(file)
        await journal.open()
        for written, last in acknowledged.items():
            assert await journal.head(written) >= last
            view = await journal.decision_view(ThreadId(written.removeprefix("thread:")))
            assert view is not None
            assert view.thread.version == view.head_seq
        assert await journal.verify() == ()
        await journal.close()

    def test_a_full_disk_refuses_a_batch_and_the_journal_goes_on_when_there_is_room(
        self, file: Path
    ) -> None:
        full = run_forked((*PROGRAM, str(file), "full"), os.environ, Path.cwd(), timeout=60)
        refused, *rest = full.stdout.splitlines()
        assert refused.startswith("refused True The disk"), full
        assert str(file.parent) not in refused
        assert rest == ["accepted 2", "problems 0"]


class TestOpening:
    """One process at a time, on a file that is a journal of a version that we know."""

    async def test_a_folder_in_use_is_refused_until_its_process_is_killed(self, file: Path) -> None:
        with forked_output(*PROGRAM, str(file), "hold") as holder:
            assert holder.line() == "held\n"
            journal = SqliteJournal(file)
            with pytest.raises(JournalError) as refused:
                await journal.open()
            assert refused.value.message == "The data folder is in use by another chorus process."
        await journal.open()
        await journal.close()

    @pytest.mark.parametrize("damage", [b"this is no database" * 500, b"SQLite format 3\0" * 500])
    def test_a_damaged_file_is_refused_in_one_line_that_says_what_to_do(
        self, file: Path, damage: bytes
    ) -> None:
        file.write_bytes(damage)
        for _ in range(2):  # A failed opening lets the folder go.
            journal = SqliteJournal(file)
            with pytest.raises(JournalError, match="damaged: restore the data folder") as refused:
                asyncio.run(journal.open())
            assert "\n" not in refused.value.message
            assert str(file) not in refused.value.message

    async def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(JournalError, match="cannot be written"):
            await SqliteJournal(tmp_path / "file" / JOURNAL_FILE).open()

    async def test_a_store_of_a_newer_version_is_refused(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        await journal.close()
        edit(file, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(JournalError, match="newer version"):
            await journal.open()

    async def test_a_new_store_gets_its_epoch_from_the_factory_and_keeps_it(
        self, file: Path
    ) -> None:
        for make in (lambda: "first", lambda: "second"):
            journal = SqliteJournal(file, make_epoch=make)
            await journal.open()
            assert await journal.epoch() == "first"
            await journal.close()


class TestSchema:
    """The tables on disk are the declared ones, and every question has its index."""

    async def test_migrations_make_the_declared_tables(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        assert await journal.epoch()
        engine = reading_engine(journal_url(file), busy_timeout=1)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, METADATA)
        engine.dispose()
        assert differences == [], "write a migration: storage/journal/schema.py has changed"

    async def test_a_journal_of_the_first_version_is_given_digests_of_what_it_holds(
        self, file: Path
    ) -> None:
        restore(KEPT / "0.1.0.sql", file.parent)
        before = rows_of(file, "SELECT position, stream, seq FROM entries")
        journal = SqliteJournal(file)
        await journal.open()
        assert await journal.verify() == ()
        await journal.close()
        assert rows_of(file, "SELECT position, stream, seq FROM entries") == before
        held = rows_of(file, "SELECT digest, stream, seq, body FROM entries")
        assert [digest for digest, *_ in held] == [entry_digest(*values) for _, *values in held]

    async def test_a_damaged_snapshot_of_the_first_version_is_repaired_all_the_same(
        self, file: Path
    ) -> None:
        restore(KEPT / "0.1.0.sql", file.parent)
        edit(file, "UPDATE runs SET body = substr(body, 1, 40) WHERE rowid = 1")
        journal = SqliteJournal(file)
        await journal.open()
        assert await journal.verify()
        await journal.repair()
        assert await journal.verify() == ()
        await journal.close()

    async def test_the_digest_of_an_entry_is_of_its_stream_its_number_and_its_body(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        # Never another one: what is stored could not be read any more.
        assert entry_digest("thread:a", 7, '{"é":1}').hex() == "2f8955ef60272d21fa1fa58bd8a0b76b"
        others = [("thread:b", 7, "{}"), ("thread:a", 8, "{}"), ("thread:a", 7, "{ }")]
        assert entry_digest("thread:a", 7, "{}") not in [entry_digest(*other) for other in others]
        await journal.commit(opening(thread()))
        for stream, seq, body, digest in rows_of(
            file, "SELECT stream, seq, body, digest FROM entries"
        ):
            assert digest == entry_digest(stream, seq, body)

    async def test_an_inbox_is_read_in_the_order_of_an_index(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        await furnish(journal)
        engine = reading_engine(journal_url(file), busy_timeout=1)
        plans: list[str] = []

        @event.listens_for(engine, "before_cursor_execute")
        def remember(
            connection: Connection, _cursor: object, statement: str, parameters: object, *_: object
        ) -> None:
            if "FROM inbox" in statement:
                asked = f"EXPLAIN QUERY PLAN {statement}"
                plan = connection.connection.cursor().execute(asked, parameters)  # type: ignore[arg-type]
                plans.extend(str(row[-1]) for row in plan)

        with engine.connect() as connection:
            assert len(inbox.inbox_of(connection, BEN, after=None, limit=5).rows) == 2
        engine.dispose()
        assert len([step for step in plans if step.startswith("SEARCH inbox USING")]) == 3, plans
        tables = ("inbox", "co_authors", "user_threads", "threads")
        scans = [step for step in plans if step.startswith(tuple(f"SCAN {it}" for it in tables))]
        assert not [*scans, *(step for step in plans if "TEMP B-TREE" in step)], plans

    async def test_a_page_ends_where_its_entries_hold_much_more_than_they_tell(
        self, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "MOST_READ", 100_000)
        one = thread()
        stream = thread_stream(one.id)
        values = (one.changed(name="n" * 4_000, version=number) for number in range(1, 121))
        await journal.commit(batch(0, *(entry(stream, value) for value in values)))
        pages: list[list[int]] = []
        while sum(map(len, pages)) < 120:
            after = pages[-1][-1] if pages else 0
            page = await journal.entries(stream, after_seq=after, limit=1_000, max_bytes=10**9)
            pages.append([found.seq for found in page.entries])
        assert [seq for page in pages for seq in page] == list(range(1, 121))
        assert [len(page) for page in pages] == [50, 50, 20]
        whole = await journal.entries(stream, after_seq=0, limit=1_000)
        assert len(whole.entries) == 120

    async def test_no_question_about_a_thread_scans_a_table(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        one = thread()
        await journal.commit(opening(one, message(one, 0)))
        asked: list[tuple[str, object]] = []
        engine = reading_engine(journal_url(file), busy_timeout=1)

        @event.listens_for(engine, "before_cursor_execute")
        def remember(
            _connection: object, _cursor: object, statement: str, parameters: object, *_: object
        ) -> None:
            asked.append((statement, parameters))

        with engine.connect() as connection:
            queries.snapshot(connection, one.id, limit=5, before_index=None)
            queries.recent_messages(connection, one.id, before_index=5, limit=5)
            queries.entry_page(
                connection, thread_stream(one.id), after_seq=0, limit=5, max_bytes=None
            )
            queries.run_entries(connection, run(message(one, 0)).id)
            queries.public_threads(connection, after=None, limit=5)
            for hidden in (None, True, False):
                queries.threads_of(connection, ANN, after=None, limit=5, hidden=hidden)
            queries.private_threads_shared_by(connection, [ANN, BEN])
            queries.user(connection, ANN)
            queries.names(connection, [ANN])
            runs.live_runs(connection)
            messages_of(connection, ["one", "another"])
            memory_tasks.queued_tasks(connection, after=0, limit=5)
            memory_tasks.first_queued(connection, [one.id])
            memory_tasks.first_queued(connection, None)
            questions = [pair for pair in asked if pair[0].startswith("SELECT")]
            assert len(questions) >= 14
            for statement, parameters in questions:
                plan = connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {statement}",
                    parameters,  # type: ignore[arg-type]
                )
                steps = [str(row[-1]) for row in plan]
                # Whose threads are listed is looked up by person, then sorted or grouped.
                by_person = "co_authors" in statement
                assert steps[0].startswith("SEARCH co_authors" if by_person else "SEARCH"), steps
                assert not [
                    step
                    for step in steps
                    if step.startswith("SCAN") or ("TEMP B-TREE" in step and not by_person)
                ], f"{statement}\n{steps}"
        engine.dispose()


class TestVerifyAndRepair:
    """Snapshots that were edited are found, and mended from the entries."""

    @pytest.mark.parametrize("statement", SEEDED)
    async def test_seeded_damage_is_found_and_mended_and_then_nothing_is_left_to_do(
        self, journal: SqliteJournal, file: Path, statement: str
    ) -> None:
        await furnish(journal)
        before = await contents(journal)
        edit(file, statement)
        problems = await journal.verify()
        assert problems
        assert all(problem.endswith(".") and "\n" not in problem for problem in problems)
        assert await journal.repair()
        assert await journal.verify() == ()
        assert await contents(journal) == before
        assert await journal.repair() == ()

    async def test_two_values_that_changed_places_are_mended(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        await furnish(journal)
        before = await contents(journal)
        edit(
            file,
            "UPDATE messages SET idx = 9 WHERE idx = 0",
            "UPDATE messages SET idx = 0 WHERE idx = 1",
            "UPDATE messages SET idx = 1 WHERE idx = 9",
        )
        assert len(await journal.verify()) == 2
        await journal.repair()
        assert await contents(journal) == before

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM entries WHERE seq = 5",
            "DELETE FROM entries WHERE seq = 2",
            "UPDATE entries SET body = '{' WHERE seq = 5",
            "UPDATE entries SET seq = 50 WHERE seq = 5",
            "UPDATE entries SET digest = zeroblob(16) WHERE seq = 5",
            # Still an entry, but not what was written.
            """UPDATE entries SET body = replace(body, '"by":"Ann"', '"by":"Eve"') WHERE seq = 5""",
        ],
    )
    async def test_lost_entries_are_reported_and_no_good_snapshot_is_taken_back(
        self, journal: SqliteJournal, file: Path, statement: str
    ) -> None:
        await furnish(journal)
        edit(file, statement)
        problems = await journal.verify()
        assert problems
        assert await journal.repair() == ()
        assert await journal.verify() == problems
        kept = await journal.thread(thread("one").id)
        assert kept is not None
        assert kept.version == 2

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM entries WHERE seq = 4",
            "DELETE FROM entries WHERE seq = 5",
            "UPDATE entries SET run_id = NULL WHERE seq = 5",
            """UPDATE entries SET body = replace(body, '"by":"Ann"', '"by":"Eve"') WHERE seq = 5""",
            "UPDATE runs SET body = replace(body, '\"version\":2', '\"version\":3')",
        ],
    )
    async def test_a_run_whose_entries_are_lost_is_no_run_with_less_in_it(
        self, journal: SqliteJournal, file: Path, statement: str
    ) -> None:
        await furnish(journal)
        (whole,) = await journal.live_runs()
        edit(file, statement)
        asked: list[Awaitable[object]] = [
            journal.run(whole.id),
            journal.decision_view(whole.thread_id),
        ]
        for each in asked:
            with pytest.raises(JournalError, match="damaged"):
                await each
        assert len(await journal.live_runs()) == 1, "others must go on beside a damaged one"
        assert await journal.thread(whole.thread_id) is not None

    async def test_entries_that_skip_a_version_of_a_run_are_named(
        self, journal: SqliteJournal
    ) -> None:
        one = thread()
        prompt = message(one, 0)
        queued = run(prompt)
        late = started(queued, prompt).model_copy(update={"version": 3})
        await journal.commit(opening(one, prompt))
        await journal.commit(batch(2, run_entry(queued, "queued", queued)))
        await journal.commit(batch(3, run_entry(late, "started", late)))
        (problem,) = await journal.verify()
        assert "lacks its version 2" in problem

    async def test_a_thread_that_counts_wrong_is_reported(self, journal: SqliteJournal) -> None:
        one = thread()
        stream = thread_stream(one.id)
        await journal.commit(batch(0, entry(stream, one, message(one, 1))))
        await journal.commit(batch(1, entry(stream, message(thread("ghost"), 0))))
        assert len(await journal.verify()) == 3

    async def test_damaged_pages_are_reported_and_said_to_need_a_backup(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        for n in range(30):
            await journal.commit(opening(thread(f"t{n}")))
        await journal.close()
        overwrite_page(file, page_of(file, "entries"))
        await journal.open()
        problems = await journal.verify()
        assert problems
        assert all("backup" in problem for problem in problems), problems
        with pytest.raises(JournalError, match="damaged: restore the data folder"):
            await journal.repair()

    async def test_an_index_that_lost_its_way_is_built_again(
        self, journal: SqliteJournal, file: Path
    ) -> None:
        await furnish(journal)
        before = await contents(journal)
        await journal.close()
        forget_index_rows(file, "messages_by_status")
        await journal.open()
        assert any("index" in problem for problem in await journal.verify())
        assert await journal.repair() == ("Built the indices again.",)
        assert await journal.verify() == ()
        assert await contents(journal) == before


async def test_a_conflict_is_no_failure_of_the_transaction(journal: SqliteJournal) -> None:
    await journal.commit(opening(thread()))
    first, taken, last = await asyncio.gather(
        journal.commit(opening(thread("one"))),
        journal.commit(opening(thread())),
        journal.commit(opening(thread("two"))),
        return_exceptions=True,
    )
    assert isinstance(taken, JournalConflict), "the thread was there already"
    assert isinstance(first, Committed), "what waits beside a conflict is written"
    assert isinstance(last, Committed), "what waits behind a conflict is written"
    assert await journal.verify() == ()


async def test_after_a_commit_that_failed_half_way_the_next_one_is_written(
    journal: SqliteJournal,
) -> None:
    refused = 0

    def refuse_once(action: int, what: str | None, *_: object) -> int:
        nonlocal refused
        if action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT" and not refused:
            refused += 1
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def watch(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_authorizer(refuse_once)

    with pytest.raises(JournalError):
        await journal._writer.submit(watch)
    await journal.commit(opening(thread()))
    assert refused == 1
    assert await journal.verify() == ()


async def test_what_is_refused_alone_leaves_nothing_behind(journal: SqliteJournal) -> None:
    await journal.commit(opening(thread()))
    before = journal.commits
    with pytest.raises(JournalConflict):
        await journal.commit(opening(thread()))
    assert journal.commits == before, "nothing became durable"
    assert await journal.verify() == ()

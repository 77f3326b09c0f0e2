"""A copy has every row of its source, is verified, and is resumed wherever it was killed."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, event, text

from machines.models.errors import JournalError
from machines.models.ids import thread_stream
from machines.models.journal import IndexMessage
from storage.copying import tables
from storage.copying.copier import Progress, copy
from storage.copying.database import DatabasePlace
from storage.copying.folder import FolderPlace
from storage.copying.place import Place
from storage.copying.tables import COPIED
from storage.journal import queries, sqlite
from storage.journal.migrations import Migrated
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal, migrate
from storage.journal.schema import memory_tasks
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.copying.filled import AWKWARD, ONE, fill, rows_of
from tests.support.forked import run_forked
from tests.support.journal_values import batch, entry, message, opening, thread
from tests.support.postgres import PASSWORD, Cluster

FOLDER: Final = "folder"
DATABASE: Final = "database"


@dataclass
class Store:
    """A store that is copied from, or into."""

    name: str
    """A folder, or the URL of a database."""

    @property
    def place(self) -> Place:
        if "://" in self.name:
            return DatabasePlace(PostgresAddress.parse(self.name), lambda: "made")
        return FolderPlace(Path(self.name))

    @property
    def journal(self) -> Journal:
        if "://" in self.name:
            return PostgresJournal(PostgresAddress.parse(self.name))
        return SqliteJournal(Path(self.name) / JOURNAL_FILE)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction behind the journal's back."""
        place = self.place
        place.hold(make=False)
        try:
            with place.writing() as connection:
                yield connection
        finally:
            place.release()

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        with self.writing() as connection:
            return rows_of(connection)

    def noted(self, name: str) -> str | None:
        with self.writing() as connection:
            return queries.noted(connection, name)

    def state(self) -> Migrated:
        place = self.place
        place.hold(make=False)
        try:
            return place.state()
        finally:
            place.release()

    @property
    def is_there(self) -> bool:
        """Of a folder."""
        return Path(self.name).exists()

    def migrate(self) -> None:
        if "://" in self.name:
            migrate(PostgresAddress.parse(self.name), lambda: "again")
        else:
            sqlite.migrate(Path(self.name) / JOURNAL_FILE, lambda: "again")

    def fill(self) -> "Store":
        self.do(fill)
        return self

    def do(self, work: Callable[[Journal], Awaitable[None]]) -> None:
        """What a server does with it."""

        async def served() -> None:
            journal = self.journal
            await journal.open()
            try:
                await work(journal)
            finally:
                await journal.close()

        asyncio.run(served())


@dataclass
class Stores:
    """Makes stores of either kind."""

    folder: Path
    postgres: Cluster
    made: int = field(default=0)

    def make(self, kind: str, *, migrated: bool = True) -> Store:
        """An empty store."""
        self.made += 1
        if kind == DATABASE:
            return Store(self.postgres.database(migrated=migrated))
        return Store(str(self.folder / f"store {self.made}"))


@pytest.fixture
def stores(tmp_path: Path, postgres: Cluster) -> Stores:
    return Stores(tmp_path, postgres)


def copied(source: Store, target: Store) -> int:
    return copy(
        source.place, target.place, epoch="copy", notes={"memory": "due"}, tell=lambda _: None
    )


@pytest.mark.parametrize("target", [FOLDER, DATABASE])
@pytest.mark.parametrize("source", [FOLDER, DATABASE])
def test_a_copy_has_every_row_and_a_name_of_its_own(
    stores: Stores, source: str, target: str
) -> None:
    one, other = stores.make(source).fill(), stores.make(target)
    before = one.rows()
    assert [name for name, rows in before.items() if not rows] == [], "fill these tables too"
    assert copied(one, other) == sum(map(len, before.values()))
    assert other.rows() == before
    assert one.rows() == before
    assert other.state() is Migrated.CURRENT
    assert (other.noted("epoch"), other.noted("memory"), other.noted("kept")) == (
        "copy",
        "due",
        AWKWARD,
    )
    assert one.noted("epoch") not in {"copy", None}


@pytest.mark.parametrize("target", [FOLDER, DATABASE])
def test_a_copied_journal_verifies_and_goes_on(stores: Stores, target: str) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(target)
    with one.writing() as connection:
        last = connection.scalar(text("SELECT max(position) FROM memory_tasks"))
        connection.execute(delete(memory_tasks).where(memory_tasks.c.position == last))
    copied(one, other)

    async def go_on(journal: Journal) -> None:
        assert await journal.verify() == ()
        stream = thread_stream(ONE.id)
        head = await journal.head(stream)
        said = message(ONE, 5)
        grown = ONE.model_copy(update={"message_count": 6, "version": 4})
        task = IndexMessage(thread_id=ONE.id, message_id=said.id)
        await journal.commit(batch(head, entry(stream, grown), entry(stream, said), memory=(task,)))
        queued = await journal.queued_tasks(limit=9)
        assert queued[-1].position == last + 1, "a position is never used twice"
        assert await journal.verify() == ()

    other.do(go_on)


# --- Interrupted ------------------------------------------------------------------------------------


class Crash(BaseException):
    """The end of a process, as the databases see it."""


@contextmanager
def crash_after(steps: int, store: Store) -> Iterator[None]:
    """Let what writes to a store, and its commits, end the process once so many were begun."""
    left = steps
    name = store.name.rpartition("/")[2]

    def step(connection: Connection) -> None:
        nonlocal left
        if name in str(connection.engine.url):
            left -= 1
            if left < 0:
                raise Crash

    def statement(connection: Connection, _: object, sql: str, *_more: object) -> None:
        if not sql.lstrip().startswith(("SELECT", "PRAGMA", "BEGIN")):
            step(connection)

    event.listen(Engine, "commit", step)
    event.listen(Engine, "before_cursor_execute", statement)
    try:
        yield
    finally:
        event.remove(Engine, "commit", step)
        event.remove(Engine, "before_cursor_execute", statement)


def crashed(source: Store, target: Store, steps: int) -> bool:
    """Whether a copy ended before it was done."""
    try:
        with crash_after(steps, target):
            copied(source, target)
    except Crash:
        return True
    return False


def leave_unfinished(source: Store, target: Store) -> None:
    """Let a copy end in the middle of its tables."""

    def tell(progress: Progress) -> None:
        if progress.table == "threads":
            raise Crash

    with pytest.raises(Crash):
        copy(source.place, target.place, epoch="unfinished", notes={}, tell=tell)
    assert target.state() is Migrated.UNFINISHED


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 2)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("target", [FOLDER, DATABASE])
def test_a_copy_that_crashes_again_and_again_goes_on_where_it_was(
    stores: Stores, target: str
) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(target)
    crashes = 0
    while crashed(one, other, 2 * crashes):
        crashes += 1
    assert crashes > 3
    assert other.rows() == one.rows()
    assert other.state() is Migrated.CURRENT


@pytest.mark.parametrize(("source", "target"), [(FOLDER, DATABASE), (DATABASE, FOLDER)])
def test_a_copy_that_is_killed_goes_on(stores: Stores, source: str, target: str) -> None:
    one, other = stores.make(source).fill(), stores.make(target)
    program = ("-m", "tests.storage.copying.killed_process", one.name, other.name, "7")
    ended = run_forked(program, os.environ, Path.cwd(), timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert other.state() is Migrated.UNFINISHED
    written = sum(map(len, other.rows().values()))
    assert 7 <= written < copied(one, other)
    assert other.rows() == one.rows()


@pytest.mark.parametrize("target", [FOLDER, DATABASE])
def test_what_the_source_wrote_while_a_copy_lay_unfinished_is_copied_too(
    stores: Stores, target: str
) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(target)
    leave_unfinished(one, other)

    async def write(journal: Journal) -> None:
        await journal.commit(
            opening(thread("written meanwhile"), message(thread("written meanwhile"), 0))
        )
        await journal.forget_replies(before=message(ONE, 0).created_at.replace(year=2100))

    one.do(write)
    copied(one, other)
    assert other.rows() == one.rows()
    assert other.rows()["replies"] == []


@pytest.mark.parametrize("target", [FOLDER, DATABASE])
def test_an_unfinished_copy_is_opened_by_no_server_and_takes_no_other_store(
    stores: Stores, target: str
) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(target)
    leave_unfinished(one, other)
    with pytest.raises(JournalError, match="holds an unfinished copy"):
        other.do(fill)
    with pytest.raises(JournalError, match="holds an unfinished copy"):
        other.migrate()
    stranger = stores.make(FOLDER).fill()
    assert_refused(stranger, other, other, "an unfinished copy of another store")
    assert_refused(other, stores.make(FOLDER), other, "It is an unfinished copy itself")


# --- Refused ----------------------------------------------------------------------------------------


def assert_refused(source: Store, target: Store, blamed: Store, words: str) -> None:
    with pytest.raises(JournalError) as refused:
        copied(source, target)
    told = refused.value
    assert told.message.startswith(f"{blamed.place}: ")
    assert words in told.message
    assert told.message.count(str(blamed.place)) == 1
    assert "\n" not in told.message
    assert PASSWORD not in f"{told.message} {told.detail}"


@pytest.mark.parametrize("kind", [FOLDER, DATABASE])
def test_a_target_with_anything_in_it_is_left_as_it_is(stores: Stores, kind: str) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(kind).fill()
    before = other.rows()
    assert_refused(one, other, other, "It is not empty")
    assert other.rows() == before
    assert other.state() is Migrated.CURRENT


@pytest.mark.parametrize("kind", [FOLDER, DATABASE])
@pytest.mark.parametrize(
    ("revision", "words"), [("0001", "run `chorus migrate` on it"), ("9999", "a newer version")]
)
def test_a_source_of_another_version_is_not_copied(
    stores: Stores, kind: str, revision: str, words: str
) -> None:
    one = stores.make(kind).fill()
    with one.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": revision})
    assert_refused(one, stores.make(FOLDER), one, words)
    assert_refused(stores.make(FOLDER).fill(), one, one, "version")


def test_what_holds_no_journal_is_not_copied(stores: Stores) -> None:
    nothing = stores.make(FOLDER)
    assert_refused(nothing, stores.make(FOLDER), nothing, "There is no journal in it")
    assert not nothing.is_there, "a folder that is only named is not made"
    empty = stores.make(DATABASE, migrated=False)
    assert_refused(empty, stores.make(FOLDER), empty, "It holds no journal")


@pytest.mark.parametrize(
    ("kind", "words"),
    [(FOLDER, "another chorus process"), (DATABASE, "hold this database: stop them first")],
)
def test_a_store_that_a_server_holds_is_neither_copied_nor_copied_into(
    stores: Stores, kind: str, words: str
) -> None:
    held, free = stores.make(kind), stores.make(FOLDER).fill()

    def refuse() -> None:
        assert_refused(held, stores.make(FOLDER), held, words)
        assert_refused(free, held, held, words)

    async def refuse_meanwhile(_: Journal) -> None:
        await asyncio.to_thread(refuse)

    held.do(refuse_meanwhile)


def test_a_database_that_cannot_be_had_is_told_without_its_password(stores: Stores) -> None:
    one = stores.make(FOLDER).fill()
    wrong = Store(stores.postgres.url("postgres", password="wrong"))
    assert_refused(one, wrong, wrong, "The database refuses this user or password")
    assert_refused(wrong, one, wrong, "The database refuses this user or password")
    nowhere = Store(stores.postgres.url("nowhere"))
    assert_refused(one, nowhere, nowhere, "There is no such database")


def test_a_full_disk_is_told_and_the_copy_goes_on_once_there_is_room(stores: Stores) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(FOLDER)
    with one.writing() as connection:
        connection.execute(text("UPDATE vectors SET vector = zeroblob(400000)"))
    leave_unfinished(one, other)
    with closing(sqlite3.connect(Path(other.name) / JOURNAL_FILE)) as file:
        (pages,) = file.execute("PRAGMA page_count").fetchone()

    def no_more_room(connection: sqlite3.Connection, _: object) -> None:
        (file,) = connection.execute("SELECT file FROM pragma_database_list").fetchone()
        if str(file).startswith(str(Path(other.name).resolve())):
            connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", no_more_room)
    try:
        assert_refused(one, other, other, "The disk is full")
    finally:
        event.remove(Engine, "connect", no_more_room)
    copied(one, other)
    assert other.rows() == one.rows()


@pytest.mark.parametrize("target", [FOLDER, DATABASE])
def test_a_source_that_does_not_verify_is_named_and_its_copy_stays_unfinished(
    stores: Stores, target: str
) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(target)
    with one.writing() as connection:
        connection.execute(text("DELETE FROM co_authors WHERE public_key = 'Ben'"))
    assert_refused(one, other, one, "run `chorus verify --repair` on it")
    assert other.state() is Migrated.UNFINISHED

    async def repair(journal: Journal) -> None:
        await journal.repair()

    one.do(repair)
    copied(one, other)
    assert other.rows() == one.rows()


def test_a_target_that_does_not_keep_what_it_is_given_is_told(stores: Stores) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(DATABASE)
    with psycopg.connect(other.name) as connection:
        connection.execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER lose BEFORE INSERT ON timers FOR EACH ROW EXECUTE FUNCTION lose()"
        )
    assert_refused(one, other, other, "It does not keep what is copied: timers")


def test_a_value_that_cannot_be_read_is_blamed_on_the_source(stores: Stores) -> None:
    one, other = stores.make(FOLDER).fill(), stores.make(DATABASE)
    with one.writing() as connection:
        connection.execute(text("UPDATE users SET body = CAST(x'ff' AS TEXT)"))
    assert_refused(one, other, one, "chorus verify --repair")


def test_every_table_is_copied_but_the_one_that_names_the_store() -> None:
    assert {table.name for table in COPIED} == {
        *(
            "branches",
            "co_authors",
            "entries",
            "inbox",
            "invitations",
            "invite_links",
            "memory_tasks",
        ),
        *("messages", "removals", "replies", "runs", "sessions", "threads", "timers"),
        *("user_threads", "users", "vectors", "heat", "heat_mark", "heat_refusals", "standing"),
    }, "say in storage.copying.tables whether a new table is copied"

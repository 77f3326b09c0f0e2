"""An upgrade while servers of the version before go on: what a revision may do, and what it keeps waiting."""

import asyncio
import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from machines.models.errors import JournalError
from machines.models.ids import thread_stream
from storage.journal import migrations
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.migrations import Migrated
from storage.journal.migrations.steps import Servers
from storage.journal.postgres import beside_servers, engines
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal, migrate
from storage.journal.postgres.order_of_bytes import order_by_bytes
from storage.journal.schema import REVISION
from tests.support.client import Frame, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.journal_values import opening, thread
from tests.support.next_release import ADDITIVE, FIRST, STOPPING, next_release
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers


def new_epoch() -> str:
    raise AssertionError("the database has a name")


def migrate_to(url: str, revision: str) -> Migrated:
    """`chorus migrate` of a later release."""
    with next_release(revision):
        return migrate(PostgresAddress.parse(url), new_epoch)


async def migrated_to(url: str, revision: str) -> Migrated:
    return await asyncio.to_thread(migrate_to, url, revision)


# --- What a revision may do -----------------------------------------------------------------------


def test_every_revision_says_whether_servers_go_on_beside_it() -> None:
    with next_release(STOPPING):
        said = {each.revision: each.servers for each in migrations.steps()}
    assert list(said) == sorted(said)
    assert all(said[each] is Servers.STOP for each in said if each <= "0014")
    assert said[ADDITIVE] is Servers.GO_ON
    assert said[STOPPING] is Servers.STOP


@pytest.mark.parametrize("wrong", ["", "perhaps"])
def test_a_revision_that_does_not_say_so_is_none(tmp_path: Path, wrong: str) -> None:
    says = f"servers = {wrong!r}\n" if wrong else ""
    (tmp_path / "v9000.py").write_text(
        f"revision = '9000'\ndown_revision = {REVISION!r}\n{says}\ndef upgrade():\n    pass\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, tmp_path))
        with pytest.raises((AttributeError, ValueError), match=wrong or "servers"):
            migrations.steps()


def test_a_revision_beside_servers_only_adds(postgres: Cluster) -> None:
    """Nothing that a server of before reads or writes is another, or is written anew."""
    url = postgres.database()
    engine = engines.writing_engine(PostgresAddress.parse(url))
    judged = []
    with (
        next_release(STOPPING),
        engine.connect() as connection,
        psycopg.connect(url, autocommit=True) as other,
    ):
        for step in migrations.steps():
            before = shape_of(other)
            with connection.begin():
                migrations.upgrade(connection, step.revision)
                order_by_bytes(connection)
            if step.servers is Servers.GO_ON:
                judged.append(step.revision)
                changed = differences(before, shape_of(other))
                assert not changed, f"revision {step.revision}: {changed}"
    engine.dispose()
    assert {FIRST, ADDITIVE} <= set(judged)
    assert STOPPING not in judged


Shape = dict[tuple[str, ...], tuple[Any, ...]]
"""What there is, by kind, table and name."""

_SHAPE = """
    SELECT ARRAY['file', '', relname], ARRAY[relfilenode::text]
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'S')
  UNION ALL
    SELECT ARRAY['column', relname, attname],
           ARRAY[atttypid::text, attnotnull::text, pg_get_expr(adbin, adrelid),
                 (attnotnull AND NOT atthasdef)::text]
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
      AND NOT attisdropped
  UNION ALL
    SELECT ARRAY['rule', relname, conname], ARRAY[pg_get_constraintdef(pg_constraint.oid)]
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = 'public'::regnamespace
  UNION ALL
    SELECT ARRAY['rule', tables.relname, indexes.relname], ARRAY['unique']
    FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid
    JOIN pg_class AS indexes ON indexes.oid = indexrelid
    WHERE tables.relnamespace = 'public'::regnamespace AND indisunique
"""


def shape_of(connection: psycopg.Connection[Any]) -> Shape:
    return {tuple(name): tuple(value) for name, value in connection.execute(_SHAPE)}


def differences(before: Shape, after: Shape) -> list[str]:
    """What a server of before would meet."""
    tables = {table for kind, table, _ in before if kind == "column"}
    gone = [f"{name} was {value}" for name, value in before.items() if after.get(name) != value]
    demanded = [
        f"{name} must be given"
        for name, value in after.items()
        if name not in before and name[1] in tables
        if name[0] == "rule" or (name[0] == "column" and value[-1] == "true")
    ]
    return gone + demanded


_NO_ADDITIONS: Final = {
    "ALTER TABLE users DROP COLUMN name": "'name') was",
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL": "'name') was",
    "ALTER TABLE users ADD COLUMN must text NOT NULL": "'must') must be given",
    "CREATE UNIQUE INDEX one_name ON users (name)": "'one_name') must be given",
    "ALTER TABLE users ADD CHECK (version > 0)": "check') must be given",
    "ALTER TABLE users ADD COLUMN at timestamptz DEFAULT clock_timestamp()": "'users') was",
    "DROP TABLE rate_buckets": "'full_at') was",
}


def test_what_is_no_addition_is_seen(url: str) -> None:
    with psycopg.connect(url) as connection:
        before = shape_of(connection)
        for change, found in _NO_ADDITIONS.items():
            connection.execute(change.encode())
            assert found in str(differences(before, shape_of(connection))), change
            connection.rollback()


# --- Beside a server ------------------------------------------------------------------------------


async def test_an_upgrade_beside_a_server_fails_no_request_and_leaves_no_gap(
    url: str, tmp_path: Path
) -> None:
    async with several_servers(1, tmp_path, url) as (server,):
        callers = [await Caller(server).sign_in(Identity()) for _ in range(3)]
        threads = [(await each.get("create_thread", name="Busy"))["thread_id"] for each in callers]
        for caller, id_ in zip(callers, threads, strict=True):
            await caller.get("get_thread", thread_id=id_)
        upgrade = asyncio.ensure_future(migrated_to(url, ADDITIVE))
        during = behind = 0
        while behind < 5:
            during += not upgrade.done()
            behind += upgrade.done()
            name = f"Name {during + behind}"
            for caller, id_ in zip(callers, threads, strict=True):
                await caller.get("rename_thread", thread_id=id_, name=name)
        assert await upgrade is Migrated.OLDER
        assert during
        for caller, id_ in zip(callers, threads, strict=True):
            head = await server.journal.head(thread_stream(id_))
            await caller.line.until(partial(_is_entry, id_, head), "the last entry")
            numbers = [frame["seq"] for frame in caller.live(id_)]
            assert numbers == list(range(head - during - behind + 1, head + 1))


def _is_entry(thread_id: str, seq: int, frame: Frame) -> bool:
    return (frame.get("thread_id"), frame.get("seq")) == (thread_id, seq)


async def test_who_changes_a_table_in_use_keeps_commits_waiting_for_a_moment_only(
    journal: PostgresJournal, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup reads every table for as long as it takes."""
    tried = threading.Event()
    monkeypatch.setattr(beside_servers, "sleep", lambda _: tried.set())
    monkeypatch.setattr(beside_servers, "PAUSES", [0.0] * 10_000)
    monkeypatch.setattr(beside_servers, "WAIT_MS", 20)
    await journal.commit(opening(thread("before")))
    with psycopg.connect(url) as backup:
        backup.execute("LOCK TABLE entries IN ACCESS SHARE MODE")
        upgrade = asyncio.ensure_future(migrated_to(url, ADDITIVE))
        await eventually(tried.is_set, "the table was in use")
        for number in range(20):
            await journal.commit(opening(thread(f"beside {number}")))
        assert not upgrade.done()
        backup.rollback()
    assert await upgrade is Migrated.OLDER
    await journal.commit(opening(thread("behind")))


def test_a_table_that_stays_in_use_is_told_in_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside_servers, "PAUSES", (0.0,))
    monkeypatch.setattr(beside_servers, "WAIT_MS", 10)
    with psycopg.connect(url) as backup:
        backup.execute("LOCK TABLE entries IN ACCESS SHARE MODE")
        with pytest.raises(JournalError, match="A table is in use for long") as told:
            migrate_to(url, ADDITIVE)
    assert "\n" not in told.value.message
    assert migrate_to(url, ADDITIVE) is Migrated.OLDER, "once more goes on"
    assert migrate_to(url, ADDITIVE) is Migrated.CURRENT


def test_an_index_whose_building_was_broken_off_is_built_anew(url: str) -> None:
    migrate_to(url, "9002")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE INDEX entries_by_kind ON entries (kind, position)")
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'entries_by_kind'::regclass"
        )
        migrate_to(url, ADDITIVE)
        found = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'entries_by_kind'::regclass"
        ).fetchall()
    assert found == [(True,)]


def test_what_is_looked_up_is_ordered_by_bytes_behind_an_upgrade_too(url: str) -> None:
    migrate_to(url, ADDITIVE)
    with psycopg.connect(url) as connection:
        for table, column in (("labels", "label"), ("entries", "kind")):
            found = connection.execute(
                "SELECT collname FROM pg_attribute JOIN pg_collation ON pg_collation.oid = attcollation"
                " WHERE attrelid = %s::regclass AND attname = %s",
                [table, column],
            ).fetchall()
            assert found == [("C",)], (table, column)


def test_the_same_revisions_are_made_in_a_file(tmp_path: Path) -> None:
    engine = writing_engine(journal_url(tmp_path / "journal.sqlite3"), busy_timeout=5.0)
    with next_release(ADDITIVE), engine.begin() as connection:
        migrations.upgrade(connection)
        assert migrations.state(connection) is Migrated.CURRENT
        made = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE name IN ('labels', 'entries_by_kind')"
        ).all()
    engine.dispose()
    assert len(made) == 2


# --- Behind an upgrade ----------------------------------------------------------------------------


async def test_a_server_of_before_starts_behind_an_additive_upgrade_and_says_so(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await migrated_to(url, ADDITIVE)
    journal = PostgresJournal(PostgresAddress.parse(url))
    with caplog.at_level(logging.WARNING):
        await journal.open()
    try:
        await journal.commit(opening(thread("behind")))
    finally:
        await journal.close()
    (said,) = [each.getMessage() for each in caplog.records if "newer version" in each.message]
    assert "\n" not in said
    # Its own `migrate` has nothing to do, and changes nothing.
    assert await asyncio.to_thread(migrate, PostgresAddress.parse(url), new_epoch) is Migrated.AHEAD


async def test_what_checks_or_mends_a_journal_must_be_of_its_version(url: str) -> None:
    await migrated_to(url, ADDITIVE)
    journal = PostgresJournal(PostgresAddress.parse(url), alone=True)
    with pytest.raises(JournalError, match="install that version"):
        await journal.open()


async def test_a_server_of_before_is_refused_behind_any_other_upgrade(url: str) -> None:
    await migrated_to(url, STOPPING)
    journal = PostgresJournal(PostgresAddress.parse(url))
    with pytest.raises(JournalError, match="install that version"):
        await journal.open()


async def test_a_server_is_refused_before_the_upgrade_to_its_version(url: str) -> None:
    with next_release(ADDITIVE):
        journal = PostgresJournal(PostgresAddress.parse(url))
        with pytest.raises(JournalError, match="run `chorus migrate`"):
            await journal.open()


async def test_an_upgrade_that_servers_must_stop_for_names_them(
    journal: PostgresJournal, url: str
) -> None:
    with pytest.raises(JournalError, match="stop them first") as told:
        await migrated_to(url, STOPPING)
    assert engines.process_name() in told.value.message
    assert "\n" not in told.value.message
    await journal.commit(opening(thread("unharmed")))
    await journal.close()
    assert await migrated_to(url, STOPPING) is Migrated.OLDER


async def test_who_was_away_while_all_servers_had_to_stop_writes_nothing_and_hears_of_it(
    journal: PostgresJournal, postgres: Cluster, url: str
) -> None:
    """Its machine slept, its connections were cut, and it wakes before other tables."""
    begun, go_on = threading.Event(), threading.Event()

    def sleep(_connection: object) -> None:
        begun.set()
        go_on.wait()

    asleep = asyncio.ensure_future(journal._writer.submit(sleep))
    await eventually(begun.is_set, "it sleeps")
    await asyncio.to_thread(postgres.terminate_connections, url)
    await migrated_to(url, STOPPING)
    go_on.set()
    await asyncio.gather(asleep, return_exceptions=True)
    async with asyncio.timeout(60):
        assert "newer version" in await journal.taken()
    with pytest.raises(JournalError, match="newer version"):
        await journal.commit(opening(thread("late")))

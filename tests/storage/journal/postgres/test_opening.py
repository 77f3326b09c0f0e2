"""What a database must be to be opened, and what `migrate` makes of one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from machines.models.errors import JournalError
from storage.journal.migrations import Migrated
from storage.journal.postgres import engines
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal, migrate
from tests.support.eventually import eventually
from tests.support.journal_values import opening, thread
from tests.support.postgres import PASSWORD, Cluster


def new_epoch() -> str:
    return "first"


async def refusal(url: str) -> JournalError:
    """Why a journal is not opened."""
    with pytest.raises(JournalError) as refused:
        await PostgresJournal(PostgresAddress.parse(url)).open()
    message = refused.value.message
    assert "\n" not in message
    assert PASSWORD not in f"{message} {refused.value.detail}"
    assert "wrong" not in f"{message} {refused.value.detail}"
    return refused.value


async def test_a_wrong_password_is_told(postgres: Cluster) -> None:
    told = await refusal(postgres.url("postgres", password="wrong"))
    assert told.message.startswith("The database refuses this user or password")


async def test_an_unknown_user_is_told(postgres: Cluster) -> None:
    told = await refusal(postgres.url("postgres", user="stranger"))
    assert told.message.startswith("The database refuses this user or password")


async def test_a_database_that_is_not_there_is_told(postgres: Cluster) -> None:
    told = await refusal(postgres.url("nowhere"))
    assert told.message.startswith("There is no such database")


@pytest.mark.parametrize(
    "url", ["postgresql://a:wrong@127.0.0.1:1/b", "postgresql://a@nowhere.invalid/b"]
)
async def test_a_server_that_is_not_reached_is_told(url: str) -> None:
    told = await refusal(url)
    assert told.message.startswith("The database cannot be reached")
    assert told.retryable


async def test_an_option_that_there_is_not_is_told(postgres: Cluster) -> None:
    told = await refusal(postgres.url("postgres") + "?sslmod=require")
    assert "has an option" in told.message


async def test_an_old_server_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "OLDEST", 99)
    told = await refusal(url)
    assert told.message.endswith("is too old: Chorus needs 99 or later.")


async def test_another_encoding_is_told(postgres: Cluster) -> None:
    url = postgres.database(
        encoding="'SQL_ASCII'", template="template0", locale_provider="libc", locale="'C'"
    )
    told = await refusal(url)
    assert "SQL_ASCII" in told.message


async def test_an_empty_database_is_to_be_migrated_first(postgres: Cluster) -> None:
    told = await refusal(postgres.database())
    assert told.message == "The database holds no journal yet: run `chorus migrate`."


@pytest.mark.parametrize(
    ("revision", "words"), [("0001", "run `chorus migrate`"), ("9999", "newer version")]
)
async def test_a_database_of_another_version_is_told(url: str, revision: str, words: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
        connection.execute("DELETE FROM meta WHERE name = 'oldest_revision'")
    assert words in (await refusal(url)).message


async def test_a_database_that_is_migrated_is_opened_with_its_epoch(postgres: Cluster) -> None:
    address = PostgresAddress.parse(postgres.database())
    assert await asyncio.to_thread(migrate, address, new_epoch) is Migrated.EMPTY
    assert await asyncio.to_thread(migrate, address, lambda: "second") is Migrated.CURRENT
    journal = PostgresJournal(address)
    await journal.open()
    assert await journal.epoch() == "first"
    await journal.close()


def test_of_several_that_migrate_at_once_one_does(postgres: Cluster) -> None:
    address = PostgresAddress.parse(postgres.database())
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: migrate(address, new_epoch), range(3)))
    assert sorted(done) == [Migrated.CURRENT, Migrated.CURRENT, Migrated.EMPTY]


async def test_a_database_that_a_server_holds_is_not_migrated(
    journal: PostgresJournal, url: str
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(JournalError, match="hold this database"):
        await asyncio.to_thread(migrate, PostgresAddress.parse(url), new_epoch)


def test_a_newer_database_is_not_migrated(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("DELETE FROM meta WHERE name = 'oldest_revision'")
    with pytest.raises(JournalError, match="newer version"):
        migrate(PostgresAddress.parse(url), new_epoch)


@pytest.mark.parametrize(
    "url", ["", "nothing", "mysql://a/b", "postgresql://a", "postgres://a:b:c/d"]
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address") as refused:
        PostgresAddress.parse(url)
    assert refused.value.__cause__ is None


def test_an_address_shows_neither_user_nor_password() -> None:
    address = PostgresAddress.parse("postgres://ann:secret@db.example:5433/chorus?password=secret")
    assert str(address) == "postgresql://db.example:5433/chorus"
    assert "secret" not in repr(address)


async def test_a_journal_is_closed_and_opened_again(journal: PostgresJournal) -> None:
    await journal.commit(opening(thread()))
    await journal.close()
    with pytest.raises(JournalError):
        await journal.epoch()
    await journal.open()
    assert await journal.thread(thread().id) == thread()


async def test_a_database_that_is_given_back_a_moment_later_is_held(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1128812370, 1)")
        # Its end is seen by PostgreSQL while it is asked for.
        monkeypatch.setattr(
            "storage.journal.postgres.locks.sleep",
            lambda _: other.execute("SELECT pg_advisory_unlock_all()"),
        )
        journal = PostgresJournal(PostgresAddress.parse(url), alone=True)
        await journal.open()
        await journal.close()


async def test_users_are_not_told_which_process_took_the_database(
    journal: PostgresJournal, url: str
) -> None:
    with psycopg.connect(url, autocommit=True, application_name="chorus 1 on there") as other:

        def is_taken() -> bool:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            found = other.execute("SELECT pg_try_advisory_lock(1128812370, 1)").fetchone()
            return found == (True,)

        await eventually(is_taken, "the database is held alone")
        with pytest.raises(JournalError, match="wait until it is done") as refused:
            await journal.commit(opening(thread()))
        assert "there" not in f"{refused.value.message} {refused.value.detail}"
        assert "chorus 1 on there" in await journal.taken(), "an operator is told"

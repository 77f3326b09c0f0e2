"""The PostgreSQL journal keeps the contract, has the declared tables, and is verified and repaired."""

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from machines.models.journal import Committed
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.schema import METADATA
from tests.storage.journal.furnished import SEEDED, contents, furnish
from tests.storage.journal.journal_contract import JournalContract
from tests.storage.journal.lineage_contract import LineageContract
from tests.support.journal_values import opening, thread


class TestPostgresJournalKeepsTheContract(JournalContract):
    """Every promise of the Protocol, on PostgreSQL."""


class TestPostgresJournalKeepsLineages(LineageContract):
    """What is promised of forks, on PostgreSQL."""


class TestSchema:
    """The tables of the database are the declared ones."""

    def test_migrations_make_the_declared_tables(self, url: str) -> None:
        engine = create_engine(PostgresAddress.parse(url).url)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, METADATA)
        engine.dispose()
        assert differences == [], "write a migration: storage/journal/schema.py has changed"

    def test_every_indexed_text_is_ordered_by_its_bytes(self, url: str) -> None:
        engine = create_engine(PostgresAddress.parse(url).url)
        with engine.connect() as connection:
            order = connection.scalars(
                text(
                    "SELECT id FROM (VALUES ('a'), ('B'), ('-a'), ('A')) AS listed(id) ORDER BY id"
                )
            ).all()
            assert order != sorted(order), "the database's own order is that of a language"
            connection.execute(
                text(
                    "INSERT INTO sessions SELECT id, 1, NULL, '' FROM unnest(CAST(:ids AS text[])) AS listed(id)"
                ),
                {"ids": order},
            )
            found = connection.scalars(text("SELECT id FROM sessions ORDER BY id")).all()
        engine.dispose()
        assert found == sorted(order)


class TestVerifyAndRepair:
    """Snapshots that were edited are found, and mended from the entries."""

    @pytest.mark.parametrize("statement", SEEDED)
    async def test_seeded_damage_is_found_and_mended_and_then_nothing_is_left_to_do(
        self, journal: PostgresJournal, url: str, statement: str
    ) -> None:
        await furnish(journal)
        before = await contents(journal)
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())
        problems = await journal.verify()
        assert problems
        assert all(problem.endswith(".") and "\n" not in problem for problem in problems)
        assert await journal.repair()
        assert await journal.verify() == ()
        assert await contents(journal) == before
        assert await journal.repair() == ()

    async def test_lost_entries_are_reported_and_no_snapshot_is_taken_back(
        self, journal: PostgresJournal, url: str
    ) -> None:
        await furnish(journal)
        with psycopg.connect(url) as connection:
            connection.execute("DELETE FROM entries WHERE seq = 2")
        problems = await journal.verify()
        assert problems
        assert await journal.repair() == ()
        assert await journal.verify() == problems


async def test_more_entries_than_one_read_takes_come_page_by_page(
    journal: PostgresJournal,
) -> None:
    for n in range(600):
        assert isinstance(await journal.commit(opening(thread(f"t{n}"))), Committed)
    assert await journal.verify() == ()

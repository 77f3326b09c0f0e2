"""The PostgreSQL journal keeps the contract, and what is its own: locks, failures, several processes."""

from collections.abc import AsyncIterator

import pytest

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from tests.storage.journal.journal_contract import JournalContract
from tests.support.postgres import Cluster


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def journal(url: str) -> AsyncIterator[PostgresJournal]:
    opened = PostgresJournal(PostgresAddress.parse(url))
    await opened.open()
    yield opened
    await opened.close()


class TestPostgresJournalKeepsTheContract(JournalContract):
    """Every promise of the Protocol, on PostgreSQL."""

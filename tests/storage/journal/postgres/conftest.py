"""A database, and the journal in it, for each test that asks."""

from collections.abc import AsyncIterator, Iterator

import pytest

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from tests.support.postgres import Cluster


@pytest.fixture
def url(postgres: Cluster) -> Iterator[str]:
    """Of a migrated, empty database."""
    made = postgres.database(migrated=True)
    yield made
    postgres.drop(made)


@pytest.fixture
async def journal(url: str) -> AsyncIterator[PostgresJournal]:
    """Open on `url`."""
    opened = PostgresJournal(PostgresAddress.parse(url))
    await opened.open()
    yield opened
    await opened.close()

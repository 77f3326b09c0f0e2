"""A pooler that gives each transaction another connection is refused; one of sessions does no harm."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from machines.models.errors import JournalError
from storage.copying.copier import copy
from storage.copying.database import DatabasePlace
from storage.copying.folder import FolderPlace
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal, migrate
from tests.storage.copying.filled import filled_folder
from tests.support.journal_values import opening, thread
from tests.support.pgbouncer import pooled
from tests.support.postgres import Cluster

SHARED = "A pooler before the database shares connections between transactions"

_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_mode": "transaction"},
        {"pool_mode": "transaction", "server_round_robin": "1"},
        {"pool_mode": "statement"},
    ],
    ids=str,
)
async def test_connections_that_are_shared_between_transactions_are_refused(
    postgres: Cluster, url: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    folder = await filled_folder(tmp_path / "source")

    def refuse_maintenance(address: PostgresAddress) -> None:
        with pytest.raises(JournalError, match=SHARED):
            migrate(address, lambda: "epoch")
        target = DatabasePlace(address, lambda: "made")
        with pytest.raises(JournalError, match=SHARED):
            copy(FolderPlace(folder), target, epoch="copy", notes={}, tell=lambda _: None)

    with pooled(url, **settings) as pooled_url:
        address = PostgresAddress.parse(pooled_url)
        with pytest.raises(JournalError, match=SHARED):
            await PostgresJournal(address).open()
        await asyncio.to_thread(refuse_maintenance, address)
        assert postgres.run(_LOCKS) == [(0,)], "a connection of the pooler keeps no lock"


async def test_a_pooler_of_sessions_does_no_harm(url: str) -> None:
    with pooled(url, pool_mode="session") as pooled_url:
        journal = PostgresJournal(PostgresAddress.parse(pooled_url), alone=True)
        await journal.open()
        try:
            await journal.commit(opening(thread()))
            assert await journal.thread(thread().id) == thread()
            with psycopg.connect(url) as connection:
                assert connection.execute(_LOCKS).fetchone() == (1,)
        finally:
            await journal.close()

"""What is asked of a database costs no more because much else is stored.

Counted, not timed: the pages that PostgreSQL reads by its own account (auto_explain). A table or an
index that is read from its beginning to its end has several times as many pages as `MOST_PAGES`.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import Engine, event

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from tests.storage.journal.test_cost_of_reads import FEW, LISTS, OPENING, STARTING, populate

READS: Final = {**OPENING, **STARTING, **LISTS}

OTHERS: Final = 20_000
"""Rows in each table that were not asked for."""
MOST_PAGES: Final = 60

_EXPLAINED: Final = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_timing = off",
    "SET auto_explain.log_format = json",
    "SET auto_explain.log_level = notice",
)

_ROWS: Final = {
    "threads (id, version, visibility, head_seq, last_position, body)": (
        "'other ' || n, 1, 'private', 1, n, '{}'"
    ),
    "co_authors (thread_id, public_key)": "'other ' || n, 'key ' || n",
    "messages (id, version, thread_id, idx, status, body)": (
        "'other ' || n, 1, 'other ' || n, 0, 'approved', '{}'"
    ),
    "runs (id, version, thread_id, live, created_seq, body)": (
        "'other ' || n, 1, 'other ' || n, false, 1, '{}'"
    ),
    "entries (stream, seq, type, kind, at, run_id, body, digest)": (
        "'thread:other ' || n, 1, 'type', 'kind', 0, 'other ' || n, '{}', ''"
    ),
    "users (id, version, public_key, body)": "'other ' || n, 1, 'key ' || n, '{}'",
    "user_threads (id, version, public_key, thread_id, read_seq, hidden, body)": (
        "'other ' || n, 1, 'key ' || n, 'other ' || n, 1, true, '{}'"
    ),
    "inbox (public_key, kind, subject, thread_id, waits, at, seq)": (
        "'key ' || n, 'mention', 'other ' || n, 'other ' || n, 0, n, 1"
    ),
    "invitations (id, version, thread_id, public_key, invited_by, status, at, body)": (
        "'other ' || n, 1, 'other ' || n, 'key ' || n, 'key', 'invited', n, '{}'"
    ),
    "memory_tasks (thread_id, seq, task, subject, waiting, body)": (
        "'other ' || n, 1, 'index', 'other ' || n, false, '{}'"
    ),
    "meta (name, value)": "'other ' || n, ''",
}


class Plans:
    """Hears how every statement was carried out."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []

    def listen_to(self, connection: psycopg.Connection[Any], _record: object) -> None:
        connection.add_notice_handler(self._hear)
        for each in _EXPLAINED:
            connection.execute(each.encode())
        connection.commit()

    def pages(self) -> int:
        """How many pages were read since the last call."""
        heard, self.heard = self.heard, []
        return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in heard)

    def _hear(self, told: psycopg.errors.Diagnostic) -> None:
        if plan := re.search(r"plan:\s*(\{.*\})", told.message_primary or "", re.DOTALL):
            self.heard.append(json.loads(plan[1])["Plan"])


@pytest.fixture
def plans() -> Iterator[Plans]:
    hearing = Plans()
    event.listen(Engine, "connect", hearing.listen_to)
    yield hearing
    event.remove(Engine, "connect", hearing.listen_to)


@pytest.fixture
def crowded(url: str) -> str:
    """A database in which every table has much that is not asked about."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table, values in _ROWS.items():
            connection.execute(
                f"INSERT INTO {table} SELECT {values} FROM generate_series(1, {OTHERS}) AS n".encode()  # noqa: S608 - ours
            )
        connection.execute("VACUUM ANALYZE")
    return url


@pytest.fixture
async def journal(crowded: str, plans: Plans) -> AsyncIterator[PostgresJournal]:
    """With the thread that is asked about."""
    opened = PostgresJournal(PostgresAddress.parse(crowded))
    await opened.open()
    await populate(opened, FEW)
    yield opened
    await opened.close()


async def test_what_is_asked_of_a_database_is_found_without_reading_what_is_not(
    journal: PostgresJournal, plans: Plans
) -> None:
    costs: dict[str, int] = {}
    for what, read in READS.items():
        plans.pages()
        await read(journal)
        costs[what] = plans.pages()
    assert all(costs.values()), f"{costs}: does PostgreSQL still tell its plans?"
    dear = {what: pages for what, pages in costs.items() if pages > MOST_PAGES}
    assert not dear, f"pages read: {dear}; let an index answer it (`storage.journal.schema`)"

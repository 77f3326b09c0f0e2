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
from tests.storage.journal.test_cost_of_reads import (
    ASKED,
    FEW,
    LISTS,
    OPENING,
    STARTING,
    Read,
    populate,
)
from tests.support.journal_values import NOW, at
from tests.support.postgres import Cluster

READS: Final[Mapping[str, Read]] = {
    **OPENING,
    **STARTING,
    **LISTS,
    "what machines did": lambda journal: journal.heat(ASKED.id, since=NOW, until=at(99_999)),
    "what machines did in all threads": lambda journal: journal.heat(None, since=NOW, until=None),
}

OTHERS: Final = 20_000
"""Rows in each table that were not asked for."""
MOST_PAGES: Final = 60
MOST_PAGES_OF_A_GAP: Final = 10

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
    "heat (thread_id, seconds, start, tally)": "'other ' || n, 3600, 0, '{}'",
    "standing (id, states)": "'other ' || n, '{}'",
    "heat_refusals (thread_id, start, machine, event, guard, count)": (
        "'other ' || n, 0, 'message', 'vote', 'is_elector', 1"
    ),
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
        return _pages(self.take())

    def take(self) -> list[Mapping[str, Any]]:
        """What was carried out since the last call."""
        heard, self.heard = self.heard, []
        return heard

    def _hear(self, told: psycopg.errors.Diagnostic) -> None:
        if plan := re.search(r"plan:\s*(\{.*\})", told.message_primary or "", re.DOTALL):
            self.heard.append(json.loads(plan[1])["Plan"])


def _pages(plans: list[Mapping[str, Any]]) -> int:
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _leave_gaps(connection: psycopg.Connection[Any], count: int) -> None:
    """Let the machines' entries be counted to the end of the others', but for so many gaps."""
    connection.execute(
        "INSERT INTO heat_mark SELECT 'entries', max(position), %s FROM entries"
        " WHERE run_id LIKE 'other %%' ON CONFLICT (name) DO UPDATE SET missing = excluded.missing",
        [json.dumps([(n * 100 + 1, n * 100 + 2, 0) for n in range(count)])],
    )


@pytest.fixture
def plans() -> Iterator[Plans]:
    hearing = Plans()
    event.listen(Engine, "connect", hearing.listen_to)
    yield hearing
    event.remove(Engine, "connect", hearing.listen_to)


@pytest.fixture(scope="module")
def crowd(postgres: Cluster) -> Iterator[str]:
    """A database in which every table has much that is not asked about."""
    made = postgres.database(migrated=True)
    with psycopg.connect(made, autocommit=True) as connection:
        for table, values in _ROWS.items():
            connection.execute(
                f"INSERT INTO {table} SELECT {values} FROM generate_series(1, {OTHERS}) AS n".encode()  # noqa: S608 - ours
            )
        _leave_gaps(connection, 0)
        connection.execute("VACUUM ANALYZE")
    yield made
    postgres.drop(made)


@pytest.fixture
async def journal(crowd: str, plans: Plans) -> AsyncIterator[PostgresJournal]:
    opened = PostgresJournal(PostgresAddress.parse(crowd))
    await opened.open()
    yield opened
    await opened.close()


async def test_what_is_asked_of_a_database_is_found_without_reading_what_is_not(
    journal: PostgresJournal, plans: Plans
) -> None:
    await populate(journal, FEW)
    costs: dict[str, int] = {}
    for what, read in READS.items():
        plans.pages()
        await read(journal)
        costs[what] = plans.pages()
    assert all(costs.values()), f"{costs}: does PostgreSQL still tell its plans?"
    dear = {what: pages for what, pages in costs.items() if pages > MOST_PAGES}
    assert not dear, f"pages read: {dear}; let an index answer it (`storage.journal.schema`)"


async def test_heat_is_told_by_as_many_statements_however_many_gaps_the_entries_have(
    journal: PostgresJournal, plans: Plans, crowd: str
) -> None:
    asked: dict[int, list[Mapping[str, Any]]] = {}
    with psycopg.connect(crowd, autocommit=True) as connection:
        for gaps in (0, 1, 100, 0):  # the first opens a connection too
            _leave_gaps(connection, gaps)
            plans.take()
            await journal.heat(None, since=NOW, until=at(99_999))
            asked[gaps] = plans.take()
    few, many = asked[1], asked[100]
    assert len(few) == len(many) > 0
    scanned = {
        node["Relation Name"]
        for plan in many
        for node in _nodes(plan)
        if node["Node Type"] == "Seq Scan"
    }
    assert scanned <= {"heat_mark"}, "but for the mark, which is a row, an index answers all"
    assert _pages(many) - _pages(few) <= 99 * MOST_PAGES_OF_A_GAP

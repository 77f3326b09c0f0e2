"""A read of one statement takes one way to the database and back.

Counted, not timed: the answers in PostgreSQL's own protocol after which it waits for what comes next, as
libpq writes them down.
"""

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import psycopg
import pytest
from psycopg.pq import Trace
from sqlalchemy import Engine, event

from machines.models.ids import (
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    ServerId,
    ThreadId,
    thread_stream,
)
from storage.journal.port import Journal
from storage.journal.postgres import engines
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.sql import SqlJournal
from tests.storage.journal.furnished import furnish
from tests.support.journal_values import ANN, BEN, message, session, thread

ONE: Final = thread("one", ANN, BEN)
WAITS: Final = "ReadyForQuery"

LOOK_UPS: Final[Mapping[str, tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "_approved_page": (((ThreadId(""), -1),), {}),
    "_claimable": ((), {"limit": 9}),
    "_epoch": ((), {}),
    "_links_page": ((0,), {}),
    "approved_among": (([message(ONE, 0).id, MessageId("none")],), {}),
    "branch_of_run": ((RunId("none"),), {}),
    "carried_runs": ((ServerId("none"),), {}),
    "first_queued": ((None,), {}),
    "head": ((thread_stream(ONE.id),), {}),
    "heads": (([ONE.id, ThreadId("none")],), {}),
    "invitations_of": ((BEN,), {"after": None, "limit": 9}),
    "is_invited": ((ONE.id, BEN), {}),
    "link_of_secret": (("none",), {}),
    "live_runs": ((), {}),
    "message": ((message(ONE, 0).id,), {}),
    "names": (([ANN, BEN],), {}),
    "newest_message_of": ((ONE.id, ANN), {}),
    "noted": (("none",), {}),
    "open_branches": ((), {}),
    "open_invitations": ((), {}),
    "open_links": ((), {}),
    "open_removals": ((), {}),
    "pending_messages": ((), {}),
    "public_threads": ((), {"after": None, "limit": 9}),
    "queued_tasks": ((), {}),
    "recent_messages": ((ONE.id,), {"before_index": 9, "limit": 9}),
    "reply": ((ANN, RequestId("none")), {}),
    "session": ((session().id,), {}),
    "session_holders": (([session().id],), {}),
    "sessions": ((), {}),
    "thread": ((ONE.id,), {}),
    "thread_at_head": ((ONE.id,), {}),
    "threads_of": ((PublicKey(ANN),), {"after": None, "limit": 9}),
    "timers": ((), {}),
    "user": ((ANN,), {}),
    "user_thread": ((BEN, ONE.id), {}),
    "vectors": (([message(ONE, 0).id],), {"fingerprint": "none"}),
}


class Trips:
    """What the connections of an engine say and hear, as libpq writes it down."""

    def __init__(self) -> None:
        self._files: list[Any] = []

    def listen_to(self, connection: psycopg.Connection[Any], _record: object) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the connection
        self._files.append(file)
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

    async def of(self, read: Callable[[], Awaitable[object]]) -> int:
        """How many ways there and back a read takes."""
        before = self._count()
        await read()
        return self._count() - before

    def _count(self) -> int:
        return sum(self._said(file).count(WAITS) for file in self._files)

    @staticmethod
    def _said(file: Any) -> str:
        file.seek(0)
        return bytes(file.read()).decode()

    def close(self) -> None:
        for file in self._files:
            file.close()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trips]:
    """Of the connections that read, of a journal that is opened later."""
    counting = Trips()
    make = engines.reading_engine

    def heard(address: PostgresAddress) -> Engine:
        engine = make(address)
        event.listen(engine, "connect", counting.listen_to)
        return engine

    monkeypatch.setattr(engines, "reading_engine", heard)
    yield counting
    counting.close()


async def used_before(journal: Journal) -> None:
    """Let a connection be there, since reads come to it one after the other."""
    for _ in range(2):
        await journal.thread(ONE.id)
        await journal.decision_view(ONE.id)


async def test_each_look_up_takes_one_way_there_and_back(
    trips: Trips, journal: PostgresJournal
) -> None:
    declared = {
        name
        for name, method in vars(SqlJournal).items()
        if getattr(getattr(method, "__code__", None), "co_qualname", "").startswith("_looking_up")
    }
    assert declared == LOOK_UPS.keys(), "name a new one in LOOK_UPS"
    await furnish(journal)
    await used_before(journal)
    took = {
        name: await trips.of(lambda: getattr(journal, name)(*positional, **named))  # noqa: B023
        for name, (positional, named) in LOOK_UPS.items()
    }
    assert took == dict.fromkeys(LOOK_UPS, 1)


async def test_a_read_of_several_statements_has_a_transaction_which_sees_one_moment(
    trips: Trips, journal: PostgresJournal
) -> None:
    await furnish(journal)
    await used_before(journal)
    took = await trips.of(lambda: journal.invitation_counts(BEN, inviter=ANN))
    assert took == 4, "BEGIN, two statements, ROLLBACK"
    assert await trips.of(lambda: journal.thread(ONE.id)) == 1, "and the next one has none"

"""What the journal is asked about many threads at once. Reads only.

A server asks it about the threads that its clients follow, whose entries other servers wrote.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from machines.models.ids import PublicKey, ThreadId, thread_stream
from machines.models.limits import MAX_CATCH_UP
from machines.models.thread import Thread
from storage.journal.answers import Tail
from storage.journal.dialect import chunks
from storage.journal.queries import entry_page
from storage.journal.schema import co_authors, invitations, threads

_ASKED: Final[Any] = bindparam("asked", expanding=True)
_HEADS = select(threads.c.id, threads.c.head_seq).where(threads.c.id.in_(_ASKED))
_THREADS = select(threads.c.id, threads.c.head_seq, threads.c.body).where(threads.c.id.in_(_ASKED))
_CO_AUTHORS = select(co_authors.c.thread_id, co_authors.c.public_key).where(
    co_authors.c.thread_id.in_(_ASKED)
)
_INVITED = select(invitations.c.thread_id, invitations.c.public_key).where(
    invitations.c.thread_id.in_(_ASKED)
)


def heads(connection: Connection, thread_ids: Collection[ThreadId]) -> dict[ThreadId, int]:
    """The number of the last entry of each."""
    return {
        ThreadId(row.id): row.head_seq
        for some in chunks(thread_ids)
        for row in connection.execute(_HEADS, {"asked": some})
    }


def entries_of_many(
    connection: Connection, after: Mapping[ThreadId, int], *, max_bytes: int
) -> dict[ThreadId, Tail]:
    """What stands behind an entry of each; `max_bytes` bounds each of them."""
    tails: dict[ThreadId, Tail] = {}
    for some in chunks(after):
        for row in connection.execute(_THREADS, {"asked": some}).all():
            thread_id = ThreadId(row.id)
            page = entry_page(
                connection,
                thread_stream(thread_id),
                after_seq=after[thread_id],
                limit=MAX_CATCH_UP,
                max_bytes=max_bytes,
            )
            tails[thread_id] = Tail(
                thread=Thread.model_validate_json(row.body),
                entries=page.entries,
                head_seq=row.head_seq,
            )
    return tails


def audiences(
    connection: Connection, thread_ids: Collection[ThreadId]
) -> dict[ThreadId, frozenset[PublicKey]]:
    """Co-authors, and who is or was invited."""
    found: dict[ThreadId, set[PublicKey]] = {}
    for some in chunks(thread_ids):
        for statement in (_CO_AUTHORS, _INVITED):
            for row in connection.execute(statement, {"asked": some}):
                found.setdefault(ThreadId(row.thread_id), set()).add(PublicKey(row.public_key))
    return {thread_id: frozenset(keys) for thread_id, keys in found.items()}

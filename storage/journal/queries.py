"""What the journal is asked: one function for each question, on a connection that sees one moment.

Reads only. No query's cost grows with the length of a thread: each is answered by an index and ends at
its limit, or with the entries of the thread's live runs, which are bounded. Statements are built once;
SQLAlchemy caches their compiled form.
"""

from collections.abc import Collection
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import Connection, Select, bindparam, exists, func, select

from machines.models.domain import SessionRecord, User
from machines.models.errors import JournalError
from machines.models.ids import (
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    StreamId,
    ThreadId,
)
from machines.models.journal import (
    DecisionView,
    JournalEntry,
    RememberedReply,
    TimerRow,
)
from machines.models.limits import MAX_SEQ
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread, Visibility
from storage.journal import migrations
from storage.journal.answers import EntryPage, MessagePage, ThreadPage, ThreadRow
from storage.journal.branches import branches_in
from storage.journal.damage import all_rows, every_text, values_of, whole_of
from storage.journal.dialect import CHUNK, chunks
from storage.journal.entries import entries_of
from storage.journal.invitations import open_invitations
from storage.journal.invite_links import links_in
from storage.journal.migrations import Migrated
from storage.journal.removals import removals_in
from storage.journal.rows import cursor, cursor_position, session_of_row
from storage.journal.runs import live_runs_of
from storage.journal.schema import (
    co_authors,
    entries,
    messages,
    meta,
    replies,
    sessions,
    threads,
    timers,
    user_threads,
    users,
)

_NOTED = select(meta.c.value).where(meta.c.name == bindparam("of_name"))


def noted(connection: Connection, name: str) -> str | None:
    """What was kept under a name."""
    with every_text(connection):
        return connection.scalar(_NOTED, {"of_name": name})


# --- Threads ------------------------------------------------------------------------------------

_THREAD = select(threads.c.head_seq, threads.c.body).where(threads.c.id == bindparam("of_thread"))
_PENDING = (
    select(messages.c.id, messages.c.body)
    .where(messages.c.thread_id == bindparam("of_thread"))
    .where(messages.c.status == MessageStatus.PENDING.value)
    .order_by(messages.c.idx)
)


def thread(connection: Connection, thread_id: ThreadId) -> Thread | None:
    found = thread_at_head(connection, thread_id)
    return None if found is None else found[0]


def thread_at_head(connection: Connection, thread_id: ThreadId) -> tuple[Thread, int] | None:
    """A thread, and the number of its last entry."""
    row = connection.execute(_THREAD, {"of_thread": thread_id}).one_or_none()
    return None if row is None else (Thread.model_validate_json(row.body), row.head_seq)


def decision_view(connection: Connection, thread_id: ThreadId) -> DecisionView | None:
    return _view(connection, thread_id, strict=True)


def _view(connection: Connection, thread_id: ThreadId, *, strict: bool) -> DecisionView | None:
    """A thread with what is open in it.

    Args:
        strict: Whether a damaged value raises ValueError, instead of being left out.
    """
    key = {"of_thread": thread_id}
    row = connection.execute(_THREAD, key).one_or_none()
    if row is None:
        return None
    return DecisionView(
        head_seq=row.head_seq,
        thread=Thread.model_validate_json(row.body),
        pending=values_of(connection, messages, Message, _PENDING, key, strict=strict),
        runs=live_runs_of(connection, thread_id, strict=strict),
        invitations=open_invitations(connection, thread_id, strict=strict),
        links=links_in(connection, thread_id, strict=strict),
        removals=removals_in(connection, thread_id, strict=strict),
        branches=branches_in(connection, thread_id, strict=strict),
    )


_THREAD_LIST = (
    select(threads.c.id, threads.c.head_seq, threads.c.last_position, threads.c.body)
    .where(threads.c.last_position < bindparam("before_position"))
    .order_by(threads.c.last_position.desc())
    .limit(bindparam("at_most"))
)
_THREADS_OF = _THREAD_LIST.join(co_authors, co_authors.c.thread_id == threads.c.id).where(
    co_authors.c.public_key == bindparam("of_key")
)
_IS_HIDDEN = (
    exists()
    .where(user_threads.c.public_key == co_authors.c.public_key)
    .where(user_threads.c.thread_id == co_authors.c.thread_id)
    .where(user_threads.c.hidden)
)
_OWN_THREADS: Final = {
    None: _THREADS_OF,
    True: _THREADS_OF.where(_IS_HIDDEN),
    False: _THREADS_OF.where(~_IS_HIDDEN),
}
"""By whether the user hid them; None is all."""
_PUBLIC_THREADS = _THREAD_LIST.where(threads.c.visibility == Visibility.PUBLIC.value)


def threads_of(
    connection: Connection,
    public_key: PublicKey,
    *,
    after: str | None,
    limit: int,
    hidden: bool | None = None,
) -> ThreadPage:
    return _thread_page(connection, _OWN_THREADS[hidden], {"of_key": public_key}, after, limit)


def public_threads(connection: Connection, *, after: str | None, limit: int) -> ThreadPage:
    return _thread_page(connection, _PUBLIC_THREADS, {}, after, limit)


def _thread_page(
    connection: Connection,
    statement: Select[Any],
    parameters: dict[str, object],
    after: str | None,
    limit: int,
) -> ThreadPage:
    before = MAX_SEQ if after is None else cursor_position(after)
    place = {"before_position": before, "at_most": limit + 1}
    found = all_rows(connection, statement, {**parameters, **place})
    rows = found[:limit]
    return ThreadPage(
        rows=whole_of(
            connection,
            threads,
            rows,
            lambda row: ThreadRow(
                thread=Thread.model_validate_json(row.body),
                head_seq=row.head_seq,
                cursor=cursor(row.last_position),
            ),
        ),
        next=cursor(rows[-1].last_position) if len(found) > limit else None,
    )


_SOME_OF = (
    select(co_authors.c.thread_id)
    .where(co_authors.c.public_key == bindparam("key"))
    .limit(bindparam("at_most"))
)
_others = co_authors.alias("others")
# EXISTS instead of a join: a planner that knows too little would begin with all private threads.
_SHARED = (
    select(co_authors.c.thread_id)
    .where(co_authors.c.public_key == bindparam("first"))
    .where(
        exists()
        .where(threads.c.id == co_authors.c.thread_id)
        .where(threads.c.visibility == Visibility.PRIVATE.value)
    )
    .where(
        select(func.count())
        .select_from(_others)
        .where(_others.c.thread_id == co_authors.c.thread_id)
        .where(_others.c.public_key.in_(bindparam("rest", expanding=True)))
        .scalar_subquery()
        == bindparam("how_many")
    )
)


def private_threads_shared_by(
    connection: Connection, public_keys: Collection[PublicKey]
) -> frozenset[ThreadId]:
    first = _with_fewest_threads(connection, public_keys)
    shared: set[str] | None = None
    for rest in chunks(frozenset(public_keys) - {first} or {first}):
        found = set(
            connection.scalars(_SHARED, {"first": first, "rest": rest, "how_many": len(rest)})
        )
        shared = found if shared is None else shared & found
    return frozenset(map(ThreadId, shared or ()))


def _with_fewest_threads(connection: Connection, public_keys: Collection[PublicKey]) -> PublicKey:
    """Whose threads are looked through: one may have a hundred where another has ten thousands."""
    chosen = next(iter(public_keys))
    if len(public_keys) == 1:
        return chosen
    fewest = CHUNK  # Any key with more serves as well.
    for key in public_keys:
        count = len(connection.scalars(_SOME_OF, {"key": key, "at_most": fewest}).all())
        if count < fewest:
            fewest, chosen = count, key
    return chosen


_PAGE = (
    select(messages.c.id, messages.c.body)
    .where(messages.c.thread_id == bindparam("of_thread"))
    .where(messages.c.idx < bindparam("before_index"))
    .order_by(messages.c.idx.desc())
    .limit(bindparam("at_most"))
)
_RECENT = _PAGE.where(messages.c.status == MessageStatus.APPROVED.value)


def snapshot(
    connection: Connection, thread_id: ThreadId, *, limit: int, before_index: int | None
) -> tuple[DecisionView, MessagePage] | None:
    """As far as the thread is whole: it is read, and nothing is decided on it."""
    view = _view(connection, thread_id, strict=False)
    if view is None:
        return None
    before = MAX_SEQ if before_index is None else before_index
    key = {"of_thread": thread_id, "before_index": before, "at_most": limit + 1}
    found = all_rows(connection, _PAGE, key)
    shown = whole_of(
        connection,
        messages,
        found[:limit][::-1],
        lambda row: Message.model_validate_json(row.body),
    )
    return view, MessagePage(messages=shown, has_more=len(found) > limit)


# --- Messages and users ----------------------------------------------------------------------

_MESSAGE = select(messages.c.body).where(messages.c.id == bindparam("of_message"))
_NEWEST_OF = (
    select(messages.c.id)
    .where(messages.c.thread_id == bindparam("of_thread"))
    .where(messages.c.author == bindparam("of_author"))
    .where(messages.c.status.in_([MessageStatus.APPROVED.value, MessageStatus.PENDING.value]))
    .order_by(messages.c.idx.desc())
    .limit(1)
)
_APPROVED_AMONG = (
    select(messages.c.id)
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
    .where(messages.c.status == MessageStatus.APPROVED.value)
)
_USER = select(users.c.body).where(users.c.public_key == bindparam("key"))
_NAMES = (
    select(users.c.public_key, users.c.name)
    .where(users.c.public_key.in_(bindparam("keys", expanding=True)))
    .where(users.c.name.is_not(None))
)
_SESSION = select(sessions.c.body, sessions.c.followed).where(sessions.c.id == bindparam("token"))


def message(connection: Connection, message_id: MessageId) -> Message | None:
    body = connection.scalar(_MESSAGE, {"of_message": message_id})
    return None if body is None else Message.model_validate_json(body)


def newest_message_of(
    connection: Connection, thread_id: ThreadId, author: PublicKey
) -> MessageId | None:
    found = connection.scalar(_NEWEST_OF, {"of_thread": thread_id, "of_author": author})
    return None if found is None else MessageId(found)


def approved_among(
    connection: Connection, message_ids: Collection[MessageId]
) -> frozenset[MessageId]:
    return frozenset(
        MessageId(found)
        for ids in chunks(frozenset(message_ids))
        for found in connection.scalars(_APPROVED_AMONG, {"ids": ids})
    )


def recent_messages(
    connection: Connection, thread_id: ThreadId, *, before_index: int, limit: int
) -> tuple[Message, ...]:
    key = {"of_thread": thread_id, "before_index": before_index, "at_most": limit}
    found = values_of(connection, messages, Message, _RECENT, key, strict=True)
    return found[::-1]


def user(connection: Connection, public_key: PublicKey) -> User | None:
    body = connection.scalar(_USER, {"key": public_key})
    return None if body is None else User.model_validate_json(body)


def names(connection: Connection, public_keys: Collection[PublicKey]) -> dict[PublicKey, str]:
    return {
        PublicKey(row.public_key): row.name
        for keys in chunks(frozenset(public_keys))
        for row in connection.execute(_NAMES, {"keys": keys})
    }


def session(connection: Connection, token_hash: str) -> SessionRecord | None:
    row = connection.execute(_SESSION, {"token": token_hash}).one_or_none()
    return None if row is None else session_of_row(row.body, row.followed)


# Of the whole store; only `chorus verify` waits for these two.


def all_sessions(connection: Connection) -> tuple[SessionRecord, ...]:
    found = connection.execute(select(sessions.c.body, sessions.c.followed))
    return tuple(session_of_row(row.body, row.followed) for row in found)


def pending_messages(connection: Connection) -> tuple[Message, ...]:
    pending = messages.c.status == MessageStatus.PENDING.value
    statement = select(messages.c.id, messages.c.body).where(pending)
    return values_of(connection, messages, Message, statement, {}, strict=True)


# --- The journal itself -------------------------------------------------------------------------

_HEAD = select(func.max(entries.c.seq)).where(entries.c.stream == bindparam("of_stream"))
_ENTRY = select(entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
_ENTRIES = (
    _ENTRY.where(entries.c.stream == bindparam("of_stream"), entries.c.seq > bindparam("after_seq"))
    .order_by(entries.c.seq)
    .limit(bindparam("at_most"))
)
_RUN_ENTRIES = _ENTRY.where(entries.c.run_id == bindparam("of_run")).order_by(entries.c.position)
_REPLY = select(replies.c.body).where(
    replies.c.public_key == bindparam("key"), replies.c.request_id == bindparam("request")
)
_TIMERS = select(timers.c.id, timers.c.body).order_by(timers.c.due_at, timers.c.id)


_AT_ONCE: Final = 50
"""Entries of a page that are read together."""

MOST_READ: Final = 8 * 1024 * 1024
"""Characters of bodies after which a page ends that is to hold so many bytes: they may hold much more than
they tell, as where a run begins with the steps of another."""


def head(connection: Connection, stream: StreamId) -> int:
    return connection.scalar(_HEAD, {"of_stream": stream}) or 0


def entry_page(
    connection: Connection,
    stream: StreamId,
    *,
    after_seq: int,
    limit: int,
    max_bytes: int | None = None,
) -> EntryPage:
    found: list[JournalEntry] = []
    room = MAX_SEQ if max_bytes is None else max_bytes
    to_read = MAX_SEQ if max_bytes is None else MOST_READ
    # A few rows at a time: those far beyond `max_bytes` are never read.
    while room >= 0 and to_read >= 0 and len(found) < limit:
        at_most = min(_AT_ONCE, limit - len(found))
        last = found[-1].seq if found else after_seq
        key = {"of_stream": stream, "after_seq": last, "at_most": at_most}
        some = connection.execute(_ENTRIES, key).mappings().all()
        to_read -= sum(len(row["body"]) for row in some)
        for entry in entries_of(connection, some):
            found.append(entry)
            room -= len(to_json(entry.data))
            if room < 0:
                break
        if len(some) < at_most:
            break
    head_seq = head(connection, stream)
    last = found[-1].seq if found else after_seq
    return EntryPage(entries=tuple(found), head_seq=head_seq, has_more=last < head_seq)


def run_entries(connection: Connection, run_id: RunId) -> tuple[JournalEntry, ...]:
    rows = connection.execute(_RUN_ENTRIES, {"of_run": run_id}).mappings()
    return tuple(entries_of(connection, rows.all()))


def require_migrated(connection: Connection) -> None:
    """Of a journal that is only read: nothing has migrated it.

    Raises:
        JournalError: it was written by another version.
    """
    found = migrations.state(connection)
    if found in migrations.SERVABLE:
        return
    raise JournalError(
        "The journal was written by a newer version of chorus: install that version."
        if found is Migrated.NEWER
        else "The journal was written by an earlier version: start the server once.",
        retryable=False,
    )


def unopened_run_entries(connection: Connection, run_id: RunId) -> tuple[JournalEntry, ...]:
    """As `run_entries`, of a journal that is only read.

    Raises:
        JournalError: it was written by another version.
    """
    require_migrated(connection)
    return run_entries(connection, run_id)


def reply(
    connection: Connection, public_key: PublicKey, request_id: RequestId
) -> RememberedReply | None:
    body = connection.scalar(_REPLY, {"key": public_key, "request": request_id})
    return None if body is None else RememberedReply.model_validate_json(body)


def timer_rows(connection: Connection) -> tuple[TimerRow, ...]:
    return values_of(connection, timers, TimerRow, _TIMERS, {})

"""What the journal is asked about the past of a thread: how it was after an earlier entry, and which entry was
the last at a time.

Reads only. What was open then is gathered from the moment that was kept before it
(`storage.journal.moments`) and the entries behind that. Of the messages that are shown, those that changed
since they were approved are taken from the entries that changed them, all in one pass over the entries from
the approval on. So the cost does not grow with the length of the thread where moments are kept and nothing
changed since; where moments are missing, as in a journal of an earlier version, they are gathered from
`MOST_GATHERED` entries at a time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, TypeVar

from pydantic_core import from_json
from sqlalchemy import Connection, RowMapping, bindparam, select

from machines.models.branch import Branch
from machines.models.domain import BaseState
from machines.models.ids import StreamId, ThreadId, thread_stream
from machines.models.invitation import Invitation
from machines.models.invite_link import InviteLink
from machines.models.journal import DecisionView
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.thread import Thread
from storage.journal.answers import MessagePage, PastPage, PastReached
from storage.journal.damage import all_rows
from storage.journal.dialect import chunks
from storage.journal.entries import messages_of
from storage.journal.moments import KEPT_EACH, OpenValues, moment_of, moment_of_row, moment_row
from storage.journal.queries import decision_view, head
from storage.journal.rows import RowValues, micros, stored_of_row, time_of, unreadable
from storage.journal.runs import runs_after
from storage.journal.schema import entries, messages, moments
from storage.journal.sources import Stored

MOST_GATHERED: Final = 4_000
"""Entries that are gone through for one answer: some tenths of a second, for which other reads wait."""

_AT_ONCE: Final = 500
"""Entries in memory."""

_ADMITTED_WITHIN: Final = 4
"""Entries of a message's approval: with the last of them it names its run."""

V = TypeVar("V", bound=BaseState)

_KEPT = (
    select(moments, entries.c.digest.label("of_entry"))
    .join(entries, (entries.c.stream == bindparam("of_stream")) & (entries.c.seq == moments.c.seq))
    .where(moments.c.thread_id == bindparam("of_thread"), moments.c.seq <= bindparam("up_to"))
    .order_by(moments.c.seq.desc())
    .limit(1)
)
_ENTRY = select(entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest).where(
    entries.c.stream == bindparam("of_stream")
)
_BEHIND = (
    _ENTRY.where(entries.c.seq > bindparam("after"), entries.c.seq <= bindparam("up_to"))
    .order_by(entries.c.seq)
    .execution_options(yield_per=_AT_ONCE)
)
_SOME = _ENTRY.where(entries.c.seq.in_(bindparam("seqs", expanding=True))).order_by(entries.c.seq)
_NEWEST_CHANGES = (
    _ENTRY.where(entries.c.seq > bindparam("after"), entries.c.seq <= bindparam("up_to"))
    .where(entries.c.body.contains('"kind":"message"'))
    .order_by(entries.c.seq.desc())
    .execution_options(yield_per=_AT_ONCE)
)
_IDS: Final = re.compile('"id":"([^"]+)"')
"""Ids of values in a body."""
_AT = select(entries.c.at).where(
    entries.c.stream == bindparam("of_stream"), entries.c.seq == bindparam("seq")
)
_DIGEST = select(entries.c.digest).where(
    entries.c.stream == bindparam("of_stream"), entries.c.seq == bindparam("seq")
)
_PAGE = (
    select(messages.c.id, messages.c.approved_seq, messages.c.body)
    .where(messages.c.thread_id == bindparam("of_thread"))
    .where(messages.c.idx < bindparam("before_index"))
    .order_by(messages.c.idx.desc())
    .limit(bindparam("at_most"))
)


def seq_at(connection: Connection, thread_id: ThreadId, at: datetime) -> int:
    """The number of an entry that was not made later than a time, while the next one was, or there is none;
    0 where the first was made later. Found by bisection over the index of the thread's entries."""
    stream, until = thread_stream(thread_id), micros(at)
    low, high = 0, head(connection, stream) + 1
    while high - low > 1:
        middle = (low + high) // 2
        made = connection.scalar(_AT, {"of_stream": stream, "seq": middle})
        low, high = (middle, high) if made is not None and made <= until else (low, middle)
    return low


def past(
    connection: Connection,
    thread_id: ThreadId,
    *,
    seq: int,
    limit: int,
    before_index: int | None,
) -> tuple[PastPage | PastReached | None, list[RowValues]]:
    """A thread as it was after its entry `seq`, with a page of its messages (index below `before_index`).

    Returns:
        None where there is no such thread or entry, and `PastReached` where more entries must be gone
        through than one answer may; and moments that are worth to be kept, also then.

    Raises:
        ValueError: an entry is not what was written.
    """
    stream = thread_stream(thread_id)
    made = connection.scalar(_AT, {"of_stream": stream, "seq": seq})
    if made is None:
        return None, []
    found, new = _gathered(connection, thread_id, seq)
    if found.seq < seq or found.thread is None:
        return PastReached(found.seq), new
    view = _view(connection, stream, found, Thread.model_validate(found.thread))
    page = _page(connection, view, limit=limit, before_index=before_index)
    return PastPage(view, page, time_of(made)), new


def moment_now(connection: Connection, thread_id: ThreadId) -> RowValues | None:
    """The row of what is open in a thread as it is; None where there is no such thread."""
    view = decision_view(connection, thread_id)
    if view is None:
        return None
    key = {"of_stream": thread_stream(thread_id), "seq": view.head_seq}
    digest = connection.scalar(_DIGEST, key)
    return None if digest is None else moment_row(thread_id, moment_of(view), digest)


def _gathered(
    connection: Connection, thread_id: ThreadId, seq: int
) -> tuple[OpenValues, list[RowValues]]:
    """What was open after an entry, or after one before it; and moments on the way there."""
    found = _kept_before(connection, thread_id, seq)
    new = []
    until = min(seq, found.seq + MOST_GATHERED)
    where = {"of_stream": thread_stream(thread_id), "after": found.seq, "up_to": until}
    for row in connection.execute(_BEHIND, where).mappings():
        try:
            found.gather(row["seq"], stored_of_row(row))
        except (LookupError, TypeError, AttributeError) as error:
            raise unreadable(row["stream"], row["seq"]) from error
        if found.seq % KEPT_EACH == 0:
            new.append(moment_row(thread_id, found, row["digest"]))
    return found, new


def _kept_before(connection: Connection, thread_id: ThreadId, seq: int) -> OpenValues:
    """The last moment that is kept and not damaged, up to an entry; the beginning where there is none."""
    while seq > 0:
        key = {"of_stream": thread_stream(thread_id), "of_thread": thread_id, "up_to": seq}
        rows = all_rows(connection, _KEPT, key)
        if not rows:
            break
        if (found := moment_of_row(rows[0]._mapping)) is not None:
            return found
        seq = rows[0].seq - 1
    return OpenValues()


def _view(
    connection: Connection, stream: StreamId, found: OpenValues, thread: Thread
) -> DecisionView:
    pending = found.values["message"]
    contents = messages_of(connection, pending)
    whole = (_with_content(each, contents.get(id_)) for id_, each in pending.items())
    return DecisionView(
        head_seq=found.seq,
        thread=thread,
        pending=tuple(sorted(whole, key=lambda message: message.index)),
        runs=tuple(runs_after(connection, stream, found.seq, found.values["run"])),
        invitations=_oldest_first(Invitation, found.values["invitation"]),
        links=_oldest_first(InviteLink, found.values["invite_link"]),
        removals=_oldest_first(Removal, found.values["removal"]),
        branches=_oldest_first(Branch, found.values["branch"]),
    )


def _oldest_first(model: type[V], values: Mapping[str, Stored]) -> tuple[V, ...]:
    found = map(model.model_validate, values.values())
    return tuple(sorted(found, key=lambda value: (value.created_at, value.id)))


# --- Messages as they were -----------------------------------------------------------------------


def _page(
    connection: Connection, view: DecisionView, *, limit: int, before_index: int | None
) -> MessagePage:
    count = view.thread.message_count
    before = count if before_index is None else min(before_index, count)
    key = {"of_thread": view.thread.id, "before_index": before, "at_most": limit + 1}
    rows = connection.execute(_PAGE, key).mappings().all()
    shown = list(reversed(rows[:limit]))
    pending = {each.id: each for each in view.pending}
    settled = [row for row in shown if row["id"] not in pending]
    then = _as_they_were(connection, view, settled)
    return MessagePage(
        messages=tuple(pending.get(row["id"]) or then[row["id"]] for row in shown),
        has_more=len(rows) > limit,
    )


def _as_they_were(
    connection: Connection, view: DecisionView, rows: Iterable[RowMapping]
) -> dict[str, Message]:
    """Messages that were voted on no more. What was not approved is as it was: it is over."""
    now = {row["id"]: from_json(row["body"]) for row in rows}
    approved = {row["id"]: row["approved_seq"] for row in rows if row["approved_seq"] is not None}
    stream, until = thread_stream(view.thread.id), view.head_seq
    near = {
        seq
        for first in approved.values()
        for seq in range(first, min(first + _ADMITTED_WITHIN, until) + 1)
    }
    then: dict[str, Stored] = {}
    for seqs in chunks(sorted(near)):
        for row in connection.execute(_SOME, {"of_stream": stream, "seqs": seqs}).mappings():
            then |= {id_: value for id_, value in _messages_left(row) if id_ in approved}
    changed = {
        id_: first
        for id_, first in approved.items()
        if id_ not in then or then[id_]["version"] != now[id_]["version"]
    }
    if changed:
        then |= _newest_changes(connection, stream, changed, until)
    return {id_: _with_content(then.get(id_, value), value) for id_, value in now.items()}


def _newest_changes(
    connection: Connection, stream: StreamId, approved: Mapping[str, int], until: int
) -> dict[str, Stored]:
    """What the last entries up to one left of messages, of those that changed behind their approval."""
    found: dict[str, Stored] = {}
    where = {"of_stream": stream, "after": min(approved.values()), "up_to": until}
    for row in connection.execute(_NEWEST_CHANGES, where).mappings():
        left = approved.keys() - found.keys()
        if not left:
            break
        if not left.isdisjoint(_IDS.findall(row["body"])):
            found |= {id_: value for id_, value in _messages_left(row) if id_ in left}
    return found


def _messages_left(row: RowMapping) -> Iterator[tuple[str, Stored]]:
    """The messages that an entry changed, as it left them."""
    for change in stored_of_row(row).get("changes", ()):
        if change["kind"] == "message" and "value" in change:
            yield change["id"], change["value"]


def _with_content(value: Stored, now: Stored | None) -> Message:
    """A message as it was: what it says never changes. Raises ValueError where that is not there."""
    if now is None:
        raise ValueError(f"there is no message {value.get('id')}")
    return Message.model_validate({**value, "content": now["content"]})

"""What the journal is asked about inboxes, and about what users keep of threads. Reads only.

Rights are those of the moment: a vote, a removal, a branch and a mention are shown to co-authors alone. An
invitation stands in an inbox only while it is open.
"""

from collections.abc import Collection
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, Table, and_, bindparam, exists, func, literal, or_, select

from machines.models.branch import Branch
from machines.models.ids import PublicKey, ThreadId
from machines.models.invitation import Invitation
from machines.models.limits import MAX_INBOX_COUNT, MAX_SEQ
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.user_thread import UserThread
from storage.journal.answers import InboxPage, InboxRow
from storage.journal.damage import all_rows, values_of, whole_of
from storage.journal.dialect import chunks
from storage.journal.inbox_rows import BRANCH, INVITATION, MENTION, REMOVAL, VOTE
from storage.journal.rows import cursor_moment, moment_cursor, no_cursor
from storage.journal.schema import (
    branches,
    co_authors,
    inbox,
    invitations,
    messages,
    removals,
    threads,
    user_threads,
)

_IS_OWN = inbox.c.public_key == bindparam("of_key")
_IS_SHOWN = or_(
    inbox.c.kind == INVITATION,
    exists()
    .where(co_authors.c.thread_id == inbox.c.thread_id)
    .where(co_authors.c.public_key == inbox.c.public_key),
)
_READ = and_(
    user_threads.c.public_key == inbox.c.public_key,
    user_threads.c.thread_id == inbox.c.thread_id,
)
_PAGE = (
    select(
        inbox.c.subject,
        inbox.c.kind,
        inbox.c.waits,
        inbox.c.at,
        inbox.c.seq,
        threads.c.body.label("thread"),
        func.coalesce(user_threads.c.read_seq, 0).label("read_seq"),
    )
    .join(threads, threads.c.id == inbox.c.thread_id)
    .outerjoin(user_threads, _READ)
    .where(_IS_OWN, _IS_SHOWN)
    .where(
        or_(
            inbox.c.waits < bindparam("before_waits"),
            and_(
                inbox.c.waits == bindparam("before_waits"),
                or_(
                    inbox.c.at < bindparam("before_at"),
                    and_(
                        inbox.c.at == bindparam("before_at"),
                        inbox.c.subject < bindparam("before_subject"),
                    ),
                ),
            ),
        )
    )
    .order_by(inbox.c.waits.desc(), inbox.c.at.desc(), inbox.c.subject.desc())
    .limit(bindparam("at_most"))
)
_WAITING = select(literal(1)).where(_IS_OWN, inbox.c.waits == 1).limit(MAX_INBOX_COUNT).subquery()
_NEWEST = (
    select(inbox.c.public_key, inbox.c.thread_id, inbox.c.seq, inbox.c.kind)
    .where(_IS_OWN, inbox.c.waits == 0)
    .order_by(inbox.c.at.desc(), inbox.c.subject.desc())
    .limit(MAX_INBOX_COUNT)
    .subquery()
)
_UNREAD = (
    select(func.count())
    .select_from(_NEWEST)
    .join(
        co_authors,
        and_(
            co_authors.c.thread_id == _NEWEST.c.thread_id,
            co_authors.c.public_key == _NEWEST.c.public_key,
        ),
    )
    .outerjoin(
        user_threads,
        and_(
            user_threads.c.public_key == _NEWEST.c.public_key,
            user_threads.c.thread_id == _NEWEST.c.thread_id,
        ),
    )
    .where(_NEWEST.c.seq > func.coalesce(user_threads.c.read_seq, 0))
)
_HOW_MANY_WAIT = select(func.count()).select_from(_WAITING)

_USER_THREAD = select(user_threads.c.body).where(
    user_threads.c.public_key == bindparam("of_key"),
    user_threads.c.thread_id == bindparam("of_thread"),
)
_SUBJECTS: Final[dict[str, tuple[Table, type[Message | Removal | Invitation | Branch]]]] = {
    VOTE: (messages, Message),
    MENTION: (messages, Message),
    REMOVAL: (removals, Removal),
    INVITATION: (invitations, Invitation),
    BRANCH: (branches, Branch),
}


def inbox_of(
    connection: Connection, public_key: PublicKey, *, after: str | None, limit: int
) -> InboxPage:
    waits, at, subject = (1, MAX_SEQ, "") if after is None else _place(after)
    place = {"before_waits": waits, "before_at": at, "before_subject": subject}
    key = {"of_key": public_key}
    found = all_rows(connection, _PAGE, {**key, **place, "at_most": limit + 1})
    shown = found[:limit]
    subjects = _subjects(connection, shown)
    rows = whole_of(connection, inbox, shown, lambda row: _row(row, subjects[row.subject]))
    count = connection.scalar(_HOW_MANY_WAIT, key) or 0
    count += connection.scalar(_UNREAD, key) or 0
    return InboxPage(
        rows=rows,
        count=min(count, MAX_INBOX_COUNT),
        next=_cursor(shown[-1]) if len(found) > limit else None,
    )


def user_thread(
    connection: Connection, public_key: PublicKey, thread_id: ThreadId
) -> UserThread | None:
    body = connection.scalar(_USER_THREAD, {"of_key": public_key, "of_thread": thread_id})
    return None if body is None else UserThread.model_validate_json(body)


def _subjects(
    connection: Connection, rows: Collection[Any]
) -> dict[str, Message | Removal | Invitation | Branch]:
    """The values that items are about, by id."""
    found: dict[str, Message | Removal | Invitation | Branch] = {}
    for table, model in dict.fromkeys(_SUBJECTS[row.kind] for row in rows):
        ids = [row.subject for row in rows if _SUBJECTS[row.kind][0] is table]
        for some in chunks(ids):
            bodies = select(table.c.id, table.c.body).where(table.c.id.in_(some))
            values = values_of(connection, table, model, bodies, {})
            found.update((each.id, each) for each in values)
    return found


def _row(row: Any, about: Message | Removal | Invitation | Branch) -> InboxRow:
    return InboxRow(
        about=about,
        # The whole thread is not needed, which may name hundreds of co-authors.
        thread_name=str(from_json(row.thread)["name"]),
        seq=row.seq,
        read_seq=row.read_seq,
        cursor=_cursor(row),
    )


def _cursor(row: Any) -> str:
    return moment_cursor(row.at, f"{row.waits}{row.subject}")


def _place(after: str) -> tuple[int, int, str]:
    """Where a page begins. Raises RequestRefused where the cursor is none of an inbox."""
    at, place = cursor_moment(after)
    if place[:1] not in {"0", "1"}:
        raise no_cursor()
    return int(place[0]), at, place[1:]

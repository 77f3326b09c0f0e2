"""What the journal is asked about invitations: those of a thread, of a key, and how many there are.

Reads only, each answered by an index and bounded; `require_bound` reads for the one who writes. Only
open invitations are asked for: the others are kept for verify alone.
"""

from collections.abc import Collection
from typing import Any, assert_never

from pydantic_core import from_json
from sqlalchemy import Connection, and_, bindparam, func, or_, select

from machines.models.commands import InvitationCounts
from machines.models.errors import JournalConflict
from machines.models.ids import PublicKey, ThreadId
from machines.models.invitation import Invitation, InvitationStatus
from machines.models.journal import InvitationBound
from machines.models.limits import MAX_SEQ
from storage.journal.answers import InvitationPage, InvitationRow
from storage.journal.damage import all_rows, values_of, whole_of
from storage.journal.rows import cursor_moment, moment_cursor
from storage.journal.schema import invitations, threads, users

_IS_OPEN = invitations.c.status == InvitationStatus.INVITED.value
_OF_THREAD = (
    select(invitations.c.id, invitations.c.body)
    .where(invitations.c.thread_id == bindparam("of_thread"), _IS_OPEN)
    .order_by(invitations.c.at, invitations.c.id)
)
_OF_KEY = (
    select(
        invitations.c.id,
        invitations.c.at,
        invitations.c.body,
        threads.c.body.label("thread"),
        users.c.name,
    )
    .join(threads, threads.c.id == invitations.c.thread_id)
    .outerjoin(users, users.c.public_key == invitations.c.invited_by)
    .where(invitations.c.public_key == bindparam("of_key"), _IS_OPEN)
    .where(
        or_(
            invitations.c.at < bindparam("before_at"),
            and_(
                invitations.c.at == bindparam("before_at"),
                invitations.c.id < bindparam("before_id"),
            ),
        )
    )
    .order_by(invitations.c.at.desc(), invitations.c.id.desc())
    .limit(bindparam("at_most"))
)
_INTO_THREAD = (
    select(func.count())
    .select_from(invitations)
    .where(
        invitations.c.thread_id == bindparam("of_thread"),
        invitations.c.public_key == bindparam("of_key"),
        _IS_OPEN,
    )
)
_HOW_MANY = select(func.count()).select_from(invitations).where(_IS_OPEN)
_HOW_MANY_OF_KEY = _HOW_MANY.where(invitations.c.public_key == bindparam("of_key"))
_HOW_MANY_BY_USER = _HOW_MANY.where(invitations.c.invited_by == bindparam("inviter"))
_AMONG = (
    select(invitations.c.public_key)
    .where(invitations.c.public_key.in_(bindparam("keys", expanding=True)), _IS_OPEN)
    .distinct()
)


def open_invitations(
    connection: Connection, thread_id: ThreadId, *, strict: bool = True
) -> tuple[Invitation, ...]:
    """Those of a thread, oldest first."""
    key = {"of_thread": thread_id}
    return values_of(connection, invitations, Invitation, _OF_THREAD, key, strict=strict)


def all_open_invitations(connection: Connection) -> tuple[Invitation, ...]:
    """Of the whole store; only `chorus verify` waits for it."""
    found = connection.scalars(select(invitations.c.body).where(_IS_OPEN))
    return tuple(map(Invitation.model_validate_json, found))


def is_invited(connection: Connection, thread_id: ThreadId, public_key: PublicKey) -> bool:
    key = {"of_thread": thread_id, "of_key": public_key}
    return bool(connection.scalar(_INTO_THREAD, key))


def invitation_counts(
    connection: Connection, public_key: PublicKey, *, inviter: PublicKey
) -> InvitationCounts:
    return InvitationCounts(
        of_key=connection.scalar(_HOW_MANY_OF_KEY, {"of_key": public_key}) or 0,
        by_inviter=connection.scalar(_HOW_MANY_BY_USER, {"inviter": inviter}) or 0,
    )


def require_bound(connection: Connection, bound: InvitationBound) -> None:
    """Raises JournalConflict where more invitations are open: who decides again counts them anew."""
    match bound.of:
        case "key":
            count = connection.scalar(_HOW_MANY_OF_KEY, {"of_key": bound.public_key})
        case "inviter":
            count = connection.scalar(_HOW_MANY_BY_USER, {"inviter": bound.public_key})
        case _:
            assert_never(bound.of)
    if (count or 0) > bound.most:
        raise JournalConflict("Another invitation came first: try again.")


def invited_among(connection: Connection, keys: Collection[PublicKey]) -> list[PublicKey]:
    """Which of some keys, few enough for one statement, are invited somewhere."""
    return [PublicKey(key) for key in connection.scalars(_AMONG, {"keys": keys})]


def invitations_of(
    connection: Connection, public_key: PublicKey, *, after: str | None, limit: int
) -> InvitationPage:
    at, id_ = (MAX_SEQ, "") if after is None else cursor_moment(after)
    key = {"of_key": public_key, "before_at": at, "before_id": id_, "at_most": limit + 1}
    found = all_rows(connection, _OF_KEY, key)
    rows = found[:limit]
    return InvitationPage(
        rows=whole_of(connection, invitations, rows, _row),
        next=moment_cursor(rows[-1].at, rows[-1].id) if len(found) > limit else None,
    )


def _row(row: Any) -> InvitationRow:
    return InvitationRow(
        invitation=Invitation.model_validate_json(row.body),
        # The whole thread is not needed, which may name hundreds of co-authors.
        thread_name=str(from_json(row.thread)["name"]),
        invited_by_name=row.name,
        cursor=moment_cursor(row.at, row.id),
    )

"""What of a value stands in users' inboxes, and its rows: they follow from the value alone.

A pending message waits for the electors who have not voted, an open removal and a proposed branch
likewise, an open invitation for its key; an approved message tells whom it mentions. Whoever writes the snapshot of such
a value calls `write`; queries are `storage.journal.inbox`'s.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, delete, select

from machines.models.branch import BranchStatus
from machines.models.invitation import InvitationStatus
from machines.models.message import MessageStatus
from machines.models.removal import RemovalStatus
from storage.journal.rows import RowValues, micros
from storage.journal.schema import inbox
from storage.journal.statements import Statement

VOTE: Final = "vote"
MENTION: Final = "mention"
REMOVAL: Final = "removal"
INVITATION: Final = "invitation"
BRANCH: Final = "branch"

KINDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "message": (VOTE, MENTION),
    "removal": (REMOVAL,),
    "invitation": (INVITATION,),
    "branch": (BRANCH,),
}
"""Kinds of items, by the kind of the value that they are about."""

_ITEMS: Final = {
    kind: Statement(
        select(inbox.c.public_key).where(
            inbox.c.subject == bindparam("of_subject"), inbox.c.kind == kind
        )
    )
    for kinds in KINDS_OF.values()
    for kind in kinds
}
_DROP: Final = Statement(
    delete(inbox).where(
        inbox.c.public_key == bindparam("key"),
        inbox.c.kind == bindparam("of_kind"),
        inbox.c.subject == bindparam("of_subject"),
    )
)
_ADD: Final = Statement.inserting_into(inbox)


def may_note(kind: str, value: Mapping[str, Any]) -> bool:
    """Whether a changed value stands in an inbox, or may have stood there before the change.

    Most messages never do: they were not voted on, and mention nobody.
    """
    if kind == "message":
        return value.get("expires_at") is not None or bool(value.get("mentions"))
    return kind in KINDS_OF


def write(connection: Connection, kind: str, row: RowValues) -> None:
    """Let the items about a value be those that follow from its snapshot's row."""
    wanted = {(each["kind"], each["public_key"]): each for each in rows_of(kind, row)}
    known = {
        (of_kind, key)
        for of_kind in KINDS_OF[kind]
        for key in _ITEMS[of_kind].column(connection, {"of_subject": row["id"]})
    }
    _drop(connection, row["id"], known - wanted.keys())
    _ADD.run(connection, *(wanted[each] for each in wanted if each not in known))


def forget(connection: Connection, kind: str, ids: Collection[str]) -> None:
    """The values are gone, and what stood of them in inboxes."""
    for id_ in ids:
        for of_kind in KINDS_OF.get(kind, ()):
            keys = _ITEMS[of_kind].column(connection, {"of_subject": id_})
            _drop(connection, id_, {(of_kind, key) for key in keys})


def rows_of(kind: str, row: RowValues) -> list[RowValues]:
    """The items that follow from a snapshot's row."""
    value = from_json(row["body"])
    match kind, value["status"]:
        case "message", MessageStatus.PENDING:
            return _waiting(VOTE, value, _without_votes(value, value["approvals"]))
        case "message", MessageStatus.APPROVED:
            mentioned = dict.fromkeys(each["public_key"] for each in value.get("mentions", ()))
            return _items(MENTION, value, mentioned, waits=0, seq=row["approved_seq"] or 0)
        case "removal", RemovalStatus.PROPOSED:
            return _waiting(REMOVAL, value, _without_votes(value, value["votes"]))
        case "branch", BranchStatus.PROPOSED:
            return _waiting(BRANCH, value, _without_votes(value, value["votes"]))
        case "invitation", InvitationStatus.INVITED:
            return _waiting(INVITATION, value, [value["public_key"]])
        case _:
            return []


def _without_votes(value: Mapping[str, Any], votes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Electors who have not voted."""
    voted = {each["co_author"] for each in votes}
    return [key for key in value["electors"] if key not in voted]


def _waiting(kind: str, value: Mapping[str, Any], keys: Iterable[str]) -> list[RowValues]:
    return _items(kind, value, keys, waits=1, seq=0)


def _items(
    kind: str, value: Mapping[str, Any], keys: Iterable[str], *, waits: int, seq: int
) -> list[RowValues]:
    return [
        {
            "public_key": key,
            "kind": kind,
            "subject": value["id"],
            "thread_id": value["thread_id"],
            "waits": waits,
            "at": micros(datetime.fromisoformat(value["created_at"])),
            "seq": seq,
        }
        for key in keys
    ]


def _drop(connection: Connection, subject: str, items: Collection[tuple[str, str]]) -> None:
    rows = ({"key": key, "of_kind": kind, "of_subject": subject} for kind, key in items)
    _DROP.run(connection, *rows)

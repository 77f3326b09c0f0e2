"""What is open in a thread after one of its entries, gathered from entries and kept as a moment. Pure.

The snapshots beside the entries are those of now. What they were after an earlier entry follows from the
entries before it; so that a long thread is not read from its beginning, what is open is kept at every
`KEPT_EACH`th entry or so, and `storage.journal.past` goes on from there. A moment is no truth of its own:
one that is lost, or damaged, is gathered again. So is one of an entry that the database has lost since: a
moment names its entry by the digest, and one that was written after the loss is of no entry that is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json, to_json

from machines.models.branch import BranchStatus
from machines.models.chorus import RunProgress, RunStatus
from machines.models.domain import BaseState
from machines.models.invitation import InvitationStatus
from machines.models.invite_link import InviteLinkStatus
from machines.models.journal import DecisionView
from machines.models.message import MessageStatus
from machines.models.removal import RemovalStatus
from storage.journal.rows import RowValues, entry_digest
from storage.journal.sources import Stored

KEPT_EACH: Final = 256
"""Entries from one moment that is kept to the next."""

IS_OPEN: Final[Mapping[str, Callable[[str], bool]]] = {
    "message": lambda status: status == MessageStatus.PENDING,
    "run": lambda status: not RunStatus(status).final,
    "invitation": lambda status: status == InvitationStatus.INVITED,
    "invite_link": lambda status: status == InviteLinkStatus.OPEN,
    "removal": lambda status: status == RemovalStatus.PROPOSED,
    "branch": lambda status: BranchStatus(status).is_open,
}
"""Kinds of values that are open or over, each with which of its statuses are open."""

_PROGRESS: Final = frozenset(RunProgress.model_fields)


@dataclass(slots=True)
class OpenValues:
    """A thread, and what is open in it. A message is without its content, a run without its texts."""

    seq: int = 0
    """The last entry that was gathered."""
    thread: Stored | None = None
    """None before the first entry."""
    values: dict[str, dict[str, Stored]] = field(
        default_factory=lambda: {kind: {} for kind in IS_OPEN}
    )
    """By kind, then by id, in the order in which they came to be."""

    def gather(self, seq: int, stored: Stored) -> None:
        """Take the next entry. Raises KeyError, TypeError or ValueError where it is none."""
        for change in stored.get("changes", ()):
            kind, value = change["kind"], change.get("value")
            if kind == "thread":
                self.thread = value
            if kind not in self.values:
                continue
            if value is not None and IS_OPEN[kind](value["status"]):
                self.values[kind][change["id"]] = _kept(kind, value)
            else:
                self.values[kind].pop(change["id"], None)
        self.seq = seq


def moment_of(view: DecisionView) -> OpenValues:
    """What is open in a thread as it is now."""
    open_: Mapping[str, tuple[BaseState, ...]] = {
        "message": view.pending,
        "run": view.runs,
        "invitation": view.invitations,
        "invite_link": view.links,
        "removal": view.removals,
        "branch": view.branches,
    }
    return OpenValues(
        seq=view.head_seq,
        thread=view.thread.model_dump(mode="json"),
        values={
            kind: {each.id: _kept(kind, _dumped(kind, each)) for each in values}
            for kind, values in open_.items()
        },
    )


def moment_row(thread_id: str, found: OpenValues, of_entry: bytes) -> RowValues:
    """The row of a moment.

    Args:
        of_entry: The digest of the entry behind which it was so.
    """
    kept = {"entry": of_entry.hex(), "thread": found.thread, "values": found.values}
    body = to_json(kept).decode()
    return {
        "thread_id": thread_id,
        "seq": found.seq,
        "body": body,
        "digest": entry_digest(thread_id, found.seq, body),
    }


def moment_of_row(row: Mapping[Any, Any]) -> OpenValues | None:
    """The moment of a row that has the digest of its entry as `of_entry`; None where it is not what was
    written, or is of another entry."""
    if row["digest"] != entry_digest(row["thread_id"], row["seq"], row["body"]):
        return None
    kept = from_json(row["body"])
    if kept.get("entry") != row["of_entry"].hex():
        return None
    if kept["values"].keys() != IS_OPEN.keys():
        return None  # another version wrote it, which knows of other values
    return OpenValues(row["seq"], kept["thread"], kept["values"])


def _dumped(kind: str, value: BaseState) -> Stored:
    return value.model_dump(mode="json", include=set(_PROGRESS) if kind == "run" else None)


def _kept(kind: str, value: Stored) -> Stored:
    if kind == "run":
        return {name: each for name, each in value.items() if name in _PROGRESS}
    if kind == "message":
        return {name: each for name, each in value.items() if name != "content"}
    return value

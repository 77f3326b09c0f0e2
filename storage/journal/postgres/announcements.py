"""What each commit tells other processes: which streams it appended to, which sessions it took up; and
that the store has a new epoch. Text to values and back.

A payload is of lines. The first one names the process that committed, each other one a stream and the
numbers of its head before and after. A line of another shape is of another version, and is left out.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from machines.models.ids import StreamId, session_stream
from storage.journal.answers import Change

CHANNEL: Final = "chorus"

MAX_PAYLOAD: Final = 7_900
"""Bytes of one notification; PostgreSQL takes fewer than 8,000."""

_FIELDS: Final = 3
_EPOCH: Final = "epoch"


def payloads_of(origin: str, changes: Iterable[Change], most: int = MAX_PAYLOAD) -> Iterator[str]:
    """`changes` in texts of at most `most` bytes; they are ASCII."""
    gathered: list[str] = []
    room = most
    for change in changes:
        line = f"{change.stream} {change.after_seq} {change.head_seq}"
        if gathered and len(line) + 1 > room:
            yield "\n".join(gathered)
            gathered = []
        if not gathered:
            gathered, room = [origin], most - len(origin)
        gathered.append(line)
        room -= len(line) + 1
    if gathered:
        yield "\n".join(gathered)


def taken_up(token_hashes: Iterable[str]) -> Iterator[Change]:
    """Sessions that a connection to this process holds from now on."""
    return (Change(session_stream(token_hash), 0, 0) for token_hash in token_hashes)


def epoch_payload(origin: str, epoch: str) -> str:
    """The store has this epoch from now on, since it lost commits."""
    return f"{origin}\n{_EPOCH} {epoch}"


def epoch_in(payload: str) -> str | None:
    """The epoch that a payload tells of."""
    for line in payload.split("\n")[1:]:
        name, _, epoch = line.partition(" ")
        if name == _EPOCH:
            return epoch
    return None


def changes_in(payload: str, *, without: str) -> Iterator[Change]:
    """The changes of a payload, unless its origin is `without`."""
    origin, *lines = payload.split("\n")
    if origin == without:
        return
    for line in lines:
        fields = line.split(" ")
        if len(fields) == _FIELDS and fields[1].isdecimal() and fields[2].isdecimal():
            yield Change(StreamId(fields[0]), int(fields[1]), int(fields[2]))

"""The open thread as it was after an earlier entry, folded from its journal as what is shown live is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from server.chat.errors import BadInput
from server.chat.events import Live
from server.chat.frames import Frame, RunEventUnion, ThreadEvent, parse_live
from server.chat.text import one_line
from server.chat.view import ChatState, close, fold

_DIGITS: Final = 19
"""A number of so many is no entry's."""


@dataclass(frozen=True)
class Moment:
    """A thread as it was."""

    seq: int
    """The last entry that is shown."""
    head_seq: int
    """The last entry that there is."""
    at: datetime | None
    """When it was made."""
    state: ChatState


def moment_of(asked: str, now: ChatState, entries: Sequence[Frame]) -> Moment:
    """The open thread after the entry, or at the time, that is asked for.

    Args:
        entries: the thread's whole journal.

    Raises:
        BadInput: there is no such moment.
    """
    seq = _seq_of(asked, entries)
    # Who reads left perhaps and came back: what was told then is told all the same.
    state = replace(close(now), me="", names=now.names)
    at = None
    for entry in entries[:seq]:
        body = parse_live(entry)
        if body is None or entry.thread_id is None:
            continue
        if state.thread is None and isinstance(body, ThreadEvent):
            state = replace(state, thread=body.thread)
        state = fold(state, Live(entry.thread_id, entry.seq, body))
        at = body.at
    return Moment(seq, len(entries), at, replace(state, me=now.me))


def _seq_of(asked: str, entries: Sequence[Frame]) -> int:
    if asked.isascii() and asked.isdigit() and len(asked) < _DIGITS:
        seq = int(asked)
        if seq > len(entries):
            raise BadInput(
                f"{asked} is beyond the end of the thread, which has {len(entries)} entries."
            )
    else:
        until = _time(asked)
        later = (place for place, each in enumerate(entries) if _is_later(parse_live(each), until))
        seq = next(later, len(entries))
    if seq == 0:
        raise BadInput(f"{one_line(asked, 60)} is before the beginning of the thread.")
    return seq


def _time(asked: str) -> datetime:
    try:
        time = datetime.fromisoformat(asked)
    except ValueError:
        raise BadInput(
            f"{one_line(asked, 60)} is neither the number of an entry nor a time such as"
            " 2026-11-30T05:15:00Z."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_later(body: RunEventUnion | ThreadEvent | None, until: datetime) -> bool:
    return body is not None and body.at is not None and body.at > until

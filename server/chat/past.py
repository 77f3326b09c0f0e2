"""The open thread as it was after an earlier entry: which moment is asked for, and what is shown of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from server.chat.errors import BadInput
from server.chat.events import Opened
from server.chat.frames import ThreadPast
from server.chat.text import one_line
from server.chat.view import ChatState, close, fold

_DIGITS: Final = 16
"""A number of so many is no entry's."""


@dataclass(frozen=True)
class Moment:
    """A thread as it was."""

    seq: int
    """The last entry that is shown."""
    head_seq: int
    """The last entry that there is."""
    at: datetime
    """When it was made."""
    state: ChatState


def moment_asked(asked: str) -> Mapping[str, object]:
    """What the server is asked for: an entry by its number, or the last one at a time.

    Raises:
        BadInput: it is neither.
    """
    if asked.isascii() and asked.isdigit() and len(asked) < _DIGITS:
        return {"at_seq": int(asked)}
    try:
        time = datetime.fromisoformat(asked)
    except ValueError:
        raise BadInput(
            f"{one_line(asked, 60)} is neither the number of an entry nor a time such as"
            " 2026-11-30T05:15:00Z."
        ) from None
    return {"at": (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()}


def no_moment(asked: str, moment: Mapping[str, object]) -> BadInput:
    """What is said where the thread has no such moment."""
    beyond = bool(moment.get("at_seq"))
    where = "beyond the end" if beyond else "before the beginning"
    return BadInput(f"{one_line(asked, 60)} is {where} of the thread.")


def moment_of(told: ThreadPast, now: ChatState) -> Moment:
    """What is shown of a thread as it was."""
    state = fold(close(now), Opened(told))
    # Who renamed themselves since is known by the name of today.
    named = {**told.names, **{key: name for key, name in now.names.items() if name}}
    return Moment(
        told.head_seq,
        told.last_seq,
        told.at,
        replace(state, names=named),
    )

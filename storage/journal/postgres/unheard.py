"""What other processes committed of which this one was not told: an announcement may be lost.

Entries of all streams are numbered as they are written, so the newest ones are found by one look at an
index. A number is taken before its commit is seen, so each look goes back a minute, which no commit takes
(`storage.journal.postgres.engines` bounds its statements). What was heard or committed here is known. What is not
known is told once two looks have found it: the word of it may be on its way at the first one.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from machines.models.ids import StreamId
from storage.journal.answers import Change
from storage.journal.schema import entries

BACK_SECONDS: Final = 60.0
"""How far a look goes back."""

FIRST_BACK: Final = 10_000
"""How many entries the first look goes back: what it finds was there before anybody was to be told."""

_LATELY = (
    select(
        entries.c.stream,
        (func.min(entries.c.seq) - 1).label("after_seq"),
        func.max(entries.c.seq).label("head_seq"),
        func.min(entries.c.position).label("first"),
        func.max(entries.c.position).label("position"),
    )
    .where(entries.c.position > bindparam("after_position"))
    .group_by(entries.c.stream)
)
_LAST = select(func.max(entries.c.position))


class Lately(NamedTuple):
    """What a stream was appended lately, by whichever process."""

    change: Change
    first: int
    """Position of its first entry."""
    position: int
    """Of its last entry."""


def last_position(connection: Connection) -> int:
    """Of the entry that was written last; 0 where there is none."""
    return connection.scalar(_LAST) or 0


def written_after(connection: Connection, position: int) -> list[Lately]:
    """What each stream was appended behind a position."""
    return [
        Lately(Change(StreamId(row.stream), row.after_seq, row.head_seq), row.first, row.position)
        for row in connection.execute(_LATELY, {"after_position": position})
    ]


class _Known(NamedTuple):
    """The entries of a stream that this process knows of: `after_seq + 1 .. head_seq`."""

    after_seq: int
    head_seq: int

    def has(self, change: Change) -> bool:
        return self.after_seq <= change.after_seq and change.head_seq <= self.head_seq


class Unheard:
    """Finds what was not told. `note` whatever is; every few seconds read `written_after(since)`, or at first
    after `FIRST_BACK` entries ago, and `take` what was found."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """
        Args:
            monotonic: Seconds that never step back.
        """
        self._monotonic = monotonic
        self._known: dict[StreamId, _Known] = {}
        self._noted: set[StreamId] = set()
        """Streams of which something was noted since the last look."""
        self._suspected: dict[StreamId, int] = {}
        """The last entry of each stream of which the last look found some that are not known."""
        self._looks: deque[tuple[float, int]] = deque()
        """When each look was, and the last position that it found; the first one is old enough."""
        self._suspected_behind: int | None = None
        """The position behind which everything stands that is suspected: the next look must find it again,
        however late it is."""

    @property
    def since(self) -> int | None:
        """The position behind which the next look looks; None before the first one."""
        if not self._looks:
            return None
        since, suspected = self._looks[0][1], self._suspected_behind
        return since if suspected is None else min(since, suspected)

    def note(self, change: Change) -> bool:
        """Something was told, or committed here; whether it was not known before."""
        stream, after_seq, head_seq = change.stream, change.after_seq, change.head_seq
        if not head_seq:
            return True  # of a session: no entry stands for it
        self._noted.add(stream)
        known = self._known.setdefault(stream, _Known(after_seq, after_seq))
        if known.has(change):
            return False
        if after_seq <= known.head_seq and known.after_seq <= head_seq:
            self._known[stream] = _Known(
                min(after_seq, known.after_seq), max(head_seq, known.head_seq)
            )
        return True

    def take(self, found: Sequence[Lately], since: int) -> tuple[Change, ...]:
        """What a look behind `since` found; gives what of it is to be told now."""
        now = self._monotonic()
        is_first = not self._looks
        if is_first:
            self._looks.append((now, since))
        last = max((each.position for each in found), default=self._looks[-1][1])
        self._looks.append((now, last))
        while self._looks[1][0] <= now - BACK_SECONDS:
            self._looks.popleft()
        suspected, self._suspected, self._suspected_behind = self._suspected, {}, None
        told: list[Change] = []
        for each in found:
            if is_first:
                self.note(each.change)
            elif (missing := self._missing(each.change)) is not None:
                certain = min(missing.head_seq, suspected.get(missing.stream, 0))
                if certain > missing.after_seq:
                    told.append(replace(missing, head_seq=certain))
                    self.note(told[-1])
                if certain < missing.head_seq:
                    self._suspected[missing.stream] = missing.head_seq
                    first = each.first - 1
                    behind: int | None = self._suspected_behind
                    self._suspected_behind = first if behind is None else min(behind, first)
        lately = {each.change.stream for each in found} | self._noted
        self._known = {stream: known for stream, known in self._known.items() if stream in lately}
        self._noted.clear()
        return tuple(told)

    def _missing(self, change: Change) -> Change | None:
        """What of a change is not known, from the first such entry on."""
        known = self._known.get(change.stream)
        if known is None or change.after_seq < known.after_seq:
            return change
        return None if known.has(change) else replace(change, after_seq=known.head_seq)

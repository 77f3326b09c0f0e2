"""The connections of each user, and the notices that they get of threads which they do not follow.

A notice says that a thread went on, and nothing of what was said. Notices of a thread are gathered: at
most one a second for each connection.
"""

import asyncio
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from machines.models.ids import PublicKey, ThreadId
from machines.models.thread import Thread
from server.threads.presence import Present
from server.wire.presenter import LiveEntry

NOTICE_SECONDS: Final = 1.0
"""At most one notice per connection and thread in so many seconds."""

C = TypeVar("C", bound=Present)


@dataclass(slots=True)
class _Notices:
    timer: asyncio.TimerHandle
    latest: LiveEntry | None = None
    """The entry to tell of next; its notice is encoded when it is sent."""
    inbox: bool = False
    """Whether an entry since the last notice may have changed the reader's inbox."""


class Connections(Generic[C]):
    """The connections of all users, in this process."""

    def __init__(self) -> None:
        self._of: dict[PublicKey, dict[C, dict[ThreadId, _Notices]]] = {}

    def attach(self, connection: C) -> None:
        """A person is signed in on this connection: it gets notices."""
        self._of.setdefault(connection.public_key, {})[connection] = {}

    def detach(self, connection: C) -> None:
        """The connection is gone, or signed out."""
        others = self._of.get(connection.public_key)
        if others is not None:
            for notices in others.pop(connection, {}).values():
                notices.timer.cancel()
            if not others:
                del self._of[connection.public_key]

    def count(self, public_key: PublicKey) -> int:
        """How many connections this person has."""
        return len(self._of.get(public_key, ()))

    def tell(self, public_key: PublicKey, text: str) -> None:
        """Send an encoded frame to every connection of a user."""
        for connection in self._of.get(public_key, ()):
            connection.sink.send(text)

    def notify(
        self, thread: Thread, entries: Iterable[LiveEntry], follows: Callable[[C], bool]
    ) -> None:
        """Tell of durable entries, in order; `thread` is the thread as it is after them.

        Args:
            follows: whether a connection is shown the entries themselves.
        """
        last: LiveEntry | None = None
        inboxes: set[PublicKey] = set()
        for entry in entries:
            last = entry
            inboxes |= entry.inboxes
            self._notify_invited(entry)
            self._forget_notice(entry)
        if last is not None:
            self._notify(thread, last, inboxes, follows)

    def _notify(
        self,
        thread: Thread,
        entry: LiveEntry,
        inboxes: Set[PublicKey],
        follows: Callable[[C], bool],
    ) -> None:
        for public_key in thread.co_authors:
            for connection, notices in self._of.get(public_key, {}).items():
                if not follows(connection):
                    self._notice(connection, notices, entry, inbox=public_key in inboxes)

    def _notify_invited(self, entry: LiveEntry) -> None:
        """Tell who is invited, or is no more, on all connections: none of them follows by right."""
        if entry.invited is not None:
            for connection, notices in self._of.get(entry.invited, {}).items():
                self._notice(connection, notices, entry, inbox=True)

    def _forget_notice(self, entry: LiveEntry) -> None:
        """What was gathered for who leaves is not sent any more: they may not know of the thread."""
        if entry.left is not None:
            for notices in self._of.get(entry.left, {}).values():
                gathered = notices.get(entry.thread_id)
                if gathered is not None:
                    gathered.latest = None

    def _notice(
        self,
        connection: C,
        notices: dict[ThreadId, _Notices],
        entry: LiveEntry,
        *,
        inbox: bool,
    ) -> None:
        """Send now, or with the next one when the last was less than a second ago."""
        gathered = notices.get(entry.thread_id)
        if gathered is not None:
            gathered.latest = entry
            gathered.inbox |= inbox
            return
        connection.sink.send(entry.notice_for(connection.public_key, inbox=inbox))
        self._rest(connection, notices, entry.thread_id)

    def _rest(self, connection: C, notices: dict[ThreadId, _Notices], thread_id: ThreadId) -> None:
        def over() -> None:
            gathered = notices.pop(thread_id)
            if gathered.latest is not None:
                latest, inbox = gathered.latest, gathered.inbox
                connection.sink.send(latest.notice_for(connection.public_key, inbox=inbox))
                self._rest(connection, notices, thread_id)

        timer = asyncio.get_running_loop().call_later(NOTICE_SECONDS, over)
        notices[thread_id] = _Notices(timer)

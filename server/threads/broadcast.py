"""Who hears what: live frames to the followers of a thread, notices to its other co-authors.

Publishing never awaits: a frame is a text that is put into each follower's outbox. Within a thread
entries are published in the order of their numbers, since the room publishes under its lock. A
follower that is still catching up collects what comes, and drops what it was sent already. One that
would miss an entry is given nothing more, so that it notices and comes again.
"""

import asyncio
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from machines.decisions.rights import may_read
from machines.models.ids import PublicKey, ThreadId
from machines.models.thread import Thread, Visibility
from machines.models.wire.frames import ThreadEventKind
from server.threads.presence import Presence
from server.wire.presenter import LiveEntry, waiting_notice

MAX_COLLECTED = 5_000
"""Entries that are collected for a follower that catches up; a thread is not that busy."""

NOTICE_SECONDS = 1.0
"""At most one notice per connection and thread in so many seconds."""


class Delta(NamedTuple):
    """A passing piece of what a step writes."""

    key: tuple[object, ...]
    """Names the text: those of the same key are pieces of it."""
    offset: int
    text: str
    encoded: str


class LiveSink(Protocol):
    """Where live frames go: a connection's outbox. Nothing here awaits or fails."""

    def send(self, text: str) -> None:
        """Take an encoded frame; nobody begins or ends to follow meanwhile."""

    def send_delta(self, delta: Delta) -> None:
        """Take a passing frame, which may be merged with the next."""


class Follower(Protocol):
    """A connection, or anything else that listens to threads."""

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def sink(self) -> LiveSink:
        """Takes the frames; told nothing else."""

    def lose_thread(self, thread_id: ThreadId) -> None:
        """The thread may not be read any more: nothing more of it follows."""

    def too_slow(self) -> None:
        """It lacks entries that it cannot be given: nothing more follows, and it must come again."""


@dataclass(slots=True)
class Following:
    """One follower's place in a thread."""

    next_seq: int = 0
    """Number of the next entry that it needs."""
    waiting: list[LiveEntry | Delta] | None = field(default_factory=list)
    """What came while it was catching up; None once it is live."""

    def collect(self, entry: LiveEntry) -> bool:
        """Keep an entry while catching up; False where that is too much."""
        assert self.waiting is not None  # noqa: S101 - it is catching up
        self.waiting.append(entry)
        return len(self.waiting) <= 2 * MAX_COLLECTED


@dataclass(slots=True)
class _Notices:
    timer: asyncio.TimerHandle
    latest: LiveEntry | None = None
    """The entry to tell of next; its notice is encoded when it is sent."""
    inbox: bool = False
    """Whether an entry since the last notice may have changed the reader's inbox."""


class Broadcast:
    """Followers of threads, and the connections of people, in this process."""

    def __init__(self) -> None:
        self._threads: dict[ThreadId, dict[Follower, Following]] = {}
        self._people: dict[PublicKey, dict[Follower, dict[ThreadId, _Notices]]] = {}
        self.presence = Presence(self._live_followers)
        self._doubted: dict[ThreadId, Thread] = {}
        """Threads as a commit that is in doubt may have left them."""

    # Connections

    def attach(self, follower: Follower) -> None:
        """A person is signed in on this connection: it gets notices."""
        self._people.setdefault(follower.public_key, {})[follower] = {}

    def detach(self, follower: Follower) -> None:
        """The connection is gone, or signed out."""
        others = self._people.get(follower.public_key)
        if others is not None:
            for notices in others.pop(follower, {}).values():
                notices.timer.cancel()
            if not others:
                del self._people[follower.public_key]

    def connections(self, public_key: PublicKey) -> int:
        """How many connections this person has."""
        return len(self._people.get(public_key, ()))

    def tell(self, public_key: PublicKey, text: str) -> None:
        """Send an encoded frame to every connection of a user."""
        for follower in self._people.get(public_key, ()):
            follower.sink.send(text)

    # Following

    def follow(self, thread_id: ThreadId, follower: Follower) -> None:
        """Begin to collect what happens in the thread. Next: read the snapshot, then `go_live`."""
        self._threads.setdefault(thread_id, {})[follower] = Following()

    def go_live(self, thread_id: ThreadId, follower: Follower, thread: Thread, seq: int) -> None:
        """The follower was sent everything up to `seq`: give it the rest, and what comes next.

        `thread` is the thread as it is now, which may be later than `seq`.
        """
        following = self._threads.get(thread_id, {}).get(follower)
        if following is None:
            return
        waiting, following.waiting = following.waiting or [], None
        following.next_seq = seq + 1
        for item in waiting:
            if not self.follows(thread_id, follower):
                return
            match item:
                case Delta():
                    if may_read(thread, follower.public_key):
                        follower.sink.send_delta(item)
                case LiveEntry():
                    self._give(follower, following, item, thread)
        self._drop_strangers(thread)
        if self.follows(thread.id, follower):
            self.presence.came(thread, follower.public_key)

    def unfollow(self, thread_id: ThreadId, follower: Follower) -> None:
        """Nothing more of this thread."""
        followers = self._threads.get(thread_id)
        if followers is None or followers.pop(follower, None) is None:
            return
        if not followers:
            del self._threads[thread_id]
        self.presence.went(thread_id, follower.public_key)

    def follows(self, thread_id: ThreadId, follower: Follower) -> bool:
        """Whether this one listens."""
        return follower in self._threads.get(thread_id, {})

    def has_followers(self, thread_id: ThreadId) -> bool:
        """Whether anybody listens."""
        return thread_id in self._threads

    # Publishing

    def publish(self, thread: Thread, entries: Iterable[LiveEntry]) -> None:
        """Durable entries, in order; `thread` is the thread as it is after them."""
        last: LiveEntry | None = None
        inboxes: set[PublicKey] = set()
        for entry in entries:
            last = entry
            inboxes |= entry.inboxes
            self._notify_invited(entry)
            self._forget_notice(entry)
            if entry.kind == ThreadEventKind.MESSAGE_SUBMITTED and entry.by is not None:
                self.presence.said(thread.id, entry.by)
            followers = self._threads.get(thread.id)
            if followers and thread.visibility is Visibility.PUBLIC and entry.is_same_for_all:
                self._give_all(followers, entry)
                continue
            for follower, following in tuple((followers or {}).items()):
                if following.waiting is None:
                    self._give(follower, following, entry, thread)
                elif not following.collect(entry):
                    self._give_up(thread.id, follower)
        if last is not None:
            self._drop_strangers(thread)
            self._notify(thread, last, inboxes)
            self.presence.changed(thread)

    def doubt(self, thread: Thread) -> None:
        """Send passing frames to those alone who may read the thread as it is in `thread`, until
        `settle`: who left it by a commit that is in doubt may be a stranger already."""
        self._doubted[thread.id] = thread
        self.presence.changed(thread)

    def settle(self, thread_id: ThreadId) -> None:
        """No commit of the thread is in doubt. What followers missed stands in the entries."""
        self._doubted.pop(thread_id, None)

    def publish_delta(self, thread_id: ThreadId, delta: Delta) -> None:
        """A passing frame."""
        for follower, following in self._hearing(thread_id):
            if following.waiting is None:
                follower.sink.send_delta(delta)
            elif len(following.waiting) < MAX_COLLECTED:
                following.waiting.append(delta)

    def publish_waiting(self, thread_id: ThreadId, message: str) -> None:
        """A run of the thread waits for the journal, and `message` says why.

        Those who catch up are not told now: a run that goes on waiting says so again.
        """
        for follower, following in self._hearing(thread_id):
            if following.waiting is None:
                head_seq = following.next_seq - 1
                follower.sink.send(waiting_notice(thread_id, head_seq, message))

    def _hearing(self, thread_id: ThreadId) -> Iterator[tuple[Follower, Following]]:
        """Those who get passing frames of the thread."""
        doubted = self._doubted.get(thread_id)
        for follower, following in self._threads.get(thread_id, {}).items():
            if doubted is None or may_read(doubted, follower.public_key):
                yield follower, following

    def _live_followers(self, thread_id: ThreadId) -> Iterator[Follower]:
        """Those who follow a thread and are caught up."""
        for follower, following in self._threads.get(thread_id, {}).items():
            if following.waiting is None:
                yield follower

    def _give_all(self, followers: dict[Follower, Following], entry: LiveEntry) -> None:
        """As `_give`, where everybody may read and gets the same: nobody is asked who they are.

        A thread may have thousands of followers: this loop is most of what an entry costs. A copy
        of them all, made for each entry, would keep the garbage collector busy.
        """
        seq, text = entry.seq, entry.full
        lost: list[Follower] = []
        for follower, following in followers.items():
            if following.waiting is None:
                if seq == following.next_seq:
                    following.next_seq = seq + 1
                    follower.sink.send(text)
                elif seq > following.next_seq:
                    lost.append(follower)
            elif not following.collect(entry):
                lost.append(follower)
        for follower in lost:
            self._give_up(entry.thread_id, follower)

    def _give_up(self, thread_id: ThreadId, follower: Follower) -> None:
        """This one lacks entries, or the thread goes on faster than it catches up: it comes again,
        and reads from where it is."""
        self.unfollow(thread_id, follower)
        follower.too_slow()

    def _give(
        self, follower: Follower, following: Following, entry: LiveEntry, thread: Thread
    ) -> None:
        if entry.seq < following.next_seq:
            return
        if may_read(thread, follower.public_key):
            if entry.seq > following.next_seq:
                self._give_up(thread.id, follower)
                return
        elif entry.left != follower.public_key:
            # The last frame of who goes may stand behind entries of the same commit.
            return
        following.next_seq = entry.seq + 1
        follower.sink.send(entry.text_for(follower.public_key, thread))

    def _drop_strangers(self, thread: Thread) -> None:
        """Who may not read the thread any more has had its last frame."""
        if thread.visibility is Visibility.PUBLIC:
            return
        for follower, following in tuple(self._threads.get(thread.id, {}).items()):
            if following.waiting is None and not may_read(thread, follower.public_key):
                self.unfollow(thread.id, follower)
                follower.lose_thread(thread.id)

    def _notify(self, thread: Thread, entry: LiveEntry, inboxes: Set[PublicKey]) -> None:
        following = self._threads.get(thread.id, {})
        for public_key in thread.co_authors:
            for follower, notices in self._people.get(public_key, {}).items():
                if follower not in following:
                    self._notice(follower, notices, entry, inbox=public_key in inboxes)

    def _notify_invited(self, entry: LiveEntry) -> None:
        """Tell who is invited, or is no more, on all connections: none of them follows by right."""
        if entry.invited is not None:
            for follower, notices in self._people.get(entry.invited, {}).items():
                self._notice(follower, notices, entry, inbox=True)

    def _forget_notice(self, entry: LiveEntry) -> None:
        """What was gathered for who leaves is not sent any more: they may not know of the thread."""
        if entry.left is not None:
            for notices in self._people.get(entry.left, {}).values():
                gathered = notices.get(entry.thread_id)
                if gathered is not None:
                    gathered.latest = None

    def _notice(
        self,
        follower: Follower,
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
        follower.sink.send(entry.notice_for(follower.public_key, inbox=inbox))
        self._rest(follower, notices, entry.thread_id)

    def _rest(
        self, follower: Follower, notices: dict[ThreadId, _Notices], thread_id: ThreadId
    ) -> None:
        def over() -> None:
            gathered = notices.pop(thread_id)
            if gathered.latest is not None:
                latest, inbox = gathered.latest, gathered.inbox
                follower.sink.send(latest.notice_for(follower.public_key, inbox=inbox))
                self._rest(follower, notices, thread_id)

        timer = asyncio.get_running_loop().call_later(NOTICE_SECONDS, over)
        notices[thread_id] = _Notices(timer)

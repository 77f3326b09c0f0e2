"""Who hears what: live frames to the followers of a thread, notices to its other co-authors.

Publishing never awaits: a frame is a text that is put into each follower's outbox. Within a thread
entries are published in the order of their numbers, since the room publishes under its lock. A
follower that is still catching up collects what comes, and drops what it was sent already. One that
would miss an entry is not given the next one: it lags, and the relay (`server.threads.relay`) reads
what it lacks.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from machines.decisions.rights import may_read
from machines.models.ids import PublicKey, ThreadId
from machines.models.thread import Thread, Visibility
from machines.models.wire.frames import ThreadEventKind
from server.threads.connections import Connections
from server.threads.passing_rights import HoldsPassing, NothingHeld
from server.threads.presence import Presence
from server.wire.presenter import LiveEntry, waiting_notice

MAX_COLLECTED = 5_000
"""Entries that are collected for a follower that catches up; a thread is not that busy."""


class Delta(NamedTuple):
    """A passing piece of what a step writes."""

    key: tuple[object, ...]
    """Names the text: those of the same key are pieces of it."""
    offset: int
    text: str
    encoded: str
    for_co_authors: bool
    """Whether outsiders who may read the thread are not sent it."""


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


class _PassingDelta(NamedTuple):
    """A delta for a follower that catches up."""

    delta: Delta
    head_seq: int
    """Of the thread, after the delta was written."""


@dataclass(slots=True)
class Following:
    """One follower's place in a thread."""

    next_seq: int = 0
    """Number of the next entry that it needs."""
    waiting: list[LiveEntry | _PassingDelta] | None = field(default_factory=list)
    """What came while it was catching up; None once it is live."""

    def collect(self, entry: LiveEntry) -> bool:
        """Keep an entry while catching up; False where that is too much."""
        assert self.waiting is not None  # noqa: S101 - it is catching up
        self.waiting.append(entry)
        return len(self.waiting) <= 2 * MAX_COLLECTED


@dataclass(slots=True)
class _Audience:
    """The followers of one thread."""

    followers: dict[Follower, Following] = field(default_factory=dict)
    thread: Thread | None = None
    """As it was when its followers were last given something; None before that."""
    told: int | None = None
    """Every follower that is live has the entries up to this one; None before the first is live."""
    head: int = 0
    """Number of the last entry that is known to be there."""

    lacking: int | None = None
    """The first entry that a live follower lacks, of those that were just published."""

    def lack(self, seq: int) -> None:
        """A live follower needs the entry `seq`, and was to be given a later one."""
        self.lacking = seq if self.lacking is None else min(self.lacking, seq)

    @property
    def lags(self) -> bool:
        """Whether a follower that is live lacks an entry."""
        return self.told is not None and self.told < self.head


class Broadcast:
    """Followers of threads, and the connections of users, in this process."""

    def __init__(self) -> None:
        self._threads: dict[ThreadId, _Audience] = {}
        self.users: Connections[Follower] = Connections()
        self._passing: HoldsPassing = NothingHeld()
        self.presence = Presence(
            self._live_followers,
            lambda thread_id, send: self._passing.hold(thread_id, lambda _: send()),
        )
        self._doubted: dict[ThreadId, Thread] = {}
        """Threads as a commit that is in doubt may have left them."""
        self._on_lag: Callable[[ThreadId], None] = lambda _: None
        self._on_follow: Callable[[ThreadId], None] = lambda _: None

    def report_lags(self, on_lag: Callable[[ThreadId], None]) -> None:
        """Tell `on_lag` of each thread in which a follower lacks an entry; it never blocks."""
        self._on_lag = on_lag

    def report_follows(self, on_follow: Callable[[ThreadId], None]) -> None:
        """Tell `on_follow` of each thread that begins to be followed; it never blocks."""
        self._on_follow = on_follow

    def hold_passing(self, passing: HoldsPassing) -> None:
        """Send passing frames when it says."""
        self._passing = passing

    @property
    def made(self) -> int:
        """Number of the passing frame that was made last; for `pass_on`."""
        return self._passing.made

    def pass_on(self, thread: Thread, head_seq: int, up_to: int) -> None:
        """Send the passing frames of the numbers up to `up_to` that wait, before the entries that end what
        they are of: to those who may read `thread`, which was read or written after they were made, and
        had the entry `head_seq` then."""
        self.presence.changed(thread)
        doubted = self._doubted.get(thread.id)
        self._doubted[thread.id] = thread
        self._passing.release(thread.id, up_to, head_seq)
        if doubted is None:
            del self._doubted[thread.id]
        else:
            self._doubted[thread.id] = doubted

    # Following

    def follow(self, thread_id: ThreadId, follower: Follower) -> None:
        """Begin to collect what happens in the thread. Next: read the snapshot, then `go_live`."""
        if thread_id not in self._threads:
            self._threads[thread_id] = _Audience()
            self.presence.begins(thread_id)
            self._on_follow(thread_id)
        self._threads[thread_id].followers[follower] = Following()

    def go_live(
        self,
        thread_id: ThreadId,
        follower: Follower,
        thread: Thread,
        seq: int,
        now_seq: int | None = None,
    ) -> None:
        """The follower was sent everything up to `seq`: give it the rest, and what comes next.

        Args:
            thread: as it is now.
            now_seq: the number of its last entry, where that is later than `seq`.
        """
        audience = self._threads.get(thread_id)
        following = audience.followers.get(follower) if audience is not None else None
        if audience is None or following is None:
            return
        known = audience.thread
        if known is not None and known.version > thread.version:
            # It changed while `thread` was read, and who follows was told already.
            thread = known
        audience.thread = thread
        waiting, following.waiting = following.waiting or [], None
        following.next_seq = seq + 1
        reads, now_seq = may_read(thread, follower.public_key), now_seq or seq
        is_inside = follower.public_key in thread.co_authors
        for item in waiting:
            if not self.follows(thread_id, follower):
                return
            match item:
                case _PassingDelta(delta, head_seq):
                    # Who left by an entry that is later than `thread` is sent none that is later still.
                    may_hear = reads and (is_inside or not delta.for_co_authors)
                    if may_hear and head_seq <= now_seq:
                        follower.sink.send_delta(delta)
                case LiveEntry():
                    reads = reads and item.left != follower.public_key
                    now_seq = max(now_seq, item.seq)
                    audience.head = max(audience.head, item.seq)
                    self._give(audience, follower, following, item, thread)
        audience.lacking = None
        has = following.next_seq - 1
        audience.told = has if audience.told is None else min(audience.told, has)
        self._drop_strangers(thread)
        if self.follows(thread.id, follower):
            self.presence.came(thread, follower.public_key)
        self._report_lag(thread_id, audience)
        self._passing.went_on(thread_id)

    def unfollow(self, thread_id: ThreadId, follower: Follower) -> None:
        """Nothing more of this thread."""
        audience = self._threads.get(thread_id)
        if audience is None or audience.followers.pop(follower, None) is None:
            return
        if not audience.followers:
            del self._threads[thread_id]
            self._passing.went_on(thread_id)
        self.presence.went(thread_id, follower.public_key)

    def follows(self, thread_id: ThreadId, follower: Follower) -> bool:
        """Whether this one listens."""
        audience = self._threads.get(thread_id)
        return audience is not None and follower in audience.followers

    def has_followers(self, thread_id: ThreadId) -> bool:
        """Whether anybody listens."""
        return thread_id in self._threads

    def followed(self) -> Collection[ThreadId]:
        """The threads that somebody listens to."""
        return self._threads.keys()

    # What followers lack

    def told(self, thread_id: ThreadId) -> int | None:
        """The number up to which all who follow the thread and are live have its entries; None where
        nobody is."""
        audience = self._threads.get(thread_id)
        return audience.told if audience is not None else None

    def all_told(self) -> dict[ThreadId, int]:
        """The same for all threads that somebody follows."""
        return {
            thread_id: audience.told
            for thread_id, audience in self._threads.items()
            if audience.told is not None
        }

    def expect(self, thread_id: ThreadId, head_seq: int) -> bool:
        """The thread has an entry of this number; whether it is followed."""
        audience = self._threads.get(thread_id)
        if audience is None:
            return False
        audience.head = max(audience.head, head_seq)
        self._report_lag(thread_id, audience)
        return True

    def lags(self, thread_id: ThreadId) -> bool:
        """Whether a follower lacks an entry that is known to be there."""
        audience = self._threads.get(thread_id)
        return audience is not None and audience.lags

    def give_up(self, thread_id: ThreadId) -> None:
        """What the followers lack cannot be given to them: those who lack it come again."""
        audience = self._threads.get(thread_id)
        if audience is None:
            return
        for follower, following in tuple(audience.followers.items()):
            if following.waiting is None and following.next_seq <= audience.head:
                self._give_up(thread_id, follower)
        audience.told = audience.head
        self._passing.went_on(thread_id)

    def give_up_all(self) -> None:
        """What was shown of all threads is void: whoever follows one comes again."""
        threads, self._threads = self._threads, {}
        self._doubted.clear()
        for thread_id, audience in threads.items():
            self._passing.went_on(thread_id)
            for follower in audience.followers:
                self.presence.went(thread_id, follower.public_key)
                follower.too_slow()

    def _report_lag(self, thread_id: ThreadId, audience: _Audience) -> None:
        if audience.lags:
            self._on_lag(thread_id)

    # Publishing

    def publish(self, thread: Thread, entries: Iterable[LiveEntry]) -> None:
        """Durable entries, in order; `thread` is the thread as it is after them."""
        published = tuple(entries)
        if not published:
            return
        audience = self._threads.get(thread.id)
        for entry in published:
            if entry.kind == ThreadEventKind.MESSAGE_SUBMITTED and entry.by is not None:
                self.presence.said(thread.id, entry.by)
            if audience is not None:
                audience.thread = thread
                self._give_to_all(audience, entry, thread)
        if audience is not None:
            self._move(thread.id, audience, published[-1].seq)
        self._drop_strangers(thread)
        self.notify(thread, published)
        self.presence.changed(thread)
        self._passing.went_on(thread.id)

    def notify(self, thread: Thread, entries: Iterable[LiveEntry]) -> None:
        """Tell of durable entries those alone who do not follow the thread; as `publish`."""
        self.users.notify(thread, entries, lambda each: self.follows(thread.id, each))

    def doubt(self, thread: Thread) -> None:
        """Send passing frames to those alone who may read the thread as it is in `thread`, until
        `settle`: who left it by a commit that is in doubt may be a stranger already."""
        self._doubted[thread.id] = thread
        self.presence.changed(thread)

    def settle(self, thread_id: ThreadId) -> None:
        """No commit of the thread is in doubt. What followers missed stands in the entries."""
        self._doubted.pop(thread_id, None)

    def publish_delta(self, thread_id: ThreadId, delta: Delta) -> None:
        """A passing frame, sent once it is certain to whom it may be."""
        self._passing.hold(thread_id, lambda head_seq: self._give_delta(thread_id, delta, head_seq))

    def _give_delta(self, thread_id: ThreadId, delta: Delta, head_seq: int) -> None:
        for follower, following in self._hearing(thread_id, delta.for_co_authors):
            if following.waiting is None:
                follower.sink.send_delta(delta)
            elif len(following.waiting) < MAX_COLLECTED:
                following.waiting.append(_PassingDelta(delta, head_seq))

    def publish_waiting(self, thread_id: ThreadId, message: str, *, for_co_authors: bool) -> None:
        """A run of the thread waits for the journal, and `message` says why; as `Delta` says to whom.

        Those who catch up are not told now: a run that goes on waiting says so again.
        """
        for follower, following in self._hearing(thread_id, for_co_authors):
            if following.waiting is None:
                follower.sink.send(waiting_notice(thread_id, following.next_seq - 1, message))

    def _hearing(
        self, thread_id: ThreadId, for_co_authors: bool
    ) -> Iterator[tuple[Follower, Following]]:
        """Those who get passing frames of the thread, and whoever catches up: what they are sent of it
        is known once they are live."""
        audience, doubted = self._threads.get(thread_id), self._doubted.get(thread_id)
        thread = doubted or (audience.thread if audience is not None else None)
        inside = thread.co_authors if thread is not None else ()
        for follower, following in self._followers(thread_id):
            if doubted is not None and not may_read(doubted, follower.public_key):
                continue
            if following.waiting is None and for_co_authors and follower.public_key not in inside:
                continue
            yield follower, following

    def _live_followers(self, thread_id: ThreadId) -> Iterator[Follower]:
        """Those who follow a thread and are caught up."""
        for follower, following in self._followers(thread_id):
            if following.waiting is None:
                yield follower

    def _followers(self, thread_id: ThreadId) -> Iterable[tuple[Follower, Following]]:
        audience = self._threads.get(thread_id)
        return audience.followers.items() if audience is not None else ()

    def _move(self, thread_id: ThreadId, audience: _Audience, seq: int) -> None:
        """The entries up to `seq` were given to all who lack none before them."""
        lacking, audience.lacking = audience.lacking, None
        audience.head = max(audience.head, seq)
        if audience.told is not None:
            audience.told = max(audience.told, seq) if lacking is None else lacking - 1
        self._report_lag(thread_id, audience)

    def _give_to_all(self, audience: _Audience, entry: LiveEntry, thread: Thread) -> None:
        if thread.visibility is Visibility.PUBLIC and entry.is_same_for_all:
            self._give_all(audience, entry)
            return
        for follower, following in tuple(audience.followers.items()):
            if following.waiting is None:
                self._give(audience, follower, following, entry, thread)
            elif not following.collect(entry):
                self._give_up(thread.id, follower)

    def _give_all(self, audience: _Audience, entry: LiveEntry) -> None:
        """As `_give`, where everybody may read and gets the same: nobody is asked who they are.

        A thread may have thousands of followers: this loop is most of what an entry costs. A copy
        of them all, made for each entry, would keep the garbage collector busy.
        """
        seq, text = entry.seq, entry.full
        late: list[Follower] = []
        for follower, following in audience.followers.items():
            if following.waiting is None:
                if seq == following.next_seq:
                    following.next_seq = seq + 1
                    follower.sink.send(text)
                elif seq > following.next_seq:
                    audience.lack(following.next_seq)
            elif not following.collect(entry):
                late.append(follower)
        for follower in late:
            self._give_up(entry.thread_id, follower)

    def _give_up(self, thread_id: ThreadId, follower: Follower) -> None:
        """This one lacks entries that it cannot be given, or the thread goes on faster than it catches
        up: it comes again, and reads from where it is."""
        self.unfollow(thread_id, follower)
        follower.too_slow()

    def _give(
        self,
        audience: _Audience,
        follower: Follower,
        following: Following,
        entry: LiveEntry,
        thread: Thread,
    ) -> None:
        if entry.seq < following.next_seq:
            return
        if may_read(thread, follower.public_key):
            if entry.seq > following.next_seq:
                audience.lack(following.next_seq)
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
        for follower, following in tuple(self._followers(thread.id)):
            if following.waiting is None and not may_read(thread, follower.public_key):
                self.unfollow(thread.id, follower)
                follower.lose_thread(thread.id)

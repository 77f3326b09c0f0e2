"""Notices that the database lost commits: another server of PostgreSQL took its place without them, or
a backup did.

The problem: a standby that replicates asynchronously may lack what was committed last. Once it is
promoted, numbers that clients were shown are given to other entries, and nothing in the database tells.

The solution: each process keeps a few of the newest entries that it committed, gave to followers or
heard of. What is lost of a database is always its end, so one of them is among it. They are looked for
on each new connection that writes, before anything is written there: no database takes the place of
another while a connection lasts. Where one is missing or another, the store gets a new epoch in a
transaction of its own, and the others are told. Who is told connects anew before it writes: the connection
that it has may lead to the database that lost its place.

Until the server has forgotten what it knew (`EpochKeeper.accept`) no batch is committed: it was decided on
what is no more.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select, text, tuple_

from machines.models.errors import JournalError
from machines.models.ids import StreamId, ThreadId
from machines.models.journal import JournalEntry
from storage.journal import epochs
from storage.journal.answers import Tail
from storage.journal.postgres.announcements import CHANNEL, epoch_payload
from storage.journal.postgres.locks import take_naming
from storage.journal.rows import RowValues, micros
from storage.journal.schema import entries

log = logging.getLogger(__name__)

MOST_KEPT: Final = 64
"""Entries of each kind that are looked for. The newest would do, where each came in the order in which
it was committed."""

_TELL: Final = text("SELECT pg_notify(:channel, :payload)")


class _Seen(NamedTuple):
    """An entry that was in the database."""

    stream: StreamId
    seq: int
    digest: bytes | None = None
    """Of one that was committed here."""
    at: int | None = None
    """Of one that was read: microseconds since 1970."""

    def is_in(self, found: Mapping[tuple[str, int], Any]) -> bool:
        """Whether a row of `found` is this entry. Of one that was only heard of, the number is known."""
        row = found.get((self.stream, self.seq))
        if row is None:
            return False
        if self.digest is not None:
            return bool(row.digest == self.digest)
        return self.at is None or bool(row.at == self.at)


class NewestEntries:
    """The newest entries that this process knows the database to hold. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._committed: deque[_Seen] = deque(maxlen=MOST_KEPT)
        self._given: deque[_Seen] = deque(maxlen=MOST_KEPT)
        self._heard: deque[_Seen] = deque(maxlen=MOST_KEPT)

    def committed(self, row: RowValues) -> None:
        """The row of an entry became durable; it stands for all of its transaction."""
        with self._lock:
            self._committed.append(_Seen(row["stream"], row["seq"], digest=row["digest"]))

    def read(self, tails: Mapping[ThreadId, Tail]) -> None:
        """Entries of other processes were read for followers."""
        for tail in tails.values():
            if tail.entries:
                self._give(tail.entries[-1])

    def _give(self, entry: JournalEntry) -> None:
        with self._lock:
            self._given.append(_Seen(entry.stream, entry.seq, at=micros(entry.at)))

    def heard(self, stream: StreamId, head_seq: int) -> None:
        """Another process told of an entry."""
        if head_seq:
            with self._lock:
                self._heard.append(_Seen(stream, head_seq))

    def forget(self) -> None:
        """They are of a database that is no more."""
        with self._lock:
            for each in (self._committed, self._given, self._heard):
                each.clear()

    def lacking_in(self, connection: Connection) -> int:
        """How many of them the database does not hold as they were."""
        with self._lock:
            seen = (*self._committed, *self._given, *self._heard)
        if not seen:
            return 0
        keys = {(each.stream, each.seq) for each in seen}
        columns = (entries.c.stream, entries.c.seq)
        rows = connection.execute(
            select(*columns, entries.c.digest, entries.c.at).where(tuple_(*columns).in_(keys))
        )
        found = {(row.stream, row.seq): row for row in rows}
        return sum(not each.is_in(found) for each in seen)


class EpochKeeper:
    """Which epoch this process knows, and the one for which it forgot what it knew before."""

    def __init__(self, newest: NewestEntries, make_epoch: Callable[[], str], origin: str) -> None:
        """
        Args:
            make_epoch: Names a database that lost commits.
            origin: Of what is announced: this process.
        """
        self._newest = newest
        self._make_epoch = make_epoch
        self._origin = origin
        self._lock = Lock()
        self._known: str | None = None
        self._accepted: str | None = None
        self._before: set[str] = set()
        """Epochs that were known, and are over."""
        self.heard_of = 0
        """How many new epochs others told of: a connection from before the last one is not written by."""
        self._on_news: Callable[[], object] = lambda: None

    def report(self, on_news: Callable[[], object]) -> None:
        """Tell `on_news`, on any thread, that an epoch is known which is not accepted."""
        self._on_news = on_news

    def begin(self, connection: Connection) -> None:
        """Know the store as it is now."""
        self._known = self._accepted = epochs.epoch(connection)

    @property
    def known(self) -> str:
        """The newest epoch that is known."""
        assert self._known is not None  # noqa: S101 - the journal is open
        return self._known

    @property
    def is_accepted(self) -> bool:
        """Whether what was known before the newest epoch is forgotten."""
        return self._known == self._accepted

    def require(self) -> None:
        """Raises JournalError where a batch may have been decided on what is no more."""
        if not self.is_accepted:
            raise JournalError(
                "The database lost what was written last, and is read anew: try again.",
                certain=True,
                detail="commits were lost, and what was known is not forgotten yet",
            )

    def accept(self, epoch: str) -> None:
        """What was known before this epoch is forgotten."""
        self._accepted = epoch

    def heard(self, epoch: str) -> bool:
        """The store is told to have an epoch; False where it is one that is over: who tells it is behind."""
        return self._take(epoch, by_others=True)

    def compare(self, connection: Connection) -> None:
        """Look, on a new connection that writes, whether the database is the one that is known; where
        commits were lost, it gets a new epoch.

        Raises:
            DBAPIError: it failed; nothing is known of it yet.
        """
        known = self._known
        if known is None:
            return
        found = self._compared(connection, known)
        if found is not None:
            self._take(found, by_others=False)

    def _compared(self, connection: Connection, known: str) -> str | None:
        """The epoch that the store has, since commits were lost; None where it is as it was."""
        with connection.begin():
            lacking = self._newest.lacking_in(connection)
            if not lacking and epochs.epoch(connection) == known:
                return None
            take_naming(connection)
            found = epochs.epoch(connection)
            # Another server may have been first. A store that does not know the epoch went back behind it.
            if found is not None and known in epochs.former_epochs(connection):
                return found
            epoch = self._make_epoch()
            epochs.supersede(connection, known, epoch)
            payload = epoch_payload(self._origin, epoch)
            connection.execute(_TELL, {"channel": CHANNEL, "payload": payload})
        log.critical("the database lost commits, %d of the newest known here among them", lacking)
        return epoch

    def _take(self, epoch: str, *, by_others: bool) -> bool:
        """As `heard`; `by_others` where the connection that writes has not shown it."""
        with self._lock:
            if epoch in self._before:
                return False
            is_news = self._known not in {None, epoch}
            if is_news:
                self.heard_of += by_others
                self._learn(epoch)
        if is_news:
            log.warning("the database has a new epoch, since it lost commits: all is read anew")
            self._on_news()
        return True

    def _learn(self, epoch: str) -> None:
        if self._known is not None:
            self._before.add(self._known)
        self._known = epoch
        self._newest.forget()

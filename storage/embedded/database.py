"""The tables of an embedded memory, in SQLite: all of it but the vectors.

The file is held by its process alone, from `open` to `close`; whatever ends the process ends that
too. Each change is one transaction, durable when it is over. No shared memory is mapped: the log's
index stands in this process. Checksums stand beside what they are of, so that a message that the
disk has changed is found and given up, and the journal fills the gap.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from machines.models.ids import PointId
from storage.memory.points import Collection, LinkPayload
from storage.memory.values import CollectionState
from storage.private_files import close_to_others

_NO_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors that say nothing against what is in the file."""

FORMAT: Final = 1
"""Raised with each change of the tables, or of what is kept in them; another one is made anew."""

_LOCK_SECONDS: Final = 0.2
_AT_ONCE: Final = 500
"""Values in one statement."""

_TABLES: Final = """
    CREATE TABLE collections (
        name TEXT PRIMARY KEY, dimensions INTEGER, fingerprint TEXT, rows INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE messages (
        row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL,
        thread TEXT NOT NULL, visibility TEXT NOT NULL, repeats INTEGER NOT NULL,
        place INTEGER NOT NULL, speaker TEXT NOT NULL, identity INTEGER NOT NULL,
        words BLOB NOT NULL, counts BLOB NOT NULL, total INTEGER NOT NULL, language TEXT NOT NULL,
        vector_sum INTEGER NOT NULL, entry_sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE payloads (
        row INTEGER PRIMARY KEY, payload BLOB NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE links (
        id TEXT PRIMARY KEY, seq INTEGER NOT NULL, prompt TEXT NOT NULL, prior TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX links_by_prompt ON links (prompt);
    CREATE INDEX links_by_prior ON links (prior);
"""


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file holds what no version of it can mean."""
    if not isinstance(error, sqlite3.Error):
        return False
    # Text that cannot be decoded has no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in _NO_DAMAGE


class EntryRow(NamedTuple):
    """What the database keeps of a message beside its payload."""

    row: int
    id: str
    seq: int
    thread: str
    visibility: str
    repeats: int
    place: int
    speaker: str
    identity: int
    words: bytes
    counts: bytes
    total: int
    language: str
    vector_sum: int

    @property
    def checksum(self) -> int:
        """Of all of it."""
        said = (
            f"{self.row} {self.id} {self.seq} {self.thread} {self.visibility} {self.repeats} {self.place}"
            f" {self.speaker} {self.identity} {self.total} {self.language} {self.vector_sum}"
        )
        return crc32(self.counts, crc32(self.words, crc32(said.encode())))

    def fits(self, checksum: int) -> bool:
        """Whether it is what the checksum was made of."""
        try:
            return self.checksum == checksum
        except TypeError:
            return False  # what the disk has changed may be of any type


@dataclass(frozen=True, slots=True)
class Known:
    """A message that is there."""

    row: int
    seq: int


class MemoryDatabase:
    """The tables of one folder. To be used by one thread at a time."""

    def __init__(self, file: Path) -> None:
        """Open the file, and make it where it is missing; nobody else may have it open.

        Raises:
            sqlite3.Error: another process holds it, it cannot be read and written, or it is no database
                of this format; `is_damage` tells.
            OSError: it cannot be made.
        """
        close_to_others(file)
        self._connection = sqlite3.connect(
            file, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            with self.changes():
                self._make_tables()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def changes(self) -> Iterator[None]:
        """A transaction: all that is changed inside is durable at its end, or nothing is."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _make_tables(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        tables = self._connection.execute(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
        ).fetchone()
        if (version, *tables) == (FORMAT, _TABLES.count("CREATE TABLE")):
            return
        if (version, *tables) != (0, 0):
            raise sqlite3.DatabaseError(f"format {version}, not {FORMAT}")
        for statement in filter(str.strip, _TABLES.split(";")):
            self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    # ------------------------------------------------------------------------------ collections

    def make(self, state: CollectionState) -> bool:
        """Make a collection, empty; False where it is there."""
        return bool(
            self._connection.execute(
                "INSERT INTO collections VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (state.name, state.dimensions, state.fingerprint),
            ).rowcount
        )

    def describe(self, name: Collection) -> CollectionState:
        """A collection that is there."""
        dimensions, fingerprint = self._connection.execute(
            "SELECT dimensions, fingerprint FROM collections WHERE name = ?", (name,)
        ).fetchone()
        return CollectionState(name=name, dimensions=dimensions, fingerprint=fingerprint)

    def drop(self, name: Collection) -> None:
        """Remove a collection with all that is in it."""
        for table in ("messages", "payloads") if name is Collection.MESSAGES else ("links",):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of the three names above
        self._connection.execute("DELETE FROM collections WHERE name = ?", (name,))

    def count(self, name: Collection) -> int:
        """How many points there are."""
        table = "messages" if name is Collection.MESSAGES else "links"
        (count,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - as above
        return int(count)

    # --------------------------------------------------------------------------------- messages

    def rows(self) -> int:
        """How many rows there ever were, those of replaced and removed messages included."""
        (rows,) = self._connection.execute(
            "SELECT rows FROM collections WHERE name = ?", (Collection.MESSAGES,)
        ).fetchone()
        return int(rows)

    def put(self, entries: Sequence[EntryRow], payloads: Sequence[bytes]) -> None:
        """Put messages in, whose ids are not there, in the next rows."""
        self._connection.executemany(
            f"INSERT INTO messages VALUES ({', '.join('?' * 15)})",  # noqa: S608 - question marks alone
            [(*entry, entry.checksum) for entry in entries],
        )
        self._connection.executemany(
            "INSERT INTO payloads VALUES (?, ?, ?)",
            [
                (entry.row, payload, crc32(payload))
                for entry, payload in zip(entries, payloads, strict=True)
            ],
        )
        self._connection.execute(
            "UPDATE collections SET rows = ? WHERE name = ?",
            (entries[-1].row + 1, Collection.MESSAGES),
        )

    def remove(self, rows: Iterable[int]) -> None:
        """Remove messages by their rows."""
        each = [(row,) for row in rows]
        self._connection.executemany("DELETE FROM messages WHERE row = ?", each)
        self._connection.executemany("DELETE FROM payloads WHERE row = ?", each)

    def known(self, ids: Sequence[PointId]) -> dict[PointId, Known]:
        """Those of the messages that are there."""
        return {
            PointId(id_): Known(row, seq)
            for some in _some_at_once(ids)
            for id_, row, seq in self._connection.execute(
                f"SELECT id, row, seq FROM messages WHERE id IN ({_marks(some)})",  # noqa: S608 - question marks alone
                some,
            )
        }

    def entries(self, at_once: int) -> Iterator[list[tuple[EntryRow, bool]]]:
        """All messages by their rows, so many at a time, and whether what stands there is whole."""
        everything = self._connection.execute(
            "SELECT messages.*, payload, sum FROM messages LEFT JOIN payloads USING (row) ORDER BY row"
        )
        while some := everything.fetchmany(at_once):
            page: list[tuple[EntryRow, bool]] = []
            for values in some:
                entry, (entry_sum, payload, payload_sum) = EntryRow._make(values[:-3]), values[-3:]
                page.append((entry, _is_whole(payload, payload_sum) and entry.fits(entry_sum)))
            yield page

    def payloads(self, rows: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """The payloads of those of the rows that have a whole one."""
        return {
            row: json.loads(payload)
            for some in _some_at_once(rows)
            for row, payload, checksum in self._connection.execute(
                f"SELECT row, payload, sum FROM payloads WHERE row IN ({_marks(some)})",  # noqa: S608 - as above
                some,
            )
            if _is_whole(payload, checksum)
        }

    def page(self, after: PointId | None, limit: int) -> list[tuple[PointId, int, int]]:
        """The next messages by their ids: id, row and checksum of the vector."""
        found = self._connection.execute(
            "SELECT id, row, vector_sum FROM messages WHERE id > ? ORDER BY id LIMIT ?",
            (after or "", limit),
        )
        return [(PointId(id_), row, vector_sum) for id_, row, vector_sum in found]

    # ------------------------------------------------------------------------------------ links

    def put_links(self, links: Iterable[LinkPayload]) -> None:
        """Put links in, in place of those that are there."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?, ?)",
            [
                (link.point_id, link.seq, *link.ends, link.model_dump_json().encode())
                for link in links
            ],
        )

    def known_links(self, ids: Sequence[PointId]) -> dict[PointId, int]:
        """The `seq` of those of the links that are there."""
        return {
            PointId(id_): seq
            for some in _some_at_once(ids)
            for id_, seq in self._connection.execute(
                f"SELECT id, seq FROM links WHERE id IN ({_marks(some)})",  # noqa: S608 - as above
                some,
            )
        }

    def remove_links(self, ids: Iterable[PointId]) -> None:
        """Remove links by their ids."""
        self._connection.executemany("DELETE FROM links WHERE id = ?", [(id_,) for id_ in ids])

    def remove_links_at(self, messages: Iterable[PointId]) -> None:
        """Remove the links that end at any of these messages."""
        self._connection.executemany(
            "DELETE FROM links WHERE prompt = ?1 OR prior = ?1", [(id_,) for id_ in messages]
        )

    def page_of_links(self, after: PointId | None, limit: int) -> list[tuple[PointId, bytes]]:
        """The next links by their ids: id and payload."""
        found = self._connection.execute(
            "SELECT id, payload FROM links WHERE id > ? ORDER BY id LIMIT ?", (after or "", limit)
        )
        return [(PointId(id_), payload) for id_, payload in found]


def _some_at_once(values: Sequence[Any]) -> Iterator[list[Any]]:
    left = iter(values)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _is_whole(payload: object, checksum: object) -> bool:
    # What the disk has changed may be of any type.
    return isinstance(payload, bytes) and crc32(payload) == checksum


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))

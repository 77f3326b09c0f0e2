"""Copies a journal: table by table in the order of keys, in chunks, each durable with the cursor.

A copy that was killed goes on where it was. At its end both stores are read once more and the digests of
their tables compared. Where the source was changed while a copy lay unfinished, the tables that differ
are copied anew. Then the copy is verified as any journal, and named: it has an epoch of its own, since
both stores may be served from then on and give the same numbers to different entries.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from sqlalchemy import Connection, delete, insert, select

from storage.copying import cursor as cursors
from storage.copying.cursor import Cursor, TableCursor
from storage.copying.place import Place, PlaceFailed
from storage.copying.tables import (
    COPIED,
    TableDigest,
    chunks,
    count,
    key_of,
    rows_after,
)
from storage.journal import check, epochs, side_tables
from storage.journal.migrations import UNFINISHED_COPY, Migrated
from storage.journal.schema import REVISION, meta

_TRIES: Final = 2
"""Of tables that differ: once where a copy lay unfinished, and once more."""

_OF_THE_STORE: Final = (*epochs.OF_THE_STORE, UNFINISHED_COPY)
"""Names in `meta` that are not copied."""


class Phase(StrEnum):
    """What a copy is doing."""

    COPYING = "copying"
    COMPARING = "comparing"
    VERIFYING = "verifying"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is."""

    phase: Phase
    table: str
    """Empty while the whole copy is verified."""
    done: int
    """Rows, of all tables together."""
    total: int
    """Rows; 0 where it is not known."""


Tell = Callable[[Progress], None]


def copy(
    source: Place,
    target: Place,
    *,
    epoch: str,
    notes: Mapping[str, str],
    tell: Tell,
) -> int:
    """Copy everything of `source` into `target`, or the rest of it; gives how many rows it has.

    Args:
        epoch: Names the copy.
        notes: Kept under their names in the copy, beside those of the source.
        tell: Told what is done, each time that more of it is durable.

    Raises:
        PlaceFailed: a place is held by another process, is of another version or fails; the target
            holds something else; the copy does not verify.
    """
    with _held(source, make=False), _held(target, make=True):
        _check_source(source)
        with source.reading() as connection:
            copying = _Copying(source, target, connection, tell)
            copying.begin()
            copying.carry_over()
            copying.verify()
            copying.finish(epoch, notes)
            return copying.total


@contextmanager
def _held(place: Place, *, make: bool) -> Iterator[None]:
    try:
        place.hold(make=make)
        yield
    finally:
        place.release()


def _check_source(source: Place) -> None:
    match source.state():
        case Migrated.CURRENT:
            return
        case Migrated.EMPTY:
            problem = "It holds no journal."
        case Migrated.OLDER:
            problem = "Its journal is of an earlier version: run `chorus migrate` on it first."
        case Migrated.NEWER | Migrated.AHEAD:
            problem = "Its journal is of a newer version of chorus: install that version."
        case Migrated.UNFINISHED:
            problem = "It is an unfinished copy itself."
        case never:
            assert_never(never)
    raise PlaceFailed(source, problem)


class _Copying:
    """One copy, under way."""

    def __init__(self, source: Place, target: Place, reading: Connection, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._reading = reading
        """Of the source, in one transaction."""
        self._tell = tell
        self._cursor = Cursor(source=epochs.epoch(reading) or "", revision=REVISION)
        self.total = sum(count(reading, table) for table in COPIED)
        """Rows of the source."""

    def begin(self) -> None:
        """Make the target, or find how far an earlier copy into it came."""
        match self._target.state():
            case Migrated.EMPTY:
                self._target.make_tables()
                self._mark()
            case Migrated.CURRENT:
                self._require_emptiness()
                self._mark()
            case Migrated.UNFINISHED:
                self._go_on()
            case Migrated.OLDER:
                raise PlaceFailed(self._target, "It holds a journal of an earlier version.")
            case Migrated.NEWER | Migrated.AHEAD:
                raise PlaceFailed(self._target, "It holds a journal of a newer version of chorus.")
            case never:
                assert_never(never)

    def _require_emptiness(self) -> None:
        with self._target.reading() as connection:
            if any(connection.execute(select(each).limit(1)).first() for each in COPIED):
                raise PlaceFailed(
                    self._target, "It is not empty: name a new folder or an empty database."
                )

    def _mark(self) -> None:
        with self._target.writing() as connection:
            self._cursor.keep(connection)

    def _go_on(self) -> None:
        with self._target.reading() as connection:
            kept = Cursor.kept(connection)
        if kept is None or (kept.source, kept.revision) != (
            self._cursor.source,
            self._cursor.revision,
        ):
            raise PlaceFailed(
                self._target,
                "It holds an unfinished copy of another store or version: remove it and begin anew.",
            )
        self._cursor = kept

    def carry_over(self) -> None:
        """Copy until both stores have the same rows."""
        for _ in range(_TRIES):
            self._copy_tables()
            differing = self._differing()
            if not differing:
                return
            self._clear(differing)
        raise PlaceFailed(self._target, f"It does not keep what is copied: {', '.join(differing)}.")

    def _copy_tables(self) -> None:
        done = 0
        for table in COPIED:
            at = self._cursor.of(table.name)
            for chunk in chunks(rows_after(self._reading, table, at.after)):
                at = TableCursor(after=key_of(table, chunk[-1]), rows=at.rows + len(chunk))
                moved = self._cursor.moved(table.name, at)
                with self._target.writing() as connection:
                    self._target.insert(connection, table, chunk)
                    moved.keep(connection)
                self._cursor = moved
                self._tell(Progress(Phase.COPYING, table.name, done + at.rows, self.total))
            done += at.rows

    def _differing(self) -> list[str]:
        """Names of the tables that are not alike."""
        ours = self._digests(self._reading, already=0)
        with self._target.reading() as connection:
            theirs = self._digests(connection, already=self.total)
        return [name for name, digest in ours.items() if theirs[name] != digest]

    def _digests(self, connection: Connection, *, already: int) -> dict[str, bytes]:
        """Of each table.

        Args:
            already: Rows that were read before, of all that are read to compare.
        """
        digests: dict[str, bytes] = {}
        for table in COPIED:
            digest = TableDigest()
            for chunk in chunks(rows_after(connection, table, None)):
                digest.add(chunk)
                already += len(chunk)
                self._tell(Progress(Phase.COMPARING, table.name, already, 2 * self.total))
            digests[table.name] = digest.value
        return digests

    def _clear(self, names: list[str]) -> None:
        with self._target.writing() as connection:
            for table in COPIED:
                if table.name in names:
                    connection.execute(delete(table))
                    self._cursor = self._cursor.moved(table.name, TableCursor())
            self._cursor.keep(connection)

    def verify(self) -> None:
        """Verify the copy as any journal: whatever is wrong with it is wrong with the source."""
        self._tell(Progress(Phase.VERIFYING, "", 0, 0))
        with self._target.reading() as connection:
            findings = check.find(connection)
        if findings:
            more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            raise PlaceFailed(
                self._source,
                f"{findings[0].sentence}{more}: run `chorus verify --repair` on it, then copy again.",
            )

    def finish(self, epoch: str, notes: Mapping[str, str]) -> None:
        """Name the copy, and let it be a store as any other."""
        kept = self._reading.execute(select(meta).where(meta.c.name.not_in(_OF_THE_STORE))).all()
        with self._target.writing() as connection:
            for table in COPIED:
                if table.autoincrement_column is not None:
                    last = self._source.last_number(self._reading, table)
                    self._target.number_after(connection, table, last)
            connection.execute(delete(meta).where(meta.c.name != UNFINISHED_COPY))
            if kept:
                connection.execute(insert(meta), [dict(row._mapping) for row in kept])
            for name, value in notes.items():
                side_tables.note(connection, name, value)
            epochs.set_epoch(connection, epoch)
            cursors.drop(connection)

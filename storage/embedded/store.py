"""The memory embedded in this process: SQLite, a file of vectors, and an index to search.

`database` and `vector_file` hold the points, and what they hold is what the memory holds. The index
follows them: it is read at the opening, and changed when a change of theirs is durable.

    a change        the vectors of new rows are written and durable first, then one transaction names
                    them. A process that is killed in between leaves rows that no message has, and the
                    next ones are written over them.
    damage          what a checksum does not fit is removed at the opening, and what is no database any
                    more is kept aside. Either way points are missing, which the caller hears of by
                    their number, and puts in again from the journal.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from pydantic import ValidationError

from machines.models import errors
from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.embedded.database import MemoryDatabase, is_damage
from storage.memory.facts import PointFacts, VectorHealth
from storage.memory.memory import Prepared
from storage.memory.points import Collection, LinkPayload, LinkPoint, MessagePoint
from storage.memory.values import (
    CollectionState,
    QueryPoints,
    RemovePoints,
    StorageEffect,
    WritePoints,
)
from storage.memory.vectors import EMBEDDED_ANEW, must_be_made_anew
from storage.memory.visibility import payload_of
from storage.private_files import make_private_folder

if TYPE_CHECKING:
    from storage.embedded.hybrid_index import HybridIndex
    from storage.embedded.vector_file import VectorFile

log = logging.getLogger(__name__)

DATABASE_FILE: Final = "memory.db"
VECTORS_FILE: Final = "vectors.f32"

_FACTS_PAGE: Final = 2_000
"""Points read at once for a comparison; searches get their turn between two pages."""

_GONE_ROWS: Final = 1_024
"""Rows of replaced and removed messages that are borne with, however few messages there are."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The files of a folder."""

    database: MemoryDatabase
    vectors: "VectorFile"
    inodes: tuple[int, ...]
    """Of both, as they lay in the folder."""

    def close(self) -> None:
        self.vectors.close()
        self.database.close()


class EmbeddedStore:
    """A store in a folder that this process holds alone: a `VectorStore`."""

    calls_at_once: Final = 1
    """Nothing in it is safe in two threads."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._dimensions = dimensions
        self._fingerprint = fingerprint
        self._opened: _Opened | None = None
        self._index: HybridIndex | None = None
        """What is there of messages; None until it is read."""
        self._made: set[Collection] = set()
        """Collections that are there empty, and were not reported yet."""
        self._damaged = False
        """Whether the files cannot be understood, and are kept aside at the next opening."""

    def prepare(self, *, accept_other: bool) -> Prepared:
        """As `VectorStore` says; also reads the index, unless other vectors are there."""
        try:
            return self._prepare(accept_other=accept_other)
        except errors.ConnectionError:
            if not self._damaged:
                raise
            # What is damaged showed as it was read: it is kept aside now, and made anew.
            return self._prepare(accept_other=accept_other)

    def _prepare(self, *, accept_other: bool) -> Prepared:
        with self._our_errors():
            for name in Collection:
                self._make(name)
            state = self._files().database.describe(Collection.MESSAGES)
            if not accept_other and must_be_made_anew(state, self._dimensions, self._fingerprint):
                log.warning(EMBEDDED_ANEW)
                self._make_anew(Collection.MESSAGES)
                self._searchable()
            elif (state.dimensions, state.fingerprint) == (self._dimensions, self._fingerprint):
                self._searchable()
            database = self._files().database
            prepared = Prepared(
                made=frozenset(self._made),
                collections=tuple(database.describe(name) for name in Collection),
                indices=(),
                points={name: database.count(name) for name in Collection},
            )
            self._made.clear()
            return prepared

    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        """Carry out an effect; what a query found, else nothing."""
        with self._our_errors():
            self._refuse_lost_files()
            match effect:
                case WritePoints():
                    self._write(effect)
                case QueryPoints():
                    index = self._searchable()
                    if effect.text:
                        return index.find(effect)
                    return index.search(effect.vector, effect.scope, effect.limit)
                case RemovePoints():
                    self._remove(effect)
                case _:
                    assert_never(effect)
            return ()

    def facts_page(
        self, name: Collection, after: PointId | None
    ) -> tuple[list[PointFacts], PointId | None]:
        """A page of facts, and where the next one begins; None at the end."""
        with self._our_errors():
            facts = (
                self._message_facts(after)
                if name is Collection.MESSAGES
                else self._link_facts(after)
            )
            return facts, facts[-1].id if len(facts) == _FACTS_PAGE else None

    def drop(self, name: Collection) -> None:
        """Remove a collection with all that is in it."""
        with self._our_errors():
            files = self._files()
            with files.database.changes():
                files.database.drop(name)
            if name is Collection.MESSAGES:
                self._index = None
                # Its vectors may be of another size than those to come.
                self._close()

    def close(self) -> None:
        """Let go of the folder; the next call opens it again."""
        with self._our_errors():
            self._close()

    # ------------------------------------------------------------------------------------- files

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        """Let no exception of SQLite, the files or the system out."""
        from storage.embedded.vector_file import ShortFile

        try:
            yield
        except errors.StorageError:
            raise
        except Exception as error:
            # Trust nothing in memory that may not be on disk, nor files that raised.
            self._damaged |= isinstance(error, ShortFile) or is_damage(error)
            with suppress(Exception):
                self._close()
            if isinstance(error, sqlite3.Error | OSError | ShortFile):
                raise errors.ConnectionError(
                    "The memory's folder cannot be read or written.", detail=repr(error)
                ) from error
            raise errors.StorageError(
                "The memory failed.", retryable=False, detail=repr(error)
            ) from error

    def _close(self) -> None:
        opened, self._opened, self._index = self._opened, None, None
        if opened is not None:
            opened.close()

    def _refuse_lost_files(self) -> None:
        """Raise FileNotFoundError where the files that are open are in the folder no more."""
        if self._opened is not None and _inodes_in(self._folder) != self._opened.inodes:
            raise FileNotFoundError(self._folder)

    def _files(self) -> _Opened:
        if self._opened is None:
            try:
                if self._damaged:
                    self._set_aside()
                make_private_folder(self._folder)
                self._opened = self._open_or_set_aside()
            except (OSError, sqlite3.Error) as error:
                in_use = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                raise errors.ConnectionError(
                    "The memory's folder is in use by another process: "
                    "stop that one, or choose another data folder."
                    if in_use
                    else "The memory's folder cannot be read and written: check its permissions.",
                    detail=f"{self._folder}: {error!r}",
                ) from error
        return self._opened

    def _open_or_set_aside(self) -> _Opened:
        """The files. Those that cannot be understood are kept aside, and made anew."""
        from storage.embedded.vector_file import ShortFile

        try:
            return self._open()
        except (sqlite3.Error, ShortFile) as error:
            if not (isinstance(error, ShortFile) or is_damage(error)):
                raise
            self._set_aside()
            make_private_folder(self._folder)
            return self._open()

    def _open(self) -> _Opened:
        from storage.embedded.vector_file import VectorFile

        database = MemoryDatabase(self._folder / DATABASE_FILE)
        try:
            self._make_in(database, Collection.MESSAGES)
            dimensions = database.describe(Collection.MESSAGES).dimensions or self._dimensions
            vectors = VectorFile(self._folder / VECTORS_FILE, dimensions)
            try:
                rows = database.rows()
                if not rows:
                    vectors.clear()
                vectors.load(rows)
            except BaseException:
                vectors.close()
                raise
        except BaseException:
            database.close()
            raise
        return _Opened(database, vectors, _inodes_in(self._folder))

    def _set_aside(self) -> None:
        """Keep the folder under another name. Raises OSError."""
        names = (self._folder.with_name(f"{self._folder.name}.damaged-{n}") for n in count(1))
        aside = next(name for name in names if not name.exists())
        self._folder.rename(aside)
        self._damaged = False
        log.warning(
            "the memory's folder is damaged: it is kept as %s, and filled again from the journal",
            aside.name,
        )

    # ------------------------------------------------------------------------------- collections

    def _make(self, name: Collection) -> None:
        self._make_in(self._files().database, name)

    def _make_in(self, database: MemoryDatabase, name: Collection) -> None:
        has_vectors = name is Collection.MESSAGES
        state = CollectionState(
            name=name,
            dimensions=self._dimensions if has_vectors else None,
            fingerprint=self._fingerprint if has_vectors else None,
        )
        with database.changes():
            is_new = database.make(state)
        if is_new:
            self._made.add(name)

    def _make_anew(self, name: Collection) -> None:
        self.drop(name)
        self._make(name)

    def _searchable(self) -> "HybridIndex":
        """The index; read from the files where there is none."""
        if self._index is None:
            self._index = self._read_index()
        return self._index

    def _read_index(self) -> "HybridIndex":
        """The index of what is there; messages that are damaged are removed."""
        from storage.embedded.entry_rows import sound_pages
        from storage.embedded.filed_rows import FiledRows
        from storage.embedded.hybrid_index import HybridIndex

        files = self._files()
        rows, messages = files.database.rows(), files.database.count(Collection.MESSAGES)
        if rows - messages > max(messages, _GONE_ROWS):
            log.info("most of the memory's rows are of messages that are gone: it is made anew")
            self._make_anew(Collection.MESSAGES)
            files = self._files()
        dimensions = files.database.describe(Collection.MESSAGES).dimensions or 0
        index = HybridIndex(FiledRows(files.database, files.vectors), dimensions)
        damaged: list[int] = []
        index.put_pages(sound_pages(files.database, files.vectors, damaged))
        if damaged:
            log.warning(
                "%d messages of the memory are damaged: the journal gives them again", len(damaged)
            )
            with files.database.changes():
                files.database.remove(damaged)
        return index

    # ----------------------------------------------------------------------------------- effects

    def _write(self, effect: WritePoints) -> None:
        messages = [point for point in effect.points if isinstance(point, MessagePoint)]
        if messages:
            self._write_messages(messages, effect)
        links = [point for point in effect.points if isinstance(point, LinkPoint)]
        if links:
            self._write_links(links, effect)

    def _write_messages(self, points: Sequence[MessagePoint], effect: WritePoints) -> None:
        from zlib import crc32

        from storage.embedded.entry_rows import row_of
        from storage.embedded.exact_index import entry_of
        from storage.embedded.rows import unit_vectors

        index, files = self._searchable(), self._files()
        known = files.database.known([point.id for point in points])
        seqs = {id_: there.seq for id_, there in known.items()}
        taken = [p for p in points if _is_taken(p.payload.seq, seqs.get(p.id), effect)]
        if not taken:
            return
        units, _ = unit_vectors([point.vector for point in taken], self._dimensions)
        entries = [entry_of(point.payload) for point in taken]
        replaced = [known[point.id].row for point in taken if point.id in known]
        first = files.database.rows()
        rows = range(first, first + len(taken))
        with files.database.changes():
            files.vectors.append_at(first, units)
            files.database.remove(replaced)
            files.database.put(
                [
                    row_of(row, point, entry, crc32(unit))
                    for row, point, entry, unit in zip(rows, taken, entries, units, strict=True)
                ],
                [point.payload.model_dump_json().encode() for point in taken],
            )
        index.take_out(replaced)
        index.put(rows, entries)

    def _write_links(self, points: Sequence[LinkPoint], effect: WritePoints) -> None:
        database = self._files().database
        known = database.known_links([point.id for point in points])
        taken = [p.payload for p in points if _is_taken(p.payload.seq, known.get(p.id), effect)]
        with database.changes():
            database.put_links(taken)

    def _remove(self, effect: RemovePoints) -> None:
        database = self._files().database
        if effect.collection is Collection.LINKS:
            with database.changes():
                database.remove_links(effect.ids)
            return
        index = self._searchable()
        rows = [known.row for known in database.known(effect.ids).values()]
        with database.changes():
            if effect.with_links:
                database.remove_links_at(effect.ids)
            database.remove(rows)
        index.take_out(rows)

    # ------------------------------------------------------------------------------------- facts

    def _message_facts(self, after: PointId | None) -> list[PointFacts]:
        files = self._files()
        dimensions = files.database.describe(Collection.MESSAGES).dimensions or 0
        page = files.database.page(after, _FACTS_PAGE)
        payloads = files.database.payloads([row for _, row, _ in page])
        by_row = sorted(row for _, row, _ in page)
        sums = dict(zip(by_row, files.vectors.sums(by_row), strict=True))
        facts: list[PointFacts] = []
        for id_, row, vector_sum in page:
            message = payload_of(payloads.get(row))
            is_sound = sums[row] == vector_sum
            facts.append(
                PointFacts(
                    id=id_,
                    seq=message.seq if message else 0,
                    digest=message.digest() if message else "",
                    health=VectorHealth.SOUND if is_sound else VectorHealth.MISSING,
                    size=dimensions if is_sound else 0,
                    fingerprint=message.fingerprint if message else None,
                )
            )
        return facts

    def _link_facts(self, after: PointId | None) -> list[PointFacts]:
        return [
            _link_fact(id_, payload)
            for id_, payload in self._files().database.page_of_links(after, _FACTS_PAGE)
        ]


def _inodes_in(folder: Path) -> tuple[int, ...]:
    """The inodes of the files of a folder; raises OSError where one is not there."""
    return tuple((folder / name).stat().st_ino for name in (DATABASE_FILE, VECTORS_FILE))


def _is_taken(seq: int, known: int | None, effect: WritePoints) -> bool:
    """Whether a point is written, given the `seq` of the one that is there, if any."""
    match effect.when:
        case "newer":
            return known is None or known < seq
        case "present":
            return known is not None
        case _:
            assert_never(effect.when)


def _link_fact(id_: PointId, payload: bytes) -> PointFacts:
    try:
        link = LinkPayload.model_validate_json(payload)
    except ValidationError:
        return PointFacts(id=id_, seq=0, digest="")
    return PointFacts(id=id_, seq=link.seq, digest=link.digest(), ends=link.ends)

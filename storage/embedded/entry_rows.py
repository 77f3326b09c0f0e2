"""Messages of the index as rows of the database, and back. Importing this module loads numpy."""

from collections.abc import Iterator
from functools import cache

from machines.models.thread import Visibility
from storage.embedded.database import EntryRow, MemoryDatabase
from storage.embedded.exact_index import Entry, Shelf
from storage.embedded.vector_file import VectorFile
from storage.memory.points import MessagePoint
from storage.memory.surroundings import Stand
from storage.memory.word_index import SEGMENT, CountedWords


def sound_pages(
    database: MemoryDatabase, vectors: VectorFile, damaged: list[int]
) -> Iterator[tuple[list[int], list[Entry]]]:
    """Rows and entries of all messages, some at a time; the rows of those that are damaged are noted."""
    # One for many messages, as one for each would take as much time as all the rest of an entry.
    shelf_of = cache(
        lambda thread, visibility, repeats: Shelf(thread, Visibility(visibility), bool(repeats))
    )
    for page in database.entries(SEGMENT):
        sums = vectors.sums([entry.row for entry, _ in page])
        sound = [
            entry
            for (entry, is_whole), vector_sum in zip(page, sums, strict=True)
            if is_whole and entry.vector_sum == vector_sum
        ]
        kept = {entry.row for entry in sound}
        damaged += [entry.row for entry, _ in page if entry.row not in kept]
        yield (
            [entry.row for entry in sound],
            [
                _entry_of(entry, shelf_of(entry.thread, entry.visibility, entry.repeats))
                for entry in sound
            ],
        )


def row_of(row: int, point: MessagePoint, entry: Entry, vector_sum: int) -> EntryRow:
    """A message as it lies in the database; `vector_sum` is the CRC-32 of its unit vector."""
    return EntryRow(
        row=row,
        id=point.id,
        seq=point.payload.seq,
        thread=entry.shelf.thread_id,
        visibility=entry.shelf.visibility.value,
        repeats=int(entry.shelf.repeats),
        place=entry.stand.place,
        speaker=entry.stand.author,
        identity=entry.stand.identity,
        words=entry.words.keys,
        counts=entry.words.counts,
        total=entry.words.total,
        language=entry.words.language,
        vector_sum=vector_sum,
    )


def _entry_of(row: EntryRow, shelf: Shelf) -> Entry:
    return Entry(
        shelf,
        Stand(shelf.thread_id, row.place, row.speaker, row.identity),
        CountedWords(row.words, row.counts, row.total, row.language),
    )

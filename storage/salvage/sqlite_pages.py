"""Reads the rows that lie in an SQLite file page by page, whatever became of the trees above them.

SQLite finds a row by descending from the root of its table, which the schema on page 1 names. Where
page 1 or an inner page is gone it finds nothing more, although the leaves that hold the rows may all
be there. Here every page is looked at in turn, and what is a leaf gives its rows. Which table a leaf
belongs to is for the reader of its rows to know.

What is read of the format (https://www.sqlite.org/fileformat2.html):

    page        numbered from 1; all of one size. Page 1 begins with 100 bytes of file header.
    leaf        0x0D, first free block (2 bytes), number of cells (2), where cells begin (2), free
                bytes (1), then for each cell where it stands in the page (2).
    cell        length of the payload, row id (both varints), the payload. What does not fit into
                the page goes on in overflow pages: number of the next one or 0 (4), content.
    payload     a record: length of its head, a serial type for each column (all varints), values.
    log         `-wal`: header (32 bytes), then frames: header (24), a page. A frame counts where its
                salts are the log's and its checksum, which goes on from frame to frame, is right, up
                to the last one that ends a transaction; the last frame of a page is the page.

Only cells that their leaf lists are rows: what else lies in a page was deleted, or moved. The last page
of a file that was cut short may lack its end: what is there of it is read. Pure: only bytes are known
here. Every number in them may be damaged or a lie: what does not fit together is left out, and the work
is bounded by the number of pages.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from mmap import mmap
from typing import Final, NamedTuple, TypeAlias

SqlValue: TypeAlias = int | float | str | bytes | None
Buffer: TypeAlias = bytes | mmap

MOST_COLUMNS: Final = 64
"""A record with more is refused; bounds what one cell can cost."""

_SIZES: Final = (4096, 8192, 16384, 32768, 65536, 2048, 1024, 512)
"""Of a page, in bytes; the usual one first."""

_MAGIC: Final = b"SQLite format 3\0"
_FILE_HEADER: Final = 100
_FREE_LIST_AT: Final = 32
_RESERVED_AT: Final = 20
_MOST_RESERVED: Final = 32

_TABLE_LEAF: Final = 0x0D
_LEAF_HEADER: Final = 8
_SMALLEST_CELL: Final = 4

_LOG_HEADER: Final = struct.Struct(">8I")
_FRAME_HEADER: Final = struct.Struct(">6I")
_LOG_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""The byte order of the log's checksums."""

_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""By serial type."""


class CellPlace(NamedTuple):
    """Where a cell stands."""

    page: int
    offset: int


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as its record has it: no names; a column that is the row id is None."""

    rowid: int
    values: tuple[SqlValue, ...]


class _NotWholeError(Exception):
    """Something does not fit together; what it belongs to is left out."""


def open_pages(file: Buffer, log: Buffer = b"") -> "Pages":
    """The pages of a file and its log, of the size at which most rows are whole.

    The header is not asked for the size: it may be what is damaged, and at a wrong size next to
    nothing fits together.
    """
    said = int.from_bytes(_file_header(file)[_RESERVED_AT : _RESERVED_AT + 1], "big")
    reserved = said if said <= _MOST_RESERVED else 0
    candidates = [Pages(file, log, size, reserved) for size in _SIZES]
    return max(candidates, key=lambda pages: sum(1 for _ in pages.rows()))


class Pages:
    """A file that is read as pages of one size.

    `rows` gives everything that is whole; `row` reads one of them again.
    """

    def __init__(self, file: Buffer, log: Buffer, size: int, reserved: int = 0) -> None:
        """
        Args:
            file: The database, whole or not.
            log: Its `-wal` file; empty where there is none.
            size: Of a page, in bytes.
            reserved: Bytes at the end of each page that hold no content.
        """
        self._file = file
        self._log = log
        self.size = size
        """Of a page, in bytes."""
        self._usable = size - reserved
        self._frames = _committed_frames(log, size)
        self._in_file = -(-len(file) // size)
        self._behind = sorted(number for number in self._frames if number > self._in_file)
        """Pages that are in the log alone."""
        self._count = self._in_file + len(self._behind)

    def rows(self) -> Iterator[tuple[CellPlace, StoredRow]]:
        """Every whole row of every table, in the order of the file."""
        # In a sound file no overflow page is read for two cells. Cells that lie about theirs
        # could all lead through the same ones; that is cut off well beyond what damage does.
        allowance = _Allowance(4 * self._count)
        for number in chain(range(1, self._in_file + 1), self._behind):
            page = self._page(number)
            for offset in _cells(page, _header_at(number), self._usable):
                try:
                    yield CellPlace(number, offset), self._cell(page, offset, allowance)
                except _NotWholeError:
                    continue

    def row(self, place: CellPlace) -> StoredRow | None:
        """The row whose cell stands there; None where it is not whole."""
        try:
            return self._cell(self._page(place.page), place.offset, _Allowance(self._count))
        except _NotWholeError:
            return None

    def free(self) -> frozenset[int]:
        """Pages that the file's list of free pages names, as far as it can be followed.

        They hold nothing, but what they held still lies there.
        """
        found: set[int] = set()
        try:
            header = _file_header(self._page(1))
            trunk = int.from_bytes(header[_FREE_LIST_AT : _FREE_LIST_AT + 4], "big")
            while trunk and trunk not in found:
                page = self._page(trunk)
                if len(page) < self.size:
                    break
                following, count = struct.unpack_from(">II", page)
                if count > self._usable // 4 - 2:
                    break
                found.update((trunk, *struct.unpack_from(f">{count}I", page, 8)))
                trunk = following
        except _NotWholeError:
            pass  # the rest of the list is lost
        return frozenset(found)

    def _page(self, number: int) -> bytes:
        """The bytes of a page; fewer than a page where the file ends within it."""
        frame = self._frames.get(number)
        if frame is not None:
            return self._log[frame : frame + self.size]
        if not 1 <= number <= self._in_file:
            raise _NotWholeError(f"there is no page {number}")
        return self._file[(number - 1) * self.size : number * self.size]

    def _cell(self, page: bytes, offset: int, allowance: "_Allowance") -> StoredRow:
        length, at = _varint(page, offset)
        rowid, at = _varint(page, at)
        payload = self._payload(page, at, length, allowance)
        return StoredRow(rowid=_signed(rowid), values=_record(payload))

    def _payload(self, page: bytes, at: int, length: int, allowance: "_Allowance") -> bytes:
        """The payload of a cell, from its page and its overflow pages."""
        here = _local(length, self._usable)
        if at + here > min(self._usable, len(page)):
            raise _NotWholeError("the cell goes beyond its page")
        if here == length:
            return page[at : at + length]
        parts = [page[at : at + here]]
        missing = length - here
        each = self._usable - 4
        if missing > each * self._count:
            raise _NotWholeError("the payload is longer than the file")
        if at + here + 4 > self._usable:
            raise _NotWholeError("the number of the overflow page is cut off")
        following = int.from_bytes(page[at + here : at + here + 4], "big")
        while missing > 0:
            allowance.spend()
            overflow = self._page(following)
            following = int.from_bytes(overflow[:4], "big")
            parts.append(overflow[4 : 4 + min(missing, each)])
            missing -= each
        if following:
            raise _NotWholeError("the overflow pages go on behind the payload")
        return b"".join(parts)


class _Allowance:
    """How many overflow pages may still be read."""

    def __init__(self, pages: int) -> None:
        self._left = pages

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _NotWholeError("too many overflow pages")


def _file_header(file: Buffer) -> bytes:
    """The header of a file, or of its first page; empty where it is no SQLite file's."""
    header = file[:_FILE_HEADER]
    return header if header.startswith(_MAGIC) else b""


# --- Leaves and cells ---------------------------------------------------------------------------


def _header_at(number: int) -> int:
    return _FILE_HEADER if number == 1 else 0


def _cells(page: bytes, at: int, usable: int) -> Iterator[int]:
    """Where the cells of a table's leaf stand; nothing for any other page."""
    usable = min(usable, len(page))
    if at + _LEAF_HEADER > usable or page[at] != _TABLE_LEAF:
        return
    count = int.from_bytes(page[at + 3 : at + 5], "big")
    listed = at + _LEAF_HEADER
    first = listed + 2 * count
    if first + _SMALLEST_CELL * count > usable:
        return
    offsets = struct.unpack_from(f">{count}H", page, listed)
    for offset in dict.fromkeys(offsets):
        if first <= offset <= usable - _SMALLEST_CELL:
            yield offset


def _local(length: int, usable: int) -> int:
    """How many bytes of a payload are in the leaf itself."""
    most = usable - 35
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (length - least) % (usable - 4)
    return fitting if fitting <= most else least


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, the highest bits first, and where it ends."""
    number = 0
    for place in range(at, at + 8):
        if place >= len(data):
            raise _NotWholeError("a number is cut off")
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    if at + 8 >= len(data):
        raise _NotWholeError("a number is cut off")
    return number << 8 | data[at + 8], at + 9


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


# --- Records ------------------------------------------------------------------------------------


def _record(payload: bytes) -> tuple[SqlValue, ...]:
    head, at = _varint(payload, 0)
    if head > len(payload):
        raise _NotWholeError("the record's head is cut off")
    kinds: list[int] = []
    while at < head:
        if len(kinds) == MOST_COLUMNS:
            raise _NotWholeError("the record has too many columns")
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != head or not kinds:
        raise _NotWholeError("the record's head ends within a number, or lists nothing")
    values: list[SqlValue] = []
    for kind in kinds:
        size = _size(kind)
        if at + size > len(payload):
            raise _NotWholeError("a value is cut off")
        values.append(_value(kind, payload[at : at + size]))
        at += size
    if at != len(payload):
        raise _NotWholeError("the record is longer than its values")
    return tuple(values)


def _size(kind: int) -> int:
    """Bytes of a value of a serial type."""
    if kind >= 12:
        return (kind - 12) // 2
    if kind in (10, 11):
        raise _NotWholeError("a value of a type that is never stored")
    return 8 if kind == 7 else _INTEGER_BYTES.get(kind, 0)


def _value(kind: int, data: bytes) -> SqlValue:
    if kind >= 12:
        if kind % 2 == 0:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise _NotWholeError("a text is no UTF-8") from error
    match kind:
        case 0:
            return None
        case 7:
            number: float = struct.unpack(">d", data)[0]
            return number
        case 8 | 9:
            return kind - 8
        case _:
            return int.from_bytes(data, "big", signed=True)


# --- The log ------------------------------------------------------------------------------------


def _committed_frames(log: Buffer, size: int) -> dict[int, int]:
    """Where in the log the content of each page stands that a transaction left there."""
    if len(log) < _LOG_HEADER.size:
        return {}
    magic, _, page_size, _, *salts, sum_1, sum_2 = _LOG_HEADER.unpack(log[: _LOG_HEADER.size])
    order = _LOG_MAGIC.get(magic)
    if order is None or page_size != size:
        return {}
    sums = _checksum(order, log[: _LOG_HEADER.size - 8], (0, 0))
    if sums != (sum_1, sum_2):
        return {}
    committed: dict[int, int] = {}
    written: dict[int, int] = {}
    for at in range(_LOG_HEADER.size, len(log), _FRAME_HEADER.size + size):
        frame = log[at : at + _FRAME_HEADER.size + size]
        if len(frame) < _FRAME_HEADER.size + size:
            break
        number, pages_after, salt_1, salt_2, sum_1, sum_2 = _FRAME_HEADER.unpack_from(frame)
        sums = _checksum(order, frame[:8] + frame[_FRAME_HEADER.size :], sums)
        if [salt_1, salt_2] != salts or sums != (sum_1, sum_2) or number == 0:
            break
        written[number] = at + _FRAME_HEADER.size
        if pages_after:  # the frame ends a transaction
            committed.update(written)
            written.clear()
    return committed


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second

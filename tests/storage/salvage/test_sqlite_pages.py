"""The reader of SQLite's pages, held against SQLite: on whole files it gives what SQLite gives, and on
whatever else it gives nothing that was never there, and comes to an end."""

import sqlite3
import struct
import tempfile
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.salvage.sqlite_pages import Pages, SqlValue, StoredRow, open_pages

LARGE = 9_000
"""Bytes that fill overflow pages of every size up to 4096."""

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 127, 128, -(2**15), 2**23, 2**31, -(2**47)]),
    st.floats(allow_nan=False),
    TEXTS,
    st.builds(lambda text, times: text * times, TEXTS, st.integers(0, LARGE // 40)),
    st.binary(max_size=60),
    st.integers(0, LARGE).map(bytes),
)
ROWS = st.dictionaries(
    st.integers(-(2**63), 2**63 - 1), st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=30
)
SIZES = st.sampled_from([512, 1024, 4096, 65536])

Content = dict[int, tuple[SqlValue, ...]]


def write(file: Path, size: int, rows: Content, *, log: bool = False) -> sqlite3.Connection:
    """A database of one table with the columns `id, a, b, c`; of an open log on request."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(f"PRAGMA page_size={size}")
    if log:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(id_, *rows[id_]) for id_ in rows])
    return database


def read(pages: Pages, *, without: Collection[int] = ()) -> Content:
    """The rows of the table; a row that is found twice must be the same one.

    Args:
        without: Pages that are passed over.
    """
    found: Content = {}
    for place, row in pages.rows():
        # The schema has rows of its own, of five columns.
        if place.page not in without and len(row.values) == 4:
            assert found.setdefault(row.rowid, row.values[1:]) == row.values[1:]
    return found


def log_of(file: Path) -> Path:
    return Path(f"{file}-wal")


@given(size=SIZES, rows=ROWS)
def test_a_whole_file_gives_what_was_written(size: int, rows: Content) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        write(file, size, rows).close()
        pages = open_pages(file.read_bytes())
    assert read(pages) == rows
    assert all(pages.row(place) == row for place, row in pages.rows())


@given(size=SIZES, rows=ROWS, gone=st.sets(st.integers(0, 29)))
def test_what_was_deleted_is_not_found_again(size: int, rows: Content, gone: set[int]) -> None:
    ids = sorted(rows)
    deleted = {ids[number] for number in gone if number < len(ids)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        with closing(write(file, size, rows)) as database:
            database.executemany("DELETE FROM t WHERE id = ?", [(id_,) for id_ in deleted])
        pages = Pages(file.read_bytes(), b"", size)
    left = {id_: row for id_, row in rows.items() if id_ not in deleted}
    assert read(pages, without=pages.free()) == left


@given(size=SIZES, rows=ROWS, later=ROWS)
def test_pages_that_are_in_the_log_alone_are_read_from_there(
    size: int, rows: Content, later: Content
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        with closing(write(file, size, rows, log=True)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.executemany(
                "INSERT OR REPLACE INTO t VALUES (?, ?, ?, ?)",
                [(id_, *later[id_]) for id_ in later],
            )
            content, log = file.read_bytes(), log_of(file).read_bytes()
    assert read(open_pages(content, log)) == {**rows, **later}


@pytest.fixture
def journal(tmp_path: Path) -> tuple[bytes, bytes]:
    """A file and its log, in which ten transactions wrote a row each."""
    file = tmp_path / "file"
    database = write(file, 4096, {}, log=True)
    for id_ in range(1, 11):
        database.execute("INSERT INTO t VALUES (?, ?, 'b', 'c')", (id_, "a" * LARGE))
    content = file.read_bytes(), log_of(file).read_bytes()
    database.close()
    return content


def test_a_log_counts_up_to_its_last_whole_transaction(journal: tuple[bytes, bytes]) -> None:
    content, log = journal
    heads = []
    for end in range(0, len(log), 1_000):
        found = read(open_pages(content, log[:end]))
        assert found == dict.fromkeys(range(1, len(found) + 1), ("a" * LARGE, "b", "c"))
        heads.append(len(found))
    assert heads == sorted(heads)
    assert heads[-1] in (9, 10)


@pytest.mark.parametrize("place", [0, 9, 17, 25, 33, 41, 48, 60, 5_000, 20_000, 60_000])
def test_nothing_behind_a_damaged_place_of_the_log_counts(
    journal: tuple[bytes, bytes], place: int
) -> None:
    content, log = journal
    damaged = bytearray(log)
    damaged[place] ^= 0x40
    expected = read(open_pages(content, log[:place]))
    assert read(open_pages(content, bytes(damaged))) == expected


@given(
    content=st.one_of(
        st.binary(max_size=5_000),
        st.binary(max_size=300).map(lambda some: b"SQLite format 3\0" + some * 40),
    ),
    log=st.binary(max_size=300),
)
def test_what_is_no_database_has_no_rows_or_only_such_as_fit(content: bytes, log: bytes) -> None:
    for _, row in open_pages(content, log).rows():
        assert isinstance(row, StoredRow)


class Counted(bytes):
    """Bytes that count how often they are cut."""

    cuts = 0

    def __getitem__(self, key: Any) -> Any:
        self.cuts += isinstance(key, slice)
        return super().__getitem__(key)


def lying_leaf(size: int, overflow: int, promised: int) -> bytes:
    """A leaf with as many cells as it can name, which overlap and all promise a long payload."""
    count = size // 16
    cells = range(size - 4 - count, size - 4)
    varint = bytes((0x80 | promised >> 14 & 0x7F, 0x80 | promised >> 7 & 0x7F, promised & 0x7F))
    head = struct.pack(">BHHHB", 0x0D, 0, count, 0, 0) + struct.pack(f">{count}H", *cells)
    body = (varint + b"\1") * (size // 4)
    return (head + body)[: size - 4] + overflow.to_bytes(4, "big")


@pytest.mark.parametrize("promised", [500, 5_000, 2_000_000])
def test_cells_that_lie_about_their_payload_cost_no_more_than_the_file_is_long(
    promised: int,
) -> None:
    size, number = 512, 200
    # Every overflow page leads to itself, or is a leaf that tells the same lies.
    content = Counted(
        b"".join(
            lying_leaf(size, page, promised) if page % 2 else page.to_bytes(4, "big") * (size // 4)
            for page in range(1, number + 1)
        )
    )
    assert list(Pages(content, b"", size).rows()) == []
    assert content.cuts <= 6 * number


def test_a_list_of_free_pages_that_leads_back_is_followed_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with closing(write(file, 4096, {id_: (bytes(LARGE), 0, 0) for id_ in range(50)})) as database:
        database.execute("DELETE FROM t")
    content = bytearray(file.read_bytes())
    (trunk,) = struct.unpack_from(">I", content, 32)
    struct.pack_into(">I", content, (trunk - 1) * 4096, trunk)
    assert trunk in Pages(bytes(content), b"", 4096).free()


@pytest.mark.parametrize("size", [512, 1024, 4096, 8192])
def test_the_size_of_the_pages_is_found_without_the_header(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    rows: Content = {id_: ("a" * (id_ % 700), id_, None) for id_ in range(300)}
    write(file, size, rows).close()
    content = file.read_bytes()
    for said in (b"\0\0", b"\x02\0", b"\x20\0", b"\0\1"):
        damaged = content[:16] + said + content[18:]
        pages = open_pages(damaged)
        assert pages.size == size
        assert read(pages) == rows


def varints(numbers: Iterable[int]) -> bytes:
    """Small ones."""
    return bytes(numbers)


@pytest.mark.parametrize(
    "payload",
    [
        varints([3, 15, 9]) + b"",  # a text of one byte that is cut off
        varints([3, 15, 9]) + b"ab",  # a byte too many
        varints([3, 15]),  # a head that is cut off
        varints([2, 10]),  # types that are never stored
        varints([2, 11]),
        varints([2, 15]) + b"\xff",  # no UTF-8
        varints([2, 0x80]),  # a number that goes on behind the head
        varints([66]) + bytes(65),  # more columns than any table has
        b"",
    ],
)
def test_a_record_that_does_not_fit_together_is_no_row(payload: bytes) -> None:
    assert rows_of_one_leaf(payload) == []


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        (varints([3, 15, 9]) + b"a", ("a", 1)),
        (varints([4, 0, 8, 1]) + b"\xff", (None, 0, -1)),
        (varints([2, 14]) + b"\xff", (b"\xff",)),
    ],
)
def test_a_record_that_fits_together_is_a_row(payload: bytes, values: Sequence[SqlValue]) -> None:
    assert rows_of_one_leaf(payload) == [tuple(values)]


def rows_of_one_leaf(payload: bytes) -> list[tuple[SqlValue, ...]]:
    size = 512
    cell = bytes((len(payload), 7)) + payload
    at = size - max(len(cell), 4)
    leaf = struct.pack(">BHHHBH", 0x0D, 0, 1, 0, 0, at).ljust(at, b"\0") + cell.ljust(4, b"\0")
    # The first page begins with the file's header; a leaf of its own is the second.
    return [row.values for _, row in Pages(bytes(size) + leaf, b"", size).rows()]

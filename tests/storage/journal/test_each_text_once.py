"""Journals of earlier versions are rewritten so that each text stands once, and show what they showed."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from machines.models.errors import JournalError
from machines.models.ids import RunId, StreamId
from machines.models.journal import JournalEntry
from server.commands.trace import trace
from server.settings import Settings
from server.wire.presenter import LiveEntry
from storage.journal import migrations
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.migrations.each_text_once import MARK, go_on, rewritten
from storage.journal.rows import entry_digest
from storage.journal.schema import REVISION
from storage.journal.sources import added_priors
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from storage.salvage.recover import damage, salvage
from tests.storage.journal.keep_journal import KEPT, live_through, restore
from tests.storage.journal.migrating_process import AT_ONCE
from tests.support.forked import forked_output
from tests.support.in_process import Clock, open_test_services

VERSIONS = sorted(KEPT.glob("0.[123].0.sql"))
"""Those whose entries hold each text up to three times."""


@pytest.fixture(params=VERSIONS, ids=lambda kept: kept.stem)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A journal of an earlier version."""
    restore(request.param, tmp_path)
    return tmp_path / JOURNAL_FILE


def rows_of(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as journal:
        return journal.execute(query, values).fetchall()


def edit(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as journal, journal:
        journal.execute(statement, values)


def everything_in(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that the migration writes, and how far it says that it is."""
    return {
        table: rows_of(file, f"SELECT * FROM {table} ORDER BY rowid")  # noqa: S608 - our own names
        for table in ("entries", "runs", "meta")
    }


def frames_of(entries: list[JournalEntry]) -> list[tuple[str, str]]:
    """What followers get of the entries of threads: the whole frame, and the one for others."""
    live = [LiveEntry(each) for each in entries if each.stream.startswith("thread:")]
    return [(each.full, each.redacted) for each in live]


async def entries_in(journal: SqliteJournal, file: Path) -> list[JournalEntry]:
    """Every entry, by stream."""
    streams = rows_of(file, "SELECT DISTINCT stream FROM entries ORDER BY stream")
    return [
        entry
        for (stream,) in streams
        for entry in (await journal.entries(StreamId(stream), after_seq=0, limit=1_000)).entries
    ]


def earlier_frames(file: Path) -> list[tuple[str, str]]:
    """The frames of a journal that is not migrated yet: its bodies are whole entries."""
    rows = rows_of(file, "SELECT body FROM entries ORDER BY stream, seq")
    return frames_of([JournalEntry.model_validate_json(body) for (body,) in rows])


async def migrated(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Open the journal, which migrates it; gives what it holds then, but for the store's name."""
    journal = SqliteJournal(file, make_epoch=lambda: "a store")
    await journal.open()
    assert await journal.verify() == ()
    await journal.close()
    return everything_in(file)


async def test_the_frames_of_an_earlier_journal_are_the_same_byte_for_byte(file: Path) -> None:
    before = await asyncio.to_thread(earlier_frames, file)
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert await asyncio.to_thread(frames_of, await entries_in(journal, file)) == before
        assert len(before) > 60
    finally:
        await journal.close()


async def test_it_becomes_shorter_and_every_digest_is_of_what_stands_there(file: Path) -> None:
    (before,) = rows_of(file, "SELECT sum(length(body)) FROM entries")
    await migrated(file)
    (after,) = rows_of(file, "SELECT sum(length(body)) FROM entries")
    assert after[0] < 0.75 * before[0]
    for stream, seq, body, digest in rows_of(file, "SELECT stream, seq, body, digest FROM entries"):
        assert digest == entry_digest(stream, seq, body)
        assert rewritten(body) == body, "what has the new form stays as it is"


async def test_killed_half_way_it_goes_on_and_comes_to_the_same(file: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole" / JOURNAL_FILE
    whole.parent.mkdir()
    whole.write_bytes(await asyncio.to_thread(file.read_bytes))
    expected = await migrated(whole)
    marks = set()
    for kill in range(4):
        with forked_output("-m", "tests.storage.journal.migrating_process", str(file)) as process:
            for _ in range(kill + 1):
                await asyncio.to_thread(process.line)
        marks.update(rows_of(file, "SELECT value FROM meta WHERE name = ?", MARK))
    assert len(marks) > 2, "each process went on where the one before it was killed"
    assert rows_of(file, "SELECT version_num FROM alembic_version") == [(REVISION,)], (
        "an earlier version must refuse what is half migrated"
    )
    assert await migrated(file) == expected


def test_a_step_of_it_that_is_not_durable_leaves_nothing(file: Path) -> None:
    engine = writing_engine(journal_url(file), busy_timeout=5)
    with engine.connect() as connection:
        with connection.begin():
            migrations.upgrade(connection)
        before = everything_in(file)
        with connection.begin() as transaction:
            assert go_on(connection, AT_ONCE)
            transaction.rollback()
    engine.dispose()
    assert everything_in(file) == before


async def test_an_entry_that_is_not_what_was_written_stays_and_is_named(tmp_path: Path) -> None:
    restore(VERSIONS[-1], tmp_path)
    file = tmp_path / JOURNAL_FILE
    ((position, stream, seq),) = rows_of(
        file, "SELECT position, stream, seq FROM entries WHERE kind = 'finished' LIMIT 1"
    )
    edit(
        file,
        "UPDATE entries SET body = replace(body, ?, ?) WHERE position = ?",
        '"by":null',
        '"by":"x"',
        position,
    )
    ((altered,),) = rows_of(file, "SELECT body FROM entries WHERE position = ?", position)
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert rows_of(file, "SELECT body FROM entries WHERE position = ?", position) == [
            (altered,)
        ]
        assert any(
            f"entry {seq} of {stream} is not what was written" in problem
            for problem in await journal.verify()
        )
        with pytest.raises(JournalError, match="damaged"):
            await journal.entries(StreamId(stream), after_seq=0, limit=1_000)
    finally:
        await journal.close()


async def test_text_that_is_no_utf_8_any_more_keeps_no_journal_from_opening(tmp_path: Path) -> None:
    restore(VERSIONS[-1], tmp_path)
    file = tmp_path / JOURNAL_FILE
    edit(file, "UPDATE entries SET body = CAST(x'7bff7d' AS TEXT) WHERE position = 3")
    journal = SqliteJournal(file)
    await journal.open()
    await journal.close()
    said = await asyncio.to_thread(damage, file)
    assert said is not None
    assert "is not what was written" in said


def test_a_prior_that_was_found_again_is_the_one_that_was_found_first() -> None:
    """Before 0.2.0 a run's change held all its priors, and a search brought some again."""
    first, again, new = (
        {"message_id": id_, "content": "said", "score": score}
        for id_, score in (("a", 0.9), ("a", 0.8), ("b", 0.7))
    )
    old = {
        "stream": "thread:t",
        "seq": 7,
        "type": "chorus_response",
        "kind": "started",
        "at": "2026-01-01T00:00:00Z",
        "by": None,
        "request_id": None,
        "data": {"run_id": "r", "priors": [first, new]},
        "fired": [
            {
                "machine": "chorus",
                "instance": "r",
                "event": {"event": "priors_retrieved", "priors": [again, new]},
            }
        ],
        "transitions": [],
        "changes": [
            {
                "change": "updated",
                "kind": "run",
                "id": "r",
                "version": 5,
                "value": {"prompt": "p", "query": "p", "steps": [], "priors": [first, new]},
            }
        ],
        "restricted_to": None,
        "fingerprint": "",
    }
    stored = from_json(rewritten(to_json(old).decode()))
    assert stored["data"]["priors"] == {"$": ["a", "b"]}
    (change,) = stored["changes"]
    assert change["value"] == {"priors": ["b"]}
    assert list(added_priors(stored)) == [("r", new)]


async def test_a_trace_of_a_journal_that_is_not_migrated_says_what_to_do(file: Path) -> None:
    settings = Settings.model_validate({"data": file.parent})
    with pytest.raises(JournalError, match="start the server once"):
        await trace(settings, RunId("00000000-0000-4000-8000-000000000000"))


async def test_what_is_saved_of_a_damaged_earlier_journal_shows_what_it_showed(file: Path) -> None:
    assert await asyncio.to_thread(damage, file) is None
    before = await asyncio.to_thread(earlier_frames, file)
    edit(file, "UPDATE entries SET body = '{' WHERE position = 1")
    assert await asyncio.to_thread(damage, file) is not None
    salvaged = await asyncio.to_thread(
        salvage, file, aside=file.with_name("aside"), epoch="the second"
    )
    assert await asyncio.to_thread(damage, file) is None
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert await journal.verify() == ()
        assert await asyncio.to_thread(frames_of, await entries_in(journal, file)) == before
        assert salvaged.saved >= len(before)
    finally:
        await journal.close()


async def test_what_was_committed_is_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of entry that the server writes: as it was published, and as it is caught up with."""
    committed: list[JournalEntry] = []
    commit = SqliteJournal.commit

    async def listening(self: SqliteJournal, batch: Any) -> Any:
        done = await commit(self, batch)
        committed.extend(done.entries)
        return done

    monkeypatch.setattr(SqliteJournal, "commit", listening)
    clock = Clock()
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True
    ) as services:
        await live_through(services, clock)
    journal = SqliteJournal(tmp_path / JOURNAL_FILE)
    await journal.open()
    try:
        read = await entries_in(journal, tmp_path / JOURNAL_FILE)
        committed.sort(key=lambda each: (each.stream, each.seq))
        frames = await asyncio.to_thread(frames_of, read)
        assert frames == await asyncio.to_thread(frames_of, committed)
        assert len({each.kind for each in read}) > 15
        assert await journal.verify() == ()
    finally:
        await journal.close()

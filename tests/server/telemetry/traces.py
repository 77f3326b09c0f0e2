"""What tests of spans share: journals that hold every kind of run, and what a trace must be."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from server.telemetry.span import Span
from storage.journal.queries import run_entries
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from storage.journal.traced import Scope, runs_in, settled_after
from tests.storage.journal.keep_journal import KEPT, restore

VERSIONS = sorted(KEPT.glob("*.sql"))


class Told(NamedTuple):
    """What a journal holds."""

    runs: dict[RunId, tuple[JournalEntry, ...]]
    settled: tuple[JournalEntry, ...]
    """Entries by which something may wait no more."""


async def told_by(folder: Path) -> Told:
    """What the journal of a folder holds, once it is migrated."""
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    await journal.close()
    async with read_file(folder / JOURNAL_FILE) as reader:
        return await reader.read(
            lambda connection: Told(
                {each: run_entries(connection, each) for each in runs_in(connection, Scope())},
                settled_after(connection, Scope(), 0)[0],
            )
        )


async def told_by_version(kept: Path, folder: Path) -> Told:
    """What a journal holds that an earlier version wrote."""
    restore(kept, folder)
    return await told_by(folder)


def problems_of(spans: Sequence[Span]) -> list[str]:
    """What is wrong with a trace."""
    by_id = {each.span_id: each for each in spans}
    found = [] if len(by_id) == len(spans) else ["two spans have one id"]
    if len({each.trace_id for each in spans}) != 1:
        found.append("there is more than one trace")
    roots = [each.name for each in spans if each.parent_id is None]
    if roots != ["invoke_agent chorus"]:
        found.append(f"the roots are {roots}")
    for each in spans:
        if each.parent_id is None:
            continue
        parent = by_id.get(each.parent_id)
        if parent is None:
            found.append(f"{each.name} has no parent")
        elif not parent.start <= each.start <= each.end <= parent.end:
            found.append(f"{each.name} is not within {parent.name}")
    return found


def named(spans: Iterable[Span], name: str) -> list[Span]:
    """Those whose name begins with a word."""
    return [each for each in spans if each.name.split()[0] == name]

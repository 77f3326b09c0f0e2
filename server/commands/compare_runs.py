"""`chorus compare`: two runs of a thread side by side, and both their ways on one drawing.

The journal is only read: a server that holds it is not disturbed.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from diagrams.two_ways import with_two_ways
from machines.models.branch import Branch
from machines.models.chorus import ChorusState
from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from machines.models.wire.comparison import ComparisonData, RunPath
from server.chat.branches import ChatComparison, compared
from server.chat.pieces import Harmless
from server.commands.errors import DONE, WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal
from server.sessions.comparisons import Comparisons
from server.settings import Settings
from server.stores import reading
from server.wire.renderer import Renderer
from storage.journal import branches, queries, runs
from storage.journal.reader import SnapshotReader

Say = Callable[[str], None]


class Pair(NamedTuple):
    """The runs that are compared, by their ids."""

    one: RunId
    other: RunId


async def run(
    settings: Settings, pair: Pair, *, out: Path | None, console: Console, say: Say
) -> int:
    """Print where the answers differ, or draw both ways into `out`; gives the exit code.

    Raises:
        CommandFailed: there is no journal, the runs are not of one thread, or the drawing cannot be made.
        JournalError: the journal cannot be read, or was written by another version.
    """
    require_journal(settings)
    async with reading(settings) as reader:
        await reader.read(queries.require_migrated)
        found = await _compared(_Runs(reader), pair, settings)
    if out is not None:
        _draw(out, found)
        say(str(out))
        return DONE
    for name, path in (("one", found.one), ("other", found.other)):
        console.print(f"{name}: {path.run_id} {_standing(path)}", markup=False, highlight=False)
    told = ChatComparison.model_validate(found.model_dump(mode="json"))
    console.print(Harmless(compared(told)))
    return DONE


async def _compared(read: "_Runs", pair: Pair, settings: Settings) -> ComparisonData:
    first = await read.run(pair.one)
    if first is None:
        raise CommandFailed(f"There is no run {pair.one} in {settings.journal_place}.")
    second = await read.run(pair.other)
    if second is None or second.thread_id != first.thread_id:
        raise CommandFailed(f"There is no run {pair.other} in the thread of {pair.one}.")
    renderer = Renderer()
    try:
        return await Comparisons(read, renderer).read(first.thread_id, *pair)
    finally:
        renderer.close()


def _standing(path: RunPath) -> str:
    if path.origin is None:
        return path.status
    step, kind = path.origin.step.value, path.origin.change.kind.value
    return f"{path.status}, forked from {path.origin.run_id} after {step} ({kind})"


def _draw(out: Path, found: ComparisonData) -> None:
    svg = resources.files("diagrams").joinpath("chorus.svg").read_text(encoding="utf-8")
    count = found.common_edges
    one, other = found.one.edges, found.other.edges
    try:
        drawn = with_two_ways(svg, common=one[:count], one=one[count:], other=other[count:])
    except ValueError:
        raise CommandFailed(
            "One of the runs took an edge of an earlier declaration, which the drawing lacks."
        ) from None
    try:
        out.write_text(drawn, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandFailed(
            f"{out} cannot be written: {error.strerror}.", exit_code=WRONG_USE
        ) from error


class _Runs:
    """Runs as a comparison reads them, beside a server that holds the journal."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader

    async def run(self, run_id: RunId) -> ChorusState | None:
        return await self._reader.read(lambda connection: runs.run(connection, run_id))

    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        return await self._reader.read(lambda connection: queries.run_entries(connection, run_id))

    async def branch_of_run(self, run_id: RunId) -> Branch | None:
        return await self._reader.read(
            lambda connection: branches.branch_of_run(connection, run_id)
        )

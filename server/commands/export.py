"""`chorus export --otel`: the traces of runs and decisions, made of a journal that may be of any age.

The journal is only read, in transactions that see one moment each and take no lock: a server may hold it.
The spans are those that a server exports live, with the same ids, so that a collector which has some of
them knows them again. What `OTEL_TRACES_SAMPLER` leaves out live is exported here: it is asked for.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.journal import JournalEntry
from server.commands.errors import DONE, WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal
from server.commands.moments import moment_of
from server.settings import Settings
from server.stores import reading
from server.telemetry import conventions as names
from server.telemetry.decision_spans import decision_spans
from server.telemetry.otlp import Otlp, OtlpSender
from server.telemetry.run_spans import run_spans
from server.telemetry.span import Span
from server.telemetry.variables import ENDPOINT, LOCAL, ExportSettings, export_settings
from storage.journal import queries
from storage.journal.reader import SnapshotReader
from storage.journal.traced import Scope, approval_of, runs_in, settled_after

STANDARD_OUTPUT: Final = "-"

Say = Callable[[str], None]


class Wanted(NamedTuple):
    """What is exported: one run, or all that a scope has."""

    run_id: RunId | None = None
    scope: Scope = Scope()


class _Target(Protocol):
    async def put(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken."""


def wanted(run_id: str | None, thread_id: str | None, since: str | None) -> Wanted:
    """What the options ask for.

    Raises:
        CommandFailed: not exactly one of them is given, or the time is none.
    """
    if sum(each is not None for each in (run_id, thread_id, since)) != 1:
        raise CommandFailed(
            "Name what to export: RUN, --thread THREAD or --since TIME.", exit_code=WRONG_USE
        )
    if run_id is not None:
        return Wanted(run_id=RunId(run_id))
    if thread_id is not None:
        return Wanted(scope=Scope(thread_id=ThreadId(thread_id)))
    return Wanted(scope=Scope(since=moment_of(since or "", "--since")))


async def run(
    settings: Settings,
    asked: Wanted,
    *,
    endpoint: str | None,
    out: str | None,
    say: Say,
    progress: Console,
) -> int:
    """Export, and say what was; gives the exit code.

    Args:
        endpoint: In place of the one that OpenTelemetry's variables name.
        out: A file for lines of OTLP's JSON, in place of a collector; `-` is standard output.
        say: Told what became of it, at the end.
        progress: Where it is shown how far the export is, on a terminal.

    Raises:
        CommandFailed: nothing says where to; there is no journal, or no such run or thread; or the
            collector took no more.
        InvalidSettings: a variable of OpenTelemetry is wrong.
        JournalError: the journal cannot be read.
        OSError: the file cannot be written.
    """
    export = export_settings(os.environ, base=LOCAL if out is not None else endpoint)
    if export is None:
        raise CommandFailed(
            f"Name where to: --endpoint URL, {ENDPOINT}, or --out FILE.", exit_code=WRONG_USE
        )
    require_journal(settings)
    async with reading(settings) as reader:
        source = _Source(reader, content=export.content)
        runs = await source.runs(asked)
        if asked.run_id is not None and not runs:
            raise CommandFailed(f"There is no run {asked.run_id} in {settings.journal_place}.")
        if asked.scope.thread_id is not None and not await source.has(asked.scope.thread_id):
            raise CommandFailed(
                f"There is no thread {asked.scope.thread_id} in {settings.journal_place}."
            )
        async with _opened(export, out) as target:
            with _shown(progress, len(runs)) as advance:
                spans = source.spans(asked, runs, advance)
                count = await _put_all(spans, target, export.batch)
    place = "standard output" if out == STANDARD_OUTPUT else out or export.endpoint
    say(f"Exported {_counted(count, 'span')} of {_counted(len(runs), 'run')} to {place}.")
    return DONE


# --- What is exported ----------------------------------------------------------------------------


class _Source:
    """Reads spans off a journal, a run at a time."""

    def __init__(self, reader: SnapshotReader, *, content: bool) -> None:
        self._reader = reader
        self._content = content

    async def has(self, thread_id: ThreadId) -> bool:
        """Whether there is such a thread."""
        found = await self._reader.read(lambda connection: queries.thread(connection, thread_id))
        return found is not None

    async def runs(self, asked: Wanted) -> tuple[RunId, ...]:
        """The runs that are asked for, oldest first."""
        if (run_id := asked.run_id) is None:
            return await self._reader.read(lambda connection: runs_in(connection, asked.scope))
        return (run_id,) if await self._entries(run_id) else ()

    async def spans(
        self, asked: Wanted, runs: Sequence[RunId], advance: Callable[[], None]
    ) -> AsyncIterator[Span]:
        """All spans of these runs, and of the decisions in the scope.

        Args:
            advance: Told after each run.
        """
        for run_id in runs:
            spans = run_spans(run_id, await self._entries(run_id), content=self._content)
            for span in spans:
                yield span
            if asked.run_id is not None:
                for approval in await self._approvals_of(spans[-1]):
                    yield approval
                async for branch in self._branches_of(spans[-1]):
                    yield branch
            advance()
        if asked.run_id is None:
            async for decided in self._decisions(asked.scope):
                yield decided

    async def _decisions(self, scope: Scope) -> AsyncIterator[Span]:
        position: int | None = 0
        while position is not None:
            entries, position = await self._reader.read(
                partial(settled_after, scope=scope, position=position)
            )
            for entry in entries:
                for decided in decision_spans(entry):
                    yield decided

    async def _approvals_of(self, root: Span) -> Sequence[Span]:
        """The approval of the run's prompt, where it waited for one."""
        if not root.links:
            return ()
        thread_id = ThreadId(str(root.attributes[names.CONVERSATION]))
        message_id = MessageId(str(root.attributes[names.MESSAGE]))
        entries = await self._reader.read(
            lambda connection: approval_of(connection, thread_id, message_id)
        )
        return [span for entry in entries for span in decision_spans(entry)]

    async def _branches_of(self, root: Span) -> AsyncIterator[Span]:
        """The branch that a forked run's answer is of, once it is over."""
        if names.BRANCH in root.attributes:
            thread_id = ThreadId(str(root.attributes[names.CONVERSATION]))
            async for decided in self._decisions(Scope(thread_id=thread_id)):
                if decided.attributes.get(names.RUN) == root.attributes[names.RUN]:
                    yield decided

    async def _entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        return await self._reader.read(
            lambda connection: queries.unopened_run_entries(connection, run_id)
        )


# --- Where to ------------------------------------------------------------------------------------


class _Collector:
    """Takes what its endpoint takes."""

    def __init__(self, sender: OtlpSender) -> None:
        self._sender = sender

    async def put(self, spans: Sequence[Span]) -> bool:
        return await asyncio.to_thread(self._sender.send, spans)


class _Lines:
    """Writes a line for each span."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._otlp = Otlp()

    async def put(self, spans: Sequence[Span]) -> bool:
        self._file.writelines(f"{self._otlp.json_line(each)}\n" for each in spans)
        return True


@asynccontextmanager
async def _opened(export: ExportSettings, out: str | None) -> AsyncIterator[_Target]:
    if out is None:
        # The exporter loads an HTTP client.
        sender = await asyncio.to_thread(OtlpSender, export.endpoint)
        yield _Collector(sender)
        sender.close()
    elif out == STANDARD_OUTPUT:
        yield _Lines(sys.stdout)
        sys.stdout.flush()
    else:
        # Nothing else is on this loop.
        with Path(out).open("w", encoding="utf-8") as file:  # noqa: ASYNC230
            yield _Lines(file)


async def _put_all(spans: AsyncIterator[Span], target: _Target, at_once: int) -> int:
    """How many there were.

    Raises:
        CommandFailed: the target takes no more.
    """
    taken = 0
    waiting: list[Span] = []

    async def put() -> None:
        nonlocal taken
        if not await target.put(waiting):
            raise CommandFailed(
                f"The collector took {_counted(taken, 'span')} and then no more. To export all again"
                " does no harm: the ids are the same."
            )
        taken += len(waiting)
        waiting.clear()

    async for span in spans:
        waiting.append(span)
        if len(waiting) == at_once:
            await put()
    if waiting:
        await put()
    return taken


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


@contextmanager
def _shown(console: Console, runs: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, and else nothing."""
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("Exporting runs"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("", total=runs)
        yield lambda: bars.advance(task)

"""`chorus heat`: what the machines did in a period, as tables, as JSON, or on their drawings.

The journal is only read: a server may hold it. Counts are kept by whole hours, so a period is widened to
them; entries that no server has counted yet are counted here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from diagrams.heat_drawing import heat_picture, unknown_edges
from diagrams.heat_words import count_text, duration_text, tokens_text
from machines.charts import journaled_machines
from machines.models.heat import Heat, MachineHeat
from machines.models.ids import ThreadId
from server.chat.pieces import Harmless
from server.commands.errors import DONE, WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal
from server.commands.moments import moment_of
from server.settings import Settings
from server.stores import reading
from storage.journal.heat_questions import heat_of_journal

Format = Literal["table", "json", "svg"]
Say = Callable[[str], None]

_SVG: Final = ".svg"


@dataclass(frozen=True, slots=True)
class Asked:
    """A period of one machine or all, in one thread or all."""

    machine: str | None
    thread_id: ThreadId | None
    since: datetime | None
    until: datetime | None


def asked(
    *, machine: str | None, thread: str | None, since: str | None, until: str | None, now: datetime
) -> Asked:
    """The question that options ask.

    Raises:
        CommandFailed: the machine has nothing in the journal, or the period is none.
    """
    known = [each.topology.machine for each in journaled_machines()]
    if machine is not None and machine not in known:
        raise CommandFailed(
            f"--machine must be one of {', '.join(known)}: the journal has nothing of another.",
            exit_code=WRONG_USE,
        )
    begin = None if since is None else moment_of(since, "--since", now=now)
    end = None if until is None else moment_of(until, "--until", now=now)
    if begin is not None and begin >= (end or now):
        raise CommandFailed(
            "--since must come before --until, and before now.", exit_code=WRONG_USE
        )
    return Asked(machine, None if thread is None else ThreadId(thread), begin, end)


async def run(
    settings: Settings,
    question: Asked,
    *,
    format_: Format,
    out: Path | None,
    console: Console,
    say: Say,
) -> int:
    """Answer as `format_` says, or draw into `out`; gives the exit code.

    Raises:
        CommandFailed: there is no journal or no such thread, or the drawings cannot be written.
        JournalError: the journal cannot be read, or was written by another version.
    """
    if format_ == "svg" and out is None and question.machine is None:
        raise CommandFailed(
            "Name one --machine to print its drawing, or --out DIR for all.", exit_code=WRONG_USE
        )
    if out is not None and out.suffix == _SVG and question.machine is None:
        raise CommandFailed(
            f"{out} holds one drawing: name its --machine, or a folder.", exit_code=WRONG_USE
        )
    require_journal(settings)
    async with reading(settings) as reader:
        heat = await reader.read(
            lambda connection: heat_of_journal(
                connection, question.thread_id, since=question.since, until=question.until
            )
        )
    if heat is None:
        raise CommandFailed(f"There is no thread {question.thread_id} in {settings.journal_place}.")
    if question.machine is not None:
        found = [each for each in heat.machines if each.machine == question.machine]
        heat = heat.changed(machines=tuple(found) or (MachineHeat(machine=question.machine),))
    said = (_where(question.thread_id), _when(heat))
    if out is not None:
        _draw(out, heat, said, say)
    elif format_ == "svg":
        (machine,) = heat.machines
        console.file.write(_picture(machine, said))
    elif format_ == "json":
        console.file.write(f"{heat.model_dump_json(indent=2)}\n")
    else:
        _show(heat, said, console)
    return DONE


def _where(thread_id: ThreadId | None) -> str:
    return "all threads" if thread_id is None else f"thread {thread_id}"


def _when(heat: Heat) -> str:
    begin, end = (
        None if each is None else each.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        for each in (heat.since, heat.until)
    )
    if begin is None and end is None:
        return "all that is in the journal"
    return f"{begin or 'the beginning'} to {end or 'now'} UTC, by whole hours"


# --- Drawings ------------------------------------------------------------------------------------


def _draw(out: Path, heat: Heat, said: Sequence[str], say: Say) -> None:
    """Draw each machine that did anything. Raises CommandFailed where a file cannot be written."""
    if not heat.machines:
        say(f"Nothing was done: {', '.join(said)}.")
        return
    try:
        if out.suffix != _SVG:
            out.mkdir(parents=True, exist_ok=True)
        for machine in heat.machines:
            file = out if out.suffix == _SVG else out / f"{machine.machine}-heat{_SVG}"
            file.write_text(_picture(machine, said), encoding="utf-8", newline="\n")
            say(str(file))
    except OSError as error:
        raise CommandFailed(
            f"{error.filename or out} cannot be written: {error.strerror}.", exit_code=WRONG_USE
        ) from error


def _picture(machine: MachineHeat, said: Sequence[str]) -> str:
    drawing = resources.files("diagrams").joinpath(f"{machine.machine}{_SVG}")
    svg = drawing.read_text(encoding="utf-8")
    if gone := unknown_edges(svg, machine):
        said = [*said, f"{count_text(sum(gone.values()))} by edges of earlier declarations"]
    return heat_picture(svg, machine, said)


# --- Tables --------------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """A table of one machine."""

    machine: str
    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def _show(heat: Heat, said: Sequence[str], console: Console) -> None:
    console.print(", ".join(said), markup=False)
    tables = [table for each in heat.machines for table in _tables(each) if table.rows]
    if not tables:
        console.print("Nothing was done.")
    for each in tables:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(f"{each.machine}: {each.heading}", overflow="fold")
        for column in each.columns:
            table.add_column(column, justify="right", no_wrap=True)
        for row in each.rows:
            table.add_row(*map(Text, row))
        console.print()
        console.print(Harmless(table))


def _tables(machine: MachineHeat) -> Iterator[_Rows]:
    name = machine.machine
    prefix = f"edge_{name}_"
    taken = sorted(machine.edges.items(), key=lambda each: (-each[1], each[0]))
    yield _Rows(
        name,
        "edges",
        ["taken"],
        [[id_.removeprefix(prefix), count_text(count)] for id_, count in taken],
    )
    yield _Rows(
        name,
        "states",
        ["left", "p50", "p95"],
        [
            [state, count_text(times.count), *map(duration_text, (times.p50_ms, times.p95_ms))]
            for state, times in machine.states.items()
        ],
    )
    yield _Rows(
        name,
        "steps",
        ["answers", "request + answer, in the mean"],
        [
            [step, count_text(tokens.answers), tokens_text(tokens) or "unknown"]
            for step, tokens in machine.steps.items()
        ],
    )
    for heading, guards in (
        ("guards that refused", machine.refused),
        ("guards that kept an earlier edge closed", machine.passed_over),
    ):
        rows = [
            [f"{each.event} [{each.guard or 'no edge'}]", count_text(each.count)] for each in guards
        ]
        yield _Rows(name, heading, ["times"], rows)

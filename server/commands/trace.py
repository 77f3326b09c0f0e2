"""`chorus trace`: every transition of a run, with its time and its effects.

The journal is only read, in a transaction that sees one moment and takes no lock: a server that
holds the data folder is not disturbed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from machines.models.domain import Created
from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from server.chat.pieces import Harmless
from server.commands.errors import CommandFailed
from server.commands.journal_file import require_journal
from server.settings import Settings
from server.stores import reading
from storage.journal import queries

_UNWRAPPED = 1_000
"""Columns of a table that no terminal shows: a pipe gets each transition on one line."""


@dataclass(frozen=True, slots=True)
class TracedTransition:
    """One edge that was taken while the run went on."""

    seq: int
    """Of the journal entry in the run's thread."""
    at: datetime
    machine: str
    event: str
    source: str
    """Empty where the run came to be."""
    target: str
    effects: tuple[str, ...]


async def trace(settings: Settings, run_id: RunId) -> tuple[TracedTransition, ...]:
    """The transitions of the run and of what it touched, in order.

    Raises:
        CommandFailed: there is no journal, or no such run in it.
        JournalError: the journal cannot be read, or is not migrated yet.
    """
    require_journal(settings)
    async with reading(settings) as reader:
        entries = await reader.read(
            lambda connection: queries.unopened_run_entries(connection, run_id)
        )
    if not entries:
        raise CommandFailed(f"There is no run {run_id} in {settings.journal_place}.")
    return tuple(transition for entry in entries for transition in _transitions(entry, run_id))


def show(transitions: Sequence[TracedTransition], console: Console) -> None:
    """Print the transitions as a table; offsets count seconds from the first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, style in (("seq", "dim"), ("time", "dim"), ("offset", "cyan")):
        table.add_column(heading, justify="right", style=style, no_wrap=True)
    for heading in ("machine", "event", "transition", "effects"):
        table.add_column(heading, overflow="fold")
    for each in transitions:
        table.add_row(
            str(each.seq),
            each.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            f"+{(each.at - transitions[0].at).total_seconds():.3f}",
            each.machine,
            each.event,
            f"{each.source} → {each.target}" if each.source else f"→ {each.target}",
            ", ".join(each.effects) or "-",
        )
    console.print(Harmless(table))


def console_for(out: Console) -> Console:
    """`out` on a terminal; elsewhere one that is wide enough never to fold a line."""
    return out if out.is_terminal else Console(file=out.file, width=_UNWRAPPED)


def _transitions(entry: JournalEntry, run_id: RunId) -> Iterator[TracedTransition]:
    for change in entry.changes:
        if isinstance(change, Created) and change.kind == "run" and change.id == run_id:
            status = str(change.value["status"])
            yield TracedTransition(entry.seq, entry.at, "chorus", "created", "", status, ())
    for each in entry.transitions:
        yield TracedTransition(
            entry.seq, entry.at, each.machine, each.event, each.source, each.target, each.effects
        )

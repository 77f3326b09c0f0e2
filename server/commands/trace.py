"""`chorus trace`: every transition of a run, why it was taken and what it brought.

The journal is only read, in a transaction that sees one moment and takes no lock: a server that
holds the data folder is not disturbed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

from rich.console import Console

from machines.decisions.explanation import Explanation, explain
from machines.models.journal import JournalEntry
from server.chat.explained import RunExplanation, explanation
from server.chat.pieces import Harmless
from server.commands.errors import WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal
from server.commands.kept import declarations
from server.settings import Settings
from server.stores import reading
from storage.journal.subjects import Subject, read_subject

_UNWRAPPED: Final = 1_000
"""Columns of a terminal that there is not: a pipe gets each transition on one line."""
_DIGITS: Final = 19
"""A number of so many is no entry's."""

Is = Callable[[JournalEntry], bool]


async def trace(settings: Settings, id_: str, at: str | None = None) -> Explanation:
    """What a run, message, thread, invitation, link, removal or branch did, in order, and why.

    Args:
        at: the number of an entry, or a time: what came later is left out.

    Raises:
        CommandFailed: there is no journal, no such value in it, or none at that moment.
        JournalError: the journal cannot be read, or is not migrated yet.
    """
    is_past = _is_past(at)
    require_journal(settings)

    def explained(subject: Subject) -> Explanation:
        if (seq := _seq_of(at)) is not None and seq > subject.head_seq:
            raise CommandFailed(
                f"{seq} is beyond the end of the thread, which has {subject.head_seq} entries."
            )
        declared, _ = declarations(subject.declarations)
        return explain(id_, tuple(takewhile(is_past, subject.entries)), declared)

    async with reading(settings) as reader:
        found = await reader.read(lambda connection: read_subject(connection, id_, explained))
    if found is None:
        raise CommandFailed(f"There is no value {id_} in {settings.journal_place}.")
    if found.born is None and not found.transitions:
        raise CommandFailed(f"{at} is before the beginning of {id_}.")
    return found


def show(found: Explanation, console: Console) -> None:
    """Print the transitions; offsets count seconds from the first."""
    told = RunExplanation.model_validate(
        {
            "created_seq": found.born and found.born.seq,
            "created_at": found.born and found.born.at,
            "transitions": [each.model_dump() for each in found.transitions],
            "meanings": dict(found.meanings),
        }
    )
    console.print(Harmless(explanation(told)))


def console_for(out: Console) -> Console:
    """`out` on a terminal; elsewhere one that is wide enough never to fold a line."""
    return out if out.is_terminal else Console(file=out.file, width=_UNWRAPPED)


def _is_past(at: str | None) -> Is:
    """Whether an entry is not later than a moment. Raises CommandFailed where that is none."""
    if at is None:
        return lambda _: True
    if (seq := _seq_of(at)) is not None:
        return lambda entry: entry.seq <= seq
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise CommandFailed(
            f"{at[:60]!r} is neither the number of an entry nor a time such as 2026-11-30T05:15:00Z",
            exit_code=WRONG_USE,
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return lambda entry: entry.at <= moment


def _seq_of(at: str | None) -> int | None:
    """The number of an entry; None where it is none."""
    return int(at) if at and at.isascii() and at.isdigit() and len(at) < _DIGITS else None

"""`chorus replay`: what a run, or another value, did, once more by its journal entries alone.

The journal is only read, in a transaction that sees one moment and takes no lock: a server that holds
it is not disturbed. Nothing that a model said is asked again.
"""

from collections.abc import Callable, Iterator
from typing import Final

from machines.decisions.replay import Held, Replayed, replay
from machines.models.errors import ChorusError
from server.commands.errors import DONE, NOT_DONE, CommandFailed
from server.commands.journal_file import require_journal
from server.commands.kept import declarations
from server.settings import Settings
from server.stores import reading
from storage.journal.subjects import Subject, read_subject

Say = Callable[[str], None]

_HOW: Final = {
    Held.EXECUTED: "executed again",
    Held.RECORDED: "by its declaration and the recorded guards",
    Held.DECLARED: "by its declaration alone",
    Held.UNKNOWN: "its declaration is not known",
}
"""How a transition was judged."""


async def run(settings: Settings, id_: str, *, say: Say) -> int:
    """Say each transition, and whether the replay arrives where the journal does; gives the exit code.

    Raises:
        CommandFailed: there is no journal, or no such value in it.
        JournalError: it cannot be read, or was written by another version.
    """
    require_journal(settings)

    def told(subject: Subject) -> tuple[list[str], bool]:
        declared, _ = declarations(subject.declarations)
        return _told(replay(id_, subject.entries, declared))

    async with reading(settings) as reader:
        found = await reader.read(lambda connection: read_subject(connection, id_, told))
    if found is None:
        raise CommandFailed(f"There is no value {id_} in {settings.journal_place}.")
    lines, agrees = found
    for line in lines:
        say(line)
    return DONE if agrees else NOT_DONE


def _told(transitions: Iterator[Replayed]) -> tuple[list[str], bool]:
    """The lines, and whether journal and replay agree as far as they could be compared."""
    lines: list[str] = []
    count = dict.fromkeys(Held, 0)
    try:
        for each in transitions:
            taken = each.move.taken
            way = f"{taken.source} → {taken.target}"
            lines.append(f"{each.move.seq:>6}  {taken.event:<18} {way:<28} {_HOW[each.held]}")
            if each.differences:
                lines += [f"seq {each.move.seq}: {difference}" for difference in each.differences]
                lines += [f"seq {each.move.seq}: {because}" for because in each.because]
                lines.append(f"not the same from seq {each.move.seq} on")
                return lines, False
            count[each.held] += 1
    except ChorusError as error:
        lines.append(f"not the same: {error.message}")
        return lines, False
    return [*lines, *_summed_up(count)], not count[Held.UNKNOWN]


def _summed_up(count: dict[Held, int]) -> Iterator[str]:
    states = sum(count.values())
    if count[Held.UNKNOWN]:
        yield f"not known: the declaration of {count[Held.UNKNOWN]} of {states} transitions"
        return
    others = {each: count[each] for each in (Held.RECORDED, Held.DECLARED) if count[each]}
    aside = "".join(f", {number} {_HOW[each]}" for each, number in others.items())
    yield f"the same {states} state{'' if states == 1 else 's'}{aside}"

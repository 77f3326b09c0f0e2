"""`chorus diagrams diff`: what changed in the machines between two revisions, folders or files.

Declarations (`diagrams/*.json`) and the source of their guards and actions are read, those of a revision by
git: no code of either side is imported or run. A journal is read as `chorus trace` does, beside a server that may hold it.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from diagrams.changes import Change, MachineChanges, compare
from diagrams.changes_drawing import changes_picture
from diagrams.changes_report import Judged, interferes, report
from diagrams.code_changes import CodeComparison
from diagrams.dot import DrawingFailed
from diagrams.source import UnreadableSource
from diagrams.usage import Usage, UsageCounter
from machines.models.errors import JournalError
from server.commands.compared import Side, side
from server.commands.errors import NOT_DONE, WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal, settings_of
from server.settings import Settings
from server.stores import reading
from storage.journal.history import Transition, tell_history

SUMMARY: Final = "summary.md"
_ENDING: Final = ".diff.svg"


def run(
    old: str,
    new: str | None,
    *,
    folder: str,
    source: str,
    out: Path,
    journal: str | None,
    fail_on: Collection[str],
    say: Callable[[str], None],
) -> int:
    """Print the summary, and write it with a drawing of each machine that changed; gives the exit code.

    Args:
        old, new: a revision of git, a folder of declarations or one of them; None is the working tree.
        folder: where a revision has its declarations, from the top of its repository.
        source: the package or the module in which the charts are, likewise.
        out: where to write; made where it is missing.
        journal: a data folder or the URL of a database, to count values in.
        fail_on: what makes the exit code 1: that something is removed, that a state or an edge is
            declared otherwise (changed), that a guard or an action has other code, that a live value
            does not go on as before.

    Raises:
        CommandFailed: a side or the journal cannot be read, the code is asked for and cannot be
            compared, or the drawings cannot be made here.
    """
    if "live" in fail_on and journal is None:
        raise CommandFailed("--fail-on live needs --journal.", exit_code=WRONG_USE)
    before = side(old, folder, source)
    after = side(new, folder, source, before.source)
    every, without_code = _compared(before, after, source)
    if "code" in fail_on and without_code is not None:
        raise CommandFailed(f"--fail-on code: {without_code}", exit_code=WRONG_USE)
    settings = None if journal is None else settings_of(journal, "--journal")
    usage = {} if settings is None else _counted(settings, every)
    judged = _written(out, every, usage, f"{before.name} → {after.name}")
    place = None if settings is None else settings.journal_place
    text = report(judged, before.name, after.name, journal=place, without_code=without_code)
    _write(out / SUMMARY, text)
    for line in text.splitlines():
        say(line)
    return NOT_DONE if any(_fails(each, fail_on) for each in judged) else 0


def _compared(before: Side, after: Side, source: str) -> tuple[list[MachineChanges], str | None]:
    """The machines that both are asked for, and why their code was not compared, where it was not."""
    bare = [each.name for each in (before, after) if each.source is None]
    verb = "have" if len(bare) > 1 else "has"
    without_code = f"{' and '.join(bare)} {verb} no Python source in {source}." if bare else ""
    try:
        code = (
            CodeComparison(before.source, after.source) if before.source and after.source else None
        )
        every = compare(before.declared, after.declared, code)
    except UnreadableSource as error:
        without_code = f"{error}."
        every = compare(before.declared, after.declared)
    asked = [
        each for each in every if before.asks_for(each.machine) and after.asks_for(each.machine)
    ]
    return asked, without_code or None


def _fails(judged: Judged, fail_on: Collection[str]) -> bool:
    if "removed" in fail_on and judged.changes.removes:
        return True
    if "changed" in fail_on and judged.changes.redeclares:
        return True
    if "code" in fail_on and (judged.changes.computes or judged.changes.lacks_code):
        return True
    if "live" not in fail_on or judged.usage is None:
        return False
    return interferes(judged.changes, judged.usage)


# --- Who lives by it -----------------------------------------------------------------------------


def _counted(settings: Settings, every: Sequence[MachineChanges]) -> dict[str, Usage]:
    """By machine, of those that changed and of which the journal has a history.

    Raises:
        CommandFailed: the journal is not there, or cannot be read.
    """
    require_journal(settings, "--journal")
    try:
        return asyncio.run(_usage(settings, every))
    except JournalError as error:
        raise CommandFailed(f"{settings.journal_place}: {error.message}") from error


async def _usage(settings: Settings, every: Sequence[MachineChanges]) -> dict[str, Usage]:
    counters = {
        each.machine: UsageCounter(each.old, _asked(each))
        for each in every
        if each.old is not None and each.change is not Change.KEPT
    }
    found: set[str] = set()

    def born(machine: str, instance: str) -> None:
        if machine in counters:
            found.add(machine)
            counters[machine].born(instance)

    def moved(taken: Transition) -> None:
        if taken.machine in counters:
            found.add(taken.machine)
            counters[taken.machine].moved(taken.instance, taken.edge, taken.source, taken.target)

    async with reading(settings) as reader:
        await reader.read(lambda connection: tell_history(connection, moved, born))
    return {machine: counters[machine].usage() for machine in sorted(found)}


def _asked(changes: MachineChanges) -> list[str]:
    """Ids of the edges that are gone or changed."""
    return [each.old.id for each in changes.edges if each.old and each.change is not Change.KEPT]


# --- What is written -----------------------------------------------------------------------------


def _written(
    out: Path, every: Sequence[MachineChanges], usage: dict[str, Usage], between: str
) -> tuple[Judged, ...]:
    """Draw each machine that changed. Raises CommandFailed where that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(
            f"{out} cannot be written: {error.strerror}.", exit_code=WRONG_USE
        ) from error
    judged = []
    for each in every:
        picture = None
        if each.change is not Change.KEPT:
            name, _, _ = each.declared.title.partition(":")
            picture = f"{each.machine}{_ENDING}"
            try:
                drawn = changes_picture(each, f"{name}: {between}")
            except (DrawingFailed, ValueError) as error:
                raise CommandFailed(str(error), exit_code=WRONG_USE) from error
            _write(out / picture, drawn)
        else:
            # What an earlier comparison left would be taken for one of this.
            (out / f"{each.machine}{_ENDING}").unlink(missing_ok=True)
        judged.append(Judged(each, picture, usage.get(each.machine)))
    return tuple(judged)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be written: {error.strerror}.", exit_code=WRONG_USE
        ) from error

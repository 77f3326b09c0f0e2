"""`chorus diagrams diff`: what changed in the machines between two revisions, folders or files.

Only declarations are read (`diagrams/*.json`), those of a revision by git: no code of either side is
imported or run. A journal is read as `chorus trace` does, beside a server that may hold it.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from diagrams.changes import Change, MachineChanges, compare
from diagrams.changes_drawing import changes_picture
from diagrams.changes_report import Judged, interferes, report
from diagrams.dot import DrawingFailed
from diagrams.usage import Usage, UsageCounter
from machines.declarations import Declaration, UnreadableDeclaration, read_declaration
from machines.models.errors import JournalError
from server.commands.errors import NOT_DONE, WRONG_USE, CommandFailed
from server.commands.journal_file import require_journal, settings_of
from server.settings import Settings
from server.stores import reading
from storage.journal.history import Transition, tell_history

SUMMARY: Final = "summary.md"
_ENDING: Final = ".diff.svg"
_WORKING_TREE: Final = "the working tree"
_DECLARATION: Final = re.compile(r"[A-Za-z0-9_]+\.json")
"""Names of files; what other tools' formats are written to has two dots."""
_MOST_BYTES: Final = 4 * 2**20
"""Of one declaration; those of Chorus have some 10 KiB."""


class Side(NamedTuple):
    """One of the two that are compared."""

    name: str
    """In a reader's words."""
    declared: tuple[Declaration, ...]
    is_one: bool = False
    """Whether it is one file, so that no other machine is asked for."""

    def asks_for(self, machine: str) -> bool:
        return not self.is_one or machine in {each.machine for each in self.declared}


def run(
    old: str,
    new: str | None,
    *,
    folder: str,
    out: Path,
    journal: str | None,
    fail_on: Collection[str],
    say: Callable[[str], None],
) -> int:
    """Print the summary, and write it with a drawing of each machine that changed; gives the exit code.

    Args:
        old, new: a revision of git, a folder of declarations or one of them; None is the working tree.
        folder: where a revision has its declarations, from the top of its repository.
        out: where to write; made where it is missing.
        journal: a data folder or the URL of a database, to count values in.
        fail_on: what makes the exit code 1: that something is removed, that a live value does not go
            on as before.

    Raises:
        CommandFailed: a side or the journal cannot be read, or the drawings not be made here.
    """
    if "live" in fail_on and journal is None:
        raise CommandFailed("--fail-on live needs --journal.", exit_code=WRONG_USE)
    before, after = _side(old, folder), _side(new, folder)
    every = [
        each
        for each in compare(before.declared, after.declared)
        if before.asks_for(each.machine) and after.asks_for(each.machine)
    ]
    settings = None if journal is None else settings_of(journal, "--journal")
    usage = {} if settings is None else _counted(settings, every)
    judged = _written(out, every, usage, f"{before.name} → {after.name}")
    place = None if settings is None else settings.journal_place
    text = report(judged, before.name, after.name, journal=place)
    _write(out / SUMMARY, text)
    for line in text.splitlines():
        say(line)
    return NOT_DONE if any(_fails(each, fail_on) for each in judged) else 0


def _fails(judged: Judged, fail_on: Collection[str]) -> bool:
    if "removed" in fail_on and judged.changes.removes:
        return True
    if "live" not in fail_on or judged.usage is None:
        return False
    return interferes(judged.changes, judged.usage)


# --- What is compared ----------------------------------------------------------------------------


def _side(named: str | None, folder: str) -> Side:
    """Raises CommandFailed where it is not there, or holds what is no declaration."""
    if named is None:
        top = Path(_git("rev-parse", "--show-toplevel").decode().rstrip("\n"))
        return Side(_WORKING_TREE, _of_path(top / folder))
    if Path(named).exists():
        return Side(named, _of_path(Path(named)), is_one=Path(named).is_file())
    return Side(named, _of_revision(named, folder))


def _of_path(path: Path) -> tuple[Declaration, ...]:
    try:
        files = [path]
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if _DECLARATION.fullmatch(each.name))
        texts = [(str(file), _bounded(file)) for file in files]
    except OSError as error:
        raise CommandFailed(
            f"{error.filename} cannot be read: {error.strerror}.", exit_code=WRONG_USE
        ) from error
    if not texts:
        raise CommandFailed(
            f"{path} has no declarations of machines (*.json).", exit_code=WRONG_USE
        )
    return _read(texts)


def _bounded(file: Path) -> bytes:
    with file.open("rb") as opened:
        return _short(str(file), opened.read(_MOST_BYTES + 1))


def _short(name: str, text: bytes) -> bytes:
    """Raises CommandFailed where it is too long for a declaration."""
    if len(text) > _MOST_BYTES:
        raise CommandFailed(f"{name} is no declaration: it is too long.", exit_code=WRONG_USE)
    return text


def _of_revision(revision: str, folder: str) -> tuple[Declaration, ...]:
    # The options of git end before the name, so that one that begins with a dash is a name too.
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = found.decode().strip()
    if not commit:
        raise CommandFailed(
            f"{revision} is no revision, no folder and no file.", exit_code=WRONG_USE
        )
    listed = _git("ls-tree", "--full-tree", "--name-only", "-z", commit, "--", f"{folder}/")
    paths = [
        path for path in listed.decode().split("\0") if _DECLARATION.fullmatch(Path(path).name)
    ]
    if not paths:
        raise CommandFailed(
            f"{revision} has no {folder}/*.json: it is older than the declarations, or they are in"
            " another --folder.",
            exit_code=WRONG_USE,
        )
    texts = (
        (f"{path} of {revision}", _git("cat-file", "blob", f"{commit}:{path}")) for path in paths
    )
    return _read((name, _short(name, text)) for name, text in texts)


def _read(texts: Iterable[tuple[str, bytes]]) -> tuple[Declaration, ...]:
    declared: dict[str, Declaration] = {}
    for name, text in texts:
        try:
            found = read_declaration(text)
        except UnreadableDeclaration as error:
            raise CommandFailed(
                f"{name} is no declaration: {error}.", exit_code=WRONG_USE
            ) from error
        if found.machine in declared:
            raise CommandFailed(
                f"{name} declares {found.machine} a second time.", exit_code=WRONG_USE
            )
        declared[found.machine] = found
    return tuple(declared.values())


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it finds nothing.

    Raises:
        CommandFailed: git is not installed, or this is no repository.
    """
    try:
        # Git is found as the user's shell finds it.
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandFailed(
            "git is needed to compare revisions, and was not found.", exit_code=WRONG_USE
        ) from error
    if done.returncode and done.stderr:
        said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
        raise CommandFailed(f"git: {said.rstrip('.')}.", exit_code=WRONG_USE)
    return done.stdout


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

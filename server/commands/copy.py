"""`chorus copy`: copies a journal between a data folder and a PostgreSQL database, or two alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.commands.errors import WRONG_USE, CommandFailed
from server.environment import Environment
from server.memory.opening import REBUILD
from server.stores import FORMER_MEMORY_FOLDER, MEMORY_FOLDER
from storage.copying import copier
from storage.copying.copier import Phase, Tell
from storage.copying.folder import FolderPlace
from storage.copying.place import Place
from storage.journal.postgres.address import PostgresAddress

_DOING: Final = {
    Phase.COPYING: "Copying",
    Phase.COMPARING: "Comparing",
    Phase.VERIFYING: "Verifying",
}


def run(
    source: str,
    target: str,
    environment: Environment,
    *,
    say: Callable[[str], None],
    progress: Console,
) -> int:
    """Copy the journal, or the rest of it; gives the exit code.

    Args:
        source: A data folder, or the URL of a database.
        target: As `source`; a folder is made where it is missing. What is there must be empty.
        progress: Where what is being done is shown.

    Raises:
        CommandFailed: the options are to blame.
        JournalError: nothing can be copied, or the copy does not hold what the source does.
    """
    one = _place(source, "--from", environment)
    other = _place(target, "--to", environment)
    if one.is_same(other):
        raise CommandFailed("--from and --to name the same store.", exit_code=WRONG_USE)
    if isinstance(other, FolderPlace):
        _require_no_memory(Path(target))
    with _shown(progress) as tell:
        rows = copier.copy(
            one, other, epoch=environment.new_id(), notes={REBUILD: "due"}, tell=tell
        )
    say(f"Copied {rows:,} rows from {one} to {other}, and verified them.")
    say("The copy has an epoch of its own. Its memory is filled by the first server that opens it.")
    return 0


def _place(text: str, option: str, environment: Environment) -> Place:
    if "://" not in text:
        return FolderPlace(Path(text))
    try:
        address = PostgresAddress.parse(text)
    except ValueError as error:
        raise CommandFailed(
            f"{option} must be a folder, or {str(error).removeprefix('must be ')}",
            exit_code=WRONG_USE,
        ) from None
    # The driver is loaded where it is needed alone.
    from storage.copying.database import DatabasePlace

    return DatabasePlace(address, environment.new_id)


def _require_no_memory(folder: Path) -> None:
    if any((folder / name).exists() for name in (MEMORY_FOLDER, FORMER_MEMORY_FOLDER)):
        raise CommandFailed(f"{folder}: It is not empty: it holds the memory of another journal.")


@contextmanager
def _shown(console: Console) -> Iterator[Tell]:
    """Shows how far the copy is: a bar on a terminal, and else a line for each table."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {phase: bars.add_task(phase, total=None, visible=False) for phase in Phase}

        def tell(progress: copier.Progress) -> None:
            bars.update(
                tasks[progress.phase],
                completed=progress.done,
                total=progress.total or None,
                description=_doing(progress),
                visible=True,
            )

        yield tell


def _lines(console: Console) -> Tell:
    told: set[str] = set()

    def tell(progress: copier.Progress) -> None:
        line = _doing(progress)
        if line not in told:
            told.add(line)
            console.print(line)

    return tell


def _doing(progress: copier.Progress) -> str:
    return f"{_DOING[progress.phase]} {progress.table or 'the copy'}"

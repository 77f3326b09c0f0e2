"""`chorus diagrams`: draw every state machine, and with `--check` say which drawings are stale."""

from collections.abc import Callable
from pathlib import Path

import diagrams
from diagrams import generator
from server.commands.errors import CommandFailed


def run(*, check: bool, say: Callable[[str], None]) -> None:
    """Write the drawings beside their generator, or look at those that are there.

    Raises:
        CommandFailed: they cannot be drawn here, or are not those of the machines.
    """
    folder = Path(diagrams.__file__).parent
    if check:
        _check(folder, say)
        return
    try:
        written = generator.generate(folder)
    except generator.DrawingFailed as error:
        raise CommandFailed(str(error), exit_code=2) from error
    for path in written:
        say(str(path))


def _check(folder: Path, say: Callable[[str], None]) -> None:
    problems = generator.check(folder)
    for problem in problems:
        say(problem)
    if problems:
        raise CommandFailed("The drawings are not those of the machines; run chorus diagrams.")
    say("The drawings are those of the machines.")

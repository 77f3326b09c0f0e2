"""The one way in which commands print lines: nothing that is printed is obeyed by a terminal.

Names that an endpoint gives, texts that a damaged file holds and paths may have anything in them.
What is drawn (tables, Markdown) passes through the same cleaner, as `server.chat.render.Harmless`;
the log, through `server.commands.logs`.
"""

import typer

from server.chat.text import clean


def say(line: str) -> None:
    """Print one line to standard output."""
    typer.echo(_cleaned(line))


def complain(line: str) -> None:
    """Print one line to standard error."""
    typer.echo(_cleaned(line), err=True)


def _cleaned(line: str) -> str:
    """A line that came with others would look like one of ours: its ends become spaces."""
    return clean(line).replace("\n", " ")

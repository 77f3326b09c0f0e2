"""Machines in the formats of other tools, each made from the declaration alone.

`diagrams.scxml`, `diagrams.xstate` and `diagrams.mermaid` say what each carries and what it cannot.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from diagrams.mermaid import mermaid_source
from diagrams.scxml import scxml_source
from diagrams.xstate import xstate_source
from machines.declarations import Declaration

Format = Literal["scxml", "xstate", "mermaid"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_WRITERS: Final[Mapping[Format, tuple[str, Callable[[Declaration], str]]]] = {
    "scxml": ("scxml", scxml_source),
    "xstate": ("xstate.json", xstate_source),
    "mermaid": ("mmd", mermaid_source),
}
"""By format: how its files' names end, and what writes them."""


def export(folder: Path, declared: Iterable[Declaration], format_: Format) -> list[Path]:
    """Write each machine in a format; gives the paths written.

    Raises:
        OSError: the folder cannot be written.
    """
    ending, source_of = _WRITERS[format_]
    written = []
    for each in declared:
        path = folder / f"{each.machine}.{ending}"
        path.write_text(source_of(each), encoding="utf-8", newline="\n")
        written.append(path)
    return written

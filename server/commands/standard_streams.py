"""The standard streams and the size of the terminal, made usable before a command runs.

A process may be started with any of its standard descriptors closed, and the next files that it
opens would take their numbers: a line meant for a terminal would be written into the journal. So
each of them is opened on the null device first.
"""

import io
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from errno import EBADF
from pathlib import Path
from typing import Final

NOWHERE: Final = Path(os.devnull)

MOST_COLUMNS: Final = 10_000
"""What is wider is no terminal, and each line would be padded to it."""


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that is closed: an answer is never written to nowhere."""

    def write(self, _text: str, /) -> int:
        """Raises OSError."""
        raise OSError(EBADF, "Standard output is closed")

    def flush(self) -> None:
        """Nothing waits here."""


def make_usable() -> None:
    """Open what is closed, and let what cannot be encoded end nothing."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.open(NOWHERE, os.O_RDWR)
    # Where a stream's descriptor is closed at the start, Python leaves None in its place.
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    if streams["stdin"] is None:
        sys.stdin = NOWHERE.open(encoding="utf-8")
    if streams["stdout"] is None:
        sys.stdout = ClosedOutput()
    if streams["stderr"] is None:
        sys.stderr = NOWHERE.open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    forget_unusable_size(os.environ)


def forget_unusable_size(environment: MutableMapping[str, str]) -> None:
    """Drop a width or height of the terminal that nothing can be drawn in; the defaults are used."""
    for name in ("COLUMNS", "LINES"):
        with suppress(KeyError, ValueError):
            if not 0 < int(environment[name]) <= MOST_COLUMNS:
                del environment[name]

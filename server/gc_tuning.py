"""Python's garbage collector around the start of a server. Imports nothing heavy.

A start makes a quarter of a million objects that stay and some thousand that do not. Looking through
them again and again takes a fifth of its time; later, a connection is some hundred objects that live
long, and with the usual thresholds a fifth of the time of a thousand sign-ins goes the same way.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS: Final = 5_000
"""New objects after which the collector looks for cycles among them, once a server is ready."""


@contextmanager
def gc_paused() -> Iterator[None]:
    """No collection until the context ends or `freeze_gc` is called."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def freeze_gc() -> None:
    """Collect again, but never look at what there is now: it stays as long as the process.

    The garbage of the start stays with it, less than a megabyte; looking for it would keep the
    first requests waiting for 0.2 s.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()

"""Opening the memory so that a loss of it shows, and is made good.

`REBUILD` is a note beside the journal: while it is there, the memory must be filled from the
beginning. It is made before anything is opened, and `server.memory.recall` takes it away once
everything waits to be stored again. Servers that share a journal share the note: one at a time opens
the memory, or fills it.
"""

import logging
from typing import Final

from machines.models.errors import StorageError
from storage.journal.port import Journal
from storage.memory.memory import Memory

log = logging.getLogger(__name__)

REBUILD: Final = "memory_rebuild"
"""Name of the journal's note that the memory must be filled from the beginning."""

COMPARED: Final = "memory_compared"
"""Name of the journal's note that says for which loss of commits the memory was held against it last: the
epoch that began then."""


async def open_memory(
    journal: Journal, memory: Memory, *, fingerprint: str, accept_other_fingerprint: bool
) -> bool:
    """Open the memory; a store that cannot be reached is no error, and is tried again later.

    Gives whether all is there that the journal gave to it.

    Raises:
        StorageError: the journal fails, or the memory does and will not recover by itself.
    """
    async with journal.alone_with_memory():
        return await _open(journal, memory, fingerprint, accept_other_fingerprint)


async def _open(
    journal: Journal, memory: Memory, fingerprint: str, accept_other_fingerprint: bool
) -> bool:
    # Noted beforehand: a crash between making collections and filling them must show.
    rebuild = await journal.noted(REBUILD)
    await journal.note(REBUILD, "due")
    # Asked before: what is given meanwhile is there in any case.
    given = await journal.given_to_memory(fingerprint=fingerprint)
    reached = True
    try:
        await memory.open(accept_other_fingerprint=accept_other_fingerprint)
    except StorageError as error:
        if not error.retryable:
            raise
        log.warning("the memory is away: %s", error.message)
        reached = False
    lost = memory.made_anew or memory.lacks(messages=given.messages, links=given.links)
    if rebuild is not None or lost:
        return False
    await journal.note(REBUILD, None)
    return reached

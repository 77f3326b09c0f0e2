"""Looks after the sessions of this process where other servers share the journal.

What another server takes up or ends is announced (`server.sessions.elsewhere`), and found by each
request of the session itself; here it is found for those who ask for nothing, where no announcement
came.
"""

import asyncio
import logging
from typing import Final

from machines.models.errors import StorageError
from server.sessions.registry import Sessions

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 30.0


async def watch_sessions(sessions: Sessions) -> None:
    """Look at all sessions again and again, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await sessions.look()
        except StorageError as error:
            log.warning("sessions are not looked after: %s", error.message)

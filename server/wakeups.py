"""What a timer does when its time comes: an event for a run, a message or a session.

A timer that finds nothing to change (the run was stopped meanwhile) is dropped; one whose event
could not be made durable is tried again.
"""

import logging
from datetime import timedelta
from typing import assert_never

from machines.models.commands import Expire
from machines.models.errors import InvalidTransition, RequestRefused, StorageError
from machines.models.journal import ApprovalTimer, RetryTimer, SessionTimer, TimerRow
from server.rooms import Rooms
from server.runs import Chorus
from server.session import Sessions
from server.timers import Timers
from server.world import World
from storage.journal import Journal

log = logging.getLogger(__name__)

AGAIN = timedelta(seconds=1)


class Wakeups:
    """Performs timers."""

    def __init__(
        self, *, world: World, journal: Journal, rooms: Rooms, chorus: Chorus, sessions: Sessions
    ) -> None:
        self._world = world
        self._journal = journal
        self._rooms = rooms
        self._chorus = chorus
        self._sessions = sessions
        self.timers = Timers(world.now, self.fire)

    async def fire(self, row: TimerRow) -> None:
        """Perform a timer that is due."""
        try:
            if not await self._perform(row) and self.timers.is_set(row):
                await self._journal.drop_timer(row)
        except StorageError as error:
            log.warning("a timer is tried again: %s", error.message)
            if self.timers.is_set(row):
                self.timers.retry(row, self._world.now() + AGAIN)

    async def _perform(self, row: TimerRow) -> bool:
        """Whether it changed anything; then its row went with the change."""
        match row.timer:
            case RetryTimer() as timer:
                return await self._chorus.retry(timer)
            case ApprovalTimer(thread_id=thread_id, message_id=message_id):
                try:
                    await self._rooms.perform(
                        thread_id,
                        lambda ids: Expire(
                            thread_id=thread_id,
                            # The clock may have stepped back since the timer found it due.
                            at=max(self._world.now(), row.due_at),
                            by=None,
                            ids=ids,
                            message_id=message_id,
                        ),
                    )
                except (InvalidTransition, RequestRefused):
                    return False
                return True
            case SessionTimer(token_hash=token_hash):
                await self._sessions.expire(token_hash)
                return False
            case _:
                assert_never(row.timer)

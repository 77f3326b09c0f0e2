"""Forgets what this server knew of a database that lost commits.

The journal finds out, here or at another server, and appends nothing until everything that was decided on
what is no more is given up: the facts of threads, the runs that are carried, what clients were shown.
Then the server goes on from what the database holds: clients come again and read anew, runs are claimed
anew, and one of the servers holds the memory against the journal.
"""

from collections.abc import Callable
from functools import partial

from machines.models.errors import JournalError
from server.concurrency.retry import until_done
from server.memory.recall import MemoryService
from server.passing.interests import Interests
from server.runs.takeover import Takeover
from server.sessions.registry import Sessions
from server.threads.broadcast import Broadcast
from server.threads.relay import Relay
from server.threads.service import ThreadService
from server.timers.handlers import Wakeups
from storage.journal.port import Journal

FIRST_WAIT_SECONDS = 0.2
"""Before it is tried again to append, while the database is away."""


class EpochWatch:
    """Waits for the loss of commits. `run` it while the server serves."""

    def __init__(
        self,
        *,
        journal: Journal,
        thread_service: ThreadService,
        broadcast: Broadcast,
        sessions: Sessions,
        takeover: Takeover,
        wakeups: Wakeups,
        memory_service: MemoryService,
        relay: Relay,
        interests: Interests,
        on_loss: Callable[[], None],
    ) -> None:
        """
        Args:
            on_loss: told each time that commits were lost.
        """
        self._journal = journal
        self._thread_service = thread_service
        self._broadcast = broadcast
        self._sessions = sessions
        self._takeover = takeover
        self._wakeups = wakeups
        self._memory_service = memory_service
        self._relay = relay
        self._interests = interests
        self._on_loss = on_loss
        self.losses = 0
        """How often commits were lost since the start."""

    async def run(self) -> None:
        """Forget each time that commits were lost, until cancelled."""
        while True:
            epoch = await self._journal.commits_lost()
            self._forget()
            await until_done(
                partial(self._journal.accept_epoch, epoch),
                passing=lambda error: isinstance(error, JournalError),
                first_wait=FIRST_WAIT_SECONDS,
            )

    def _forget(self) -> None:
        """Give up everything at one moment: nothing of this waits."""
        self.losses += 1
        self._on_loss()
        self._takeover.give_up()
        self._wakeups.forget_retries()
        self._thread_service.forget()
        self._sessions.read_anew()
        self._broadcast.give_up_all()
        self._relay.listen_anew()
        self._interests.connect_anew()
        self._memory_service.look_again()

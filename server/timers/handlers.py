"""What a timer does when its time comes: an event for a run, a message, an invitation or a session.

A timer that finds nothing to change (the run was stopped meanwhile) is dropped; one whose event
could not be made durable, or that met a defect, is tried again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import assert_never

from machines.loop.recovery import retry_timer
from machines.models.chorus import Health, RunProgress
from machines.models.commands import (
    Expire,
    ExpireBranch,
    ExpireInvitation,
    ExpireLink,
    ExpireRemoval,
    ThreadCommand,
)
from machines.models.errors import InvalidTransition, RequestRefused, StorageError
from machines.models.ids import ThreadId
from machines.models.journal import (
    ApprovalTimer,
    BranchTimer,
    InvitationTimer,
    InviteLinkTimer,
    RemovalTimer,
    RetryTimer,
    SessionTimer,
    TimerRow,
)
from server.concurrency.retry import while_journal_is_away
from server.environment import Environment
from server.runs.interpreter import Chorus
from server.sessions.registry import Sessions
from server.threads.service import ThreadService
from server.timers.timers import Timers
from storage.journal.port import Journal

log = logging.getLogger(__name__)

AFTER_A_DEFECT = timedelta(minutes=1)

CLAIM_PAUSE_SECONDS = 1.0
CLAIMS = 100
"""Deadlines that are fired at once."""
CLAIM_SECONDS = 60.0
"""How long no other server fires a deadline that was claimed."""


class Wakeups:
    """Performs timers."""

    def __init__(
        self,
        *,
        environment: Environment,
        journal: Journal,
        thread_service: ThreadService,
        chorus: Chorus,
        sessions: Sessions,
    ) -> None:
        self._environment = environment
        self._journal = journal
        self._thread_service = thread_service
        self._chorus = chorus
        self._sessions = sessions
        self.timers = Timers(environment.now, self.fire, environment.monotonic)

    def restore(self, rows: Iterable[TimerRow]) -> None:
        """Set the timers of a start, where no other server fires them. Retries are set with their runs, by the server that carries them."""
        self.set(row for row in rows if not isinstance(row.timer, RetryTimer))

    def set(self, rows: Iterable[TimerRow]) -> None:
        """Set or move timers whose rows are durable."""
        self.timers.set(filter(self._is_kept, rows))

    def _is_kept(self, row: TimerRow) -> bool:
        """Whether this process waits for a timer. A deadline in a journal that servers share is claimed
        by one of them when it is due: whoever set it may be gone then."""
        return not self._journal.shared or isinstance(row.timer, RetryTimer)

    async def claim_deadlines(self) -> None:
        """Fire what is due of what all servers set, until cancelled."""
        while True:
            await asyncio.sleep(CLAIM_PAUSE_SECONDS)
            try:
                rows = await self._journal.claim_timers(limit=CLAIMS, seconds=CLAIM_SECONDS)
            except StorageError as error:
                log.warning("deadlines are not looked for: %s", error.message)
                continue
            now = self._environment.now()
            for row in rows:
                self.timers.set_at(row, now)

    def take_up(self, runs: Iterable[RunProgress]) -> None:
        """Set the retries that have no timer: of runs that another server carried, or this one before
        its start, and of a commit whose success was never reported.

        A retry waits no longer than it had to, whatever the clock says and did meanwhile.
        """
        now = self._environment.now()
        for run in runs:
            if run.health is Health.RECOVERING and not self.timers.knows(retry_timer(run.id)):
                row = retry_row(run)
                wait = timedelta(
                    milliseconds=(run.error_state and run.error_state.retry_in_ms) or 0
                )
                self.timers.set_at(row, min(row.due_at, now + wait))

    def forget_retries(self) -> None:
        """The runs that this server carried are given up: whoever takes them up sets their retries."""
        self.timers.cancel(self.timers.retries())

    async def fire(self, row: TimerRow) -> None:
        """Perform a timer that is due."""
        try:
            await while_journal_is_away(partial(self._settle, row))
        except Exception:
            log.exception("the timer %s failed; it is tried again", row.timer.timer)
            if self.timers.is_set(row):
                self.timers.set_at(row, self._environment.now() + AFTER_A_DEFECT)

    async def _settle(self, row: TimerRow) -> None:
        """Perform the timer unless it was moved or taken meanwhile; the row of one that changed
        nothing is dropped."""
        if self.timers.is_set(row) and not await self._perform(row) and self.timers.is_set(row):
            await self._journal.drop_timer(row)

    async def _perform(self, row: TimerRow) -> bool:
        """Whether it changed anything; then its row went with the change."""
        match row.timer:
            case RetryTimer() as timer:
                return await self._chorus.retry(timer)
            case ApprovalTimer(thread_id=thread_id, message_id=message_id):
                return await self._expire(row, thread_id, partial(Expire, message_id=message_id))
            case InvitationTimer(thread_id=thread_id, invitation_id=invitation_id):
                return await self._expire(
                    row, thread_id, partial(ExpireInvitation, invitation_id=invitation_id)
                )
            case InviteLinkTimer(thread_id=thread_id, link_id=link_id):
                return await self._expire(row, thread_id, partial(ExpireLink, link_id=link_id))
            case RemovalTimer(thread_id=thread_id, removal_id=removal_id):
                return await self._expire(
                    row, thread_id, partial(ExpireRemoval, removal_id=removal_id)
                )
            case BranchTimer(thread_id=thread_id, branch_id=branch_id):
                return await self._expire(
                    row, thread_id, partial(ExpireBranch, branch_id=branch_id)
                )
            case SessionTimer(token_hash=token_hash):
                await self._sessions.end(token_hash)
                return False
            case _:
                assert_never(row.timer)

    async def _expire(
        self, row: TimerRow, thread_id: ThreadId, command: Callable[..., ThreadCommand]
    ) -> bool:
        """Bring a deadline to its thread, and say whether the thread took it."""

        def make(ids: tuple[str, ...]) -> ThreadCommand:
            # The clock may have stepped back since the timer found it due.
            at = max(self._environment.now(), row.due_at)
            return command(thread_id=thread_id, at=at, by=None, ids=ids)

        try:
            await self._thread_service.perform(thread_id, make)
        except (InvalidTransition, RequestRefused):
            return False
        return True


def retry_row(run: RunProgress) -> TimerRow:
    """The timer of a run that waits for its next attempt, as it was set."""
    error = run.error_state
    return TimerRow(
        id=retry_timer(run.id),
        due_at=(error and error.retry_at) or run.updated_at,
        timer=RetryTimer(
            thread_id=run.thread_id,
            run_id=run.id,
            step=run.current_step,
            iteration=run.iteration,
            attempt=run.attempt,
        ),
    )

"""Takes over runs that an earlier declaration of the chart led to where they stand.

`machines.migrations` and `machines.decisions.succession` say what becomes of each; here the journal is
asked where it stands and what that declaration was, and what was decided is committed.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from machines.charts import journaled_machines
from machines.chorus import chorus_machine, known_fingerprints
from machines.conformance import Conformance
from machines.decisions.succession import take_over
from machines.declarations import (
    Declaration,
    UnreadableDeclaration,
    declaration_of,
    earlier_declarations,
    read_declaration,
)
from machines.migrations import (
    Continue,
    End,
    Migration,
    Outcome,
    Succession,
    problems_of,
)
from machines.models.chorus import ChartChanged, RunProgress, RunStatus
from machines.models.commands import TakeOverRun
from machines.models.errors import ChorusError, NotCarried, RequestRefused, StateError
from machines.models.ids import RunId
from machines.models.journal import ChorusFired, DecisionView, JournalEntry
from machines.statechart import Configuration
from server.concurrency.retry import while_journal_is_away
from server.environment import Environment
from server.threads.service import ThreadService
from storage.journal.history import DECLARATION
from storage.journal.port import Journal

log = logging.getLogger(__name__)

QUEUES_SEEN: Final = "queues"
"""The name under which the journal keeps the fingerprint of the chart that looked at the queues last."""

AT_ONCE: Final = 64
"""Runs that are taken over at the same time."""


def require_whole(migrations: Collection[Migration]) -> None:
    """Raises StateError with a sentence about the first declared migration that leads nowhere."""
    today = {each.name: declaration_of(each.topology) for each in journaled_machines()}
    for problem in problems_of(migrations, earlier_declarations(), today):
        raise StateError(problem)


class RunSuccession:
    """Tells runs of other charts from today's, and takes them over."""

    def __init__(
        self,
        *,
        journal: Journal,
        thread_service: ThreadService,
        environment: Environment,
        migrations: Collection[Migration],
    ) -> None:
        self._journal = journal
        self._thread_service = thread_service
        self._environment = environment
        self._migrations = migrations
        self._declared: dict[str, Declaration | None] = {}
        """By fingerprint; None where it is not known."""
        self._successions: dict[str, Succession] = {}
        """By the fingerprint of the earlier declaration."""

    async def charts_of(self, runs: Sequence[RunProgress]) -> Mapping[RunId, str]:
        """The fingerprint of the chart of each run that is led on by none that today's is equal to.

        Raises:
            JournalError: the journal cannot be read.
        """
        begins = f"{chorus_machine().name}:"
        found = {}
        accepted = await self._journal.charts_of_runs([run.id for run in runs])
        for run_id, fingerprints in accepted.items():
            of_runs = [each for each in fingerprints.split() if each.startswith(begins)]
            if of_runs and of_runs[0] not in known_fingerprints():
                found[run_id] = of_runs[0]
        return found

    async def take_over(self, runs: Sequence[RunProgress], charts: Mapping[RunId, str]) -> None:
        """Lead on, migrate or end each of `runs`, whose charts are `charts`; it must be carried here.

        Raises:
            StateError: today's chart can neither lead one on nor end it; the others are taken over.
        """
        failed: list[StateError] = []
        for some in (runs[begin : begin + AT_ONCE] for begin in range(0, len(runs), AT_ONCE)):
            done = await asyncio.gather(
                *(self._take_over(run, charts[run.id]) for run in some), return_exceptions=True
            )
            for each in done:
                match each:
                    case StateError():
                        failed.append(each)
                    # One damaged thread must not keep the others from going on.
                    case ChorusError():
                        log.error("a run could not be taken over: %s", each.message)
                    case Exception():
                        log.error("a run could not be taken over", exc_info=each)
                    case BaseException():
                        raise each
        if failed:
            raise failed[0]

    async def look_at_queues(self) -> None:
        """End what waits in a queue and could not be led to an end from there by today's chart. It is looked
        at once for each chart: what is queued later and cannot be started is ended when its turn comes.

        Raises:
            JournalError: the journal cannot be read.
            StateError: as `take_over`.
        """
        if await self._journal.noted(QUEUES_SEEN) in known_fingerprints():
            return
        waiting = [run for run in await self._journal.live_runs() if run.status is RunStatus.QUEUED]
        await self.take_over(waiting, {run.id: "" for run in waiting})
        await self._journal.note(QUEUES_SEEN, chorus_machine().fingerprint)

    async def _take_over(self, run: RunProgress, declared: str) -> None:
        outcome = (
            Continue() if run.status is RunStatus.QUEUED else await self._outcome(run, declared)
        )
        decided: list[TakeOverRun] = []

        def command(view: DecisionView) -> TakeOverRun:
            found = next((each for each in view.runs if each.id == run.id), None)
            if found is None or found.version != run.version:
                # It is over, or was led on by today's chart: by a commit that was in doubt, too.
                raise _NothingToDo
            command = take_over(
                chorus_machine(),
                found,
                outcome,
                declared=declared,
                at=self._environment.now(),
            )
            if command is None:
                raise _NothingToDo
            decided[:] = [command]
            return command

        try:
            await while_journal_is_away(
                partial(self._thread_service.perform_on_view, run.thread_id, command)
            )
        except (_NothingToDo, NotCarried, RequestRefused):
            return  # and nothing is to be done where it is another server's
        event = decided[0].event
        log.info("the run %s of %s is %s", run.id, declared, event.outcome.value)

    async def _outcome(self, run: RunProgress, declared: str) -> Outcome:
        """What becomes of a run of that declaration. Raises JournalError."""
        entries = await self._journal.run_entries(run.id)
        for fingerprint in {name for each in entries for name in each.fingerprint.split()}:
            if fingerprint not in self._declared:
                self._declared[fingerprint] = await self._declaration(fingerprint)
        old = self._declared.get(declared)
        if old is None:
            return Continue()  # whether today's chart leads it on is asked of the run itself
        if declared not in self._successions:
            today = declaration_of(chorus_machine().topology)
            self._successions[declared] = Succession(old, today, self._migrations)
        place = self._place_of(run.id, entries)
        return (
            End("where it stood is not known")
            if place is None
            else (self._successions[declared].outcome(place))
        )

    async def _declaration(self, fingerprint: str) -> Declaration | None:
        """As the journal or this version keeps it. Raises JournalError."""
        if (known := earlier_declarations().get(fingerprint)) is not None:
            return known
        text = await self._journal.noted(f"{DECLARATION}{fingerprint}")
        if text is None:
            return None
        try:
            return read_declaration(text)
        except UnreadableDeclaration as error:
            log.warning("what %s declares cannot be read: %s", fingerprint, error)
            return None

    def _place_of(self, run_id: RunId, entries: Sequence[JournalEntry]) -> Configuration | None:
        """Where a run stands by the declaration that wrote its newest entry."""
        known = {name: each for name, each in self._declared.items() if each is not None}
        history = Conformance(known)
        for entry in entries:
            fired = [each for each in entry.fired if isinstance(each, ChorusFired)]
            changed = [each.event for each in fired if isinstance(each.event, ChartChanged)]
            stands = changed[0].stands if changed else ()
            for taken in entry.transitions:
                if taken.instance == run_id:
                    history.moved(taken, entry.fingerprint, stands)
        return dict(history.standing(chorus_machine().name)).get(run_id)


class _NothingToDo(Exception):
    """The run is over, was taken over before, or starts as it is."""

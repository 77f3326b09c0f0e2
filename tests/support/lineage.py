"""Runs that fork one another in a journal, by the decisions that a server makes, without a server.

lineage = await Lineage.opened(journal)
first = await lineage.asked("What lasts?")             # a run that has its answer
fork = await lineage.forked(first, StepEnum.UPDATE, Change(...))
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from machines.decisions.changes import Decided
from machines.decisions.threads import decide, open_thread
from machines.models.chorus import Awaited, ChorusState
from machines.models.commands import (
    AdvanceRun,
    DiscardBranch,
    Facts,
    ForkRun,
    OpenThread,
    Policy,
    SubmitMessage,
    ThreadCommand,
)
from machines.models.fork import Change
from machines.models.ids import RunId, ThreadId
from machines.models.outputs import StepEnum
from machines.models.thread import Visibility
from server.threads.named import with_what_it_names
from storage.journal.port import Journal
from tests.machines.transitions.chorus_scenarios import answered, recalled
from tests.support.journal_values import ANN, NOW, uuid

POLICY = Policy(models=("other",))
THREAD = ThreadId(uuid("lineage"))

Said = Callable[[ChorusState], str]
"""What the model says of the step that a run is at."""


def briefly(run: ChorusState) -> str:
    """A few words, of each run and step others."""
    return f"{run.current_step} {run.iteration} of {run.id}"


@dataclass
class Lineage:
    """One thread, whose runs go on as soon as they may."""

    journal: Journal
    facts: Facts
    loops: int = 1
    """How often update asks for another loop."""
    _numbers: "count[int]" = field(default_factory=count)

    @classmethod
    async def opened(cls, journal: Journal, loops: int = 1) -> "Lineage":
        """A new thread."""
        decided = open_thread(
            OpenThread(
                thread_id=THREAD, at=NOW, by=ANN, name="Forks", visibility=Visibility.PRIVATE
            )
        )
        await journal.commit(decided.batch)
        return cls(journal, decided.facts, loops)

    async def asked(self, prompt: str, said: Said = briefly) -> ChorusState:
        """A run of a new prompt, as the journal has it when it is over."""
        command = SubmitMessage(thread_id=THREAD, at=NOW, by=ANN, content=prompt, ids=self._ids())
        return await self._over(await self._done(command), said)

    async def forked(
        self, run: ChorusState, step: StepEnum, change: Change, said: Said = briefly, *, at: int = 1
    ) -> ChorusState:
        """A fork of a run from a step of iteration `at`, as the journal has it when it is over."""
        command = ForkRun(
            thread_id=THREAD,
            at=NOW,
            by=ANN,
            run_id=run.id,
            step=step,
            iteration=at,
            change=change,
            ids=self._ids(),
        )
        return await self._over(await self._done(command), said)

    async def discarded(self, fork: ChorusState) -> None:
        """Give up the branch of a fork."""
        assert fork.branch_id is not None
        command = DiscardBranch(thread_id=THREAD, at=NOW, by=ANN, branch_id=fork.branch_id)
        await self._decided(command)

    async def _over(self, run_id: RunId, said: Said) -> ChorusState:
        while run := next((each for each in self.facts.view.runs if each.id == run_id), None):
            loops = run.current_step is StepEnum.UPDATE and run.iteration <= self.loops
            event = (
                recalled(run)
                if run.awaiting is Awaited.PRIORS
                else answered(run, loop=loops, text=said(run))
            )
            await self._done(
                AdvanceRun(thread_id=THREAD, at=NOW, by=None, run_id=run_id, event=event)
            )
        kept = await self.journal.run(run_id)
        assert kept is not None
        return kept

    async def _done(self, command: ThreadCommand) -> RunId:
        run_id = (await self._decided(command)).run_id
        assert run_id is not None
        return run_id

    async def _decided(self, command: ThreadCommand) -> Decided:
        facts = await with_what_it_names(self.journal, self.facts, command)
        decided = decide(facts, command, POLICY)
        await self.journal.commit(decided.batch)
        self.facts = decided.facts
        return decided

    def _ids(self) -> tuple[str, ...]:
        return tuple(uuid(f"lineage {next(self._numbers)}") for _ in range(8))

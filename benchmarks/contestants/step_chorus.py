"""Chorus: one prompt after the other in one thread, each a run whose every transition is journalled.

Chorus without sockets: rooms, runs, the machines and the SQL journal in a file. The model answers
at once and the memory brings its priors at once; no one follows. A run begins with its request
(`SubmitMessage`) and ends when its answer is durable, which is more than a peer's run does: the
message, the queue, the answer and the frames of each step are part of it.
"""

import asyncio
import sys
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import uvloop
from pydantic import TypeAdapter

from benchmarks import work
from benchmarks.measure import Spent, measured
from machines.models.chorus import StepCompleted
from machines.models.commands import OpenThread, Policy, SubmitMessage
from machines.models.effects import AICall, RunEffect, attempt_of
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.journal import Batch
from machines.models.outputs import Prior, StepOutput, Usage
from machines.models.thread import Thread, Visibility
from server.environment import system_environment
from server.gc_tuning import freeze_gc
from server.llm.port import OnText, unheard
from server.memory.recall import MemoryService
from server.passing.interests import Interests
from server.passing.port import NoPassing
from server.runs.interpreter import Chorus
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from server.wire.renderer import Renderer
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal

AUTHOR = PublicKey("4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi")
POLICY = Policy(max_iterations=3)


class Model:
    """Answers at once, from the script."""

    name = "script"
    offline = False

    def __init__(self, iterations: int) -> None:
        outputs: TypeAdapter[StepOutput] = TypeAdapter(StepOutput)
        self._answers = {
            (step, iteration): (
                record["text"],
                outputs.validate_python({"step": step, **record["output"]}),
                Usage.model_validate(record["usage"]),
            )
            for (step, iteration), record in work.script(iterations).items()
        }

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        del on_text, on_thought
        text, output, usage = self._answers[call.step.value, call.iteration]
        at = datetime.now(UTC)
        return StepCompleted(
            **attempt_of(call, at), text=text, output=output, usage=usage, model="script"
        )

    async def close(self) -> None:
        """Nothing is open."""


class Memory:
    """Brings the script's priors: to each search of a run those that it does not have yet."""

    def __init__(self) -> None:
        self._priors = tuple(Prior.model_validate(each) for each in work.PRIORS)

    async def recall(
        self,
        thread: Thread,
        query: str,
        *,
        exclude: Collection[MessageId],
        quoted: Collection[MessageId],
        limit: int,
    ) -> tuple[Prior, ...]:
        del thread, query, quoted
        return tuple(each for each in self._priors if each.message_id not in exclude)[:limit]


class Performing:
    """Performs effects, and tells when a run has ended."""

    def __init__(self) -> None:
        self.chorus: Chorus | None = None
        self.ended: dict[RunId, asyncio.Event] = {}

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        del thread_id
        assert self.chorus is not None
        for effect in effects:
            self.chorus.run(effect)
        for entry in batch.entries:
            if entry.type == "chorus_response" and entry.kind in {"finished", "failed"}:
                if entry.kind == "failed":
                    raise SystemExit(f"a run failed: {entry.data}")
                self.ended.setdefault(RunId(str(entry.data["run_id"])), asyncio.Event()).set()


async def go(
    journal: SqliteJournal, iterations: int, runs: int, *, prompt: str = work.PROMPT
) -> Spent:
    """So many runs of a prompt, one after the other."""
    environment = system_environment()
    broadcast = Broadcast()
    renderer = Renderer()
    thread_service = ThreadService(journal, broadcast, POLICY, environment.new_id, renderer)
    performing = Performing()
    thread_service.subscribe(performing)
    performing.chorus = Chorus(
        environment=environment,
        thread_service=thread_service,
        broadcast=broadcast,
        model=Model(iterations),
        memory_service=cast("MemoryService", Memory()),
        renderer=renderer,
        interests=Interests(NoPassing(), broadcast.followed, environment.monotonic),
    )
    thread_id = ThreadId(environment.new_id())
    await thread_service.open_thread(
        OpenThread(
            thread_id=thread_id,
            at=environment.now(),
            by=AUTHOR,
            name="Benchmark",
            visibility=Visibility.PRIVATE,
        )
    )
    with measured() as spent:
        for _ in range(runs):
            outcome = await thread_service.perform(
                thread_id,
                lambda ids: SubmitMessage(
                    thread_id=thread_id, at=environment.now(), by=AUTHOR, ids=ids, content=prompt
                ),
            )
            assert outcome.run_id is not None
            ended = performing.ended.setdefault(outcome.run_id, asyncio.Event())
            async with asyncio.timeout(10):
                await ended.wait()
            del performing.ended[outcome.run_id]
    await performing.chorus.close()
    await thread_service.drain()
    view = await journal.decision_view(thread_id)
    assert view is not None
    # Submitted, queued, started; a step's `completed` and the next `started`, twice for experience.
    if view.runs or view.head_seq < 1 + runs * (2 + 2 * work.steps_of(iterations)):
        raise SystemExit(f"Chorus kept {view.head_seq} entries only")
    return spent


async def main() -> None:
    runs = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / JOURNAL_FILE)
        await journal.open()
        await go(journal, 1, 5)
        freeze_gc()
        short = await go(journal, 1, runs)
        long = await go(journal, 3, runs // 2)
        await journal.close()
    work.tell_of(short, long, runs)


if __name__ == "__main__":
    uvloop.run(main())

"""`Chorus`: the shell that performs what runs ask for. Results come back as events.

A run belongs to its thread, not to a connection: whoever asked may go. For each run at most one
effect is under way, in one task. What it brings is an event; the run's chart decides what that
means, and refuses it if it comes too late.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import assert_never

from tenacity import AsyncRetrying, retry_if_exception, wait_exponential_jitter

from machines.models import events
from machines.models import server_frames as frames
from machines.models.chorus import ChorusState, Health, RunStatus
from machines.models.commands import AdvanceRun
from machines.models.domain import Thread
from machines.models.effects import (
    AICall,
    CancelTimer,
    DBOperation,
    RecallPriors,
    RunEffect,
    ScheduleTimer,
    StopAttempt,
)
from machines.models.errors import (
    AIError,
    ChorusError,
    ErrorCode,
    InvalidTransition,
    JournalConflict,
    JournalError,
    NetworkError,
    RequestRefused,
    StateError,
)
from machines.models.events import (
    AIFailed,
    EffectResult,
    NetworkFailed,
    PriorsRetrieved,
    RetryDue,
    StateLost,
    StepCompleted,
)
from machines.models.ids import PublicKey, RunId, ThreadId
from machines.models.journal import RetryTimer, ThreadView
from machines.models.outputs import Prior
from machines.quoting import clipped, fair_limit
from server.broadcast import Broadcast, Delta
from server.frames import encode_server_frame
from server.llm import AttemptDelayed, AttemptFailed, LanguageModel
from server.recollection import Recollection
from server.rooms import Rooms
from server.world import World

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.03
"""Text is gathered so long before it is sent: a frame for each token would cost more than it is."""

RECALLED = 32
"""Priors that a search brings; a run takes the best that it does not have yet."""

RECALLED_CHARACTERS = 64_000
"""Code points of all priors of one search; the longest give way. A run's entries repeat them, and a
prompt quotes less."""

RECALL_SECONDS = 10.0
"""A search that takes longer counts as no search: the step says that memory is unavailable."""


class _AudienceGrew(Exception):
    """The thread has a co-author whom a search did not reckon with."""


@dataclass(slots=True)
class _Stream:
    """The text of an attempt, as far as the followers have it."""

    call: AICall
    sent: str = ""
    gathered: list[str] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Chorus:
    """Performs the effects of all runs in this process."""

    def __init__(
        self,
        *,
        world: World,
        rooms: Rooms,
        broadcast: Broadcast,
        model: LanguageModel,
        recollection: Recollection,
    ) -> None:
        self._world = world
        self._rooms = rooms
        self._broadcast = broadcast
        self._model = model
        self._recollection = recollection
        self._tasks: dict[RunId, asyncio.Task[None]] = {}
        self._streams: dict[RunId, _Stream] = {}
        self._closing = asyncio.Event()

    def run(self, effect: RunEffect) -> None:
        """Perform one effect; never blocks. Timers and memory tasks are others' to perform."""
        match effect:
            case AICall():
                self._begin(effect, self._ask(effect))
            case RecallPriors():
                self._begin(effect, self._recall(effect))
            case StopAttempt(run_id=run_id):
                self._stop(run_id)
            case ScheduleTimer() | CancelTimer() | DBOperation():
                raise AssertionError(f"{type(effect).__name__} is part of the batch")
            case _:
                assert_never(effect)

    def text_so_far(self, run: ChorusState) -> str:
        """What the attempt that `run` is in has streamed to the followers."""
        stream = self._streams.get(run.id)
        if stream is None:
            return ""
        call = stream.call
        same = (call.step, call.iteration, call.attempt) == (
            run.current_step,
            run.iteration,
            run.attempt,
        )
        return stream.sent if same else ""

    def is_idle(self, run: ChorusState) -> bool:
        """Whether the run waits for an effect that nobody performs."""
        stable = run.status is RunStatus.RUNNING and run.health is Health.STABLE
        return stable and run.id not in self._tasks

    async def recover(self, runs: tuple[ChorusState, ...]) -> None:
        """Let unfinished runs go on after a start: what was under way is nobody's any more."""
        for run in runs:
            if not self.is_idle(run):
                continue
            event = StateLost(
                run_id=run.id,
                step=run.current_step,
                iteration=run.iteration,
                attempt=run.attempt,
                at=self._world.now(),
            )
            try:
                await self._advance(run.thread_id, run.id, event)
            except Exception:
                # One damaged thread must not keep the others from going on.
                log.exception("a run could not be taken up again")

    async def close(self) -> None:
        """Stop what is under way; the runs stay as they are and go on after the next start."""
        self._closing.set()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One effect at a time for each run

    def _begin(self, effect: AICall | RecallPriors, work: Coroutine[object, object, None]) -> None:
        run_id = effect.run_id
        if self._closing.is_set():
            work.close()
            return
        self._stop(run_id)
        task = asyncio.create_task(self._guarded(effect, work))
        self._tasks[run_id] = task
        task.add_done_callback(lambda done: self._ended(run_id, done))

    async def _guarded(
        self, effect: AICall | RecallPriors, work: Coroutine[object, object, None]
    ) -> None:
        """A defect ends the run with an error that people see; it does not leave it hanging."""
        try:
            await work
        except Exception:
            log.exception("an effect of a run failed")
            failed = AIError(
                "The server failed in this step.", code=ErrorCode.INTERNAL, retryable=False
            )
            self._release(effect.run_id)
            await self._advance(
                effect.thread_id, effect.run_id, self._failure(effect, failed, None)
            )

    def _stop(self, run_id: RunId) -> None:
        task = self._tasks.pop(run_id, None)
        if task is not None:
            task.cancel()
        self._forget_stream(run_id)

    def _ended(self, run_id: RunId, task: asyncio.Task[None]) -> None:
        if self._tasks.get(run_id) is task:
            del self._tasks[run_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an effect of a run failed", exc_info=error)

    def _release(self, run_id: RunId) -> None:
        """The task has its result: what follows for the run must not cancel who brings it."""
        if self._tasks.get(run_id) is asyncio.current_task():
            del self._tasks[run_id]

    # Effects

    async def _ask(self, call: AICall) -> None:
        stream = self._streams[call.run_id] = _Stream(call)
        event: EffectResult
        try:
            answer = await self._model.answer(call, lambda text: self._gather(stream, text))
        except AttemptFailed as failed:
            self._flush(stream)
            event = self._failure(call, failed.error, failed.partial or None)
        except AttemptDelayed as delayed:
            event = events.AttemptDelayed(
                run_id=call.run_id,
                step=call.step,
                iteration=call.iteration,
                attempt=call.attempt,
                at=self._world.now(),
                code=delayed.error.code,
                message=delayed.error.message,
                wait_ms=delayed.wait_ms,
            )
        else:
            self._flush(stream)
            if answer.dropped:
                log.info("the model invented %d labels; they were dropped", len(answer.dropped))
            event = StepCompleted(
                run_id=call.run_id,
                step=call.step,
                iteration=call.iteration,
                attempt=call.attempt,
                at=self._world.now(),
                text=answer.text,
                output=answer.output,
                usage=answer.usage,
                model=answer.model,
            )
        self._release(call.run_id)
        try:
            await self._advance(call.thread_id, call.run_id, event)
        finally:
            if self._streams.get(call.run_id) is stream:
                self._forget_stream(call.run_id)

    async def _recall(self, effect: RecallPriors) -> None:
        while True:
            view = await self._rooms.view(effect.thread_id)
            if view is None:
                raise StateError("The thread of a run is gone.")
            event = await self._priors_for(effect, view.thread)
            audience = frozenset(view.thread.co_authors)
            self._release(effect.run_id)
            try:
                await self._advance(effect.thread_id, effect.run_id, event, only_for=audience)
            except _AudienceGrew:
                # Somebody joined who may not see what was found: search again, for them too.
                self._tasks[effect.run_id] = _current_task()
                continue
            return

    async def _priors_for(self, effect: RecallPriors, thread: Thread) -> PriorsRetrieved:
        """What memory has for the run; where it cannot be searched, the run goes on without."""
        priors: tuple[Prior, ...] = ()
        available = True
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                priors = await self._recollection.recall(
                    thread, effect.query, exclude=effect.exclude, limit=RECALLED
                )
        except (ChorusError, TimeoutError) as error:
            log.warning("memory is unavailable for a run: %s", type(error).__name__)
            available = False
        except Exception:
            log.exception("memory failed for a run")
            available = False
        return PriorsRetrieved(
            run_id=effect.run_id,
            step=effect.step,
            iteration=effect.iteration,
            attempt=effect.attempt,
            at=self._world.now(),
            priors=_within_bounds(priors),
            available=available,
        )

    def _failure(
        self, call: AICall | RecallPriors, error: AIError | NetworkError, partial: str | None
    ) -> AIFailed | NetworkFailed:
        kind = AIFailed if isinstance(error, AIError) else NetworkFailed
        return kind(
            run_id=call.run_id,
            step=call.step,
            iteration=call.iteration,
            attempt=call.attempt,
            at=self._world.now(),
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            retry_after_ms=error.retry_after_ms,
            partial=partial,
            jitter=self._world.random(),
        )

    async def retry(self, timer: RetryTimer) -> bool:
        """The wait after a failed attempt is over; whether the run took notice."""
        event = RetryDue(
            run_id=timer.run_id,
            step=timer.step,
            iteration=timer.iteration,
            attempt=timer.attempt,
            at=self._world.now(),
        )
        return await self._advance(timer.thread_id, timer.run_id, event)

    async def _advance(
        self,
        thread_id: ThreadId,
        run_id: RunId,
        event: EffectResult,
        *,
        only_for: frozenset[PublicKey] | None = None,
    ) -> bool:
        """Bring an event to its run; a journal that is away is tried again until it is back.

        Gives whether the run took it. Raises _AudienceGrew where the thread has a co-author who is
        not of `only_for`; the room's lock makes that certain.
        """

        def command(ids: tuple[str, ...], view: ThreadView) -> AdvanceRun:
            if only_for is not None and not only_for.issuperset(view.thread.co_authors):
                raise _AudienceGrew
            return AdvanceRun(
                thread_id=thread_id, at=event.at, by=None, ids=ids, run_id=run_id, event=event
            )

        patient = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, JournalError | JournalConflict) and error.retryable
            ),
            wait=wait_exponential_jitter(multiplier=0.2, max=5),
            reraise=True,
        )
        try:
            async for attempt in patient:
                with attempt:
                    await self._rooms.perform_seeing(thread_id, command)
        except (InvalidTransition, RequestRefused) as refusal:
            # Late or repeated: the run has moved on without it, and nothing changed.
            log.debug("%s of a run came too late: %s", event.event, refusal.code)
            return False
        return True

    # Streaming

    def _gather(self, stream: _Stream, text: str) -> None:
        stream.gathered.append(text)
        if stream.timer is None:
            loop = asyncio.get_running_loop()
            stream.timer = loop.call_later(GATHER_SECONDS, self._flush, stream)

    def _flush(self, stream: _Stream) -> None:
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        text = "".join(stream.gathered)
        stream.gathered.clear()
        if not text:
            return
        call, offset = stream.call, len(stream.sent)
        stream.sent += text
        if not self._broadcast.has_followers(call.thread_id):
            return
        frame = frames.ChorusResponseFrame(
            thread_id=call.thread_id,
            data=frames.StepDelta(
                run_id=call.run_id,
                message_id=call.message_id,
                step=call.step,
                iteration=call.iteration,
                attempt=call.attempt,
                offset=offset,
                text=text,
            ),
        )
        delta = Delta(
            key=(call.run_id, call.step.value, call.iteration, call.attempt),
            offset=offset,
            text=text,
            encoded=encode_server_frame(frame),
        )
        self._broadcast.publish_delta(call.thread_id, delta)

    def _forget_stream(self, run_id: RunId) -> None:
        stream = self._streams.pop(run_id, None)
        if stream is not None and stream.timer is not None:
            stream.timer.cancel()


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called in a coroutine
    return task


def _within_bounds(priors: tuple[Prior, ...]) -> tuple[Prior, ...]:
    """Priors that a run can carry along; who wants all of a long one has its message's id."""
    limit = fair_limit([len(each.content) for each in priors], RECALLED_CHARACTERS)
    return tuple(
        each.model_copy(update={"content": clipped(each.content, limit)}) for each in priors
    )

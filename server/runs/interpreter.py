"""`Chorus`: the shell that performs what runs ask for. Results come back as events.

A run belongs to its thread, not to a connection: the client that asked may go. For each run at most one
effect is under way, in one task. What it brings is an event; the run's chart decides what that
means, and refuses it if it comes too late.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Final, ParamSpec, TypeVar, assert_never

from machines.models import chorus
from machines.models.chorus import (
    AIFailed,
    AttemptFields,
    CarrierLost,
    ChorusState,
    EffectResult,
    Health,
    NetworkFailed,
    PriorsRetrieved,
    RetryDue,
    RunProgress,
    RunStatus,
    StateLost,
)
from machines.models.commands import AdvanceRun
from machines.models.effects import (
    AICall,
    CancelTimer,
    DBOperation,
    RecallPriors,
    RunEffect,
    ScheduleTimer,
    StopAttempt,
    attempt_of,
)
from machines.models.errors import (
    AIError,
    ChorusError,
    ErrorCode,
    InvalidTransition,
    JournalError,
    NetworkError,
    NotCarried,
    RequestRefused,
    StateError,
)
from machines.models.ids import PublicKey, RunId, ThreadId
from machines.models.journal import DecisionView, JournalEntry, RetryTimer
from machines.models.outputs import Prior
from machines.models.thread import Thread
from machines.models.wire.views import RenderedText
from machines.prompting.quoting import clipped, fair_limit
from machines.prompting.shares import PRIORS_SENT
from server.concurrency.delay_queue import DelayQueue
from server.concurrency.retry import while_journal_is_away
from server.environment import Environment
from server.llm.port import AnswerDelayed, AnswerFailed, LanguageModel
from server.memory.recall import MemoryService
from server.passing.interests import Interests
from server.runs.attempt_stream import AttemptStream
from server.runs.passing_text import PassingText
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from server.wire.renderer import Renderer

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

GATHER_SECONDS = 0.04
"""Text is gathered so long before it is sent: a frame for each token would cost more than it is."""

RECOVERED = 64
"""Runs that are taken up again at the same time: they share commits, and hold no request up for long."""

RECALLED_CHARACTERS = 64_000
"""Code points of all priors of one search; the longest give way. Followers are shown all of them, and
a prompt quotes less."""


_FINAL: Final = frozenset(each.value for each in RunStatus if each.final)


class _AudienceGrew(Exception):
    """The thread has a co-author whom a search did not reckon with."""


class Chorus:
    """Performs the effects of all runs in this process."""

    def __init__(
        self,
        *,
        environment: Environment,
        thread_service: ThreadService,
        broadcast: Broadcast,
        model: LanguageModel,
        memory_service: MemoryService,
        renderer: Renderer,
        interests: Interests,
    ) -> None:
        self._environment = environment
        self._thread_service = thread_service
        self._broadcast = broadcast
        self._model = model
        self._memory_service = memory_service
        self._renderer = renderer
        self._tasks: dict[RunId, asyncio.Task[None]] = {}
        self._streams: dict[RunId, AttemptStream] = {}
        self._passing_text = PassingText(
            interests, broadcast, renderer, self._streams, environment.monotonic
        )
        self._due = DelayQueue(GATHER_SECONDS, AttemptStream.flush)
        self._closing = asyncio.Event()
        self._stops = 0
        """How often everything was stopped."""

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
        stream = self._stream_of(run)
        return "" if stream is None else stream.text

    def rendered_so_far(self, run: ChorusState) -> tuple[RenderedText, ...]:
        """The same as HTML, as far as it is rendered."""
        stream = self._stream_of(run)
        return () if stream is None else stream.rendered

    def thoughts_so_far(self, run: ChorusState) -> str:
        """What the attempt that `run` is in has shown of its thoughts."""
        stream = self._stream_of(run)
        return "" if stream is None else stream.thoughts

    def partial_of(self, run: ChorusState) -> str | None:
        """All that the attempt which `run` is in has written, sent to the followers first."""
        if (stream := self._streams.get(run.id)) is not None:
            stream.flush()
        return self.text_so_far(run) or None

    def _stream_of(self, run: ChorusState) -> AttemptStream | None:
        stream = self._streams.get(run.id) or self._passing_text.stream_of(run.id)
        attempt = (run.current_step, run.iteration, run.attempt)
        return stream if stream is not None and stream.attempt == attempt else None

    def is_idle(self, run: RunProgress) -> bool:
        """Whether the run waits for an effect that is not performed."""
        stable = run.status is RunStatus.RUNNING and run.health is Health.STABLE
        return stable and run.id not in self._tasks

    def works_on(self, thread_id: ThreadId) -> bool:
        """Whether a run of this thread asks the model here."""
        return any(each.thread_id == thread_id for each in self._streams.values())

    def thread_went_on(self, entries: Sequence[JournalEntry]) -> None:
        """Another server wrote these: stop what is performed for runs that ended by them."""
        for entry in entries:
            if entry.type == "chorus_response" and entry.kind in _FINAL:
                self._stop(RunId(str(entry.data["run_id"])))

    def under_way(self) -> dict[RunId, asyncio.Task[None]]:
        """What is performed for each run at this moment."""
        return dict(self._tasks)

    def keep_only(
        self, under_way: Mapping[RunId, asyncio.Task[None]], carried: Collection[RunId]
    ) -> None:
        """Stop what was `under_way`, and is still, for runs that are not `carried` any more."""
        for run_id, task in under_way.items():
            if run_id not in carried and self._tasks.get(run_id) is task:
                self._stop(run_id)

    def stop_all(self) -> None:
        """Stop what is under way: others perform it now. A wait that is over and whose event is not durable
        yet is of whoever takes its run up."""
        self._stops += 1
        for run_id in tuple(self._tasks):
            self._stop(run_id)

    async def recover(
        self, runs: tuple[RunProgress, ...], lost: type[StateLost] | type[CarrierLost]
    ) -> None:
        """Let runs go on whose effects are lost, and say why they are."""
        for some in (runs[begin : begin + RECOVERED] for begin in range(0, len(runs), RECOVERED)):
            await asyncio.gather(*(self._take_up(run, lost) for run in some))

    async def _take_up(self, run: RunProgress, lost: type[StateLost] | type[CarrierLost]) -> None:
        if not self.is_idle(run):
            return
        event = lost(
            run_id=run.id,
            step=run.current_step,
            iteration=run.iteration,
            attempt=run.attempt,
            at=self._environment.now(),
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
        for run_id in tuple(self._streams):
            self._forget_stream(run_id)

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
        # A task that was cancelled before its first step has not touched its work.
        task.add_done_callback(lambda _: work.close())

    async def _guarded(
        self, effect: AICall | RecallPriors, work: Coroutine[object, object, None]
    ) -> None:
        """A defect ends the run with an error that users see; it does not leave it hanging."""
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
        stream = AttemptStream(call, self._broadcast, self._renderer, self._passing_text.sent)
        self._streams[call.run_id] = stream
        event: EffectResult
        try:
            event = await self._model.answer(
                call, partial(self._gather, stream), partial(self._gather_thought, stream)
            )
        except AnswerFailed as failed:
            stream.flush()
            event = self._failure(call, failed.error, failed.partial or None)
        except AnswerDelayed as delayed:
            event = chorus.AttemptDelayed(
                **self._about(call),
                code=delayed.error.code,
                message=delayed.error.message,
                wait_ms=delayed.wait_ms,
            )
        else:
            stream.flush()
        self._release(call.run_id)
        try:
            await self._advance(call.thread_id, call.run_id, event)
        finally:
            if self._streams.get(call.run_id) is stream:
                self._forget_stream(call.run_id)

    async def _recall(self, effect: RecallPriors) -> None:
        while True:
            view = await while_journal_is_away(
                partial(self._thread_service.view, effect.thread_id),
                partial(self._wait, effect.thread_id, of_a_branch=effect.branch_id is not None),
            )
            if view is None:
                raise StateError("The thread of a run is gone.")
            event = await self._priors_for(effect, view.thread)
            audience = frozenset(view.thread.co_authors)
            self._release(effect.run_id)
            try:
                await self._advance(effect.thread_id, effect.run_id, event, only_for=audience)
            except _AudienceGrew:
                # A co-author joined who may not see what was found: search again with their rights.
                self._tasks[effect.run_id] = _current_task()
                continue
            return

    async def _priors_for(self, effect: RecallPriors, thread: Thread) -> PriorsRetrieved:
        """What memory has for the run; where it cannot be searched, the run goes on without."""
        priors: tuple[Prior, ...] = ()
        available = True
        try:
            priors = await self._memory_service.recall(
                thread,
                effect.query,
                exclude=effect.exclude,
                quoted=effect.quoted,
                limit=PRIORS_SENT,
            )
        except ChorusError as error:
            log.warning("memory is unavailable for a run: %s", type(error).__name__)
            available = False
        except Exception:
            log.exception("memory failed for a run")
            available = False
        return PriorsRetrieved(
            **self._about(effect), priors=_within_bounds(priors), available=available
        )

    def _failure(
        self, call: AICall | RecallPriors, error: AIError | NetworkError, partial: str | None
    ) -> AIFailed | NetworkFailed:
        about = self._about(call)
        jitter = self._environment.random()
        match error:
            case AIError():
                return AIFailed(
                    **about,
                    code=error.code,
                    message=error.message,
                    retryable=error.retryable,
                    retry_after_ms=error.retry_after_ms,
                    context_exceeded=error.context_exceeded,
                    partial=partial,
                    jitter=jitter,
                )
            case NetworkError():
                return NetworkFailed(
                    **about,
                    code=error.code,
                    message=error.message,
                    retryable=error.retryable,
                    retry_after_ms=error.retry_after_ms,
                    partial=partial,
                    jitter=jitter,
                )
            case _:
                assert_never(error)

    async def retry(self, timer: RetryTimer) -> bool:
        """The wait after a failed attempt is over; whether the run took notice."""
        event, stops = RetryDue(**self._about(timer)), self._stops
        return await self._advance(
            timer.thread_id, timer.run_id, event, is_void=lambda: self._stops != stops
        )

    def _about(self, asked: AICall | RecallPriors | RetryTimer) -> AttemptFields:
        return attempt_of(asked, self._environment.now())

    async def _advance(
        self,
        thread_id: ThreadId,
        run_id: RunId,
        event: EffectResult,
        *,
        only_for: frozenset[PublicKey] | None = None,
        is_void: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Bring an event to its run; a journal that is away is tried again until it is back.

        Args:
            is_void: Asked before each try, under the thread's lock: whether it is another's to bring by now.

        Gives whether the run took it, or is another server's. Raises _AudienceGrew where the thread has
        a co-author who is not of `only_for`; the room's lock makes that certain.
        """

        of_a_branch = True  # until it is known

        def command(view: DecisionView) -> AdvanceRun:
            nonlocal of_a_branch
            of_a_branch = all(run.id != run_id or run.branch_id is not None for run in view.runs)
            if only_for is not None and not only_for.issuperset(view.thread.co_authors):
                raise _AudienceGrew
            if is_void():
                raise NotCarried("It is taken up by whoever carries the run now.")
            return AdvanceRun(thread_id=thread_id, at=event.at, by=None, run_id=run_id, event=event)

        perform = partial(self._thread_service.perform_on_view, thread_id, command)
        try:
            await while_journal_is_away(
                perform, lambda error: self._wait(thread_id, error, of_a_branch=of_a_branch)
            )
        except (InvalidTransition, RequestRefused) as refusal:
            # Late or repeated: the run has moved on without it, and nothing changed.
            log.debug("%s of a run came too late: %s", event.event, refusal.code)
            return False
        except NotCarried:
            # Another server goes on with the run, and brings it what it needs.
            log.info("%s of a run is another server's to bring", event.event)
        return True

    def _wait(self, thread_id: ThreadId, error: JournalError, *, of_a_branch: bool) -> None:
        """A run cannot go on before the journal answers: who follows it is told."""
        self._broadcast.publish_waiting(thread_id, error.message, for_co_authors=of_a_branch)

    # Streaming

    def _gather(self, stream: AttemptStream, text: str) -> None:
        if stream.gather(text):
            self._due.add(stream)

    def _gather_thought(self, stream: AttemptStream, text: str) -> None:
        if stream.gather_thought(text):
            self._due.add(stream)

    def _forget_stream(self, run_id: RunId) -> None:
        stream = self._streams.pop(run_id, None)
        if stream is not None:
            stream.close()


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called in a coroutine
    return task


def _within_bounds(priors: tuple[Prior, ...]) -> tuple[Prior, ...]:
    """Priors that a run can carry along; who wants all of a long one has its message's id."""
    limit = fair_limit([len(each.content) for each in priors], RECALLED_CHARACTERS)
    return tuple(
        each
        if len(each.content) <= limit
        else each.model_copy(update={"content": clipped(each.content, limit)})
        for each in priors
    )

"""A thread that sends spans, and the bounded queue before it.

Whoever offers spans never waits: where the queue is full, or the collector takes nothing, spans are
dropped and counted. The journal has what they were made of, so `chorus export --otel` can send them
later.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from server.metrics import Metrics, SpanOutcome
from server.telemetry.span import Span
from server.telemetry.variables import ExportSettings

log = logging.getLogger(__name__)


class Sends(Protocol):
    """What brings spans to a collector."""

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken; may block for some seconds."""

    def close(self) -> None:
        """Let a `send` that goes on in another thread give up."""


class SpanSender:
    """Sends what it is offered. Call `start`, then `offer`, then `close`."""

    def __init__(self, target: Sends, settings: ExportSettings, metrics: Metrics) -> None:
        self._target = target
        self._settings = settings
        self._metrics = metrics
        self._queue: deque[Span] = deque()
        self._news = threading.Condition()
        self._offered = 0
        self._settled = 0
        self._lost = 0
        self._closing = False
        self._failing = False
        # A daemon: a collector that answers nothing must not keep the process.
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    @property
    def offered(self) -> int:
        """Spans that were taken into the queue so far."""
        return self._offered

    @property
    def lost(self) -> int:
        """Spans that were offered and not sent, and never will be."""
        return self._lost

    @property
    def room(self) -> int:
        """Spans that may be offered together while half of the room is free; one at least."""
        return max(1, self._settings.queue // 2)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, spans: Sequence[Span]) -> None:
        """Send these soon: all of them, or none where too many wait. Never blocks on a collector."""
        with self._news:
            if len(self._queue) + len(spans) > self._settings.queue or self._closing:
                self._metrics.spans(SpanOutcome.DROPPED, len(spans))
                self._lost += len(spans)
                return
            self._queue.extend(spans)
            self._offered += len(spans)
            if len(self._queue) >= self._settings.batch:
                self._news.notify_all()

    def wait_until_settled(self, offered: int) -> None:
        """Wait until so many of the spans that were offered wait no more, or the sender is closed. Blocks."""
        with self._news:
            self._news.wait_for(lambda: self._closing or self._settled >= offered)

    def wait_for_room(self) -> None:
        """Wait until half of the room is free, or the sender is closed. Blocks."""
        with self._news:
            self._news.wait_for(
                lambda: self._closing or 2 * len(self._queue) < self._settings.queue
            )

    def close(self, within: float) -> None:
        """Send what waits, for so many seconds at most; what is left is dropped. Blocks."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._thread.join(within)
        self._target.close()
        with self._news:
            self._metrics.spans(SpanOutcome.DROPPED, len(self._queue))
            self._lost += len(self._queue)
            # What is being sent in this moment may not arrive.
            self._lost += self._offered - self._settled - len(self._queue)
            self._queue.clear()

    def _run(self) -> None:
        while some := self._wait():
            self._send(some)

    def _wait(self) -> Sequence[Span]:
        """What is sent next; nothing where all is sent and the end is near."""
        with self._news:
            while True:
                self._news.wait_for(self._is_due, self._settings.delay_seconds)
                if self._queue or self._closing:
                    count = min(len(self._queue), self._settings.batch)
                    self._news.notify_all()
                    return [self._queue.popleft() for _ in range(count)]

    def _is_due(self) -> bool:
        return self._closing or len(self._queue) >= self._settings.batch

    def _send(self, spans: Sequence[Span]) -> None:
        try:
            taken = self._target.send(spans)
        except Exception:
            log.exception("spans could not be sent")
            taken = False
        self._metrics.spans(SpanOutcome.EXPORTED if taken else SpanOutcome.FAILED, len(spans))
        with self._news:
            self._lost += 0 if taken else len(spans)
            self._settled += len(spans)
            self._news.notify_all()
        if taken and self._failing:
            log.info("the collector takes spans again")
        elif not taken and not self._failing:
            log.warning("the collector takes no spans: they are dropped until it does")
        self._failing = not taken

"""The thread that sends spans: whole batches, bounds, and an end that waits for nobody long."""

import threading
import time
from collections.abc import Sequence

from server.metrics import Metrics
from server.telemetry.sender import SpanSender
from server.telemetry.span import Span
from server.telemetry.variables import ExportSettings

LONG = 30.0
"""Seconds that no test waits."""


def span(number: int) -> Span:
    return Span(trace_id=1, span_id=number, name="step", start=1, end=2, attributes={})


class Target:
    """Takes spans once it is let, and keeps how many came together."""

    def __init__(self, *, takes: bool = True) -> None:
        self.free = threading.Event()
        self.reached = threading.Event()
        self.takes = takes
        self.sent: list[int] = []

    def send(self, spans: Sequence[Span]) -> bool:
        self.reached.set()
        self.free.wait(LONG)
        self.sent.append(len(spans))
        return self.takes

    def close(self) -> None:
        self.free.set()


def sender(target: Target, metrics: Metrics, *, delay: float = LONG) -> SpanSender:
    settings = ExportSettings("http://collector", delay_seconds=delay, batch=4, queue=10)
    started = SpanSender(target, settings, metrics)
    started.start()
    return started


def counts(metrics: Metrics) -> dict[str, int]:
    """How many spans came to what."""
    lines = metrics.text().decode().splitlines()
    series = [each.split() for each in lines if each.startswith("chorus_spans_total{")]
    return {name.split('"')[1]: int(float(count)) for name, count in series if float(count)}


def test_a_full_batch_is_sent_at_once_and_the_rest_at_the_end() -> None:
    target, metrics = Target(), Metrics()
    target.free.set()
    sending = sender(target, metrics)
    sending.offer([span(each) for each in range(6)])
    assert target.reached.wait(LONG)
    sending.close(LONG)
    assert target.sent == [4, 2]
    assert counts(metrics) == {"exported": 6}


def test_a_few_are_sent_after_the_delay() -> None:
    target, metrics = Target(), Metrics()
    target.free.set()
    sending = sender(target, metrics, delay=0.01)
    sending.offer([span(1)])
    assert target.reached.wait(LONG)
    sending.close(LONG)
    assert counts(metrics) == {"exported": 1}


def test_of_a_trace_that_has_no_room_nothing_is_sent() -> None:
    target, metrics = Target(), Metrics()
    sending = sender(target, metrics)
    sending.offer([span(each) for each in range(4)])
    assert target.reached.wait(LONG), "the first batch is being sent"
    sending.offer([span(each) for each in range(8)])
    sending.offer([span(each) for each in range(3)])
    assert counts(metrics) == {"dropped": 3}
    target.free.set()
    sending.close(LONG)
    assert counts(metrics) == {"dropped": 3, "exported": 12}


def test_what_is_not_taken_is_counted() -> None:
    target, metrics = Target(takes=False), Metrics()
    target.free.set()
    sending = sender(target, metrics)
    sending.offer([span(1)])
    sending.close(LONG)
    assert counts(metrics) == {"failed": 1}


def test_the_end_does_not_wait_for_a_collector_that_is_stuck() -> None:
    target, metrics = Target(), Metrics()
    sending = sender(target, metrics)
    sending.offer([span(each) for each in range(6)])
    assert target.reached.wait(LONG)
    began = time.monotonic()
    sending.close(0.01)
    assert time.monotonic() - began < LONG
    sending.offer([span(1)])
    assert counts(metrics)["dropped"] >= 1, "what comes after the end is dropped"

"""What a streamed token costs, by count: frames, encodings and timers, and no clock.

Each of these was found to dominate the CPU of streaming when it happened once for every token.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machines.models.ids import PublicKey, ThreadId
from machines.models.outputs import StepEnum
from server.concurrency.delay_queue import COMPANY_SECONDS, DelayQueue
from server.llm.policy import ModelPolicy
from server.runs.interpreter import GATHER_SECONDS
from server.threads.broadcast import Delta
from tests.server.llm.test_openai import call, model_at
from tests.support.client import Frame, Identity
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.obedient_model import obedient_model
from tests.support.scripted_endpoint import says

TOKENS = [f"tökén-{number} " for number in range(400)]


class Listener:
    """A follower that keeps the deltas of action."""

    public_key = PublicKey("listener")

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.sink = self

    def send(self, text: str) -> None:
        pass

    def send_delta(self, delta: Delta) -> None:
        if delta.key[1] == StepEnum.ACTION.value:
            self.deltas.append(delta)

    def lose_thread(self, thread_id: ThreadId) -> None:
        raise AssertionError("the thread is public")

    def too_slow(self) -> None:
        raise AssertionError("a list is never too slow")


async def test_a_stream_is_a_frame_for_each_window_encoded_once_for_all_followers(
    tmp_path: Path,
) -> None:
    loop = asyncio.get_running_loop()
    listeners = [Listener() for _ in range(5)]
    async with (
        obedient_model() as model,
        services_with_model(model.url, tmp_path, ModelPolicy()) as services,
    ):
        model.plan("Stream.", "action", says(*TOKENS))
        caller = Caller(services)
        await caller.sign_in(Identity())
        created = await caller.get("create_thread", name="Streaming", visibility="public")
        thread_id = ThreadId(created["thread_id"])
        await caller.get("get_thread", thread_id=thread_id)
        view = await services.thread_service.view(thread_id)
        assert view is not None
        for listener in listeners:
            services.broadcast.follow(thread_id, listener)
            services.broadcast.go_live(thread_id, listener, view.thread, view.head_seq)
        began = loop.time()
        await caller.get("submit_prompt", thread_id=thread_id, prompt="Stream.")
        completed = await caller.line.until(is_completed_action, "the end of action")
        windows = (loop.time() - began) / (GATHER_SECONDS - COMPANY_SECONDS)
        await caller.line.until(is_finished, "the end of the run")

    first, *others = listeners
    text = "".join(delta.text for delta in first.deltas)
    assert text == completed["data"]["text"] == "".join(TOKENS)
    offset = 0
    for delta in first.deltas:
        assert delta.offset == offset, "offsets count code points of what was sent before"
        offset += len(delta.text)
    assert len(first.deltas) <= windows + 2, "one stream is one frame for each window at most"
    for other in others:
        assert all(
            one is another for one, another in zip(first.deltas, other.deltas, strict=True)
        ), "a delta is built and encoded once, and not for each follower"


def is_completed_action(frame: Frame) -> bool:
    """Whether this is the entry that ends the step."""
    data = frame["data"]
    return bool(data.get("status") == "completed" and data["step"] == "action")


def is_finished(frame: Frame) -> bool:
    """Whether this is the entry that ends the run."""
    return bool(frame["data"].get("status") == "finished")


async def test_a_token_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with model_at(says(*TOKENS)) as (model, _):
        timers = counted(monkeypatch, "call_at")
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
        monkeypatch.undo()
    assert answer.text == "".join(TOKENS)
    assert len(timers) < len(TOKENS) / 10, f"{len(timers)} timers for {len(TOKENS)} tokens"


async def test_all_that_wait_equally_long_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    given: list[tuple[int, float]] = []
    done = asyncio.Event()

    def give(thing: int) -> None:
        given.append((thing, loop.time()))
        if thing == 50:
            raise RuntimeError("what breaks in one must not keep the others waiting")
        if thing == 99:
            done.set()

    loop.set_exception_handler(lambda *_: None)
    queue: DelayQueue[int] = DelayQueue(0.02, give)
    timers = counted(monkeypatch, "call_at")
    added = loop.time()
    for thing in range(100):
        queue.add(thing)
    assert len(timers) == 1
    async with asyncio.timeout(10):
        await done.wait()
    done.clear()
    queue.add(99)
    async with asyncio.timeout(10):
        await done.wait()
    monkeypatch.undo()
    assert [thing for thing, _ in given] == [*range(100), 99]
    # A loop's clock may go by milliseconds.
    least = 0.02 - COMPANY_SECONDS - 0.001
    assert min(at for _, at in given) >= added + least, "nothing is given long before its time"


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[object]:
    """Grows by one whenever this method of the running loop is called."""
    loop = asyncio.get_running_loop()
    calls: list[object] = []
    method: Callable[..., Any] = getattr(loop, name)

    def calling(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return method(*arguments, **named)

    monkeypatch.setattr(loop, name, calling)
    return calls

"""What is kept of a run is what was streamed, however the model's text was cut and whatever failed.

One server before a model over real HTTP, and a run for each example: its texts come in generated
pieces, cut between the halves of a character too, after generated failures of the model, while the
journal fails or loses its answer.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from machines.models.breaker import BreakerPolicy
from machines.models.ids import MessageId, RunId
from server.llm.policy import ModelPolicy
from server.services import Services
from tests.support.client import Data, Frame, Identity
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.lossy import Lossy
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.scripted_endpoint import Script, cuts_after, line, refuses, says, writes

FAILURES: Final = 3
"""Of a step before it succeeds, at most: one less than its attempts."""

TEXTS: Final = st.text(
    st.sampled_from("ab \n[]P1<>`*&\\\"'\u0301é漢字\N{BRIDGE AT NIGHT}\N{GRINNING FACE}"),
    min_size=1,
    max_size=40,
).filter(lambda text: text.strip() != "")


@dataclass(frozen=True)
class Streamed:
    """How the model gives one text."""

    text: str
    pieces: tuple[str, ...]
    """Lone halves of characters among them."""
    failures: tuple[Script, ...]
    """Of the attempts before."""


def pieces_of(text: str, cuts: Sequence[int]) -> tuple[str, ...]:
    """`text` cut between any two of its UTF-16 code units, as servers written in JavaScript do."""
    units = text.encode("utf-16-le")
    edges = sorted({0, len(units), *(2 * cut for cut in cuts if 2 * cut < len(units))})
    return tuple(
        units[begin:end].decode("utf-16-le", "surrogatepass") for begin, end in pairwise(edges)
    )


@st.composite
def streams(draw: st.DrawFn) -> Streamed:
    """A text that is streamed, after failures."""
    text = draw(TEXTS)
    pieces = pieces_of(text, draw(st.lists(st.integers(1, 60), max_size=6)))
    some = st.integers(0, len(pieces))
    failure = st.one_of(
        st.just(refuses(500)),
        some.map(lambda count: cuts_after(*pieces[:count])),
        st.just(writes(line(b"{no chunk"))),
        st.just(says(*pieces, finish=None)),
        st.just(says("   ")),
    )
    return Streamed(text, pieces, tuple(draw(st.lists(failure, max_size=FAILURES))))


class Server:
    """The services, and the journal and the model behind them, on a loop of their own."""

    def __init__(
        self, runner: asyncio.Runner, services: Services, journal: Lossy, model: ObedientModel
    ) -> None:
        self.runner = runner
        self.services = services
        self.journal = journal
        self.model = model
        self._runs = 0

    def plan(self, action: Streamed, answer: Streamed) -> str:
        """A prompt that the model answers so."""
        self._runs += 1
        prompt = f"Question {self._runs}?"
        for step, given_text in (("action", action), ("yield", answer)):
            self.model.plan(prompt, step, *given_text.failures, says(*given_text.pieces))
        return prompt


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all examples."""

    async def opened(stack: AsyncExitStack) -> tuple[Services, ObedientModel]:
        model = await stack.enter_async_context(obedient_model())
        policy = ModelPolicy(backoff_base_ms=1, breaker=BreakerPolicy(threshold=1_000_000))
        folder = tmp_path_factory.mktemp("kept")
        services = await stack.enter_async_context(
            services_with_model(model.url, folder, policy, max_attempts=FAILURES + 1)
        )
        return services, model

    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        stack = AsyncExitStack()
        services, model = runner.run(opened(stack))
        yield Server(runner, services, Lossy(services.journal, patch), model)
        runner.run(stack.aclose())


@given(streams(), streams(), st.sampled_from(["", "failing", "silenced"]))
@settings(
    max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking is slow
def test_what_is_completed_is_what_was_streamed_and_what_is_kept(
    server: Server, action: Streamed, answer: Streamed, fault: str
) -> None:
    server.runner.run(_one_run(server, action, answer, fault))


async def _one_run(server: Server, action: Streamed, answer: Streamed, fault: str) -> None:
    caller = await Caller(server.services).sign_in(Identity())
    thread_id = (await caller.get("create_thread", name="Kept"))["thread_id"]
    await caller.get("get_thread", thread_id=thread_id)
    prompt = server.plan(action, answer)
    asked = await caller.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    if fault:
        setattr(server.journal, fault, 1)
    ended = await caller.line.until(
        lambda frame: frame["data"].get("status") in {"finished", "failed"}, "the end of the run"
    )
    assert ended["data"]["status"] == "finished", ended
    said = streamed(caller.line.frames)

    completed = {each["step"]: each for each in of(caller.line.frames, "completed")}
    for step, given_text in (("action", action), ("yield", answer)):
        assert completed[step]["text"] == said[attempt_of(completed[step])] == given_text.text
    for failed in of(caller.line.frames, "recovering"):
        assert failed.get("partial", "") == said.get(attempt_of(failed), "")

    events = await caller.get("get_events", thread_id=thread_id, after_seq=0, limit=1_000)
    live = caller.live(thread_id)
    assert events["entries"][-len(live) :] == live, "the journal has what followers were sent"

    run = await server.services.journal.run(RunId(asked["run_id"]))
    assert run is not None
    kept = {record.step.value: record.text for record in run.steps}
    assert kept == {step: each["text"] for step, each in completed.items()}

    told = ended["data"]["message"]
    message = await server.services.journal.message(MessageId(told["id"]))
    thread = await caller.get("get_thread", thread_id=thread_id)
    assert message is not None
    assert message.content == told["content"] == answer.text
    assert thread["messages"][-1] == told


def attempt_of(data: Data) -> tuple[Any, ...]:
    """The attempt that a frame is about."""
    return data["step"], data["iteration"], data["attempt"]


def of(frames: Sequence[Frame], status: str) -> list[Data]:
    """The data of a run's frames with this status."""
    return [each["data"] for each in frames if each["data"].get("status") == status]


def streamed(frames: Sequence[Frame]) -> dict[tuple[Any, ...], str]:
    """The text of each attempt as a follower joins it: a delta begins where the one before ended."""
    texts: dict[tuple[Any, ...], str] = {}
    for delta in of(frames, "delta"):
        key = attempt_of(delta)
        assert delta["offset"] == len(texts.get(key, "")), "a gap, or a repeat"
        texts[key] = texts.get(key, "") + delta["text"]
    return texts

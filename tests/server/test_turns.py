"""Nothing that somebody else wrote holds the event loop for more than 10 ms: the largest input of
each kind, at each place where the loop meets it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from machines.decisions.threads import open_thread
from machines.models.commands import OpenThread
from machines.models.effects import AICall, PromptMessage
from machines.models.errors import AIError
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.journal import Batch, creation_of
from machines.models.limits import MAX_CO_AUTHORS, MAX_CONTENT_LENGTH, MAX_FRAME_BYTES
from machines.models.outputs import StepEnum
from machines.models.thread import Visibility
from server.llm.port import Bounds
from server.llm.reading import read_whole_answer
from server.services import Services
from server.wire.codec import FrameError, decode_client_frame
from tests.support.client import Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services
from tests.support.loop_turns import MOST_SECONDS, longest_turn

FOUR_BYTES: Final = "\N{GRINNING FACE}" * MAX_CONTENT_LENGTH
LONG_NAME: Final = "\N{GRINNING FACE}" * 80
DEAREST: Final = {
    "what a prompt escapes": "<&" * (MAX_CONTENT_LENGTH // 2),
    "what a prompt leaves out": "x\u202e" * (MAX_CONTENT_LENGTH // 2),
    "labels": "[P1, P2]" * (MAX_CONTENT_LENGTH // 8),
    "labels behind spaces": (" \t" * 8 + "[P1") * (MAX_CONTENT_LENGTH // 19),
}
"""Texts that cost most to quote in a prompt."""

LONGEST_ANSWER: Final = Bounds().characters


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(
        tmp_path, moody=True, thread_queue=0, pending_per_user=0, invitations_per_user=0
    ) as opened:
        yield opened


class Quiet:
    """Frames to a connection, whose answers are dropped unread: only the server's work is measured."""

    def __init__(self, caller: Caller) -> None:
        self.session = caller.session
        caller.line.send = self.drop  # type: ignore[method-assign]
        self.sent = 0

    def drop(self, text: str) -> None:
        self.sent += len(text)

    def ask(self, type_: str, **data: object) -> Callable[[], Awaitable[None]]:
        """A request, to be made again and again."""

        async def asked() -> None:
            frame = json.dumps({"type": type_, "id": new_id(), "data": data})
            before = self.sent
            await self.session.handle(decode_client_frame(frame))
            assert self.sent > before

        return asked


async def holds_nobody_up(
    where: str, act: Callable[[], Awaitable[object]], rounds: int = 3
) -> None:
    longest = await longest_turn(act, rounds)
    assert longest.seconds <= MOST_SECONDS, (
        f"{where}: {longest.seconds * 1000:.1f} ms in {longest.what}"
    )


async def crowded_thread(
    services: Services, host: Caller, visibility: Visibility, others: Sequence[Identity]
) -> str:
    """A thread of the host and the others, who sign in when they like."""
    command = OpenThread(
        thread_id=ThreadId(new_id()),
        at=datetime.now(UTC),
        by=PublicKey(host.public_key),
        name=LONG_NAME,
        visibility=visibility,
    )
    decision = open_thread(command)
    (entry,) = decision.batch.entries
    keys = (host.public_key, *(each.public_key for each in others))
    thread = decision.facts.view.thread.model_copy(
        update={"co_authors": tuple(map(PublicKey, keys))}
    )
    entry = entry.model_copy(update={"changes": (creation_of("thread", thread),)})
    await services.journal.commit(Batch(entries=(entry,)))
    return thread.id


async def test_a_thread_in_which_all_that_may_wait_waits(services: Services) -> None:
    host, stranger = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    others = [Identity() for _ in range(100)]
    thread_id = await crowded_thread(services, host, Visibility.PUBLIC, others)
    for number in range(100):
        prompt = [FOUR_BYTES, *DEAREST.values()][number % 5]
        await stranger.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    for _ in range(50):
        await host.get("invite_co_author", thread_id=thread_id, public_key=Identity().public_key)
    for named in others[:2]:
        await host.get("propose_removal", thread_id=thread_id, public_key=named.public_key)
    await host.get("submit_prompt", thread_id=thread_id, prompt=f"HOLD {FOUR_BYTES[:-5]}")
    following = Quiet(await Caller(services).sign_in(Identity()))
    await following.ask("get_thread", thread_id=thread_id)()
    me = Quiet(host)

    await holds_nobody_up("its page", me.ask("get_thread", thread_id=thread_id, limit=200))
    await holds_nobody_up(
        "its entries", me.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
    )
    await holds_nobody_up("catching up", me.ask("get_thread", thread_id=thread_id, after_seq=0))
    leavers = iter([Quiet(await Caller(services).sign_in(each)) for each in others[-3:]])
    await holds_nobody_up(
        "a leaving", lambda: next(leavers).ask("leave_co_authorship", thread_id=thread_id)()
    )
    await holds_nobody_up("its archiving", me.ask("archive_thread", thread_id=thread_id), rounds=1)


async def test_lists_of_threads_with_all_the_co_authors_that_they_may_have(
    services: Services,
) -> None:
    host = await Caller(services).sign_in(Identity())
    others = [Identity() for _ in range(MAX_CO_AUTHORS - 1)]
    for visibility in Visibility:
        for _ in range(100):
            await crowded_thread(services, host, visibility, others)
    me = Quiet(host)
    for scope in ("mine", "public"):
        await holds_nobody_up(f"the list {scope}", me.ask("list_threads", scope=scope, limit=200))

    async def sign_in() -> None:
        caller = Caller(services)
        quiet = Quiet(caller)
        state = caller.session
        await quiet.ask("connect", public_key=host.public_key)()
        assert host.identity is not None
        assert state.state.challenge is not None
        signature = host.identity.sign(state.state.challenge.statement)
        await quiet.ask("authenticate", signature=signature)()
        caller.drop()

    await holds_nobody_up("signing in", sign_in)


async def test_a_search_that_finds_the_longest_messages(services: Services) -> None:
    host = await Caller(services).sign_in(Identity())
    thread_id = (await host.get("create_thread", name="Long"))["thread_id"]
    for number in range(15):
        text = [FOUR_BYTES, *DEAREST.values()][number % 5]
        prompt = f"FAIL at river {number} {text}"[:MAX_CONTENT_LENGTH]
        await host.get("submit_prompt", thread_id=thread_id, prompt=prompt)

    async def finds_all() -> bool:
        return len((await host.get("search", query="river", limit=80))["results"]) > 1

    await eventually(finds_all, "the memory has the messages")
    me = Quiet(host)
    for query in ("river", "<& " * 600, "\N{GRINNING FACE} " * 900, "river " * 300):
        await holds_nobody_up("a search", me.ask("search", query=query, limit=80))


@pytest.mark.parametrize("text", DEAREST.values(), ids=DEAREST)
async def test_a_run_whose_prompt_quotes_what_costs_most_to_quote(
    services: Services, text: str
) -> None:
    host = await Caller(services).sign_in(Identity())
    thread_id = (await host.get("create_thread", name="Dear"))["thread_id"]
    for number in range(20):
        prompt = f"FAIL {number}{text}"[:MAX_CONTENT_LENGTH]
        await host.get("submit_prompt", thread_id=thread_id, prompt=prompt)

    async def run_one() -> None:
        host.line.clear()
        asked = await host.get("submit_prompt", thread_id=thread_id, prompt=text)
        await eventually(lambda: _is_over(services, asked["run_id"]), "the run is over")

    await holds_nobody_up("a run", run_one, rounds=2)


async def _is_over(services: Services, run_id: str) -> bool:
    run = await services.journal.run(RunId(run_id))
    return run is not None and run.status.final


@pytest.mark.parametrize("character", ["\N{GRINNING FACE}", "\x01", "\u6f22", "x"])
@pytest.mark.parametrize("type_", ["submit_prompt", "unknown"])
async def test_the_largest_frame_a_request_or_none(character: str, type_: str) -> None:
    data = {"thread_id": new_id(), "prompt": character * MAX_CONTENT_LENGTH, "more": ""}
    frame = json.dumps({"type": type_, "id": "1", "data": data})
    frame = frame.replace('""', f'"{"x" * (MAX_FRAME_BYTES - len(frame))}"')

    async def decoded() -> None:
        with suppress(FrameError):
            decode_client_frame(frame)

    await holds_nobody_up("decoding", decoded)


def answers() -> Iterator[tuple[str, StepEnum, str]]:
    """The longest answers that cost most to read."""
    step, length = StepEnum.OBSERVATION, LONGEST_ANSWER
    yield "text", step, json.dumps({"analysis": "x" * length, "confidence": 0.5})
    yield "escapes", step, json.dumps({"analysis": "\u6f22" * (length // 6), "confidence": 0.5})
    yield "line feeds", step, '{"analysis":"' + "\n" * length + '","confidence":0.5}'
    yield "objects", step, '{"a":1,' * (length // 7)
    yield "braces", step, "{" * length
    yield "backslashes", step, '{"' + "\\\\" * (length // 2)
    yield "labels", StepEnum.YIELD, "[P1]" * (length // 4)
    yield "lists of labels", StepEnum.YIELD, "[P1, P2, P3] " * (length // 13)


@pytest.mark.parametrize(
    ("step", "text"), [each[1:] for each in answers()], ids=[each[0] for each in answers()]
)
async def test_an_answer_that_costs_most_to_read(step: StepEnum, text: str) -> None:
    call = AICall(
        run_id=RunId("run"),
        thread_id=ThreadId("thread"),
        message_id=MessageId("message"),
        step=step,
        iteration=1,
        attempt=1,
        messages=(PromptMessage(role="user", content="?"),),
        answer_tokens=4_000,
    )

    async def read() -> None:
        with suppress(AIError):
            await read_whole_answer(call, text)

    await holds_nobody_up("reading", read)

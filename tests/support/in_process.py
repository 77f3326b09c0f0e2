"""The whole server in this process, without sockets: real stores in a folder, real sessions.

    async with open_test_services(folder, model=Moody()) as services:
        alice = await Caller(services).sign_in(Identity())
        reply = await alice.ask("create_thread", name="Evening")

A frame takes the way that it takes behind a socket (`server.wire.codec`, then `Session.handle`); only
the line itself is replaced, by one that keeps what it is given, and checks its size alone.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from machines.models.chorus import StepCompleted
from machines.models.effects import AICall
from machines.models.errors import AIError, ErrorCode
from machines.models.outputs import StepEnum
from machines.prompting.quoting import quotations
from server.environment import Environment, system_environment
from server.llm.choice import ModelChoice, Wanted, choose_model
from server.llm.port import AnswerFailed, LanguageModel, OnText, unheard
from server.services import Services, open_services
from server.sessions.ports import ConnectionOrigin
from server.sessions.session import begin_session
from server.settings import Settings
from server.threads.broadcast import Delta
from server.wire.codec import FrameError, decode_client_frame, encode_server_frame, error_frame
from tests.support.client import MAX_SERVER_FRAME_BYTES, Data, Frame, Identity, new_id
from tests.support.empty_journal import put_empty_journal
from tests.support.eventually import PATIENCE

HOST = "chorus.test:8080"

UNLIMITED: dict[str, Any] = {
    "prompts_per_minute": 0,
    "frames_per_second": 0,
    "read_kib_per_second": 0,
    "sign_ins_per_minute": 0,
    "connections_per_user": 0,
}


class Line:
    """What a connection is sent, kept; it never stalls."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.texts: list[str] = []
        """The same, as it was sent."""
        self.closed: tuple[int, str] | None = None
        self.sent_before_close = 0
        """How many texts came before the server closed the line."""
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[Frame], bool], what: str) -> Frame:
        """The first frame for which `condition` holds, come already or yet to come."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self._news.clear()
                    found = next((each for each in self.frames if condition(each)), None)
                    if found is not None:
                        return found
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"there never came {what}; the last frames were {self.frames[-5:]}")

    def send(self, text: str) -> None:
        assert len(text.encode()) <= MAX_SERVER_FRAME_BYTES, f"a frame too large: {text[:300]}"
        self.texts.append(text)
        self.frames.append(json.loads(text))
        self._news.set()

    def reply(self, text: str) -> None:
        self.send(text)

    def send_delta(self, delta: Delta) -> None:
        self.send(delta.encoded)

    def clear(self) -> None:
        """Forget what came."""
        self.frames.clear()
        self.texts.clear()

    async def room(self) -> None:
        """A line that takes everything has room."""

    @property
    def closing_code(self) -> int | None:
        """What it was closed with; None while it is open."""
        return None if self.closed is None else self.closed[0]

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = code, reason
            self.sent_before_close = len(self.texts)


class Caller:
    """One connection of somebody."""

    def __init__(self, services: Services, *, host: str = HOST, address: str = "192.0.2.1") -> None:
        self.line = Line()
        self.public_key = ""
        self.token = ""
        self.identity: Identity | None = None
        self.session = begin_session(
            services.sessions,
            self.line,
            self.line.close,
            ConnectionOrigin(host=host, public_url=f"http://{host}", address=address),
        )

    async def put(self, raw: str | bytes) -> Frame:
        """Any text as a frame; gives the one reply, as the socket would send it."""
        before = len(self.line.frames)
        try:
            request = decode_client_frame(raw)
        except FrameError as error:
            refusal = error_frame(error).model_copy(update={"re": error.re})
            self.line.reply(encode_server_frame(refusal))
            return self.line.frames[before]
        await self.session.handle(request)
        replies = [each for each in self.line.frames[before:] if each["re"] == request.id]
        assert len(replies) == 1, f"{len(replies)} replies to {request.type}: {replies}"
        return replies[0]

    async def ask(self, type_: str, *, request_id: str | None = None, **data: Any) -> Frame:
        """The reply to a request, `error` or not."""
        frame = {"type": type_, "id": request_id or new_id(), "data": data}
        return await self.put(json.dumps(frame))

    async def get(self, type_: str, *, request_id: str | None = None, **data: Any) -> Data:
        """The data of the reply; an error fails the test."""
        reply = await self.ask(type_, request_id=request_id, **data)
        assert reply["type"] != "error", f"{type_} was refused: {reply['data']}"
        return dict(reply["data"])

    async def sign_in(self, identity: Identity) -> "Caller":
        """From `connect` to `init`."""
        self.identity = identity
        challenge = await self.get("connect", public_key=identity.public_key)
        init = await self.get("authenticate", signature=identity.sign(challenge["statement"]))
        return self._welcomed(init)

    async def bring_in(self, guest: "Caller", thread_id: str) -> None:
        """Make somebody a co-author: invited by this person, and accepted by them."""
        await self.get("invite_co_author", thread_id=thread_id, public_key=guest.public_key)
        await guest.get("accept_invitation", thread_id=thread_id)

    async def resume(self, token: str) -> "Caller":
        """`init` of a session that goes on."""
        return self._welcomed(await self.get("resume", token=token))

    def drop(self) -> None:
        """The line is cut."""
        self.session.disconnected()

    def live(self, thread_id: str) -> list[Frame]:
        """The entries that came of a thread."""
        return [
            each
            for each in self.line.frames
            if each.get("seq") and each.get("thread_id") == thread_id
        ]

    def _welcomed(self, init: Data) -> "Caller":
        self.public_key = init["user"]["public_key"]
        self.token = init["session"]["token"]
        return self


class Moody:
    """A model that does what a word in the prompt tells it, and else answers as the offline one.

    HOLD never answers, FAIL fails for good, STUMBLE fails at the first attempt.
    """

    offline = True
    name = "moody"

    def __init__(self, real: LanguageModel) -> None:
        self._real = real
        self.calls: list[AICall] = []
        """All that it was asked."""

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        self.calls.append(call)
        asked = next(
            each.text for each in quotations(call.messages[-1].content) if each.section == "request"
        )
        if call.step is StepEnum.ACTION and "HOLD" in asked:
            on_text("I am thinking")
            await asyncio.Event().wait()
        if call.step is StepEnum.ACTION and "FAIL" in asked:
            on_thought("Let me see.")
            on_text("Half an answer")
            error = AIError("No.", code=ErrorCode.AI_REJECTED, retryable=False)
            raise AnswerFailed(error, "Half an answer")
        if call.step is StepEnum.ACTION and "STUMBLE" in asked and call.attempt == 1:
            error = AIError("Not yet.", code=ErrorCode.AI_UNAVAILABLE, retry_after_ms=1)
            raise AnswerFailed(error)
        return await self._real.answer(call, on_text)

    async def close(self) -> None:
        await self._real.close()


class Clock:
    """A wall clock that a test may move; it goes on by itself in between."""

    def __init__(self) -> None:
        self._environment = system_environment()
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self._environment.now() + self.ahead

    def environment(self) -> Environment:
        """The world as it is, but for the time."""
        real = self._environment
        return Environment(
            now=self.now,
            monotonic=real.monotonic,
            new_id=real.new_id,
            random=real.random,
            secret=real.secret,
        )


async def _moody(wanted: Wanted, **rest: Any) -> ModelChoice:
    real = await choose_model(wanted, **rest)
    return ModelChoice(Moody(real.model), "it is a test.", "End the test.")


@asynccontextmanager
async def open_test_services(
    folder: Path, *, environment: Environment | None = None, moody: bool = False, **settings: Any
) -> AsyncIterator[Services]:
    """The services on `folder`; nothing is limited unless `settings` say so."""
    await asyncio.to_thread(put_empty_journal, folder)
    chosen = Settings(data=folder, **{"llm": "offline", **UNLIMITED, **settings})
    with pytest.MonkeyPatch.context() as patch:
        if moody:
            patch.setattr("server.services.choose_model", _moody)
        async with open_services(chosen, environment or system_environment()) as services:
            yield services

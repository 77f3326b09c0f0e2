"""Somebody who uses a server that may die at any moment, and remembers everything.

A person keeps every request with the id that it was sent under, every answer, and every entry that the
followed thread has shown, over all connections. What the server says later is held against that.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
import pytest

from tests.support.client import Client, Data, Frame, Identity, Refused, new_id

EXPECTED_REFUSALS: Final = frozenset(
    {"invalid_transition", "thread_busy", "rate_limited", "forbidden"}
)
"""What may come of a request that was made without looking."""

MAY_BE_OVER: Final = frozenset(
    {"vote_on_removal", "propose_adoption", "vote_on_branch", "discard_branch"}
)
"""Requests about what may have ended meanwhile: it is not found then."""

SAMPLE: Final = 3
"""Answered requests that each person sends again after a death, to hear the same."""


class Surroundings(Protocol):
    """What people share: dice, a way to the server, and a list of what went wrong."""

    dice: random.Random
    problems: list[str]

    def lose(self, what: str) -> None:
        """Note something that was acknowledged or shown, and is gone."""

    def excuses(self, refused: Refused) -> bool:
        """Whether a store fails now, and the answer says so, and that one may try again."""

    def watch(self, frame: Frame) -> None:
        """See an entry."""

    async def connect(self) -> "Line":
        """A greeted connection. Raises Cut."""


class Cut(Exception):
    """The connection ended before the answer came."""


class Line(Client):
    """A connection that may be cut at any moment; then whatever waits raises `Cut`."""

    watch: Callable[[Frame], None] | None = None
    """Told of each entry."""

    @property
    def cut(self) -> bool:
        """Whether nothing comes any more."""
        return self._reader.done()

    async def greeted(self) -> None:
        """The server has said hello."""
        try:
            await self.until(lambda each: each["type"] == "hello", "hello")
        except pytest.fail.Exception:
            if self.cut:
                raise Cut from None
            raise

    async def reply_to(self, type_: str, *, request_id: str | None = None, **data: Any) -> Frame:
        asking = asyncio.create_task(super().reply_to(type_, request_id=request_id, **data))
        await asyncio.wait({asking, self._reader}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)  # an answer that came with the end is an answer
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            raise Cut
        try:
            return asking.result()
        except (ConnectionError, aiohttp.ClientError):
            raise Cut from None

    def _take(self, frame: Frame) -> None:
        super()._take(frame)
        if self.watch is not None and frame.get("seq"):
            self.watch(frame)


@dataclass(slots=True)
class Asked:
    """A mutating request, and what is known of it."""

    type: str
    data: Data
    reply: Data | None = None
    refused: str | None = None
    """The code of the error that it got."""

    @property
    def open(self) -> bool:
        """Whether nobody knows yet what became of it."""
        return self.reply is None and self.refused is None


class Person:
    """Somebody who comes back after each death."""

    def __init__(self, around: Surroundings) -> None:
        self.identity = Identity()
        self.asked: dict[str, Asked] = {}
        self.seen: list[Frame] = []
        """Every entry of the followed thread, over all connections."""
        self.thread_id = ""
        self.hidden: set[str] = set()
        """Messages that were asked to be hidden, whatever became of that."""
        self._around = around
        self._token = ""
        self._signing_out = False
        """Whether the session was asked to end, and may have ended without a word."""
        self._line: Line | None = None

    @property
    def line(self) -> Line:
        """The connection; it may be cut."""
        assert self._line is not None
        return self._line

    async def come(self) -> None:
        """Connect, resume, catch up with the followed thread. Raises Cut."""
        await self.leave()
        self._line = line = await self._around.connect()
        if self._token:
            try:
                await line.resume(self._token)
            except Refused as refused:
                if not self._signing_out:
                    self._around.lose(f"a session cannot be resumed any more: {refused}")
                self._token = ""
        if not self._token:
            await line.sign_in(self.identity)
        self._token = line.token
        self._signing_out = False
        line.watch = self._around.watch
        if self.thread_id:
            try:
                await line.follow(self.thread_id, after_seq=len(self.seen))
            except Refused as refused:
                # What was shown was durable: entries may be missing, never a surplus here.
                self._around.lose(f"{len(self.seen)} entries were seen, and now: {refused}")

    async def follow(self, thread_id: str) -> None:
        """Follow a thread from its first entry on."""
        self.thread_id = thread_id
        await self.line.follow(thread_id, after_seq=0)

    async def leave(self) -> None:
        """End the connection, and keep what it has shown."""
        line, self._line = self._line, None
        if line is None:
            return
        await line.close()
        self._around.problems.extend(line.faults)
        for frame in line.live(self.thread_id) if self.thread_id else ():
            if frame["seq"] != len(self.seen) + 1:
                self._around.lose(f"entry {frame['seq']} was shown after {len(self.seen)}")
            self.seen.append(frame)

    def forget_session(self) -> None:
        """Sign in anew the next time."""
        self._token = ""

    async def ask(self, type_: str, **data: Any) -> Data | None:
        """Make a new request; None where it was refused. Raises Cut."""
        return await self.make(Asked(type_, data))

    async def make(self, asked: Asked) -> Data | None:
        """As `ask`, of a request that its maker keeps: it says later what became of it. Raises Cut."""
        request_id = new_id()
        self.asked[request_id] = asked
        return await self._send(request_id)

    async def ask_again(self) -> None:
        """Send again what was never answered, and a few of what was. Raises Cut."""
        unanswered = [id_ for id_, asked in self.asked.items() if asked.open]
        for request_id in unanswered:
            await self._send(request_id)
        answered = [id_ for id_, asked in self.asked.items() if asked.reply is not None]
        for request_id in self._around.dice.sample(answered, min(SAMPLE, len(answered))):
            await self._send(request_id)

    async def search(self) -> None:
        """Search for anything. Raises Cut."""
        try:
            await self.line.ask("search", query=f"anything {self._around.dice.random()}")
        except Refused as refused:
            if not self._around.excuses(refused):
                self._around.problems.append(f"a search was refused: {refused}")

    async def sign_out(self) -> None:
        """End the session and begin another one. Raises Cut."""
        self._signing_out = True
        try:
            await self.line.ask("sign_out")
        except Refused as refused:
            if not self._around.excuses(refused):
                self._around.problems.append(f"a sign-out was refused: {refused}")
            return
        self._token = ""
        await self.come()

    async def _send(self, request_id: str) -> Data | None:
        asked = self.asked[request_id]
        try:
            reply = await self.line.ask(asked.type, request_id=request_id, **asked.data)
        except Refused as refused:
            if self._around.excuses(refused):
                return None  # it stays open, and is sent again
            if asked.reply is not None:
                self._around.lose(f"{asked.type} was accepted, and now: {refused}")
            elif not _is_expected(asked.type, refused.code):
                self._around.problems.append(f"{asked.type} {asked.data} was refused: {refused}")
            asked.refused = refused.code
            return None
        if asked.reply is not None and asked.reply != reply:
            self._around.lose(f"{asked.type} was answered {asked.reply}, and now {reply}")
        asked.reply = reply
        return reply


def _is_expected(type_: str, code: str) -> bool:
    return code in EXPECTED_REFUSALS or (code == "not_found" and type_ in MAY_BE_OVER)

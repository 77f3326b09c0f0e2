"""A small honest client, written from docs/protocol.md alone: what it checks, any client may rely on.

Nothing of the server or its models is imported here. Every frame that arrives is held against the
contract; what breaks it is a fault, and leaving a connection with faults fails the test:

- each request gets exactly one reply, and no reply comes unasked;
- of the one followed thread the entries come in order, without gap or repeat, from the head that
  the client was told; of other threads comes nothing but notices;
- for action and yield the deltas of an attempt, added as PROTOCOL says, are `completed.text`;
- no frame has more than `MAX_SERVER_FRAME_BYTES`.
"""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import pytest
from base58 import b58encode
from nacl.signing import SigningKey

from tests.support.eventually import PATIENCE

Frame = dict[str, Any]
Data = dict[str, Any]
Attempt = tuple[str, str, int, int]
"""(run, step, iteration, attempt): the texts of one attempt are one text."""

MAX_SERVER_FRAME_BYTES: Final = 262_144
_STREAMED: Final = {"action", "yield"}
_ENDED: Final = {"finished", "failed", "cancelled"}


def base58(data: bytes) -> str:
    """The base58 text of `data`."""
    return b58encode(data).decode()


def new_id() -> str:
    """A request id, or the id of something that is not there."""
    return str(uuid.uuid4())


class Identity:
    """A person: a key pair."""

    def __init__(self) -> None:
        self._key = SigningKey.generate()
        self.public_key = base58(bytes(self._key.verify_key))

    def sign(self, statement: str) -> str:
        """The signature of the statement's UTF-8 bytes."""
        return base58(self._key.sign(statement.encode()).signature)


class Refused(Exception):
    """An `error` frame."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(json.dumps(frame["data"]))
        self.frame = frame
        self.code: str = frame["data"]["code"]
        self.details: Data = frame["data"].get("details") or {}
        self.retry_after_ms: int | None = frame["data"].get("retry_after_ms")

    @property
    def wording(self) -> str:
        """The whole answer, to the letter, without the id that it answers."""
        return json.dumps({**self.frame, "re": None}, sort_keys=True)


@dataclass
class Followed:
    """The thread that a connection follows, as far as its frames have told."""

    thread_id: str
    head_seq: int
    """Of the snapshot: what comes up to here was caught up."""
    seq: int
    """Of the last entry that came."""
    texts: dict[Attempt, str] = field(default_factory=dict)
    """What the deltas have given so far."""
    whole: set[Attempt] = field(default_factory=set)
    """Attempts whose text came from its beginning, without a gap."""


class Client:
    """One connection. `connected` opens it."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self.url = url
        self.frames: list[Frame] = []
        """Everything that came, in order."""
        self.faults: list[str] = []
        """What the server did that the contract does not allow."""
        self.hears_all = True
        """Whether the whole text of each attempt has to come in deltas: a server that does not write it is
        passed it on, and may miss some."""
        self.followed: Followed | None = None
        self.public_key = ""
        self.token = ""
        self._ws = ws
        self._asked: dict[str, Frame] = {}
        self._replies: dict[str, asyncio.Future[Frame]] = {}
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    # Requests

    async def ask(self, type_: str, *, request_id: str | None = None, **data: Any) -> Data:
        """The `data` of the reply. Raises Refused."""
        frame = await self.reply_to(type_, request_id=request_id, **data)
        if frame["type"] == "error":
            raise Refused(frame)
        return dict(frame["data"])

    async def reply_to(self, type_: str, *, request_id: str | None = None, **data: Any) -> Frame:
        """The whole reply, `error` or not."""
        request_id = request_id or new_id()
        reply = self._expect(request_id, {"type": type_, "id": request_id, "data": data})
        await self.send(json.dumps(self._asked[request_id]))
        try:
            async with asyncio.timeout(PATIENCE):
                return await reply
        except TimeoutError:
            pytest.fail(f"no reply to {type_}; {self._told()}")

    async def refusal(self, type_: str, *, request_id: str | None = None, **data: Any) -> Refused:
        """The error that a request gets; fails where it gets none."""
        try:
            reply = await self.ask(type_, request_id=request_id, **data)
        except Refused as refused:
            return refused
        pytest.fail(f"{type_} should have been refused, and was answered {reply}")

    async def send(self, text: str) -> None:
        """Any text, as a frame."""
        await self._ws.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        """A binary frame."""
        await self._ws.send_bytes(data)

    # Opening

    async def sign_in(self, identity: Identity) -> Data:
        """From `connect` to `init`."""
        challenge = await self.ask("connect", public_key=identity.public_key)
        statement = challenge["statement"]
        host = self.url.removeprefix("http://")
        assert host in statement, f"the statement must name {host}: {statement}"
        assert identity.public_key in statement
        return self._welcomed(
            await self.ask("authenticate", signature=identity.sign(statement)), resumed=False
        )

    async def resume(self, token: str) -> Data:
        """`init` of a session that goes on."""
        return self._welcomed(await self.ask("resume", token=token), resumed=True)

    # Following

    async def new_thread(self, **data: Any) -> str:
        """A thread of this person, followed; private unless `data` says so."""
        accepted = await self.ask("create_thread", **({"name": "Evening"} | data))
        thread_id = str(accepted["thread_id"])
        await self.follow(thread_id)
        return thread_id

    async def follow(self, thread_id: str, **data: Any) -> Data:
        """The snapshot; from there on the frames of this thread come, and of no other."""
        return await self.ask("get_thread", thread_id=thread_id, **data)

    async def bring_in(self, guest: "Client", thread_id: str) -> None:
        """Make somebody a co-author: invited by this person, and accepted by them."""
        await self.ask("invite_co_author", thread_id=thread_id, public_key=guest.public_key)
        await guest.ask("accept_invitation", thread_id=thread_id)

    def live(self, thread_id: str) -> list[Frame]:
        """The entries that came of a thread."""
        return [each for each in self.frames if each.get("seq") and each["thread_id"] == thread_id]

    async def until(self, condition: Callable[[Frame], bool], what: str) -> Frame:
        """The first frame of all for which `condition` holds."""
        return (await self.until_count(1, condition, what))[0]

    async def until_count(
        self, count: int, condition: Callable[[Frame], bool], what: str
    ) -> list[Frame]:
        """The frames for which `condition` holds, once there are `count` of them."""

        def found() -> list[Frame]:
            return [each for each in self.frames if condition(each)]

        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(
                    lambda: len(found()) >= count or self.faults or self._reader.done()
                )
        except TimeoutError:
            pytest.fail(f"there never came {what}; {self._told()}")
        if len(found()) < count:
            pytest.fail(f"there never came {what}; {self.faults} {self._told()}")
        return found()

    async def until_seq(self, seq: int) -> None:
        """Every entry of the followed thread up to `seq` has come."""
        followed = self.followed
        assert followed is not None
        if followed.seq < seq:
            await self.until(
                lambda each: each.get("seq") == seq and each["thread_id"] == followed.thread_id,
                f"entry {seq}",
            )

    async def event(self, thread_id: str, kind: str, **same: object) -> Frame:
        """The first `thread_event` of this kind whose data holds `same`."""
        return await self.until(
            lambda each: (
                each["type"] == "thread_event"
                and each["thread_id"] == thread_id
                and each["data"]["kind"] == kind
                and all(each["data"].get(name) == value for name, value in same.items())
            ),
            f"{kind} {same or ''}",
        )

    async def notice(self, thread_id: str, kind: str) -> Frame:
        """The first notice of this kind about a thread that is not followed."""
        return await self.until(
            lambda each: (
                each["type"] == "notice"
                and each["data"]["thread_id"] == thread_id
                and each["data"]["kind"] == kind
            ),
            f"a notice of {kind}",
        )

    async def response(self, run_id: str, status: str, **same: object) -> Data:
        """The data of the first `chorus_response` of a run with this status and `same`."""
        frame = await self.until(
            lambda each: (
                each["type"] == "chorus_response"
                and each["data"]["run_id"] == run_id
                and each["data"]["status"] == status
                and all(each["data"].get(name) == value for name, value in same.items())
            ),
            f"{status} {same or ''} of run {run_id}",
        )
        return dict(frame["data"])

    async def end_of(self, run_id: str) -> Data:
        """The data of the frame that ends a run."""
        frame = await self.until(
            lambda each: (
                each["type"] == "chorus_response"
                and each["data"]["run_id"] == run_id
                and each["data"]["status"] in _ENDED
            ),
            f"the end of run {run_id}",
        )
        return dict(frame["data"])

    def responses(self, run_id: str) -> list[Data]:
        """The data of the entries that a run made, in order."""
        return [
            each["data"]
            for each in self.frames
            if each["type"] == "chorus_response" and each.get("seq")
            if each["data"]["run_id"] == run_id
        ]

    def deltas(self, run_id: str) -> list[Data]:
        """The data of the passing frames of a run."""
        return [
            each["data"]
            for each in self.frames
            if each["type"] == "chorus_response" and not each.get("seq")
            if each["data"]["run_id"] == run_id
        ]

    # Ends

    async def close_code(self) -> int:
        """The code that the server closes with; waits for it."""
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(self._reader)
        except TimeoutError:
            pytest.fail(f"the server should have closed; {self._told()}")
        assert self._ws.close_code is not None
        return self._ws.close_code

    async def drop(self) -> None:
        """The line is cut: no close frame is sent."""
        line = self._ws.get_extra_info("socket")
        assert line is not None
        line.shutdown(socket.SHUT_RDWR)
        await self.close_code()

    async def close(self) -> None:
        """Leave, and fail the test if the server broke the contract on this connection."""
        await self._ws.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    # Inside

    def _welcomed(self, init: Data, *, resumed: bool) -> Data:
        assert init["resumed"] is resumed
        self.public_key = init["user"]["public_key"]
        self.token = init["session"]["token"]
        return init

    def _expect(self, request_id: str, frame: Frame) -> asyncio.Future[Frame]:
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = frame
        self._replies[request_id] = reply
        return reply

    async def _read(self) -> None:
        try:
            async for message in self._ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                async with self._news:
                    if len(message.data.encode()) > MAX_SERVER_FRAME_BYTES:
                        self.faults.append(f"a frame too large: {message.data[:300]}")
                    self._take(json.loads(message.data))
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()

    def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        if (
            set(frame) - {"type", "re", "thread_id", "seq", "shortened", "data"}
            or "re" not in frame
        ):
            self.faults.append(f"no server frame: {frame}")
        if frame["re"] is not None:
            self._take_reply(frame)
        elif frame["type"] in {"chorus_response", "thread_event"}:
            self._take_live(frame)

    def _take_reply(self, frame: Frame) -> None:
        reply = self._replies.get(frame["re"])
        if reply is None or reply.done():
            self.faults.append(f"a reply that nothing asked for, or a second one: {frame}")
            return
        request = self._asked[frame["re"]]
        if frame["type"] == "thread_messages" and "before_index" not in request["data"]:
            self._begin_following(request["data"], frame["data"])
        elif frame["type"] == "accepted" and request["type"] == "leave_thread":
            self.followed = None
        reply.set_result(frame)

    def _begin_following(self, asked: Data, snapshot: Data) -> None:
        head = snapshot["head_seq"]
        known = asked.get("after_seq")
        self.followed = Followed(snapshot["thread"]["id"], head, head if known is None else known)
        for run in snapshot["runs"]:
            attempt = (run["run_id"], run["step"], run["iteration"], run["attempt"])
            self.followed.texts[attempt] = run["text"]

    def _take_live(self, frame: Frame) -> None:
        followed = self.followed
        if followed is None or frame["thread_id"] != followed.thread_id:
            self.faults.append(f"a frame of a thread that is not followed: {frame}")
            return
        data = frame["data"]
        if "seq" not in frame:
            self._take_delta(followed, frame)
            return
        if frame["seq"] != followed.seq + 1:
            self.faults.append(f"entry {frame['seq']} came after {followed.seq}")
        followed.seq = frame["seq"]
        if frame["type"] == "thread_event":
            goes = data["kind"] in {"co_author_left", "co_author_removed"}
            left = goes and data["public_key"] == self.public_key
            if left and data["thread"]["visibility"] == "private":
                self.followed = None
            return
        if data["step"] in _STREAMED and frame["seq"] > followed.head_seq:
            attempt = _attempt(data)
            if data["status"] == "started":
                followed.texts[attempt] = ""
                followed.whole.add(attempt)
            elif data["status"] == "completed":
                self._check_text(followed, attempt, data["text"])

    def _take_delta(self, followed: Followed, frame: Frame) -> None:
        data = frame["data"]
        if data["status"] == "thinking":
            return  # no part of the text, with offsets of its own
        if data["status"] != "delta":
            self.faults.append(f"an entry without a number: {frame}")
            return
        attempt = _attempt(data)
        have = followed.texts.get(attempt, "")
        if data["offset"] == len(have):
            followed.texts[attempt] = have + data["text"]
        elif data["offset"] > len(have):
            followed.whole.discard(attempt)

    def _check_text(self, followed: Followed, attempt: Attempt, text: str) -> None:
        have = followed.texts.get(attempt, "")
        is_whole = self.hears_all and attempt in followed.whole
        if not text.startswith(have) or (is_whole and have != text):
            self.faults.append(f"the deltas of {attempt} gave {have!r}, completed.text is {text!r}")

    def _told(self) -> str:
        last = "\n".join(json.dumps(each)[:300] for each in self.frames[-12:])
        return f"the last frames were\n{last}"


def _attempt(data: Data) -> Attempt:
    return data["run_id"], data["step"], data["iteration"], data["attempt"]


@asynccontextmanager
async def connected(url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Client]:
    """A connection to the server at `url` (`http://host:port`), greeted and not signed in."""
    async with aiohttp.ClientSession(headers=headers) as http:
        ws = await http.ws_connect(f"{url}/ws", protocols=["chorus.v1"], max_msg_size=0)
        client = Client(ws, url)
        try:
            await client.until(lambda each: each["type"] == "hello", "hello")
            yield client
        finally:
            await client.close()
        assert not client.faults, "\n".join(client.faults)


@asynccontextmanager
async def signed_in(url: str, identity: Identity | None = None) -> AsyncIterator[Client]:
    """A connection of a person, of a new one unless given."""
    async with connected(url) as client:
        await client.sign_in(identity or Identity())
        yield client


def seqs(frames: Iterable[Frame]) -> list[int]:
    """The numbers of entries."""
    return [each["seq"] for each in frames]

"""A scripted server that speaks enough of PROTOCOL to try the terminal client against it.

A real websocket, real signatures, one user's view of threads that live in memory. Faults are asked for
by name and happen once. Run it by hand to look at the client: `python -m tests.server.chat.fake_server
8099`.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import base58
from aiohttp import WSCloseCode, WSMsgType, web
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

NOW = "2026-11-22T10:00:00Z"
BOB = base58.b58encode(b"\x02" * 32).decode()

Json = dict[str, Any]


def statement(authority: str, public_key: str, nonce: str) -> str:
    """The text to sign, as the server words it."""
    return (
        f"{authority} wants you to sign in with your Ed25519 key:\n{public_key}\n\n"
        f"Sign in to Chorus.\n\nURI: http://{authority}\nVersion: 1\nNonce: {nonce}\n"
        f"Issued At: {NOW}\nExpiration Time: 2026-11-22T10:01:00Z"
    )


@dataclass
class Room:
    """A thread: its snapshot, its journal, and the running run's partial text."""

    id: str
    name: str
    visibility: str = "private"
    co_authors: list[str] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    journal: list[Json] = field(default_factory=list)
    runs: dict[str, Json] = field(default_factory=dict)

    def value(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "visibility": self.visibility,
            "status": "active",
            "co_authors": self.co_authors,
            "message_count": len(self.messages),
            "version": len(self.journal),
            "added_later": {"a client": "ignores it"},
        }

    def message(self, role: str, author: str | None, content: str, **more: Any) -> Json:
        made = {
            "id": str(uuid4()),
            "thread_id": self.id,
            "index": len(self.messages),
            "role": role,
            "author": author,
            "content": content,
            "status": "approved",
            "approvals": [],
            "electors": [],
            "run_id": None,
            "citations": [],
            **more,
        }
        self.messages.append(made)
        return made


@dataclass(eq=False)
class Peer:
    """One socket and what it follows."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport
    public_key: str | None = None
    follows: str | None = None


class FakeServer:
    """Use it as an async context manager; `url` is where it listens."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Json] = []
        """Every client frame, in order of arrival."""
        self.sign_ins: list[str] = []
        """`key` or `token`, in order."""
        self.rooms: dict[str, Room] = {}
        self.names: dict[str, str] = {BOB: "Bob"}
        self.answer = "**Yes**, it is so [P1]."
        self.loops = 1
        self.pace = 0.0
        """Seconds between deltas."""
        self.protocol = 1
        self.epoch = "epoch-1"
        self.hold_yield = asyncio.Event()
        """Cleared, runs wait before the second delta of their answer."""
        self.hold_yield.set()
        self.fail_with: str | None = None
        self.memory_is_away = False
        self.journal_is_away = False
        self.name_in_statement: Callable[[str], str] = lambda authority: authority
        self.key_in_statement: Callable[[str], str] = lambda key: key
        self.drop_instead_of_reply: set[str] = set()
        """Request types that are carried out, once, and answered by cutting the socket."""
        self.drop_after_seq: set[int] = set()
        """Journal entries after which, once, the socket of each follower is cut."""
        self.refuse_once: dict[str, Json] = {}
        """Errors by request type."""
        self.tokens: dict[str, str] = {}
        self._replies: dict[str, Json] = {}
        self.peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.port = port
        """0 takes a free one; entering fills it in."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.close_all(WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()

    def room(self, name: str, *co_authors: str, visibility: str = "private") -> Room:
        room = Room(str(uuid4()), name, visibility, list(co_authors))
        self.rooms[room.id] = room
        return room

    def cut(self) -> None:
        """Cut every socket without a word."""
        for peer in list(self.peers):
            self._cut(peer)

    async def close_all(self, code: int) -> None:
        for peer in list(self.peers):
            await peer.socket.close(code=code)

    async def tell(self, room: Room, kind: str, data: Json) -> None:
        """Append a journal entry and send it to who follows the room."""
        entry = {
            "type": kind,
            "re": None,
            "thread_id": room.id,
            "seq": len(room.journal) + 1,
            "data": data,
        }
        room.journal.append(entry)
        for peer in [peer for peer in self.peers if peer.follows == room.id]:
            await self._send_entry(peer, entry)

    async def submit(self, room: Room, author: str, prompt: str, **more: Any) -> Json:
        message = room.message("user", author, prompt, **more)
        event = {"kind": "message_submitted", "at": NOW, "by": author, "message": dict(message)}
        await self.tell(room, "thread_event", {**event, "message_id": message["id"]})
        return message

    # -- one socket ------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chorus.v1",), compress=False)
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        peer = Peer(socket, request.transport)
        self.peers.add(peer)
        hello = {"protocol": self.protocol, "epoch": self.epoch, "heartbeat_seconds": 25}
        model = {"name": "fake-model", "offline": False}
        await _send(peer, {"type": "hello", "data": {**hello, "model": model}})
        challenge: tuple[str, str] = ("", "")
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                frame = json.loads(message.data)
                self.received.append(frame)
                match frame["type"]:
                    case "connect":
                        challenge = await self._challenge(peer, frame)
                    case "authenticate":
                        await self._authenticate(peer, frame, challenge)
                    case "resume":
                        await self._resume(peer, frame)
                    case _:
                        await self._request(peer, frame)
        finally:
            self.peers.discard(peer)
        return socket

    async def _challenge(self, peer: Peer, frame: Json) -> tuple[str, str]:
        key, nonce = frame["data"]["public_key"], uuid4().hex
        authority = self.name_in_statement(f"127.0.0.1:{self.port}")
        text = statement(authority, self.key_in_statement(key), nonce)
        await _reply(peer, frame, "challenge", {"statement": text, "nonce": nonce})
        return key, text

    async def _authenticate(self, peer: Peer, frame: Json, challenge: tuple[str, str]) -> None:
        key, text = challenge
        signature = base58.b58decode(frame["data"]["signature"])
        try:
            VerifyKey(base58.b58decode(key)).verify(text.encode(), signature)
        except BadSignatureError:
            await _refuse(peer, frame, "auth_failed", "The signature is not valid.")
            return
        self.sign_ins.append("key")
        token = uuid4().hex
        self.tokens[token] = key
        await self._init(peer, frame, key, token, resumed=False)

    async def _resume(self, peer: Peer, frame: Json) -> None:
        token = frame["data"]["token"]
        if token not in self.tokens:
            await _refuse(peer, frame, "auth_failed", "The session is over.")
            return
        self.sign_ins.append("token")
        await self._init(peer, frame, self.tokens[token], token, resumed=True)

    async def _init(self, peer: Peer, frame: Json, key: str, token: str, *, resumed: bool) -> None:
        peer.public_key = key
        user = {"id": str(uuid4()), "public_key": key, "name": self.names.get(key)}
        session = {"token": token, "expires_at": NOW}
        threads = [room.value() for room in self.rooms.values()]
        data = {"user": user, "threads": threads, "session": session, "resumed": resumed}
        await _reply(peer, frame, "init", data)

    async def _request(self, peer: Peer, frame: Json) -> None:
        kind, data = frame["type"], frame["data"]
        if error := self.refuse_once.pop(kind, None):
            await _reply(peer, frame, "error", error)
        elif kind == "get_thread":
            await self._get_thread(peer, frame)
        elif kind == "list_threads":
            threads = [room.value() for room in self.rooms.values()]
            await _reply(peer, frame, "threads", {"threads": threads, "next": None})
        elif kind == "search":
            await _reply(peer, frame, "search_results", {"results": self._priors()})
        elif kind == "sign_out":
            await _reply(peer, frame, "accepted", {})
            await peer.socket.close(code=1000)
        else:
            reply = self._replies.get(frame["id"])
            if reply is None:
                reply = await self._carry_out(peer, kind, data)
                self._replies[frame["id"]] = reply
            if kind in self.drop_instead_of_reply:
                self.drop_instead_of_reply.discard(kind)
                self._cut(peer)
            else:
                await _reply(peer, frame, "accepted", reply)

    async def _get_thread(self, peer: Peer, frame: Json) -> None:
        data = frame["data"]
        room = self.rooms.get(data["thread_id"])
        if room is None:
            await _refuse(peer, frame, "not_found", "There is no such thread.")
            return
        if data.get("epoch", self.epoch) != self.epoch:
            await _refuse(peer, frame, "conflict", "The store was restored.")
            return
        after = data.get("after_seq", len(room.journal))
        snapshot = {
            "thread": room.value(),
            "names": self.names,
            "messages": room.messages[-50:],
            "head_seq": len(room.journal),
            "has_more": False,
            "runs": list(room.runs.values()),
        }
        await _reply(peer, frame, "thread_messages", snapshot)
        sent = after
        while peer in self.peers and sent < len(room.journal):
            await self._send_entry(peer, room.journal[sent])
            sent += 1
        if peer in self.peers:
            peer.follows = room.id

    async def _carry_out(self, peer: Peer, kind: str, data: Json) -> Json:
        me = peer.public_key or ""
        if kind == "create_thread":
            room = self.room(data["name"], me, visibility=data["visibility"])
            await self.tell(room, "thread_event", {"kind": "thread_created", "at": NOW, "by": me})
            return {"thread_id": room.id, "seq": 1}
        if kind == "set_name":
            self.names[me] = data["name"]
            return {}
        if kind == "leave_thread":
            peer.follows = None
            return {}
        room = self.rooms[data["thread_id"]]
        if kind == "submit_prompt":
            run_id = str(uuid4())
            message = await self.submit(room, me, data["prompt"])
            self._start(self._run(room, message["id"], run_id))
            return {"thread_id": room.id, "message_id": message["id"], "run_id": run_id}
        if kind in {"approve_message", "reject_message"}:
            decision = kind.removesuffix("_message")
            message = next(each for each in room.messages if each["id"] == data["message_id"])
            message["approvals"].append({"co_author": me, "decision": decision, "at": NOW})
            message["status"] = "approved" if decision == "approve" else "rejected"
            event = {"at": NOW, "by": me, "message_id": message["id"], "message": dict(message)}
            await self.tell(room, "thread_event", {"kind": f"message_{message['status']}", **event})
        return {"thread_id": room.id, "seq": len(room.journal)}

    # -- one run ---------------------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _priors(self) -> list[Json]:
        return [
            {
                "message_id": str(uuid4()),
                "thread_id": str(uuid4()),
                "content": content,
                "author": BOB,
                "score": score,
            }
            for content, score in (
                ("The sky is \x1b[31mred at dusk.", 0.81),
                ("Water boils.", 0.42),
            )
        ]

    async def _run(self, room: Room, message_id: str, run_id: str) -> None:
        steps = ("action", "experience", "intention", "observation", "update")
        for iteration, step in itertools.product(range(1, self.loops + 1), steps):
            about: Json = {"run_id": run_id, "message_id": message_id, "step": step}
            about |= {"iteration": iteration, "attempt": 1}
            await self._step(room, about, f"The {step} of loop {iteration}, in some words.")
            if self.fail_with is not None:
                failed = {"status": "failed", "code": self.fail_with, "message": "It is over."}
                room.runs.pop(run_id)
                await self.tell(room, "chorus_response", {**about, **failed})
                return
        about = {"run_id": run_id, "message_id": message_id, "step": "yield"}
        about |= {"iteration": self.loops, "attempt": 1}
        await self._step(room, about, self.answer)
        source = room.messages[0]
        cited = {"label": "P1", "message_id": source["id"], "thread_id": room.id}
        message = room.message("chorus", None, self.answer, run_id=run_id, citations=[cited])
        room.runs.pop(run_id)
        finished = {"status": "finished", "message_id_of_answer": message["id"], "message": message}
        await self.tell(room, "chorus_response", {**about, **finished})

    async def _step(self, room: Room, about: Json, text: str) -> None:
        run = {**about, "status": "running", "text": "", "outputs": []}
        room.runs[about["run_id"]] = run
        await self.tell(room, "chorus_response", {**about, "status": "started"})
        if about["step"] == "observation" and about["iteration"] == 1:
            recovering = {"status": "recovering", "code": "ai_unavailable", "retry_in_ms": 10}
            recovering["retry_in_ms"] = int(10 + self.pace * 40_000)
            await self.tell(room, "chorus_response", {**about, **recovering})
            await asyncio.sleep(self.pace * 40)
            about = {**about, "attempt": 2}
            room.runs[about["run_id"]] = run = {**run, "attempt": 2}
            await self.tell(room, "chorus_response", {**about, "status": "started"})
        if about["step"] == "action":
            for offset, thought in ((0, "Let me "), (7, "see.")):
                thinking = {"status": "thinking", "offset": offset, "text": thought}
                await self._pass(room, {**about, **thinking})
            await self._pass(room, {**about, "status": "of_a_later_version"})
        for offset in range(0, len(text), 5):
            if about["step"] == "yield" and offset > 0:
                await self.hold_yield.wait()
            part = text[offset : offset + 5]
            run["text"] += part
            await self._pass(room, {**about, "status": "delta", "offset": offset, "text": part})
            await asyncio.sleep(self.pace)
        if self.journal_is_away:
            notice = {"thread_id": room.id, "head_seq": 1, "kind": "storage_unavailable"}
            for peer in self.peers:
                await _send(peer, {"type": "notice", "data": {**notice, "message": "No room."}})
        completed: Json = {"status": "completed", "text": text, "output": {}, "usage": None}
        if about["step"] == "experience":
            priors = [] if self.memory_is_away else self._priors()
            completed |= {"priors": priors, "output": {"key_insights": ["Dusk is red."]}}
            completed["memory_available"] = not self.memory_is_away
        if about["step"] == "update":
            loop = about["iteration"] < self.loops
            completed["output"] = {"loop": loop, "next_query": "why?", "confidence": 0.7}
        await self.tell(room, "chorus_response", {**about, **completed})

    async def _pass(self, room: Room, data: Json) -> None:
        for peer in [peer for peer in self.peers if peer.follows == room.id]:
            frame = {"type": "chorus_response", "re": None, "thread_id": room.id, "data": data}
            await _send(peer, frame)

    async def _send_entry(self, peer: Peer, entry: Json) -> None:
        await _send(peer, entry)
        if entry["seq"] in self.drop_after_seq:
            self.drop_after_seq.discard(entry["seq"])
            self._cut(peer)

    def _cut(self, peer: Peer) -> None:
        peer.follows = None
        self.peers.discard(peer)
        peer.transport.abort()


async def _send(peer: Peer, frame: Json) -> None:
    with suppress(ConnectionError):
        await peer.socket.send_str(json.dumps({"re": None, **frame}))


async def _reply(peer: Peer, frame: Json, kind: str, data: Json) -> None:
    await _send(peer, {"type": kind, "re": frame["id"], "data": data})


async def _refuse(peer: Peer, frame: Json, code: str, message: str) -> None:
    await _reply(peer, frame, "error", {"code": code, "message": message, "retryable": False})


async def main(port: int) -> None:
    """Serve by hand, slowly enough to watch; a line on stdin cuts every socket."""
    server = FakeServer(port)
    server.pace, server.loops = 0.03, 2
    server.answer = (
        "# What the dusk says\n\nThe sky is **red** at dusk [P1], because:\n\n"
        "1. blue light is scattered away,\n2. what is left is red.\n\n```python\nprint('dusk')\n```\n"
    )
    async with server:
        room = server.room("Evening \x1b[2Jsky", BOB)
        await server.submit(room, BOB, "Why is the \x1b]0;owned\x07sky red?")
        print(f"listening on {server.url}, thread {room.id}", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            server.cut()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

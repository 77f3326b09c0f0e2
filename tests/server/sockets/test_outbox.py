"""The outbox over real sockets: an aiohttp server, and clients that read, or do not.

Each scenario runs on asyncio's loop and on uvloop, since transports differ between them.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.outputs import StepEnum
from machines.models.wire.run_frames import (
    ChorusResponseFrame,
    StepDeltaData,
    StepThinkingData,
)
from server.sockets.flusher import Flusher
from server.sockets.outbox import HIGH_WATER, OUTBOX_CAP, Outbox
from server.sockets.queued import text_frame
from server.threads.broadcast import Delta
from server.wire.codec import encode_server_frame
from tests.support.eventually import eventually

Scenario = Callable[[], Awaitable[None]]

RUN = RunId("00000000-0000-4000-8000-000000000001")
MESSAGE = MessageId("00000000-0000-4000-8000-000000000002")
THREAD = ThreadId("00000000-0000-4000-8000-000000000003")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Run a scenario to its end on one kind of loop, at most 20 seconds."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def run(scenario: Scenario) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20):
                await scenario()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())

    return run


def piece(offset: int, text: str, attempt: int = 1) -> Delta:
    frame = ChorusResponseFrame(
        thread_id=THREAD,
        data=StepDeltaData(
            run_id=RUN,
            message_id=MESSAGE,
            step=StepEnum.ACTION,
            iteration=1,
            attempt=attempt,
            offset=offset,
            text=text,
        ),
    )
    key = (RUN, "action", 1, attempt)
    return Delta(key, offset, text, encode_server_frame(frame), for_co_authors=False)


@dataclass
class Peer:
    """The server's end of one connection."""

    outbox: Outbox
    ws: web.WebSocketResponse
    transport: asyncio.Transport
    overflows: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the handler is through."""


class Server:
    """Accepts websockets; every connection gets an outbox of one flusher."""

    def __init__(self, *, compress: bool = False, cap: int = OUTBOX_CAP) -> None:
        self.written = 0
        self.flusher = Flusher(asyncio.get_running_loop(), self._count)
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.url = ""
        self._compress = compress
        self._cap = cap
        self._session = ClientSession()

    def _count(self, frames: int, size: int) -> None:
        assert size > 0
        self.written += frames

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=self._compress)
        await ws.prepare(request)
        transport = request.transport
        assert transport is not None
        peer = Peer(
            Outbox(ws, transport, self.flusher, on_overflow=lambda: overflowed(), cap=self._cap),
            ws,
            transport,
        )

        def overflowed() -> None:
            peer.overflows += 1

        self.peers.put_nowait(peer)
        async for _ in ws:
            pass
        peer.left.set()
        return ws

    async def connect(self, compress: int = 0) -> tuple[Peer, ClientWebSocketResponse]:
        client = await self._session.ws_connect(self.url, max_msg_size=0, compress=compress)
        return await self.peers.get(), client

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def serving(*, compress: bool = False, cap: int = OUTBOX_CAP) -> AsyncIterator[Server]:
    server = Server(compress=compress, cap=cap)
    app = web.Application()
    app.router.add_get("/ws", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/ws"
    try:
        yield server
    finally:
        await server.close()
        await runner.cleanup()


class CountingTransport(asyncio.Transport):
    """A transport that counts how often it is written to."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self.writes = 0
        self._transport = transport

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        self.writes += 1
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


async def fill(peer: Peer, text: str) -> int:
    """Send until the consumer, who does not read, makes frames wait; how many were sent."""
    sent = 0
    while True:
        peer.outbox.reply(text)
        sent += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if peer.transport.get_write_buffer_size() >= HIGH_WATER and peer.outbox.waiting:
            # The kernel may still take some: only what waits for good is a stall.
            before = peer.outbox.waiting
            await asyncio.sleep(0.15)
            if peer.outbox.waiting == before:
                return sent


async def texts(client: ClientWebSocketResponse, count: int) -> list[str]:
    return [await client.receive_str(timeout=10) for _ in range(count)]


def test_frames_arrive_whole_and_in_the_order_in_which_they_were_sent(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            sent = ["", "a", "ü" * 62, "b" * 125, "c" * 126, "d" * 65_535, "e" * 65_536]
            sent += [f"{number}" for number in range(300)]
            for number, text in enumerate(sent):
                (peer.outbox.reply if number % 2 else peer.outbox.send)(text)
            assert await texts(client, len(sent)) == sent
            assert peer.outbox.waiting == 0
            assert server.written == len(sent)

    run(scenario)


def test_a_tick_is_two_writes_however_many_frames_it_sends(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            transport = CountingTransport(peer.transport)
            outbox = Outbox(peer.ws, transport, server.flusher, on_overflow=lambda: None)
            for number in range(50):
                outbox.send(str(number))
            assert transport.writes == 1, "the first is written at once, and the others gather"
            assert await texts(client, 50) == [str(number) for number in range(50)]
            assert transport.writes == 2
            outbox.reply("in a later tick")
            assert transport.writes == 3, "in each tick the first is written at once"
            assert await texts(client, 1) == ["in a later tick"]

    run(scenario)


def test_no_frame_overtakes_another_whatever_waits_and_whenever_it_is_sent(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        chance = random.Random(7)
        async with serving() as server:
            peer, client = await server.connect()
            sent = [f"{number} " + "x" * chance.choice((0, 100, 90_000)) for number in range(600)]
            reading: asyncio.Task[list[str]] | None = None
            straight = gathered = stalled = 0
            for text in sent:
                chance.choice((peer.outbox.send, peer.outbox.reply))(text)
                if not peer.outbox.waiting:
                    straight += 1
                elif peer.transport.get_write_buffer_size() < HIGH_WATER:
                    gathered += 1
                else:
                    stalled += 1
                if reading is None and stalled > 10:
                    reading = asyncio.create_task(texts(client, len(sent)))
                if chance.random() < 0.4:
                    await asyncio.sleep(0)
                await peer.outbox.room()
            assert reading is not None, "the transport was to be full for a while"
            assert await reading == sent
            assert min(straight, gathered) > 10, "each way out was to be taken"
            assert peer.overflows == 0

    run(scenario)


def test_a_text_for_many_followers_is_framed_once() -> None:
    flusher = Flusher(asyncio.new_event_loop())
    text = json.dumps({"type": "thread_event"})
    assert flusher.framed(text) is flusher.framed(text)
    assert flusher.framed("another") == text_frame(b"another")
    flusher.loop.close()


def test_a_consumer_that_does_not_read_overflows_once_and_nobody_else_notices(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            slow, _ = await server.connect()
            quick, client = await server.connect()
            text = "x" * 20_000
            most = 0
            while not slow.overflows:
                slow.outbox.send(text)
                quick.outbox.send(text)
                most = max(most, slow.outbox.waiting)
                assert await texts(client, 1) == [text]
            assert most <= OUTBOX_CAP + len(text) + 4, "what waits is bounded by the cap"
            assert slow.transport.get_write_buffer_size() <= HIGH_WATER + len(text) + 4
            slow.outbox.send(text)
            quick.outbox.send("after")
            assert await texts(client, 1) == ["after"]
            assert slow.outbox.waiting == 0, "after an overflow nothing is kept"
            assert (slow.overflows, quick.overflows) == (1, 0)
            await slow.outbox.close(4008, "consumer too slow", seconds=0.2)
            await eventually(slow.left.is_set, "the stalled connection is cut")

    run(scenario)


def test_a_consumer_that_was_too_slow_is_told_so_when_it_reads_again(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving(cap=50_000) as server:
            peer, client = await server.connect()
            await fill(peer, "f" * 100_000)
            while not peer.overflows:
                peer.outbox.send("x" * 20_000)
                await asyncio.sleep(0)
            closing = asyncio.create_task(peer.outbox.close(4008, "consumer too slow"))
            async for message in client:
                assert message.type is WSMsgType.TEXT
            assert client.close_code == 4008
            await closing

    run(scenario)


def test_deltas_for_a_slow_consumer_are_merged_and_keep_their_text_and_place(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            filler = "f" * 100_000
            filled = await fill(peer, filler)
            words = [f"wört-{number} " for number in range(400)]
            offset = 0
            for number, word in enumerate(words):
                if number == 200:
                    peer.outbox.send("between")
                peer.outbox.send_delta(piece(offset, word))
                offset += len(word)
            peer.outbox.send_delta(piece(0, "again", attempt=2))
            peer.outbox.send("last")
            assert await texts(client, filled) == [filler] * filled
            rest = await texts(client, 5)
            assert [rest[1], rest[4]] == ["between", "last"]
            first, second, again = (json.loads(rest[place])["data"] for place in (0, 2, 3))
            assert first["text"] == "".join(words[:200])
            assert first["offset"] == 0
            assert second["text"] == "".join(words[200:])
            assert second["offset"] == len(first["text"])
            assert (again["offset"], again["text"], again["attempt"]) == (0, "again", 2)
            assert json.loads(rest[0])["thread_id"] == THREAD

    run(scenario)


def test_thoughts_for_a_slow_consumer_are_merged_apart_from_the_text(
    run: Callable[[Scenario], None],
) -> None:
    def thought(offset: int, text: str) -> Delta:
        data = StepThinkingData(
            run_id=RUN, message_id=MESSAGE, step=StepEnum.ACTION, iteration=1, attempt=1,
            offset=offset, text=text,
        )  # fmt: skip
        frame = ChorusResponseFrame(thread_id=THREAD, data=data)
        key = (RUN, "thinking", "action", 1, 1)
        return Delta(key, offset, text, encode_server_frame(frame), for_co_authors=False)

    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            filled = await fill(peer, "f" * 100_000)
            for delta in (thought(0, "Let "), thought(4, "me"), piece(0, "So"), piece(2, ".")):
                peer.outbox.send_delta(delta)
            await texts(client, filled)
            data = [json.loads(text)["data"] for text in await texts(client, 2)]
            told = [(item["status"], item["offset"], item["text"]) for item in data]
            assert told == [("thinking", 0, "Let me"), ("delta", 0, "So.")]

    run(scenario)


def test_a_delta_behind_a_gap_is_not_merged(run: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            filler = "f" * 100_000
            filled = await fill(peer, filler)
            peer.outbox.send_delta(piece(0, "abc"))
            peer.outbox.send_delta(piece(4, "e"))
            await texts(client, filled)
            data = [json.loads(text)["data"] for text in await texts(client, 2)]
            assert [(item["offset"], item["text"]) for item in data] == [(0, "abc"), (4, "e")]

    run(scenario)


def test_before_a_consumer_is_too_slow_its_deltas_are_left_out(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving(cap=50_000) as server:
            peer, client = await server.connect()
            filler = "f" * 100_000
            filled = await fill(peer, filler)
            peer.outbox.send("first")
            peer.outbox.send_delta(piece(0, "y" * 60_000))
            peer.outbox.send("second")
            await asyncio.sleep(0)
            assert peer.overflows == 0, "leaving out a delta made room, so nothing overflowed"
            await texts(client, filled)
            assert await texts(client, 2) == ["first", "second"]

    run(scenario)


def test_a_reply_larger_than_the_cap_arrives_and_room_is_told_when_it_is_written(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            peer.outbox.reply("r" * (3 * OUTBOX_CAP))
            peer.outbox.send("live")
            waiting = asyncio.create_task(peer.outbox.room())
            await asyncio.sleep(0)
            assert not waiting.done() or peer.outbox.waiting < OUTBOX_CAP
            assert [len(text) for text in await texts(client, 2)] == [3 * OUTBOX_CAP, 4]
            await waiting
            assert peer.overflows == 0

    run(scenario)


def test_room_is_given_to_every_waiter_also_when_one_was_cancelled_or_the_line_is_gone(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, _ = await server.connect()
            await fill(peer, "f" * 2 * OUTBOX_CAP)
            waiters = [asyncio.create_task(peer.outbox.room()) for _ in range(3)]
            await asyncio.sleep(0)
            waiters[0].cancel()
            await asyncio.sleep(0)
            assert [waiter.done() for waiter in waiters] == [True, False, False]
            peer.outbox.abort()
            await asyncio.gather(*waiters[1:])

    run(scenario)


def test_close_writes_what_waits_then_the_code_and_nothing_after_it(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            peer.outbox.reply("accepted")
            closing = asyncio.create_task(peer.outbox.close(1000, "signed out"))
            await asyncio.sleep(0)
            peer.outbox.send("too late")
            assert await texts(client, 1) == ["accepted"]
            message = await client.receive(timeout=10)
            assert (message.type, message.data, message.extra) == (
                WSMsgType.CLOSE,
                1000,
                "signed out",
            )
            await closing
            await peer.outbox.close(4001, "another code is of no effect")
            await eventually(peer.left.is_set, "the handler is through")

    run(scenario)


def test_closing_a_peer_that_does_not_read_is_bounded(run: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, _ = await server.connect()
            await fill(peer, "f" * 100_000)
            loop = asyncio.get_running_loop()
            before = loop.time()
            await peer.outbox.close(1001, "going away", seconds=0.3)
            assert loop.time() - before < 3, "the deadline, and not the peer, ends a closing"
            assert peer.transport.is_closing()
            await eventually(peer.left.is_set, "the handler is through")

    run(scenario)


def test_a_vanished_peer_costs_nothing_and_raises_nothing(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            peer, client = await server.connect()
            await client.close()
            await eventually(peer.left.is_set, "the server has seen the end")
            peer.outbox.send("nobody hears this")
            peer.outbox.send_delta(piece(0, "nor this"))
            peer.outbox.reply("nor that")
            await eventually(lambda: peer.outbox.waiting == 0, "nothing is kept for who is gone")
            await peer.outbox.room()
            await peer.outbox.close(1000)

    run(scenario)


def test_a_frame_that_cannot_be_written_ends_that_line_alone(
    run: Callable[[Scenario], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            broken, reader = await server.connect()
            sound, client = await server.connect()
            await fill(broken, "f" * 100_000)
            for offset in range(2):
                key, text = ("r", "action", 1, 1), '{"type":"?"}'
                broken.outbox.send_delta(Delta(key, offset, "x", text, for_co_authors=False))
            sound.outbox.send("before")
            async for message in reader:  # ends because the line is cut
                assert message.type is WSMsgType.TEXT
            sound.outbox.send("after")
            assert await texts(client, 2) == ["before", "after"]
            assert "a connection is cut" in caplog.text

    run(scenario)


def test_compressed_connections_get_the_same_frames_in_the_same_order(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario() -> None:
        async with serving(compress=True) as server:
            peer, client = await server.connect(compress=15)
            assert peer.ws.compress, "this test wants compression to be negotiated"
            sent = [str(number) * 5_000 for number in range(40)]
            for text in sent:
                peer.outbox.send(text)
            peer.outbox.send_delta(piece(0, "ab"))
            peer.outbox.send_delta(piece(2, "cd"))
            assert await texts(client, len(sent)) == sent
            assert json.loads((await texts(client, 1))[0])["data"]["text"] == "abcd"
            await peer.outbox.close(1001)
            assert (await client.receive(timeout=10)).data == 1001
            assert server.written == len(sent) + 1, "the metrics are told of each frame"

    run(scenario)

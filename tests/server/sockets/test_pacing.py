"""Reading at a pace, over real sockets, on asyncio's loop and on uvloop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from server.sockets.pacing import READ_BYTES, PacedProtocol, PacedTransport
from tests.support.eventually import eventually

MUCH = 200_000


class Parser(asyncio.Protocol):
    """Keeps what it is given, with the turn of the loop in which it was."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []
        """(turn, bytes)."""
        self.transport: PacedTransport | None = None
        self.lost = False
        self._turn = 0
        self._count()

    @property
    def received(self) -> int:
        """Bytes."""
        return sum(size for _, size in self.pieces)

    def _count(self) -> None:
        self._turn += 1
        if not self.lost:
            asyncio.get_running_loop().call_soon(self._count)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, PacedTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append((self._turn, len(data)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[socket.socket, Parser, PacedTransport]]:
    """A peer's socket, and the server's side of it."""
    loop = asyncio.get_running_loop()
    made: list[Parser] = []
    buffer = memoryview(bytearray(READ_BYTES))

    def make() -> PacedProtocol:
        made.append(Parser())
        return PacedProtocol(made[0], buffer, loop)

    server = await loop.create_server(make, "127.0.0.1", 0)
    async with server:
        peer = socket.socket()
        peer.setblocking(False)
        await loop.sock_connect(peer, server.sockets[0].getsockname())
        with peer:
            await eventually(lambda: bool(made and made[0].transport), "the server accepts")
            parser = made[0]
            assert parser.transport is not None
            yield peer, parser, parser.transport
            parser.lost = True  # and so counts no more turns
            parser.transport.abort()


Scenario = Callable[[], Awaitable[None]]


async def one_turn_brings_one_read() -> None:
    async with connected() as (peer, parser, _):
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * MUCH)
        await eventually(lambda: parser.received == MUCH, "all of it comes")
        turns = [turn for turn, _ in parser.pieces]
        assert len(turns) == len(set(turns)), "a turn brought more than one read"
        assert max(size for _, size in parser.pieces) <= READ_BYTES


async def what_is_paused_stays_so_through_a_rest() -> None:
    async with connected() as (peer, parser, transport):
        transport.pause_reading()
        assert not transport.is_reading()
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * MUCH)
        transport.want()
        for _ in range(50):
            await asyncio.sleep(0)
        assert parser.received == 0
        transport.resume_reading()
        await eventually(lambda: parser.received == MUCH, "all of it comes")


async def what_was_read_is_taken_before_more_comes() -> None:
    async with connected() as (peer, parser, transport):
        transport.took()  # somebody takes messages here, and has one in hand
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * MUCH)
        await eventually(lambda: bool(parser.pieces), "the first read")
        for _ in range(50):
            await asyncio.sleep(0)
        assert parser.received == READ_BYTES
        transport.want()
        await eventually(lambda: parser.received == MUCH, "all of it comes")


async def what_is_discarded_is_not_parsed_and_its_end_is_noticed() -> None:
    async with connected() as (peer, parser, transport):
        transport.pause_reading()
        transport.discard()
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * 10 * READ_BYTES)
        peer.shutdown(socket.SHUT_WR)
        await eventually(lambda: parser.lost, "the end is noticed")
        assert parser.received == 0


async def too_much_without_a_message_is_told() -> None:
    async with connected() as (peer, parser, transport):
        excess: list[int] = []
        transport.watch_excess(MUCH // 2, lambda: excess.append(parser.received))
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * (MUCH // 2))
        await eventually(lambda: parser.received == MUCH // 2, "half of it comes")
        assert not excess
        transport.took()
        transport.want()
        await asyncio.get_running_loop().sock_sendall(peer, b"x" * (MUCH // 2 + 1))
        await eventually(lambda: parser.received == MUCH + 1, "the rest comes")
        assert len(excess) == 1, "a message was taken in between, and so it is counted anew"


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    "scenario",
    [
        one_turn_brings_one_read,
        what_is_paused_stays_so_through_a_rest,
        what_was_read_is_taken_before_more_comes,
        what_is_discarded_is_not_parsed_and_its_end_is_noticed,
        too_much_without_a_message_is_told,
    ],
    ids=lambda each: each.__name__,
)
def test_a_connection_is_read_at_a_pace(
    scenario: Scenario, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(bounded())

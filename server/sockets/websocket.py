"""The websocket: from sockets to sessions. A reader enqueues, and a worker handles.

The reader never works, so that pings are answered in time; the worker takes one request after the
other, so that requests of one connection take effect in the order of arrival. What is sent goes
through the connection's outbox.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, assert_never

from aiohttp import WSMessage, WSMsgType, web

from machines.models.errors import RequestRefused
from machines.models.limits import MAX_FRAME_BYTES, SUBPROTOCOL
from machines.models.wire.close_codes import CloseCode
from machines.models.wire.requests import ClientMessage
from server.concurrency.rate_limit import TokenBucket
from server.sessions.ports import ConnectionOrigin, OnRefusal
from server.sessions.quotas import too_many
from server.sessions.registry import Phase, Sessions
from server.sessions.session import Session, begin_session
from server.sockets.flood_guard import FloodGuard
from server.sockets.flusher import Flusher
from server.sockets.outbox import Outbox
from server.sockets.pacing import PacedTransport
from server.wire.codec import FrameError, decode_client_frame, encode_server_frame, error_frame

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 25.0
INIT_SECONDS = 60.0
QUEUED_FRAMES = 64
"""Requests of one connection that wait; then the reader waits, and TCP slows the client."""
MAX_UNREAD_BYTES: Final = 1_048_576
"""Bytes that come without a message. It is more than aiohttp queues: they are pieces of a message
that never ends."""

GOING_AWAY: Final = "the server is going away"


@dataclass(frozen=True, slots=True)
class SocketServices:
    """What every socket is served with."""

    sessions: Sessions
    flusher: Flusher
    hello: Callable[[], Awaitable[str]]
    """The encoded `hello`."""
    origin: Callable[[web.Request], ConnectionOrigin | None]
    """Where a request comes from; None where its Host or Origin is not ours: 403."""
    new_bucket: Callable[[], TokenBucket]
    """Bounds the frames of one connection."""
    connections_per_address: int
    """0 is no limit."""
    compress: bool
    on_frame: Callable[[], None]
    """Told of each frame that comes."""
    on_refusal: OnRefusal


def new_websocket(
    *, compress: bool, max_frame_bytes: int = MAX_FRAME_BYTES
) -> web.WebSocketResponse:
    """A websocket as every client meets it; to be prepared with its request."""
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=HEARTBEAT_SECONDS,
        autoping=False,  # its answers pass by every limit of ours
        max_msg_size=max_frame_bytes + 1,  # aiohttp's bound is exclusive, PROTOCOL's is not
        compress=compress,
    )


class Sockets:
    """All open websockets of this process, and the handler that serves them."""

    def __init__(self, services: SocketServices) -> None:
        self._services = services
        self._open: set[_Socket] = set()
        self._by_address: Counter[str] = Counter()
        self._last_gone: asyncio.Future[None] | None = None
        """What the end of the server waits for."""

    def __len__(self) -> int:
        return len(self._open)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /ws`."""
        origin = self._admitted(request)
        self._by_address[origin.address] += 1
        try:
            ws = new_websocket(compress=self._services.compress)
            await ws.prepare(request)
            transport = request.transport
            going_away = self._services.sessions.phase is Phase.GOING_AWAY
            if going_away or not isinstance(transport, PacedTransport):
                await ws.close(code=CloseCode.GOING_AWAY)
                return ws
            socket = _Socket(self._services, ws, transport, origin)
            self._open.add(socket)
            try:
                await socket.serve()
            finally:
                self._gone(socket)
            return ws
        finally:
            self._by_address[origin.address] -= 1
            if not self._by_address[origin.address]:
                del self._by_address[origin.address]

    async def close_all(self) -> None:
        """The server goes away: everybody is told at once, and may resume elsewhere."""
        self._services.sessions.phase = Phase.GOING_AWAY
        for socket in tuple(self._open):
            socket.close(CloseCode.GOING_AWAY, GOING_AWAY)
        if self._open:
            self._last_gone = asyncio.get_running_loop().create_future()
            await self._last_gone

    def _admitted(self, request: web.Request) -> ConnectionOrigin:
        """Where a request comes from. Raises HTTPException where it is not served."""
        origin = self._services.origin(request)
        if origin is None:
            raise web.HTTPForbidden(text="This host or origin is not served here.\n")
        offered = [
            each.strip()
            for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")
            if each.strip()
        ]
        if offered and SUBPROTOCOL not in offered:
            raise web.HTTPBadRequest(text=f"The subprotocol is {SUBPROTOCOL}.\n")
        most = self._services.connections_per_address
        if most and self._by_address[origin.address] >= most:
            raise web.HTTPTooManyRequests(text="Too many connections from your address.\n")
        return origin

    def _gone(self, socket: "_Socket") -> None:
        self._open.discard(socket)
        if not self._open and self._last_gone is not None and not self._last_gone.done():
            self._last_gone.set_result(None)


class _Phase(Enum):
    NEW = auto()
    """No request has come yet."""
    SERVING = auto()


class _Closing(NamedTuple):
    """Nothing more is read or worked on; the code and the reason are known."""

    code: CloseCode
    reason: str


class _Socket:
    """One websocket, its outbox and its session.

    Thousands of them are idle at most times, so an idle one is little: it has no task but aiohttp's
    own, which reads. The worker is there only while there is work.
    """

    __slots__ = (
        "_deadline",
        "_guard",
        "_has_space",
        "_outbox",
        "_phase",
        "_reading",
        "_requests",
        "_services",
        "_session",
        "_transport",
        "_worker",
        "_ws",
    )

    def __init__(
        self,
        services: SocketServices,
        ws: web.WebSocketResponse,
        transport: PacedTransport,
        origin: ConnectionOrigin,
    ) -> None:
        self._services = services
        self._ws = ws
        self._transport = transport
        transport.watch_excess(MAX_UNREAD_BYTES, self._never_whole)
        self._outbox = Outbox(ws, transport.inner, services.flusher, on_overflow=self._too_slow)
        self._session: Session = begin_session(services.sessions, self._outbox, self.close, origin)
        self._guard = FloodGuard(services.new_bucket(), self._flooded)
        self._phase: _Phase | _Closing = _Phase.NEW
        self._requests: list[ClientMessage] = []
        """What waits for the worker, the oldest first; seldom more than one."""
        self._worker: asyncio.Task[None] | None = None
        self._has_space: asyncio.Future[None] | None = None
        """What the reader waits for while too much waits."""
        self._deadline: asyncio.TimerHandle | None = None
        """Of the sign-in; None once it is kept."""
        self._reading: asyncio.Timeout | None = None
        """Ends the reading from outside, while there is any."""

    def close(self, code: CloseCode, reason: str) -> None:
        """End the reading, and close once what waits is written; the first code and reason count."""
        match self._phase:
            case _Closing():
                pass
            case _Phase.NEW | _Phase.SERVING:
                self._phase = _Closing(code, reason)
                if self._reading is not None:
                    self._reading.reschedule(0.0)
            case _:
                assert_never(self._phase)

    async def serve(self) -> None:
        """From `hello` to the end of the socket."""
        loop = self._services.flusher.loop
        self._deadline = loop.call_later(INIT_SECONDS, self._demand_sign_in)
        try:
            # No time limit: a verdict that comes meanwhile makes it one.
            async with asyncio.timeout(None) as self._reading:
                try:
                    self._outbox.reply(await self._services.hello())
                    await self._read()
                finally:
                    self._reading = None
        except TimeoutError as error:
            if not isinstance(self._phase, _Closing):
                self._fail(error)
        except Exception as error:  # noqa: BLE001 - it is logged, and ends this connection alone
            self._fail(error)
        else:
            self.close(CloseCode.DONE, "good bye")
        finally:
            await self._end()

    async def _end(self) -> None:
        """Nothing is read any more: leave nothing behind, and close."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._worker is not None:
            worker = self._worker
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        self._session.disconnected()
        # A handler that is cancelled was told nothing: its server goes away.
        self.close(CloseCode.GOING_AWAY, GOING_AWAY)
        assert isinstance(self._phase, _Closing)  # noqa: S101 - it is, from the line above
        if self._phase.code is CloseCode.ABUSE:
            # Who floods may go on doing so: not even a close frame is looked for in it.
            self._transport.discard()
        self._transport.want()
        await self._outbox.close(self._phase.code, self._phase.reason)

    async def _read(self) -> None:
        """Take what comes, until the peer closes or sends what is not served."""
        while True:
            self._transport.want()
            message = await self._ws.receive()
            self._transport.took()
            match message.type:
                case WSMsgType.TEXT:
                    await self._take(message.data)
                case WSMsgType.PING | WSMsgType.PONG:
                    await self._take_control(message)
                case WSMsgType.BINARY:
                    self.close(CloseCode.BINARY, "text frames only")
                    return
                case _:
                    return

    async def _take(self, raw: str) -> None:
        """Enqueue a frame, or refuse it; a flood waits here, and TCP slows who sends it."""
        wait = self._charge()
        try:
            request = decode_client_frame(raw)
        except FrameError as error:
            self._refuse(error, error.re)
            self._guard.saw_bad()
        else:
            self._guard.saw_good()
            if wait is None:
                if self._phase is _Phase.NEW:
                    self._phase = _Phase.SERVING
                    # A `connect` costs less than a task. Once: many in a row wait their turn.
                    if self._session.handle_at_once(request):
                        return
                await self._enqueue(request)
                return
            self._refuse(too_many("Too many frames.", wait), request.id, request)
        await self._outbox.room()
        await asyncio.sleep((wait or 0) / 1000)

    async def _take_control(self, message: WSMessage) -> None:
        """Answer a PING. A control frame is charged as any other; one too many only waits."""
        wait = self._charge()
        if message.type is WSMsgType.PING:
            self._outbox.pong(message.data)
        # Without a wait too: one read may hold hundreds of them, and the others have their turn.
        await asyncio.sleep((wait or 0) / 1000)

    def _charge(self) -> int | None:
        """A frame came: None, or the milliseconds by which it comes too soon."""
        self._services.on_frame()
        return self._guard.charge()

    def _refuse(
        self, error: RequestRefused, re: str | None, request: ClientMessage | None = None
    ) -> None:
        frame = error_frame(error).model_copy(update={"re": re})
        self._services.on_refusal(frame.data, request)
        self._outbox.reply(encode_server_frame(frame))

    async def _enqueue(self, request: ClientMessage) -> None:
        while len(self._requests) >= QUEUED_FRAMES:
            self._has_space = asyncio.get_running_loop().create_future()
            await self._has_space
        self._requests.append(request)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Take what waits, one after the other, until nothing waits."""
        try:
            while self._requests and self._phase is _Phase.SERVING:
                request = self._requests.pop(0)
                if self._has_space is not None and not self._has_space.done():
                    self._has_space.set_result(None)
                await self._outbox.room()
                await self._session.handle(request)
                if self._deadline is not None and self._session.signed_in:
                    self._deadline.cancel()
                    self._deadline = None
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)
        finally:
            self._worker = None

    def _fail(self, error: Exception) -> None:
        """A defect: the connection ends with it, and no other."""
        log.error("a connection failed", exc_info=error)
        self.close(CloseCode.FAILED, "the server failed")

    def _too_slow(self) -> None:
        self.close(CloseCode.TOO_SLOW, "the consumer is too slow")

    def _flooded(self, reason: str) -> None:
        self.close(CloseCode.ABUSE, reason)

    def _never_whole(self) -> None:
        self._flooded("a message that never ends")

    def _demand_sign_in(self) -> None:
        if not self._session.signed_in:
            self.close(CloseCode.NOT_AUTHENTICATED, "not authenticated in time")

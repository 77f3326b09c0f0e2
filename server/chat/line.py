"""One signed-in socket: dialling, the sign-in, and frames in and out until it is lost.

`dial` returns a `Line` that has its `init`. A line never heals: it raises LineLost, and the client
dials another. Closures that dialling again would not mend are raised as ChatErrors.
"""

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from pydantic import ValidationError

from server.chat.errors import LineLost, OtherProtocol, SessionEnded, SignInRefused
from server.chat.frames import ErrorReply, Frame, Hello, Init, SignInChallenge, WireValue
from server.chat.keyfile import Identity
from server.chat.signin import ServerAddress, check_statement
from server.chat.text import one_line

V = TypeVar("V", bound=WireValue)

PROTOCOL = 1
_SUBPROTOCOL = f"chorus.v{PROTOCOL}"
SIGN_IN_SECONDS = 20.0
_HEARTBEAT_SECONDS = 25.0
_CLOSE_SECONDS = 2.0
MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
"""A snapshot of 200 messages of 32,000 characters, with its HTML, stays under it."""


def read_data(shape: type[V], frame: Frame) -> V:
    """The data of a frame in the shape that PROTOCOL gives it. Raises OtherProtocol."""
    try:
        return shape.model_validate(frame.data)
    except ValidationError as error:
        raise OtherProtocol(
            f"The server sent a {frame.type!r:.40} that version {PROTOCOL} of the protocol does not know."
        ) from error


class Line:
    """A signed-in socket. Enter it to start sending; iterate over it for what comes in."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        hello: Hello,
        init: Init,
    ) -> None:
        self.hello = hello
        self.init = init
        self._session = session
        self._socket = socket
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    def send(self, text: str) -> None:
        """Queue a frame; frames leave in this order."""
        self._outgoing.put_nowait(text)

    async def __aenter__(self) -> Self:
        # One task alone writes: aiohttp's socket is spoiled by a cancelled send, and callers of
        # `send` are cancelled whenever a person changes their mind.
        self._writer = asyncio.create_task(self._write(), name="chat-writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the socket; more than once does no harm."""
        await hang_up(self._session, self._socket)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            yield await receive(self._socket)

    async def _write(self) -> None:
        while True:
            text = await self._outgoing.get()
            try:
                await self._socket.send_str(text)
            except (aiohttp.ClientError, OSError):
                await self._session.close()  # ends the reader, which tells of the loss
                return


async def dial(
    endpoint: ServerAddress, identity: Identity, *, token: str | None, new_id: Callable[[], str]
) -> Line:
    """Connect and sign in, by `token` if there is one that still holds, else by the key.

    Raises LineLost where another attempt may do, OtherProtocol or SignInRefused where not.
    """
    # A proxy of the environment is for the world outside; it cannot reach this machine's loopback.
    session = aiohttp.ClientSession(trust_env=not endpoint.is_loopback)
    socket: aiohttp.ClientWebSocketResponse | None = None
    try:
        async with asyncio.timeout(SIGN_IN_SECONDS):
            socket = await _connect(session, endpoint)
            hello = await _read_hello(socket)
            init = await _sign_in(socket, endpoint, identity, token, new_id)
    except BaseException as error:
        await hang_up(session, socket)
        if isinstance(error, TimeoutError):
            raise LineLost("timed out") from error
        raise
    return Line(session, socket, hello, init)


async def hang_up(
    session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse | None
) -> None:
    """Close within `_CLOSE_SECONDS`, whether the other side answers or not."""
    try:
        if socket is not None and not socket.closed:
            closing = asyncio.create_task(socket.close())
            try:
                await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
            finally:
                closing.cancel()
    finally:
        await session.close()


async def _connect(
    session: aiohttp.ClientSession, endpoint: ServerAddress
) -> aiohttp.ClientWebSocketResponse:
    try:
        return await session.ws_connect(
            endpoint.websocket_url,
            protocols=(_SUBPROTOCOL,),
            heartbeat=_HEARTBEAT_SECONDS,
            max_msg_size=MAX_SNAPSHOT_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status == 429 or error.status >= 500:
            raise LineLost(f"HTTP {error.status}") from error
        if error.status == 403:
            raise SignInRefused(
                f"The server does not answer to the name {endpoint.authority} (HTTP 403); dial its public address."
            ) from error
        if error.status == 400:
            raise OtherProtocol(
                f"The server refuses {_SUBPROTOCOL} (HTTP 400): it speaks another version of the protocol."
            ) from error
        raise OtherProtocol(
            f"There is no Chorus server at {endpoint.websocket_url} (HTTP {error.status})."
        ) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise SignInRefused(f"The certificate of {endpoint.authority} is not trusted.") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise LineLost("the name is not known") from error
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error
        refused = reason.errno == errno.ECONNREFUSED
        raise LineLost("refused" if refused else reason.strerror or "no connection") from error
    except (aiohttp.ClientError, OSError) as error:
        raise LineLost("the connection broke") from error


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Frame:
    """The next frame. Raises LineLost, or a ChatError where the server closed for good."""
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        try:
            return Frame.model_validate_json(message.data)
        except ValidationError as error:
            raise OtherProtocol("The server sent a frame that is none of the protocol.") from error
    if message.type is aiohttp.WSMsgType.BINARY:
        raise OtherProtocol("The server sent a binary frame; the protocol has none.")
    # Only a close frame says why: at a bare end of stream aiohttp's `close_code` is 1000 as well.
    match message.data if message.type is aiohttp.WSMsgType.CLOSE else None:
        case 1000:
            raise SessionEnded("The server ended the session: signed out.")
        case 1008:
            raise SessionEnded("The server ended the session: too many bad requests.")
        case 1009:
            raise SessionEnded("The server ended the session: a frame was too large.")
        case 4001:
            raise SignInRefused("The server ended the session: not signed in.")
        case 4009:
            raise SessionEnded("The session goes on elsewhere: another client resumed it.")
        case 1001:
            raise LineLost("the server is going away")
        case 4008:
            raise LineLost("this side was too slow, or must read anew")
        case _:
            raise LineLost("the connection broke")


async def _read_hello(socket: aiohttp.ClientWebSocketResponse) -> Hello:
    frame = await receive(socket)
    version = frame.data.get("protocol")
    if frame.type != "hello" or version != PROTOCOL:
        spoken = (
            f"version {one_line(str(version), 20)}" if frame.type == "hello" else "something else"
        )
        raise OtherProtocol(
            f"The server speaks {spoken}, this client version {PROTOCOL} of the Chorus protocol."
        )
    return read_data(Hello, frame)


async def _sign_in(
    socket: aiohttp.ClientWebSocketResponse,
    endpoint: ServerAddress,
    identity: Identity,
    token: str | None,
    new_id: Callable[[], str],
) -> Init:
    async def ask(request: str, data: dict[str, str]) -> Frame:
        request_id = new_id()
        try:
            await socket.send_str(json.dumps({"type": request, "id": request_id, "data": data}))
        except (aiohttp.ClientError, OSError) as error:
            raise LineLost("the connection broke") from error
        while (frame := await receive(socket)).re != request_id:
            pass  # before `init` nothing but the reply is of use
        return frame

    if token is not None:
        frame = await ask("resume", {"token": token})
        if frame.type == "init":
            return read_data(Init, frame)
        if read_data(ErrorReply, frame).code != "auth_failed":
            raise _refused(frame)
    frame = await ask("connect", {"public_key": identity.public_key})
    if frame.type != "challenge":
        raise _refused(frame)
    challenge = read_data(SignInChallenge, frame)
    check_statement(
        challenge.statement,
        endpoint=endpoint,
        public_key=identity.public_key,
        nonce=challenge.nonce,
    )
    frame = await ask("authenticate", {"signature": identity.sign(challenge.statement)})
    if frame.type != "init":
        raise _refused(frame)
    return read_data(Init, frame)


def _refused(frame: Frame) -> LineLost | SignInRefused:
    refusal = read_data(ErrorReply, frame)
    message = one_line(refusal.message)
    if refusal.retryable:
        return LineLost(message)
    return SignInRefused(f"The server refused the sign-in: {message}")

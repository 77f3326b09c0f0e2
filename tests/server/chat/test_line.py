"""What a client says of a server that does not let it in, or ends its line: which words, and whether it
dials again."""

import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
import trustme
from aiohttp import web
from nacl.signing import SigningKey

from server.chat.errors import ChatError, LineLost, OtherProtocol, SessionEnded, SignInRefused
from server.chat.keyfile import Identity
from server.chat.line import dial
from server.chat.signin import parse_url

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

HELLO = {"type": "hello", "re": None, "data": {"protocol": 1, "epoch": "one"}}


@asynccontextmanager
async def answering(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that answers a websocket's handshake like this."""
    app = web.Application()
    app.router.add_get("/ws", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def why_not(url: str, *, token: str | None = None) -> ChatError | LineLost:
    """How an attempt to sign in ends."""
    numbers = count(1)
    with pytest.raises((ChatError, LineLost)) as ended:
        await dial(
            parse_url(url),
            Identity(SigningKey.generate()),
            token=token,
            new_id=lambda: f"request-{next(numbers)}",
        )
    assert isinstance(ended.value, ChatError | LineLost)
    return ended.value


def refuses(status: int) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    return answer


def closes(code: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("chorus.v1",))
        await ws.prepare(request)
        await ws.close(code=code)
        return ws

    return answer


def says(first: str | bytes, *replies: dict[str, object]) -> Answer:
    """Sends its first frame, and then one reply to each request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("chorus.v1",))
        await ws.prepare(request)
        await (ws.send_str(first) if isinstance(first, str) else ws.send_bytes(first))
        for reply in replies:
            asked = await ws.receive_json()
            await ws.send_json({**reply, "re": asked["id"]})
        async for _ in ws:
            pass
        return ws

    return answer


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (429, LineLost, "HTTP 429"),
        (503, LineLost, "HTTP 503"),
        (403, SignInRefused, "does not answer to the name"),
        (400, OtherProtocol, "speaks another version of the protocol"),
        (404, OtherProtocol, "There is no Chorus server at"),
    ],
)
async def test_a_refused_handshake_is_said_in_words(
    status: int, kind: type[Exception], said: str
) -> None:
    async with answering(refuses(status)) as url:
        ended = await why_not(url)
    assert type(ended) is kind
    assert said in str(ended)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (1000, SessionEnded, "signed out"),
        (1008, SessionEnded, "too many bad requests"),
        (1009, SessionEnded, "a frame was too large"),
        (4001, SignInRefused, "not signed in"),
        (4009, SessionEnded, "another client resumed it"),
        (1001, LineLost, "the server is going away"),
        (4008, LineLost, "this side was too slow, or must read anew"),
        (1011, LineLost, "the connection broke"),
    ],
)
async def test_a_close_is_said_in_words(code: int, kind: type[Exception], said: str) -> None:
    async with answering(closes(code)) as url:
        ended = await why_not(url)
    assert type(ended) is kind
    assert said in str(ended)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (json.dumps(HELLO | {"data": {"protocol": 2}}), "speaks version 2"),
        (json.dumps({"type": "welcome", "re": None, "data": {}}), "speaks something else"),
        (json.dumps({"type": "hello", "re": None, "data": {"protocol": 1}}), "'hello'"),
        ("hello", "a frame that is none of the protocol"),
        (b"hello", "a binary frame"),
    ],
)
async def test_what_greets_otherwise_speaks_another_protocol(first: str | bytes, said: str) -> None:
    async with answering(says(first)) as url:
        ended = await why_not(url)
    assert type(ended) is OtherProtocol
    assert said in str(ended)


@pytest.mark.parametrize("token", [None, "a token"])
@pytest.mark.parametrize(
    ("retryable", "kind", "said"),
    [(True, LineLost, "Not now."), (False, SignInRefused, "refused the sign-in: Not now.")],
)
async def test_a_refused_sign_in_is_tried_again_only_where_the_server_says_so(
    token: str | None, retryable: bool, kind: type[Exception], said: str
) -> None:
    refusal: dict[str, object] = {
        "type": "error",
        "data": {"code": "rate_limited", "message": "Not now.", "retryable": retryable},
    }
    async with answering(says(json.dumps(HELLO), refusal)) as url:
        ended = await why_not(url, token=token)
    assert type(ended) is kind
    assert said in str(ended)


async def test_where_nothing_listens_the_line_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = await why_not(f"http://127.0.0.1:{port}")
    assert type(ended) is LineLost
    assert ended.reason == "refused"


async def test_a_certificate_that_is_not_trusted_is_said_to_be() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with answering(refuses(500), tls=tls) as url:
        ended = await why_not(url)
    assert type(ended) is SignInRefused
    assert "is not trusted" in str(ended)

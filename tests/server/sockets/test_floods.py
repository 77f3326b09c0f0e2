"""Control frames, and sockets that send too much: over the wire, byte by byte."""

import asyncio
import json

import pytest

from tests.support.raw_socket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_code,
    dial,
    frame,
    read_frame,
    upgrade,
)
from tests.support.served import ServerProcess

RATE = 500

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.settings(llm="offline", frames_per_second=RATE),
]

ABUSE = 1008
ASKED = b'{"type":"ping","id":"1","data":{}}'


async def told(server: ServerProcess, *sent: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """What a socket is sent after `hello` when it has sent this, and the code it is closed with."""

    def talk() -> tuple[list[tuple[int, bytes]], int]:
        frames: list[tuple[int, bytes]] = []
        with upgrade(server.url) as line:
            assert read_frame(line)[0] == TEXT
            for each in sent:
                line.sendall(each)
            while True:
                opcode, payload = read_frame(line)
                if opcode == CLOSE:
                    return frames, int.from_bytes(payload[:2], "big")
                frames.append((opcode, payload))

    return await asyncio.to_thread(talk)


async def test_a_ping_is_answered_with_what_it_says_and_a_pong_is_not(
    server: ServerProcess,
) -> None:
    pings = [frame(PING, b"first"), frame(PONG, b"unasked"), frame(PING, b"x" * 125)]
    frames, code = await told(server, b"".join(pings), frame(CLOSE, b"\x03\xe8"))
    assert frames == [(PONG, b"first"), (PONG, b"x" * 125)]
    assert code == 1000


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_control_frames_that_never_stop_close_with_1008(
    server: ServerProcess, opcode: int
) -> None:
    frames, code = await told(server, frame(opcode) * 100 * RATE)
    assert code == ABUSE
    assert {opcode for opcode, _ in frames} <= {PONG}


async def test_requests_that_never_stop_are_refused_for_a_while_and_then_closed_with_1008(
    server: ServerProcess,
) -> None:
    frames, code = await told(server, frame(TEXT, ASKED) * 100 * RATE)
    assert code == ABUSE
    answers = [json.loads(payload) for opcode, payload in frames if opcode == TEXT]
    codes = {each["data"].get("code", each["type"]) for each in answers}
    assert codes == {"pong", "rate_limited"}


async def test_pieces_of_a_message_that_never_ends_close_with_1008(
    server: ServerProcess,
) -> None:
    pieces = frame(TEXT, final=False) + frame(0, final=False) * 200_000
    frames, code = await told(server, pieces)
    assert (frames, code) == ([], ABUSE)


async def test_a_message_in_many_pieces_is_read(server: ServerProcess) -> None:
    padded = ASKED[:-3] + b'{"x":"' + b"y" * 60_000 + b'"}}'
    pieces = [frame(TEXT, padded[:1], final=False)]
    pieces += [frame(0, padded[place : place + 1], final=False) for place in range(1, len(padded))]

    def ask() -> list[str]:
        with upgrade(server.url) as line:
            line.sendall(b"".join(pieces) + frame(0))
            return [json.loads(read_frame(line)[1])["type"] for _ in range(2)]

    assert await asyncio.to_thread(ask) == ["hello", "pong"]


async def test_of_twenty_thousand_bad_frames_in_one_write_twenty_are_looked_at(
    server: ServerProcess,
) -> None:
    frames, code = await told(server, frame(TEXT, b"{") * 20_000)
    assert code == ABUSE
    assert [json.loads(payload)["data"]["code"] for _, payload in frames] == ["bad_json"] * 20


async def test_a_flood_ends_the_connection_though_its_sender_does_not_close(
    server: ServerProcess,
) -> None:
    def stay() -> bytes:
        with upgrade(server.url) as line:
            line.sendall(frame(TEXT, b"{") * 20)
            assert close_code(line) == ABUSE
            try:
                return line.recv(1)
            except ConnectionResetError:
                return b""

    assert await asyncio.to_thread(stay) == b"", "the server gives up waiting for a close frame"


@pytest.mark.parametrize("path", ["/", "/healthz", "/ws", "/nowhere"])
async def test_a_request_with_a_body_is_refused_and_the_body_is_not_read(
    server: ServerProcess, path: str
) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )

    def post() -> bytes:
        answer = b""
        with dial(server.url) as line:
            line.sendall(head.encode() + b"1\r\nx\r\n" * 1_000)
            while more := line.recv(4_096):
                answer += more
        return answer

    answer = await asyncio.to_thread(post)
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"No request has a body here.\n")

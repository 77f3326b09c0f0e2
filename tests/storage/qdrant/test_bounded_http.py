"""A Qdrant server that sends a byte now and then, without end: each request of ours ends all the same."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from machines.models import errors
from storage.memory.values import Failure, RecoveryPolicy, Search, SearchScope, Success
from storage.qdrant.bounded_http import BoundedTransport, proxy_for
from storage.qdrant.client import DatabaseClient, MemoryServer
from storage.qdrant.transport import Transport
from tests.support.eventually import PATIENCE
from tests.support.fake_qdrant import Failing, fake_qdrant

ROOT = Path(__file__).parents[3]

SECONDS = 0.5
"""That a request may take."""

DRIPPING = 10_000
"""Bytes that drip at most: a transport without a bound ends its test there, in seconds."""

DRIP_SECONDS = 0.001
"""Between two of them, so that they do not arrive as one."""

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def writing(*answers: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that writes each of `answers` to one connection, piece by piece; its address, and
    what it was asked."""
    asked: list[bytes] = []
    over = threading.Event()

    def serve() -> None:
        for pieces in answers:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the test is over
            with connection, suppress(OSError):
                asked.append(connection.recv(65_536))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in pieces:
                    connection.sendall(piece)
                    over.wait(DRIP_SECONDS)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            thread.join()


def impatient(proxy: httpx.Proxy | None = None) -> httpx.Client:
    transport = BoundedTransport(seconds=SECONDS, limits=httpx.Limits(), proxy=proxy)
    return httpx.Client(transport=transport, timeout=PATIENCE)


@pytest.mark.parametrize(
    "begins",
    [
        pytest.param(b"", id="before the status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx-much: ", id="in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n", id="in the body"),
    ],
)
def test_an_answer_that_drips_without_end_is_given_up(begins: bytes) -> None:
    dripping = (begins, *(b"1" for _ in range(DRIPPING)))
    with writing(dripping, [WHOLE]) as (url, _), impatient() as client:
        with pytest.raises(httpx.TimeoutException, match="as a whole took too long"):
            client.get(url)
        assert client.get(url).text == "ok", "the next request has its own time"


def test_a_server_that_takes_a_request_in_sips_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def sip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                while not over.wait(DRIP_SECONDS):
                    connection.recv(1)

        thread = threading.Thread(target=sip)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with (
                impatient() as client,
                pytest.raises(httpx.TimeoutException, match="as a whole took too long"),
            ):
                client.post(url, content=bytes(50_000_000))
        finally:
            over.set()
            thread.join()


def test_an_answer_in_many_pieces_is_read_within_its_time() -> None:
    pieces = [WHOLE[:10], WHOLE[10:-1], WHOLE[-1:]]
    with writing(pieces) as (url, _), impatient() as client:
        assert client.get(url).text == "ok"


def test_the_environments_proxy_is_asked_unless_it_excepts_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    address = httpx.URL("http://qdrant.example:6333")
    assert proxy_for(address) is None
    with writing([WHOLE]) as (url, asked):
        monkeypatch.setenv("HTTP_PROXY", url.replace("//", "//me:secret@"))
        proxy = proxy_for(address)
        assert proxy is not None
        with impatient(proxy) as client:
            assert client.get(address).text == "ok"
    head = asked[0].lower()
    assert head.startswith(b"get http://qdrant.example:6333/ "), head
    assert b"proxy-authorization: basic " in head
    monkeypatch.setenv("NO_PROXY", "qdrant.example")
    assert proxy_for(address) is None


def test_a_request_that_is_under_way_ends_with_the_transport() -> None:
    transport = BoundedTransport(seconds=PATIENCE, limits=httpx.Limits())
    client = httpx.Client(transport=transport, timeout=PATIENCE)
    ended: list[httpx.TransportError] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def ask() -> None:
            try:
                client.get(f"http://127.0.0.1:{listening.getsockname()[1]}")
            except httpx.TransportError as error:
                ended.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(65_536)
            transport.close()
            thread.join(PATIENCE)
    assert [str(each) for each in ended] == ["the transport was closed"]


def test_requests_of_several_threads_are_under_way_at_once() -> None:
    transport = BoundedTransport(seconds=PATIENCE, limits=httpx.Limits(max_connections=3))
    answers: list[str] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        httpx.Client(transport=transport, timeout=PATIENCE) as client,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        threads = [
            threading.Thread(target=lambda: answers.append(client.get(url).text)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        # None of them is answered before all have come.
        connections = [listening.accept()[0] for _ in threads]
        for connection in connections:
            with connection:
                connection.sendall(WHOLE)
        for thread in threads:
            thread.join(PATIENCE)
    assert answers == ["ok"] * 3


def test_a_client_that_was_never_closed_does_not_hold_its_process() -> None:
    code = """
import httpx
from storage.qdrant.bounded_http import BoundedTransport
class Kept:
    transport = BoundedTransport(seconds=5, limits=httpx.Limits())
    def __del__(self): self.transport.close()
kept = Kept()
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=3 * PATIENCE, check=True)
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (b"retry-after: 2", "2"),
        (b"retry-after: 1.5", "2"),
        (
            b"date: Mon, 30 Nov 2026 12:00:00 GMT\r\nretry-after: Mon, 30 Nov 2026 12:00:09 GMT",
            "9",
        ),
        (b"retry-after: soon", None),
        (b"x-nothing: 1", None),
    ],
)
def test_the_wait_that_a_server_asks_for_becomes_whole_seconds(
    headers: bytes, seconds: str | None
) -> None:
    busy = b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n" + headers + b"\r\n\r\n"
    transport = Transport(seconds=PATIENCE, limits=httpx.Limits())
    with writing([busy]) as (url, _), httpx.Client(transport=transport) as client:
        assert client.get(url).headers.get("retry-after") == seconds


async def test_a_memory_that_drips_is_away_and_is_used_again_when_it_is_well() -> None:
    search = Search(vector=(1.0, 0.0), scope=SearchScope(include_public=True), limit=1)
    async with fake_qdrant() as qdrant:
        client = DatabaseClient(
            MemoryServer(qdrant.url, request_seconds=1.0),
            dimensions=2,
            fingerprint="test",
            jitter=lambda: 0.0,
            policy=RecoveryPolicy(retries=0, validations=0, updates=0),
        )
        await client.open()
        qdrant.failing = Failing.DRIPS
        try:
            async with asyncio.timeout(PATIENCE):
                given_up = await client.execute(search)
        except TimeoutError:
            pytest.fail("the worker thread is held: give its requests a bound as a whole")
        assert isinstance(given_up, Failure)
        assert isinstance(given_up.error, errors.ConnectionError)
        assert given_up.error.retryable
        qdrant.failing = None
        assert isinstance(await client.execute(search), Success)
        await client.close()


def test_a_proxy_is_named_with_or_without_its_scheme_and_passed_by_for_what_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside, inside = httpx.URL("https://qdrant.example:6333"), httpx.URL("https://near:6333")
    monkeypatch.setenv("no_proxy", "near:6333")
    for named in ("proxy.example:3128", "http://proxy.example:3128"):
        monkeypatch.setenv("https_proxy", named)
        proxy = proxy_for(outside)
        assert proxy is not None
        assert proxy.url == httpx.URL("http://proxy.example:3128")
        assert proxy_for(inside) is None
    monkeypatch.delenv("https_proxy")
    assert proxy_for(outside) is None

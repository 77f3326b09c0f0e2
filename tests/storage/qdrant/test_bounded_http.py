"""A Qdrant server that sends a byte now and then, without end: each request of ours ends all the same."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import httpx
import pytest

from machines.models import errors
from storage.memory.values import Failure, RecoveryPolicy, Search, SearchScope, Success
from storage.qdrant.bounded_http import BoundedTransport, proxy_for
from storage.qdrant.client import DatabaseClient, MemoryServer
from tests.support.eventually import PATIENCE
from tests.support.fake_qdrant import Failing, fake_qdrant

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

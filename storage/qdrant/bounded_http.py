"""HTTP whose every request ends in time, whatever its server does; nothing here knows Qdrant.

A timeout of httpx bounds each silence, and starts anew with each byte: a server that sends one now and
then would hold a request, and the one thread that makes them, for ever. Here each wait on the
network is cut to what is left for the whole request, from the first connect to the last byte of the
answer. Looking up a name is the system's to bound, each address of a name may take all that is left,
and so may TLS within TLS, which an https proxy makes of an https server. Imported by whoever connects: httpx is heavy.
"""

import math
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

_SLICE: Final = 16_384
"""Bytes that are handed to the network at once; what is left is looked at before each."""


class BoundedTransport(httpx.BaseTransport):
    """A transport for one thread that makes one request at a time, and reads it to its end."""

    def __init__(
        self,
        *,
        seconds: float,
        limits: httpx.Limits,
        proxy: httpx.Proxy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected yet.

        Args:
            seconds: The longest that a request may take, its answer included.
            limits: Of the connections that are kept.
            proxy: What to go through, as `proxy_for` says.
            clock: Seconds that never go back.
        """
        self._seconds = seconds
        self._deadline = _Deadline(clock)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            proxy=None
            if proxy is None
            else httpcore.Proxy(
                str(proxy.url),
                auth=proxy.raw_auth,
                headers=proxy.headers.raw,
                ssl_context=proxy.ssl_context,
            ),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_BoundedBackend(self._deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; whoever gets the answer reads it within the same bound.

        Raises:
            httpcore.TimeoutException: nothing came for as long as the request's own timeouts say,
                or the time of the whole is over; reading the answer raises it too.
            httpcore.NetworkError, httpcore.ProtocolError: as the network has it.
        """
        self._deadline.begin(self._seconds)
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY` and so on)."""
    if proxy_bypass(url.netloc.decode()):
        return None
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy:
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


class _Deadline:
    """When the request that is under way has to be over."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at = math.inf

    def begin(self, seconds: float) -> None:
        """Count from now."""
        self._at = self._clock() + seconds

    def within(self, timeout: float | None) -> float | None:
        """A timeout, cut to what is left. Raises TimeoutException where nothing is."""
        left = self._at - self._clock()
        if left <= 0:
            raise httpcore.TimeoutException("the request as a whole took too long")
        return left if timeout is None else min(timeout, left)


class _Body(httpx.SyncByteStream):
    """The bytes of an answer, as they come."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _BoundedBackend(httpcore.NetworkBackend):
    """Connects with streams that mind the deadline."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._network.connect_tcp(
            host, port, self._deadline.within(timeout), local_address, socket_options
        )
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    """A connection each of whose waits minds the deadline of the request that is under way."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Within one call the timeout begins again whenever the peer took some of it.
        for start in range(0, len(buffer), _SLICE):
            part = buffer[start : start + _SLICE]
            self._stream.write(part, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.within(timeout)
        )
        return _BoundedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)

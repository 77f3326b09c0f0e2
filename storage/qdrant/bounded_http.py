"""HTTP whose every request ends in time, whatever its server does; nothing here knows Qdrant.

A timeout of httpx bounds each silence, and starts anew with each byte: a server that sends one now and
then would hold a request, and the one thread that makes them, for ever. Here a request runs on an
event loop of its own, which gives it up when the time of the whole is over, from looking up the name
to the last byte of the answer. Imported on connecting: httpx is heavy.
"""

import asyncio
from collections.abc import AsyncIterable
from typing import cast
from urllib.request import getproxies, proxy_bypass

import httpx


class BoundedTransport(httpx.BaseTransport):
    """A transport for one thread, in which no event loop runs; it makes one request at a time."""

    def __init__(
        self, *, seconds: float, limits: httpx.Limits, proxy: httpx.Proxy | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            seconds: The longest that a request may take, its answer included.
            limits: Of the connections that are kept.
            proxy: What to go through, as `proxy_for` says.
        """
        self._seconds = seconds
        self._network = httpx.AsyncHTTPTransport(limits=limits, proxy=proxy)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose content is in memory, and read its answer to the end.

        Raises:
            httpx.TimeoutException: nothing came for as long as the request's own timeouts say, or
                the time of the whole is over.
            httpx.TransportError: as the network has it.
        """
        return self._runner.run(self._answer(request))

    def close(self) -> None:
        """Close every connection."""
        self._runner.run(self._network.aclose())
        self._runner.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._network.handle_async_request(request)
                try:
                    stream = cast("AsyncIterable[bytes]", answer.stream)
                    body = b"".join([part async for part in stream])
                finally:
                    await answer.aclose()
        except TimeoutError as late:
            raise httpx.TimeoutException("the request as a whole took too long") from late
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body)
        )


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY` and so on)."""
    if proxy_bypass(url.netloc.decode()):
        return None
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy:
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")

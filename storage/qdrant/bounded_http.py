"""HTTP whose every request ends in time, whatever its server does; nothing here knows Qdrant.

A timeout of httpx bounds each silence, and starts anew with each byte: a server that sends one now and
then would hold a request, and the thread that waits for it, for ever. Here requests run on an
event loop in a thread of its own, which gives one up when the time of the whole is over, from looking
up the name to the last byte of the answer. Imported on connecting: httpx is heavy.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterable
from concurrent.futures import CancelledError
from typing import cast
from urllib.request import getproxies, proxy_bypass

import httpx


class BoundedTransport(httpx.BaseTransport):
    """A transport for any number of threads that may wait, each for one request at a time."""

    def __init__(
        self, *, seconds: float, limits: httpx.Limits, proxy: httpx.Proxy | None = None
    ) -> None:
        """Nothing is connected yet; `close` ends the thread that is begun here.

        Args:
            seconds: The longest that a request may take, its answer and the wait for a connection
                included.
            limits: Of the connections.
            proxy: What to go through, as `proxy_for` says.
        """
        self._seconds = seconds
        self._network = httpx.AsyncHTTPTransport(limits=limits, proxy=proxy)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="chorus-memory-http", daemon=True)
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose content is in memory, and read its answer to the end.

        Raises:
            httpx.TimeoutException: nothing came for as long as the request's own timeouts say, or
                the time of the whole is over.
            httpx.TransportError: as the network has it, or the transport was closed meanwhile.
        """
        try:
            return asyncio.run_coroutine_threadsafe(self._answer(request), self._loop).result()
        except CancelledError as ended:
            raise httpx.TransportError("the transport was closed") from ended

    def close(self) -> None:
        """End the requests that are under way, and close every connection."""
        if sys.is_finalizing():
            return  # a client that was never closed; the thread is held already
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

    async def _end(self) -> None:
        requests = asyncio.all_tasks() - {asyncio.current_task()}
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await self._network.aclose()

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

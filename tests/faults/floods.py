"""Floods: sockets that send as fast as they can, most of them without a sign-in, and what others
notice of it.

Somebody else's pings are timed on the same server before a flood and during it. On a machine of its
own the slowest of a hundred stays under 20 ms; what a busy one adds, it adds to both.
"""

import asyncio
import math
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.faults.campaign import Campaign, scenario
from tests.support.client import Client, connected
from tests.support.raw_socket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    asked,
    dial,
    flooding,
    frame,
    request,
    sign_in,
    upgrade,
)
from tests.support.served import ServerProcess, served

SOCKETS: Final = 4
"""That flood at once."""

PINGS: Final = 100
PINGS_IN_SHORT: Final = 40

PAUSE_SECONDS: Final = 0.025
"""Between two pings: a client may send 50 frames a second."""

MOST_SECONDS: Final = 0.02
"""Of a ping's 99th percentile in a flood, besides what it is without one."""

_ASKED: Final = b'{"type":"ping","id":"1","data":{}}'
_COUNT: Final = 40_000
"""Frames of one wave."""


@dataclass(frozen=True)
class Flood:
    """What hostile sockets send."""

    opened: Callable[[str], socket.socket]
    """Opens one, to the server at a URL."""
    opening: Callable[[str], bytes]
    """Sent first."""
    wave: Callable[[str], bytes]
    """Sent again and again."""


def _nothing(_url: str) -> bytes:
    return b""


def _frames(wave: bytes, opening: bytes = b"") -> Flood:
    return Flood(upgrade, lambda _: opening, lambda _: wave)


def _chunked(url: str) -> bytes:
    host = url.removeprefix("http://")
    head = f"POST /healthz HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode()


def _requests(path: str, url: str) -> bytes:
    host = url.removeprefix("http://")
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() * 2_000


def _reads(url: str) -> bytes:
    """Everything that there is to read, of a public thread that is made for it."""
    with sign_in(url) as line:
        thread_id = asked(line, "create_thread", name="To be read", visibility="public")[
            "thread_id"
        ]
        for _ in range(8):
            asked(line, "submit_prompt", thread_id=thread_id, prompt="to be read " * 2_500)
    reads = (
        request("get_events", thread_id=thread_id, after_seq=0, limit=1_000),
        request("get_thread", thread_id=thread_id, limit=200, after_seq=0),
        request("list_threads", scope="public", limit=200),
        request("search", query="to be read", limit=80),
    )
    return b"".join(reads) * 200


FLOODS: Final = {
    "PING frames": _frames(frame(PING) * _COUNT),
    "PONG frames": _frames(frame(PONG) * _COUNT),
    "frames that are no JSON": _frames(frame(TEXT, b"{") * _COUNT),
    "requests": _frames(frame(TEXT, _ASKED) * _COUNT),
    "pieces of a message that never ends": _frames(
        frame(0, final=False) * _COUNT, opening=frame(TEXT, final=False)
    ),
    "frames behind a close": _frames(frame(CLOSE) + frame(TEXT, b"{") * _COUNT),
    "chunks of one byte": Flood(dial, _chunked, lambda _: b"1\r\nx\r\n" * _COUNT),
    "reads, signed in": Flood(sign_in, _nothing, _reads),
    "HTTP requests": Flood(dial, _nothing, partial(_requests, "/asyncapi.json")),
}
"""By what is sent."""


@dataclass(frozen=True)
class Delays:
    """Seconds that pings took."""

    quiet: tuple[float, ...]
    flooded: tuple[float, ...]

    def __str__(self) -> str:
        return f"{_told(self.quiet)} without, {_told(self.flooded)} with it"


def percentile(delays: tuple[float, ...], percent: int) -> float:
    """The delay that so many percent do not exceed."""
    return sorted(delays)[max(math.ceil(len(delays) * percent / 100) - 1, 0)]


def _told(delays: tuple[float, ...]) -> str:
    median, slow = statistics.median(delays), percentile(delays, 99)
    return f"median {median * 1000:.1f} ms, p99 {slow * 1000:.1f} ms"


async def delays_in(flood: Flood, server: ServerProcess, pings: int) -> Delays:
    """Somebody pings the server, without the flood and in it."""
    async with connected(server.url) as somebody:
        quiet = await _timed(somebody, pings)
        wave, opening = await asyncio.to_thread(flood.wave, server.url), flood.opening(server.url)
        with flooding(partial(flood.opened, server.url), opening, wave, SOCKETS):
            flooded = await _timed(somebody, pings)
    return Delays(quiet, flooded)


async def _timed(client: Client, pings: int) -> tuple[float, ...]:
    delays = []
    for _ in range(pings):
        begun = time.perf_counter()
        await client.ask("ping")
        delays.append(time.perf_counter() - begun)
        await asyncio.sleep(PAUSE_SECONDS)
    return tuple(delays)


@scenario("floods")
async def floods(campaign: Campaign) -> None:
    """Each flood, at a server with the rates that it comes with."""
    pings = PINGS_IN_SHORT if campaign.short else PINGS
    async with served(campaign.folder, frames_per_second=50, read_kib_per_second=512) as server:
        for sent, flood in FLOODS.items():
            delays = await delays_in(flood, server, pings)
            print(f"flood of {sent}: {delays}", flush=True)
            held = percentile(delays.flooded, 99) <= MOST_SECONDS + percentile(delays.quiet, 99)
            if not held:
                campaign.failed(f"a flood of {sent} kept somebody else waiting: {delays}")
            campaign.injected("sockets that flood", SOCKETS, survived=SOCKETS if held else 0)

"""The network fails: consumers that read nothing, and everybody at once.

    stall           consumers that read nothing, while others go on
    come_back       a server that goes away in an orderly way, and everybody who comes back at once

Each gives what it found; the scenarios of the campaign count it, and the tests hold it against
bounds. Lines that break are `tests.faults.drifting`.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from server.sockets.outbox import HIGH_WATER, OUTBOX_CAP
from tests.faults.campaign import Campaign, scenario
from tests.faults.drifting import UNLIMITED, journal_of
from tests.support.client import Client, Data, Identity, new_id, signed_in
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.served import ServerProcess, served

LONGEST_PING_SECONDS: Final = 3.0
"""Of somebody who reads while others do not; on a machine that has other things to do."""

GOING_AWAY: Final = 1001
TOO_SLOW: Final = 4008
CUT: Final = 1006


# --- Consumers that read nothing -----------------------------------------------------------------

FLOOD: Final = 220
"""Frames of some 32 KB: more than kernels, transports and outboxes hold together."""

MEBIBYTE: Final = 1_048_576
FLOOD_BYTES: Final = 32 * MEBIBYTE

LONG: Final = " ".join(f"so on {number} times" for number in range(1_800))[:31_850]
"""A prompt that is nearly as long as one may be."""


@dataclass
class Stalled:
    """What consumers did to the server that read nothing."""

    codes: list[int | None]
    """How each of them was closed; 1006 where the server gave up telling it."""
    grown_bytes: int
    """What the server took of memory meanwhile."""
    latencies: list[float]
    """Seconds of the pings of somebody who reads, during the flood."""
    received: int
    """Entries of the flood that this somebody got."""

    @property
    def budget_bytes(self) -> int:
        """What the server may take: so much for each consumer, and the flood itself, which it
        journals and sends to those who read."""
        return FLOOD_BYTES + len(self.codes) * (OUTBOX_CAP + HIGH_WATER)

    @property
    def closed(self) -> int:
        """Consumers that the server closed."""
        return sum(code in {TOO_SLOW, CUT} for code in self.codes)


async def stall(server: ServerProcess, *, consumers: int, flood: int = FLOOD) -> Stalled:
    """Consumers that follow a busy thread and read nothing."""
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(signed_in(server.url))
        asker = await stack.enter_async_context(signed_in(server.url))
        thread_id = await host.new_thread(visibility="public")
        lazy: list[aiohttp.ClientWebSocketResponse] = []
        for _ in range(consumers):
            identity = Identity()  # a co-author: others are not shown what is not approved
            async with signed_in(server.url, identity) as guest:
                await host.bring_in(guest, thread_id)
            consumer = _lazy(server.url, identity, thread_id)
            lazy.append(await stack.enter_async_context(consumer))
        before = await asyncio.to_thread(_resident_bytes, server.pid)
        peak = before
        latencies: list[float] = []
        flooding = asyncio.create_task(_flood(asker, thread_id, flood))
        while not flooding.done():
            began = time.monotonic()
            await host.ask("ping")
            latencies.append(time.monotonic() - began)
            peak = max(peak, await asyncio.to_thread(_resident_bytes, server.pid))
            await asyncio.wait({flooding}, timeout=0.01)
        await flooding
        codes = await asyncio.gather(*(_read_at_last(each) for each in lazy))
        submitted = await host.until_count(
            flood, lambda each: each["data"].get("kind") == "message_submitted", "the whole flood"
        )
        return Stalled(list(codes), peak - before, latencies, len(submitted))


async def _flood(asker: Client, thread_id: str, flood: int) -> None:
    """Somebody from outside submits: messages that wait for approval, and start no run."""
    for number in range(flood):
        await asker.ask("submit_prompt", thread_id=thread_id, prompt=f"{number} {LONG}")


@asynccontextmanager
async def _lazy(
    url: str, identity: Identity, thread_id: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A follower of the thread that reads nothing from there on."""

    def small(address: Any) -> socket.socket:
        family, kind, protocol = address[:3]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        return made

    connector = aiohttp.TCPConnector(socket_factory=small)
    async with aiohttp.ClientSession(connector=connector) as http:
        ws = await http.ws_connect(f"{url}/ws", protocols=["chorus.v1"], max_msg_size=0)
        challenge = await _ask(ws, "connect", public_key=identity.public_key)
        await _ask(ws, "authenticate", signature=identity.sign(challenge["statement"]))
        await _ask(ws, "get_thread", thread_id=thread_id)
        try:
            yield ws
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await ws.close()


async def _ask(ws: aiohttp.ClientWebSocketResponse, type_: str, **data: Any) -> Data:
    request_id = new_id()
    await ws.send_json({"type": type_, "id": request_id, "data": data})
    while True:
        frame = await ws.receive_json(timeout=20)
        if frame["re"] == request_id:
            assert frame["type"] != "error", frame
            return dict(frame["data"])


async def _read_at_last(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read what there is, and how it ends."""
    try:
        async with asyncio.timeout(20):
            async for _ in ws:
                pass
    except TimeoutError:
        return None
    return ws.close_code


def _resident_bytes(pid: int) -> int:
    """Memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (each.split()[1] for each in status.splitlines() if each.startswith("VmRSS"))
    return int(kilobytes) * 1024


# --- Everybody at once ---------------------------------------------------------------------------


@dataclass
class CameBack:
    """What became of everybody when the server went away and came back."""

    told: int
    """Connections that were closed with 1001."""
    exit_code: int
    seconds: float
    """Until the last of all who came at once had caught up."""
    back: int
    """Who resumed, and has seen every entry once."""
    run_status: str
    """How the run ended that was under way."""
    problems: list[str] = field(default_factory=list)


async def come_back(server: ServerProcess, model: ObedientModel, *, people: int) -> CameBack:
    """SIGTERM while a run streams to all, a new start, and everybody resumes at the same moment."""
    prompt = "Who goes away?"
    model.hold(prompt, "yield")
    problems: list[str] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        crowd = await _crowd(server, http, people)
        thread_id = await crowd[0].new_thread(visibility="public")
        await asyncio.gather(*(each.follow(thread_id, after_seq=0) for each in crowd[1:]))
        run = await crowd[0].ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        run_id = run["run_id"]
        await asyncio.gather(*(each.response(run_id, "delta", step="yield") for each in crowd))

        stopping = asyncio.create_task(server.stop())
        codes = await asyncio.gather(*(each.close_code() for each in crowd))
        exit_code = await stopping
        await server.start()

        began = time.monotonic()
        again = await asyncio.gather(*(_resumed(server, http, each, thread_id) for each in crowd))
        seconds = time.monotonic() - began
        ended = await again[0].end_of(run_id)
        entries = await journal_of(again[0], thread_id)
        back = 0
        for before, after in zip(crowd, again, strict=True):
            await after.until_seq(len(entries))
            seen = [*before.live(thread_id), *after.live(thread_id)]
            # Who made the thread began to follow it behind its first entry.
            back += int(
                seen == entries[len(entries) - len(seen) :] and len(seen) >= len(entries) - 1
            )
        for each in (*crowd, *again):
            await each.close()
            problems.extend(each.faults)
    return CameBack(
        told=codes.count(GOING_AWAY),
        exit_code=exit_code,
        seconds=seconds,
        back=back,
        run_status=ended["status"],
        problems=problems,
    )


async def _crowd(server: ServerProcess, http: aiohttp.ClientSession, people: int) -> list[Client]:
    """So many people, signed in; a few at a time, since here it is not about sign-in."""
    few = asyncio.Semaphore(50)

    async def come() -> Client:
        async with few:
            client = await _connected(server, http)
            await client.sign_in(Identity())
            return client

    return list(await asyncio.gather(*(come() for _ in range(people))))


async def _resumed(
    server: ServerProcess, http: aiohttp.ClientSession, before: Client, thread_id: str
) -> Client:
    """Somebody who was there before, and goes on where they were."""
    client = await _connected(server, http)
    await client.resume(before.token)
    assert before.followed is not None
    await client.follow(thread_id, after_seq=before.followed.seq)
    return client


async def _connected(server: ServerProcess, http: aiohttp.ClientSession) -> Client:
    ws = await http.ws_connect(f"{server.url}/ws", protocols=["chorus.v1"], max_msg_size=0)
    return Client(ws, server.url)


# --- The campaign --------------------------------------------------------------------------------


@scenario("network: consumers read nothing")
async def consumers_stall(campaign: Campaign) -> None:
    """Consumers that read nothing are closed, in bounded memory."""
    consumers = 5 if campaign.short else 20
    async with served(campaign.folder, **UNLIMITED) as server:
        found = await stall(server, consumers=consumers)
    campaign.injected("consumer reads nothing", consumers, survived=found.closed)
    if found.grown_bytes > found.budget_bytes:
        campaign.failed(f"the server grew by {found.grown_bytes / MEBIBYTE:.0f} MiB")
    if max(found.latencies) > LONGEST_PING_SECONDS:
        campaign.failed(f"somebody who reads waited {max(found.latencies):.1f} s")


@scenario("network: everybody at once")
async def everybody_at_once(campaign: Campaign) -> None:
    """SIGTERM, a new start, and a thousand people who come back at once."""
    people = 100 if campaign.short else 1_000
    async with obedient_model() as model, served(campaign.folder, model.url, **UNLIMITED) as server:
        found = await come_back(server, model, people=people)
    for problem in found.problems:
        campaign.failed(problem)
    campaign.injected("SIGTERM: told with 1001", people, survived=found.told)
    campaign.injected(
        "reconnects at once", people, survived=found.back, lost=int(found.run_status != "finished")
    )

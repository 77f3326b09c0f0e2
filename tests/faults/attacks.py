"""Attacks on what is bounded: requests at the same moment, sessions that end while they read, strangers
who fill somebody's lists, texts that cost most, replies that are never taken, and malformed requests.

Sockets that send as fast as they can are in `tests.faults.floods`.
"""

import asyncio
import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import aiohttp

from server.wire.markdown import render_markdown
from tests.faults.campaign import Campaign, scenario
from tests.support.client import MAX_SERVER_FRAME_BYTES, Identity, connected
from tests.support.in_process import Caller, open_test_services
from tests.support.races import (
    INVITATIONS,
    QUEUE,
    READS,
    Pauses,
    invitations_at_once,
    private_thread,
    prompts_at_once,
    session_that_ends_while_it_reads,
)
from tests.support.raw_socket import dial, request, sign_in
from tests.support.served import served

ROUNDS: Final = 150
ROUNDS_IN_SHORT: Final = 10
"""Of each race."""

STRANGERS: Final = 100
LONG_NAME: Final = "\N{GRINNING FACE}" * 80

COSTLY: Final = ("![", "[a](b) ", "**a ", "> *\n\n", "<http://a> ", "`a", "|a", "a![")
"""Markdown that is made to cost most."""

UNREAD_SOCKETS: Final = 24
PAGES_ASKED: Final = 40
"""Of some 250 KB each, by one socket."""
OUTBOX_MIB: Final = 8

MALFORMED: Final = 400
MARK: Final = b"\x1b[31mWHAT-THE-SENDER-WROTE"


@scenario("races")
async def races(campaign: Campaign) -> None:
    """Requests that arrive at the same moment, and sessions that end while they read."""
    rounds = ROUNDS_IN_SHORT if campaign.short else ROUNDS
    pauses = Pauses(campaign.random)
    async with open_test_services(
        campaign.folder,
        moody=True,
        thread_queue=QUEUE,
        invitations_per_user=INVITATIONS,
        invitations_per_key=INVITATIONS,
    ) as services:
        people = [await Caller(services).sign_in(Identity()) for _ in range(5)]
        guest = Identity()
        joining = await Caller(services).sign_in(guest)
        thread_id = await private_thread(people[0], joining)
        joining.drop()
        for _ in range(rounds):
            for read in READS:
                with campaign.fault(f"a session ends during {read}"):
                    await session_that_ends_while_it_reads(services, pauses, guest, thread_id, read)
            with campaign.fault("prompts at once into a thread's queue"):
                await prompts_at_once(pauses, people[:2])
        for fault, inviters in (
            ("invitations of one key at once", people),
            ("invitations by one user at once", [people[0]] * 5),
        ):
            threads = await _threads_of(inviters)
            for _ in range(rounds):
                with campaign.fault(fault):
                    await invitations_at_once(pauses, inviters, threads)


async def _threads_of(people: Iterable[Caller]) -> list[str]:
    return [(await each.get("create_thread", name="Come"))["thread_id"] for each in people]


@scenario("strangers")
async def strangers(campaign: Campaign) -> None:
    """Strangers invite somebody into threads with long names, and write what costs most: each frame
    stays within its bound, and the invited one comes in all the same."""
    count = STRANGERS // 10 if campaign.short else STRANGERS
    async with open_test_services(campaign.folder, moody=True, invitations_per_key=0) as services:
        victim = Identity()
        for _ in range(count):
            with campaign.fault("an invitation into a thread with a long name"):
                stranger = await Caller(services).sign_in(Identity())
                thread = await stranger.get("create_thread", name=LONG_NAME)
                await stranger.get(
                    "invite_co_author", thread_id=thread["thread_id"], public_key=victim.public_key
                )
                stranger.drop()
                coming = await Caller(services).sign_in(victim)
                assert max(len(text.encode()) for text in coming.line.texts) <= (
                    MAX_SERVER_FRAME_BYTES
                )
                coming.drop()
        writer = await Caller(services).sign_in(Identity())
        for number in range(count):
            with campaign.fault("a page of the longest messages"):
                await _longest_page(writer, campaign.random, number)
    for pattern in COSTLY:
        with campaign.fault("Markdown that costs most to render"):
            rendered = await asyncio.to_thread(render_markdown, pattern * (16_000 // len(pattern)))
            assert rendered


async def _longest_page(writer: Caller, dice: random.Random, number: int) -> None:
    (thread_id,) = await _threads_of([writer])
    letter = dice.choice("\N{GRINNING FACE}\x01<\u6f22")
    prompt = f"HOLD {number} {letter * 31_000}"
    for _ in range(4):
        await writer.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    # The line refuses a frame that is larger than 256 KiB.
    asked: dict[str, dict[str, Any]] = {
        "get_thread": {"limit": 200, "after_seq": 0},
        "get_events": {"limit": 1000, "after_seq": 0},
    }
    for type_, data in asked.items():
        await writer.get(type_, thread_id=thread_id, **data)
    await writer.get("archive_thread", thread_id=thread_id)
    writer.line.clear()


@scenario("unread")
async def unread(campaign: Campaign) -> None:
    """Sockets that ask for pages and read nothing: all outboxes stay within one budget, and who reads
    is served."""
    count = UNREAD_SOCKETS // 4 if campaign.short else UNREAD_SOCKETS
    settings: dict[str, Any] = {
        "outbox_mib": OUTBOX_MIB,
        "read_kib_per_second": 0,
        "frames_per_second": 0,
        "connections_per_user": 0,
        "sign_ins_per_minute": 0,
    }
    async with served(campaign.folder, **settings) as server, connected(server.url) as other:
        await other.sign_in(Identity())
        created = await other.ask("create_thread", name="Long", visibility="public")
        for _ in range(8):
            prompt = "x" * 31_000
            await other.ask("submit_prompt", thread_id=created["thread_id"], prompt=prompt)
        wave = b"".join(
            request("get_events", thread_id=created["thread_id"], after_seq=0, limit=1000)
            for _ in range(PAGES_ASKED)
        )
        lines: list[socket.socket] = []
        try:
            for _ in range(count):
                with campaign.fault("a socket that reads nothing of what it asked for"):
                    lines.append(await asyncio.to_thread(sign_in, server.url))
                    await asyncio.to_thread(lines[-1].sendall, wave)
                    assert await other.ask("ping") == {}
                    assert await _outbox_bytes(server.url) <= OUTBOX_MIB * 1_048_576
        finally:
            for line in lines:
                line.close()


async def _outbox_bytes(url: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (value,) = [each.split()[1] for each in lines if each.startswith("chorus_outbox_bytes ")]
    return float(value)


@scenario("logs")
async def logs(campaign: Campaign) -> None:
    """Malformed HTTP: the log counts it, and holds nothing of it."""
    count = MALFORMED // 10 if campaign.short else MALFORMED
    async with served(campaign.folder) as server:
        for number in range(count):
            with campaign.fault("a request that is no HTTP"):
                await asyncio.to_thread(_send_malformed, server.url, number)
        log = server.log()
    assert "SENDER" not in log, log
    assert "Traceback" not in log, log
    assert log.count("requests that are no HTTP were refused") <= 1 + count // 60, log


def _send_malformed(url: str, number: int) -> None:
    wave = (
        b"GET / HTTP/1.1\r\nBad Header" + MARK + b"\r\n\r\n",
        MARK * 10 + b"\r\n\r\n",
        b"GET / HTTP/9" + MARK + b"\r\n\r\n",
    )[number % 3]
    with dial(url) as line, suppress(OSError):
        line.sendall(wave)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(65_536)
        assert MARK not in answer, answer

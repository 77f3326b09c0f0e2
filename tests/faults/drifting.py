"""People whose lines break at random bytes, again and again: nobody may miss an entry or see one twice.

A line that breaks is cut, or half open: the client is gone, and the server never hears of it.
"""

import asyncio
import random
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import pytest

from tests.faults.cable import Cable, cable_to
from tests.faults.campaign import Campaign, scenario
from tests.faults.people import Cut, Line
from tests.support.client import Client, Frame, Identity, new_id, signed_in
from tests.support.eventually import eventually
from tests.support.obedient_model import obedient_model
from tests.support.served import ServerProcess, served

UNLIMITED: Final[dict[str, Any]] = {
    "connections_per_user": 0,
    "thread_queue": 0,
    "pending_per_user": 0,
    "pending_per_thread": 0,
}

NOTICE_SECONDS: Final = 90.0
"""Two pings without an answer, or no sign-in, end a connection; and some more."""

PROMPTS_EACH: Final = 3
MOST_BYTES: Final = 12_000
"""A line breaks before it has carried more: a run tells its followers as much."""


@dataclass
class Drifted:
    """What became of people whose lines broke."""

    cut: int = 0
    muted: int = 0
    entries: int = 0
    """Of the thread."""
    lost: int = 0
    """Entries that somebody never saw, prompts that are not there, answers that never came."""
    duplicated: int = 0
    """Entries that somebody was shown twice, prompts that are there twice."""
    left_open: int = 0
    """Half-open sockets that the server still had when it had been given the time to notice."""
    problems: list[str] = field(default_factory=list)


@dataclass
class Drifter:
    """Somebody who asks and follows, over a line that breaks."""

    cable: Cable
    http: aiohttp.ClientSession
    thread_id: str
    dice: random.Random
    found: Drifted
    breaks: int
    """How often the line breaks; then it holds."""
    runs: int
    """Of the whole thread."""
    identity: Identity = field(default_factory=Identity)
    seen: list[Frame] = field(default_factory=list)
    """Every entry, over all lines."""
    unanswered: dict[str, str] = field(default_factory=dict)
    """Prompts by the id of their request."""
    prompts: list[str] = field(default_factory=list)
    _token: str = ""
    _lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        me = self.identity.public_key[:6]
        self.prompts = [f"What does {me} ask, {number}?" for number in range(PROMPTS_EACH)]
        self.unanswered = {new_id(): prompt for prompt in self.prompts}

    @property
    def done(self) -> bool:
        """Whether everything was asked, and the end of every run was shown."""
        ends = {"finished", "failed", "cancelled"}
        ended = [each for each in self.seen if each["data"].get("status") in ends]
        return not self.unanswered and len(ended) >= self.runs

    async def drift(self) -> None:
        """Ask and follow until everything has ended."""
        while not self.done:
            if self.breaks > 0:
                self.breaks -= 1
                after = int(MOST_BYTES ** self.dice.uniform(0.4, 1.0))
                self.cable.arm(after, mute=self.dice.random() < 0.25)
            else:
                self.cable.arm(None)
            try:
                await self._stay()
            except Cut:
                self.found.muted += int(self.cable.mute)
                self.found.cut += int(not self.cable.mute)

    async def leave(self) -> None:
        """End what is left of all lines, and report what the server did wrong on them."""
        self.cable.abort()
        for line in self._lines:
            await line.close()
            self.found.problems.extend(line.faults)

    async def _stay(self) -> None:
        """One connection. Raises Cut."""
        try:
            ws = await self.http.ws_connect(
                self.cable.ws_url,
                headers=self.cable.headers,
                protocols=["chorus.v1"],
                max_msg_size=0,
            )
        except (aiohttp.ClientError, ConnectionError):
            raise Cut from None
        line = Line(ws, f"http://{self.cable.host}:{self.cable.port}")
        self._lines.append(line)
        line.watch = self._see
        await line.greeted()
        if self._token:
            await line.resume(self._token)
        else:
            await line.sign_in(self.identity)
            self._token = line.token
        await line.follow(self.thread_id, after_seq=len(self.seen))
        for request_id, prompt in tuple(self.unanswered.items()):
            await line.ask(
                "submit_prompt", request_id=request_id, thread_id=self.thread_id, prompt=prompt
            )
            del self.unanswered[request_id]
        try:
            await line.until(lambda _: self.done, "the end of all runs")
        except pytest.fail.Exception:
            if line.cut:
                raise Cut from None
            raise

    def _see(self, frame: Frame) -> None:
        if frame["seq"] <= len(self.seen):
            self.found.duplicated += 1
            self.found.problems.append(f"entry {frame['seq']} was shown again")
        elif frame["seq"] > len(self.seen) + 1:
            self.found.lost += 1
            self.found.problems.append(f"entry {frame['seq']} came after {len(self.seen)}")
        self.seen.append(frame)


async def drift(
    server: ServerProcess,
    dice: random.Random,
    *,
    people: int,
    breaks: int,
    notice_seconds: float = 0.0,
) -> Drifted:
    """People in one thread whose lines break `breaks` times each.

    With `notice_seconds` the server is then given so long to notice who has gone without a word.
    """
    found = Drifted()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(signed_in(server.url))
        thread_id = await host.new_thread(visibility="public")
        http = await stack.enter_async_context(aiohttp.ClientSession())
        drifters: list[Drifter] = []
        for _ in range(people):
            cable = await stack.enter_async_context(cable_to(server.url))
            runs = people * PROMPTS_EACH
            own = random.Random(dice.random())
            drifter = Drifter(cable, http, thread_id, own, found, breaks, runs)
            stack.push_async_callback(drifter.leave)
            drifters.append(drifter)
            async with signed_in(server.url, drifter.identity) as guest:
                await host.bring_in(guest, thread_id)
        await asyncio.gather(*(drifter.drift() for drifter in drifters))
        entries = await journal_of(host, thread_id)
        if notice_seconds:
            expected = people + 1
            found.left_open = await _surplus_sockets(server.url, expected, notice_seconds)
    found.entries = len(entries)
    for drifter in drifters:
        if drifter.seen != entries:
            found.lost += 1
            found.problems.append("somebody was shown another thread than the journal has")
        for prompt in drifter.prompts:
            _count_prompt(prompt, entries, found)
    return found


def _count_prompt(prompt: str, entries: list[Frame], found: Drifted) -> None:
    """An acknowledged prompt is there once, and its run ended well once."""
    asked = [
        each["data"]["message_id"]
        for each in entries
        if each["data"].get("kind") == "message_submitted"
        if each["data"]["message"]["content"] == prompt
    ]
    answered = [
        each
        for each in entries
        if each["data"].get("status") == "finished" and each["data"]["message_id"] in asked
    ]
    for what, times in (("asked", len(asked)), ("answered", len(answered))):
        if times != 1:
            found.lost += int(times == 0)
            found.duplicated += max(times - 1, 0)
            found.problems.append(f"{prompt!r} was {what} {times} times")


async def journal_of(client: Client, thread_id: str) -> list[Frame]:
    """All entries of a thread."""
    entries: list[Frame] = []
    more = True
    while more:
        page = await client.ask("get_events", thread_id=thread_id, after_seq=len(entries))
        entries.extend(page["entries"])
        more = page["has_more"]
    return entries


async def _surplus_sockets(url: str, expected: int, seconds: float) -> int:
    """How many sockets more than `expected` the server has, once it has none or time is over."""
    surplus = 0

    async def none_is_left() -> bool:
        nonlocal surplus
        async with http.get(f"{url}/metrics") as response:
            lines = (await response.text()).splitlines()
        (count,) = (each.split()[1] for each in lines if each.startswith("chorus_connections "))
        surplus = max(int(float(count)) - expected, 0)
        return not surplus

    async with aiohttp.ClientSession() as http:
        if not await none_is_left():
            with suppress(pytest.fail.Exception):
                await eventually(none_is_left, "no socket was left open", within=seconds)
    return surplus


@scenario("network: lines break")
async def lines_break(campaign: Campaign) -> None:
    """Lines that are cut or half open, at any byte."""
    people, breaks = (3, 8) if campaign.short else (5, 60)
    async with obedient_model() as model, served(campaign.folder, model.url, **UNLIMITED) as server:
        notice = 0.0 if campaign.short else NOTICE_SECONDS
        found = await drift(
            server, campaign.random, people=people, breaks=breaks, notice_seconds=notice
        )
    for problem in found.problems:
        campaign.failed(problem)
    campaign.injected(
        "line cut at any byte", found.cut, lost=found.lost, duplicated=found.duplicated
    )
    campaign.injected("line half open", found.muted, survived=found.muted - found.left_open)

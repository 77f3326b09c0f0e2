"""Time fails: the wall clock steps an hour forward and back, over deadlines, and while nobody looks.

Deadlines, sessions and waits stay sane; messages expire by themselves, also where their deadline
passed while no server ran.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import pytest

from tests.faults.campaign import Campaign, scenario
from tests.faults.faulty_server import Orders
from tests.faults.kill import Life
from tests.support.client import Client, Identity, connected, new_id, signed_in
from tests.support.eventually import eventually

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
APPROVAL_DAYS: Final = 1
"""Few: replies are remembered for a week of the clock, and the load asks for old ones."""

SESSION_HOURS: Final = 24

SOME: Final = 12
"""Requests that are accepted before the clock steps, and after it."""


@dataclass
class Clock:
    """The server's wall clock."""

    life: Life
    offset: float = 0.0

    async def step(self, seconds: float) -> None:
        """Let it step, forward or back."""
        self.offset += seconds
        orders = Orders(clock_offset=self.offset)
        await asyncio.to_thread(orders.write, self.life.orders)


@scenario("clock", patient=True)
async def clock_steps(campaign: Campaign) -> None:
    """Steps of an hour under load, and over every kind of deadline."""
    settings = {"approval_days": APPROVAL_DAYS, "session_hours": SESSION_HOURS}
    dice = random.Random(campaign.random.random())
    async with Life.begun(campaign.folder / "life", dice, settings=settings) as life:
        clock = Clock(life)
        for fault, step in (("an hour forward", HOUR), ("an hour back", -HOUR)):
            with campaign.fault(f"clock: steps {fault} under load"):
                working = asyncio.create_task(life.load.work())
                await accepted(life, SOME)
                await clock.step(step)
                await accepted(life, SOME)
                life.load.stop()
                await working
                await life.load.rest()
            with campaign.fault(f"clock: steps {fault} between two servers"):
                await life.load.work(0.5)
                await life.server.kill()
                await life.examine()
                await clock.step(step)
                await life.rise()
                await life.load.rest()
                await clock.step(-step)
        with campaign.fault("clock: steps an hour back while a run waits to retry"):
            await a_retry_does_not_wait_an_hour(life, clock)
        with campaign.fault("clock: steps an hour while somebody signs in"):
            await a_late_signature_is_refused_and_the_next_one_taken(life, clock)
        with campaign.fault("clock: steps back, then over an approval's deadline"):
            await a_message_expires_by_itself(life, clock, restart=False)
        with campaign.fault("clock: passes an approval's deadline while no server runs"):
            await a_message_expires_by_itself(life, clock, restart=True)
        with campaign.fault("clock: passes the end of a session"):
            await a_session_ends_in_its_time(life, clock)
        # The people of the load have slept for days: they sign in again.
        for person in life.load.people:
            person.forget_session()
        assert await life.load.come(), "the server ended by itself"
        await life.close_into(campaign)


async def accepted(life: Life, count: int) -> None:
    """Wait until so many more requests of the load were accepted."""
    wanted = len(life.load.acknowledged) + count
    await eventually(
        lambda: len(life.load.acknowledged) >= wanted,
        lambda: f"{wanted} requests were accepted; {len(life.load.acknowledged)} were",
    )


async def a_retry_does_not_wait_an_hour(life: Life, clock: Clock) -> None:
    """The wait before an attempt is as long as it was told."""
    async with signed_in(life.server.url) as alice:
        thread_id = await alice.new_thread()
        life.model.fail_next(f"Fail once {new_id()}")
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=life.model.failing)
        await alice.response(run["run_id"], "recovering")
        await clock.step(-HOUR)
        # The server looks at the clock every 15 s, and a client waits for 20: twice is enough.
        with suppress(pytest.fail.Exception):
            await alice.end_of(run["run_id"])
        end = await alice.end_of(run["run_id"])
        assert end["status"] == "finished", end
        await clock.step(HOUR)


async def a_late_signature_is_refused_and_the_next_one_taken(life: Life, clock: Clock) -> None:
    """A challenge lives for a minute of the server's clock, and is used once."""
    someone = Identity()
    async with connected(life.server.url) as client:
        challenge = await client.ask("connect", public_key=someone.public_key)
        await clock.step(HOUR)
        late = await client.refusal("authenticate", signature=someone.sign(challenge["statement"]))
        assert late.code == "auth_failed", late
        await client.sign_in(someone)
        await clock.step(-HOUR)
        assert await client.ask("ping") == {}
        async with connected(life.server.url) as again:
            await again.resume(client.token)


async def a_message_expires_by_itself(life: Life, clock: Clock, *, restart: bool) -> None:
    """At its deadline, not an hour before, and whether or not a server ran then."""
    async with waiting_message(life) as (alice, thread_id, message_id):
        await clock.step(-HOUR)
        await clock.step(APPROVAL_DAYS * DAY - HOUR)
        state = await alice.follow(thread_id)
        assert [each["status"] for each in state["messages"]] == ["pending"], "it expired early"
        if not restart:
            await clock.step(3 * HOUR)
            await expired(alice, thread_id, message_id)
            return
    await life.server.stop()
    await clock.step(3 * HOUR)
    await life.server.start()
    async with signed_in(life.server.url) as reader:
        await reader.follow(thread_id, after_seq=0)
        await expired(reader, thread_id, message_id)


@asynccontextmanager
async def waiting_message(life: Life) -> AsyncIterator[tuple[Client, str, str]]:
    """A co-author, a thread, and a message there that waits for a vote."""
    async with signed_in(life.server.url) as alice, signed_in(life.server.url) as stranger:
        thread_id = await alice.new_thread(visibility="public")
        sent = await stranger.ask("submit_prompt", thread_id=thread_id, prompt="Let me in.")
        assert sent["run_id"] is None
        yield alice, thread_id, sent["message_id"]


async def expired(client: Client, thread_id: str, message_id: str) -> None:
    """The message expires within the server's next look at the clock."""
    await client.event(thread_id, "message_expired", message_id=message_id)


async def a_session_ends_in_its_time(life: Life, clock: Clock) -> None:
    """A step of an hour ends no session; its end does, and its token is worth nothing then."""
    async with signed_in(life.server.url) as alice:
        await clock.step(HOUR)
        await alice.ask("ping")
        await clock.step(SESSION_HOURS * HOUR)
        assert await alice.close_code() == 4001
        async with connected(life.server.url) as again:
            late = await again.refusal("resume", token=alice.token)
            assert late.code == "auth_failed", late

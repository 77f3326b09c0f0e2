"""Rounds of races, each with requests that arrive in an order which dice choose.

A test carries out so many rounds of one seed (`tests/server/sessions/test_races.py`), the campaign of
another each time (`tests/faults/attacks.py`).
"""

import asyncio
import random
from collections.abc import Collection, Iterator
from typing import Any, Final

from machines.decisions.connections import hash_token
from machines.models.ids import ThreadId
from server.services import Services
from tests.support.client import Identity
from tests.support.in_process import Caller

LONGEST_SECONDS: Final = 0.004
"""A little longer than a read takes: the other request comes before, within or behind it."""
_ENOUGH_SECONDS: Final = 4.0
"""Longer than a read takes on any machine."""

SECRET: Final = "What only co-authors may read"

READS: Final = ("get_thread", "get_events", "search", "list_threads")
ENDS: Final = ("expires", "is replaced", "signs out elsewhere")

INVITATIONS: Final = 3
"""That an inviter, and a key, may have open where these races are run."""
QUEUE: Final = 2
"""Runs that may wait in a thread there."""


class Pauses:
    """Moments that dice choose. They grow where a machine is so slow that one order is never met."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self._longest = LONGEST_SECONDS

    def rounds(self, least: int, met: Collection[object] = (), wanted: int = 0) -> Iterator[int]:
        """Numbers of rounds: `least` of them, and more until `wanted` outcomes are in `met`.

        Fails the test where no pause brings them.
        """
        yield from range(least)
        number = least
        while len(met) < wanted:
            assert self._longest < _ENOUGH_SECONDS, f"these races have these outcomes only: {met}"
            self._longest *= 1.25
            yield number
            number += 1

    async def soon(self, caller: Caller, type_: str, **data: Any) -> dict[str, Any]:
        """The reply to a request that is made after a moment."""
        await self.pause()
        return await caller.ask(type_, **data)

    async def pause(self) -> None:
        """Wait for a moment; some are longer, for a machine that is slow for a while."""
        await asyncio.sleep(self.dice.uniform(0, self._longest * self.dice.choice((1, 1, 1, 4))))


async def private_thread(host: Caller, guest: Caller) -> str:
    """A thread of both, in which something was said."""
    thread_id: str = (await host.get("create_thread", name=SECRET))["thread_id"]
    await host.get("invite_co_author", thread_id=thread_id, public_key=guest.public_key)
    await guest.get("accept_invitation", thread_id=thread_id)
    await host.get("submit_prompt", thread_id=thread_id, prompt=f"HOLD {SECRET}")
    return thread_id


async def session_that_ends_while_it_reads(
    services: Services, pauses: Pauses, guest: Identity, thread_id: str, read: str
) -> str:
    """One round; the type of the reply. Raises AssertionError where something was sent too late."""
    asks: dict[str, dict[str, Any]] = {
        "get_thread": {"thread_id": thread_id, "after_seq": 0},
        "get_events": {"thread_id": thread_id, "after_seq": 0},
        "search": {"query": SECRET},
        "list_threads": {"scope": "mine"},
    }
    reading = await Caller(services).sign_in(guest)
    asked = asyncio.create_task(pauses.soon(reading, read, **asks[read]))
    await _end(services, pauses, pauses.dice.choice(ENDS), reading)
    reply = await asked
    assert reading.line.closed is not None, "the line is open"
    late = reading.line.texts[reading.line.sent_before_close :]
    assert not any(SECRET in text for text in late), late
    assert not services.broadcast.follows(ThreadId(thread_id), reading.session)
    reading.drop()
    return str(reply["type"])


async def _end(services: Services, pauses: Pauses, how: str, caller: Caller) -> None:
    """Let the session of a connection end after a moment, without its own doing."""
    await pauses.pause()
    if how == "expires":
        await services.sessions.end(hash_token(caller.token))
        return
    elsewhere = await Caller(services).resume(caller.token)
    if how == "signs out elsewhere":
        await elsewhere.ask("sign_out")
    elsewhere.drop()


async def prompts_at_once(pauses: Pauses, people: list[Caller]) -> None:
    """One round: five prompts into a thread that runs one already."""
    thread_id = await private_thread(*people)
    replies = await asyncio.gather(
        *(
            pauses.soon(people[each % 2], "submit_prompt", thread_id=thread_id, prompt="HOLD")
            for each in range(5)
        )
    )
    kinds = sorted(reply["data"].get("code", reply["type"]) for reply in replies)
    assert kinds == ["accepted"] * QUEUE + ["thread_busy"] * (5 - QUEUE)
    await people[0].get("archive_thread", thread_id=thread_id)


async def invitations_at_once(pauses: Pauses, inviters: list[Caller], threads: list[str]) -> None:
    """One round: a key is invited into five threads, by five who invite or by one."""
    stranger = Identity().public_key
    asked = list(zip(inviters, threads, strict=True))
    replies = await asyncio.gather(
        *(
            pauses.soon(by, "invite_co_author", thread_id=thread_id, public_key=stranger)
            for by, thread_id in asked
        )
    )
    kinds = [reply["data"].get("code", reply["type"]) for reply in replies]
    refused = len(kinds) - INVITATIONS
    assert sorted(kinds) == ["accepted"] * INVITATIONS + ["rate_limited"] * refused
    for (by, thread_id), kind in zip(asked, kinds, strict=True):
        if kind == "accepted":
            await by.get("revoke_invitation", thread_id=thread_id, public_key=stranger)

"""A scripted load on a server that may die at any moment: prompts, votes, invites, links, removals,
runs, searches, and messages that are hidden.

Three people work at once: two co-authors of a public thread, and an outsider whose prompts they vote
on. Each remembers every request with the id that it was sent under, every answer, and every entry
that its thread has shown. After a death they come back as PROTOCOL says: resume, catch up, and send
again, under the same id, what was never answered. What then contradicts what they remember is noted
in `Load.problems`.

    async with Load.on(server, model, dice) as load:
        await load.begin()
        await load.work()        # until the server dies
        ...                      # somebody starts it again
        await load.come()
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp
import pytest

from tests.faults.people import Cut, Line, Person
from tests.faults.tireless_model import LOOPS, TirelessModel
from tests.support.client import Data, Frame, Identity, Refused, new_id
from tests.support.eventually import eventually
from tests.support.served import ServerProcess

Key = tuple[str, str]
"""(public key, request id)."""

UNAVAILABLE: Final = "storage_unavailable"

QUIET_SECONDS: Final = 40.0


@dataclass
class Load:
    """The people, and what they know of the public thread."""

    server: ServerProcess
    model: TirelessModel
    dice: random.Random
    http: aiohttp.ClientSession
    stores_fail: bool = False
    """Whether `storage_unavailable` is an answer now."""
    unavailable: int = 0
    """Times that this was the answer."""
    problems: list[str] = field(default_factory=list)
    lost: int = 0
    pending: dict[str, str] = field(default_factory=dict)
    """Messages that wait for votes, and their authors."""
    running: dict[str, str] = field(default_factory=dict)
    """Runs that go on, and their messages."""
    stopped: list[tuple[str, str]] = field(default_factory=list)
    """Runs that may be retried, and their messages."""
    contents: dict[str, str] = field(default_factory=dict)
    admitted: bool = False
    """Whether Carol is a co-author of the public thread."""
    named: bool = False
    """Whether it is voted on that she is removed."""

    def __post_init__(self) -> None:
        self.alice, self.bob, self.carol = (Person(self) for _ in range(3))
        self.public, self.private = "", ""
        self._until = math.inf

    @classmethod
    @asynccontextmanager
    async def on(
        cls, server: ServerProcess, model: TirelessModel, dice: random.Random
    ) -> AsyncIterator[Self]:
        """A load on a server, which may be dead."""
        async with aiohttp.ClientSession() as http:
            load = cls(server, model, dice, http)
            try:
                yield load
            finally:
                for person in load.people:
                    await person.leave()

    @property
    def people(self) -> tuple[Person, ...]:
        """Alice and Bob, who are co-authors, and Carol, who is one now and then."""
        return self.alice, self.bob, self.carol

    @property
    def acknowledged(self) -> dict[Key, Data]:
        """What was accepted, by who asked and under which id."""
        return {
            (person.identity.public_key, request_id): asked.reply
            for person in self.people
            for request_id, asked in person.asked.items()
            if asked.reply is not None
        }

    def lose(self, what: str) -> None:
        """Note something that was acknowledged or shown, and is gone."""
        self.lost += 1
        self.problems.append(what)

    def excuses(self, refused: Refused) -> bool:
        """Whether a store fails now, and the answer says so, and that one may try again."""
        if refused.code != UNAVAILABLE or not self.stores_fail:
            return False
        self.unavailable += 1
        if not refused.frame["data"]["retryable"]:
            self.problems.append(f"storage_unavailable, and not retryable: {refused}")
        return True

    async def connect(self) -> Line:
        """A greeted connection. Raises Cut."""
        try:
            ws = await self.http.ws_connect(
                f"{self.server.url}/ws", protocols=["chorus.v1"], max_msg_size=0
            )
        except (aiohttp.ClientError, ConnectionError):
            raise Cut from None
        line = Line(ws, self.server.url)
        await line.greeted()
        return line

    async def begin(self) -> None:
        """Make the two threads, and follow them. The server must live."""
        for person in self.people:
            await person.come()
        self.public = await self._thread(self.alice, "In the open", "public")
        self.private = await self._thread(self.bob, "In private", "private")
        key = self.bob.identity.public_key
        await self.alice.ask("invite_co_author", thread_id=self.public, public_key=key)
        await self.bob.ask("accept_invitation", thread_id=self.public)
        await self.alice.follow(self.public)
        await self.bob.follow(self.private)
        await self.carol.follow(self.public)

    async def come(self) -> bool:
        """Everybody comes back after a death; False where the server died again meanwhile."""
        return await self._all(lambda person: person.come(), lambda person: person.ask_again())

    async def ask_again(self) -> bool:
        """Everybody asks again without a death between; False where the server died."""
        return await self._all(lambda person: person.ask_again())

    async def work(self, seconds: float = math.inf) -> None:
        """Everybody works for a while, or until the server dies."""
        self._until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(
            self._busy(self.alice, self._act_as_founder),
            self._busy(self.bob, self._act_as_founder),
            self._busy(self.carol, self._act_as_outsider),
        )

    def stop(self) -> None:
        """Let everybody finish what they are at, and work no more."""
        self._until = 0.0

    async def rest(self) -> None:
        """Wait until no run goes on; the server must live."""

        async def quiet() -> bool:
            # A page of the past: it changes nothing of what is followed.
            return not (
                (await self.alice.line.follow(self.public, before_index=1))["runs"]
                or (await self.bob.line.follow(self.private, before_index=1))["runs"]
            )

        try:
            await eventually(quiet, "no run went on", within=QUIET_SECONDS)
        except pytest.fail.Exception:
            self.lose(f"a run did not go on within {QUIET_SECONDS:.0f} seconds")

    async def compare(self) -> None:
        """Hold what was shown, piece by piece, against the whole journal; the server must live."""
        for person in self.people:
            entries: list[Frame] = []
            more = True
            while more:
                page = await person.line.ask(
                    "get_events", thread_id=person.thread_id, after_seq=len(entries), limit=500
                )
                entries += page["entries"]
                more = page["has_more"]
            await person.line.until_seq(len(entries))
            await person.leave()
            # Carol is co-author at times only, and then is shown more.
            same = _numbers if person is self.carol else _whole
            if [same(each) for each in person.seen] != [same(each) for each in entries]:
                self.lose("what was shown piece by piece is not what the journal holds")

    def watch(self, frame: Frame) -> None:
        """Keep in mind what may be voted on, stopped and retried."""
        data = frame["data"]
        if frame["thread_id"] != self.public:
            return
        match data.get("kind") or data["status"]:
            case "message_submitted":
                message = data["message"]
                if message["content"] is not None:
                    self.contents[message["id"]] = message["content"]
                if message["status"] == "pending":
                    self.pending[message["id"]] = message["author"]
            case "message_approved" | "message_rejected" | "message_withdrawn" | "message_expired":
                self.pending.pop(data["message_id"], None)
            case "co_author_joined" if data["public_key"] == self.carol.identity.public_key:
                self.admitted = True
            case "co_author_left" | "co_author_removed":
                self.admitted = self.named = False
            case "removal_proposed":
                self.named = True
            case "removal_withdrawn" | "removal_expired" | "co_author_kept":
                self.named = False
            case "started":
                self.running[data["run_id"]] = data["message_id"]
            case "cancelled":
                self.stopped.append((data["run_id"], data["message_id"]))
                self.running.pop(data["run_id"], None)
            case "finished" | "failed":
                self.running.pop(data["run_id"], None)

    # What people do

    async def _act_as_founder(self, person: Person) -> None:
        thread_id = person.thread_id
        match self.dice.choices(
            (
                "prompt",
                "vote",
                "remove",
                "rename",
                "search",
                "open",
                "link",
                "name",
                "hide",
                "cancel",
                "retry",
            ),
            (6, 8, 4, 2, 3, 1, 1, 1, 1, 2, 2),
        )[0]:
            case "prompt":
                await person.ask("submit_prompt", thread_id=thread_id, prompt=self._prompt())
            case "vote" if self.pending:
                message_id = self.dice.choice(sorted(self.pending))
                vote = self.dice.choices(("approve_message", "reject_message"), (5, 1))[0]
                await person.ask(vote, thread_id=self.public, message_id=message_id)
            case "remove" if self.named:
                decision = self.dice.choices(("remove", "keep"), (3, 1))[0]
                await person.ask("vote_on_removal", **self._about_carol(), decision=decision)
            case "remove" if self.admitted:
                await person.ask("propose_removal", **self._about_carol())
            case "rename":
                await person.ask("rename_thread", thread_id=thread_id, name=f"Named {new_id()}")
            case "open":
                opened = await self._thread(person, f"New {new_id()}", "private")
                guest = Identity().public_key
                await person.ask("invite_co_author", thread_id=opened, public_key=guest)
            case "link":
                link = await person.ask("create_invite_link", thread_id=thread_id)
                if link is not None:
                    await person.ask(
                        "revoke_invite_link", thread_id=thread_id, link_id=link["link"]["id"]
                    )
            case "name":
                await person.ask("set_name", name=f"Called {new_id()[:8]}")
            case "hide" if shown := sorted(self.contents.keys() - person.hidden):
                # Each once: what is hidden already would be accepted without an entry.
                message_id = self.dice.choice(shown)
                person.hidden.add(message_id)
                await person.ask(
                    "hide_message", thread_id=self.public, message_id=message_id, hidden=True
                )
            case "cancel" if person is self.alice and self.running:
                run_id = self.dice.choice(sorted(self.running))
                await person.ask("cancel_run", thread_id=self.public, run_id=run_id)
            case "retry" if person is self.alice and self.stopped:
                run_id, message_id = self.stopped.pop()
                self.model.forget(self.contents.get(message_id, ""))
                await person.ask("retry_run", thread_id=self.public, run_id=run_id)
            case _:
                await person.search()

    async def _act_as_outsider(self, person: Person) -> None:
        mine = [id_ for id_, author in self.pending.items() if author == person.identity.public_key]
        match self.dice.choices(
            ("prompt", "withdraw", "leave", "search", "sign out"), (6, 1, 2, 2, 1)
        )[0]:
            case "prompt":
                await person.ask("submit_prompt", thread_id=self.public, prompt=self._prompt())
            case "withdraw" if mine:
                message_id = self.dice.choice(sorted(mine))
                await person.ask("withdraw_message", thread_id=self.public, message_id=message_id)
            case "leave":
                await person.ask("leave_co_authorship", thread_id=self.public)
            case "sign out" if not self.stores_fail:
                await person.sign_out()
            case _:
                await person.search()

    def _about_carol(self) -> dict[str, str]:
        return {"thread_id": self.public, "public_key": self.carol.identity.public_key}

    def _prompt(self) -> str:
        return f"Tell me of {new_id()} {LOOPS if self.dice.random() < 0.2 else ''}".strip()

    async def _thread(self, person: Person, name: str, visibility: str) -> str:
        reply = await person.ask("create_thread", name=name, visibility=visibility)
        if reply is None:
            raise Cut
        return str(reply["thread_id"])

    async def _busy(self, person: Person, act: Callable[[Person], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while loop.time() < self._until:
                await act(person)
                await asyncio.sleep(self.dice.expovariate(1 / 0.02))
        except Cut:
            return

    async def _all(self, *steps: Callable[[Person], Awaitable[None]]) -> bool:
        """Everybody takes these steps; False where a line was cut."""

        async def take(person: Person) -> bool:
            try:
                for step in steps:
                    await step(person)
            except Cut:
                return False
            return True

        return all(await asyncio.gather(*map(take, self.people)))


def _whole(frame: Frame) -> Frame:
    return frame


def _numbers(frame: Frame) -> Frame:
    return {"seq": frame["seq"], "type": frame["type"]}

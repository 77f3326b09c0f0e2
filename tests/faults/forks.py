"""Forks while the server dies: runs are forked, and their branches proposed, voted on, adopted and given up.

In `forks` two co-authors do that at random, and the server is killed at random moments. In `fork points`
one fork goes its way from the request to the adoption, and the server crashes at each write point of it
in turn. What was acknowledged is there, nothing came to pass twice, each prompt has one answer, and of
what a fork keeps nothing is asked again and no byte is another.
"""

import asyncio
import random
from collections.abc import Container
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from machines.models.outputs import StepEnum
from tests.faults.campaign import Campaign, scenario
from tests.faults.faulty_server import CRASHED, Orders
from tests.faults.kill import Life
from tests.faults.load import Load
from tests.faults.people import Asked, Cut, Person
from tests.faults.tireless_model import Step
from tests.support.client import Data, Frame, new_id
from tests.support.eventually import eventually

AT_RANDOM: Final = "SIGKILL while runs are forked"
AT_A_POINT: Final = "crash at a write point of a fork"

DEATHS_OF_A_LIFE: Final = 10
LIVES: Final = 5

STEPS: Final = (
    StepEnum.ACTION,
    StepEnum.EXPERIENCE,
    StepEnum.INTENTION,
    StepEnum.OBSERVATION,
    StepEnum.UPDATE,
)
"""From which a run is forked here: each has one that follows."""

FORK_POINTS: Final = (
    "begin",
    "insert entries",
    "insert threads",
    "insert messages",
    "insert runs",
    "insert branches",
    "insert inbox",
    "delete inbox",
    "insert timers",
    "delete timers",
    "insert replies",
    "insert memory_tasks",
    "insert vectors",
    "update memory_tasks",
    "before commit",
    "after commit",
)
"""Write points that a fork comes by, from its request to its adoption by two co-authors."""

OFTEN: Final = frozenset(
    {"begin", "insert entries", "insert runs", "insert replies", "before commit", "after commit"}
)
"""Those that it comes by so often that the crash may come at one of the first `MOST_TIMES`."""

MOST_TIMES: Final = 4
LAST_SECONDS: Final = 20.0
"""How long the memory may take to learn of an adoption, and the server to crash by that."""

FORKS_COMPARED: Final = 12
BEHIND_ALL: Final = 1_000_000
"""An index that no message has."""
UNADOPTED_SEARCHED: Final = 4


@dataclass
class Fork:
    """A fork that was asked for."""

    origin: str
    """The run that it leaves."""
    prompt: str
    """Its own, which no other run has."""
    kept: tuple[StepEnum, ...]
    asked: Asked
    """Its request."""

    @property
    def run_id(self) -> str:
        """Empty until it is known."""
        return str((self.asked.reply or {}).get("run_id", ""))

    @property
    def branch_id(self) -> str:
        """Likewise."""
        return str((self.asked.reply or {}).get("branch_id", ""))


@dataclass
class ForkingLoad(Load):
    """Alice and Bob fork runs of the public thread and vote on what comes of it; Carol looks on."""

    finished: dict[str, str] = field(default_factory=dict)
    """Runs that may be forked, and their prompts' messages."""
    forks: list[Fork] = field(default_factory=list)
    branches: dict[str, Data] = field(default_factory=dict)
    """As they were shown last."""
    adopted: list[str] = field(default_factory=list)
    """Branches, in the order of their adoption."""

    async def begin(self) -> None:
        """As every load; both co-authors follow the public thread."""
        await super().begin()
        await self.bob.follow(self.public)

    def watch(self, frame: Frame) -> None:
        """Keep in mind what may be forked and voted on."""
        super().watch(frame)
        data = frame["data"]
        if data.get("branch") is not None:
            self.branches[data["branch"]["id"]] = data["branch"]
        match data.get("kind") or data["status"]:
            case "finished":
                self.finished[data["run_id"]] = data["message_id"]
            case "branch_adopted" if (
                data.get("branch") and data["branch"]["id"] not in self.adopted
            ):
                self.adopted.append(data["branch"]["id"])

    # What the co-authors do

    async def _act_as_founder(self, person: Person) -> None:
        acts = ("prompt", "fork", "propose", "vote", "discard", "search")
        match self.dice.choices(acts, (3, 6, 6, 8, 1, 2))[0]:
            case "prompt" if len(self.finished) < 2 or self.dice.random() < 0.3:
                await person.ask("submit_prompt", thread_id=self.public, prompt=self._prompt())
            case "fork" if self.finished:
                await self.fork(person, self.dice.choice(sorted(self.finished)))
            case "propose" if ready := self._of("ready"):
                await self.about(person, "propose_adoption", self.dice.choice(ready))
            case "vote" if waiting := self._awaiting(person):
                decision = self.dice.choices(("approve", "reject"), (5, 1))[0]
                await self.about(
                    person, "vote_on_branch", self.dice.choice(waiting), decision=decision
                )
            case "discard" if ready := self._of("ready"):
                await self.about(person, "discard_branch", self.dice.choice(ready))
            case _:
                await person.search()

    async def _act_as_outsider(self, person: Person) -> None:
        await person.search()

    async def fork(self, person: Person, run_id: str) -> None:
        """Let a run go on from one of its steps with another prompt. Raises Cut."""
        last = self.dice.randrange(len(STEPS))
        prompt, kept = f"Tell me rather of {new_id()}", STEPS[: last + 1]
        self.model.keep(Step(prompt, step.value, 1) for step in kept)
        data = {
            "thread_id": self.public,
            "run_id": run_id,
            "step": kept[-1].value,
            "change": {"kind": "prompt", "text": prompt},
        }
        asked = Asked("fork_run", data)
        self.forks.append(Fork(run_id, prompt, kept, asked))
        await person.make(asked)

    async def about(self, person: Person, type_: str, branch_id: str, **data: str) -> None:
        """Ask something about a branch. Raises Cut."""
        await person.ask(type_, thread_id=self.public, branch_id=branch_id, **data)

    def _of(self, status: str) -> list[str]:
        return sorted(id_ for id_, each in self.branches.items() if each["status"] == status)

    def _awaiting(self, person: Person) -> list[str]:
        """Branches on which somebody has a vote left."""
        key = person.identity.public_key
        return [
            id_
            for id_ in self._of("proposed")
            if key not in {vote["co_author"] for vote in self.branches[id_]["votes"]}
        ]

    async def until_shown(self, fork: Fork, statuses: Container[str]) -> None:
        """Wait until Alice was shown that a fork's branch has one of these statuses. Raises Cut."""

        def is_shown() -> bool:
            shown = self.branches.get(fork.branch_id)
            return self.alice.line.cut or (shown is not None and shown["status"] in statuses)

        await eventually(is_shown, f"the branch of {fork.prompt!r} is one of {statuses}")
        if self.alice.line.cut:
            raise Cut

    # What must hold in the end

    async def compare(self) -> None:
        """As every load; and of the forks what this module promises. The server must live."""
        await self._hold_answers()
        for fork in self._answered()[-FORKS_COMPARED:]:
            await self._hold_prefix(fork)
        for fork in [each for each in self.forks if each.branch_id not in self.adopted][
            -UNADOPTED_SEARCHED:
        ]:
            await self._hold_unread(fork)
        await super().compare()

    def _answered(self) -> list[Fork]:
        """Forks that were accepted and whose runs have their answers."""
        grown = {"ready", "proposed", "adopted", "rejected"}
        return [
            each
            for each in self.forks
            if self.branches.get(each.branch_id, {}).get("status") in grown
        ]

    async def _hold_answers(self) -> None:
        """Each prompt has at most one answer, of the run that is its own; what was adopted is a message."""
        messages: list[Data] = []
        before = BEHIND_ALL
        while before:
            page = await self.alice.line.ask(
                "get_thread", thread_id=self.public, before_index=before
            )
            messages = [*page["messages"], *messages]
            before = messages[0]["index"] if page["has_more"] else 0
        await self.alice.line.until_seq(page["head_seq"])
        standing = [
            each["run_id"]
            for each in messages
            if each["role"] == "chorus" and each["status"] == "approved"
        ]
        own = {each["run_id"] for each in messages if each["role"] == "user"}
        if len(set(standing)) < len(standing) or not own.issuperset(standing):
            self.problems.append("a prompt has two answers")
        marks = [each["forked_from"]["branch_id"] for each in messages if each.get("forked_from")]
        if sorted(marks) != sorted(self.adopted):
            self.lose(f"adopted were {sorted(self.adopted)}, and there are {sorted(marks)}")

    async def _hold_prefix(self, fork: Fork) -> None:
        """What it kept is what its origin has, to the byte."""
        told = await self.alice.line.ask(
            "compare_runs",
            thread_id=self.public,
            run_id=fork.origin,
            other_run_id=fork.run_id,
        )
        texts = [
            {
                each["step"]: each["text"]
                for each in told[side]["steps"]
                if each["iteration"] == 1 and each["step"] in fork.kept
            }
            for side in ("one", "other")
        ]
        if texts[0] != texts[1] or len(texts[0]) != len(fork.kept):
            self.lose(f"fork {fork.run_id} has not kept the steps of {fork.origin}")

    async def _hold_unread(self, fork: Fork) -> None:
        """Nothing of it is found."""
        found = await self.alice.line.ask("search", query=fork.prompt)
        if any(fork.prompt in each["content"] for each in found["results"]):
            self.problems.append(f"what branch {fork.branch_id} says is found, and was not adopted")


@scenario("forks")
async def forks(campaign: Campaign) -> None:
    """SIGKILL at random moments, while runs are forked and branches voted on."""
    lives, deaths = (1, 2) if campaign.short else (LIVES, DEATHS_OF_A_LIFE)
    for number in range(lives):
        dice = random.Random(campaign.random.random())
        folder = campaign.folder / str(number)
        async with Life.begun(folder, dice, load=ForkingLoad) as life:
            for _ in range(deaths):
                await life.die_at_random()
                await life.rise()
            problems = await life.settle()
            assert isinstance(life.load, ForkingLoad)
            if not campaign.short and not life.load.adopted:
                problems.append("nothing was adopted")
            life.count(campaign, AT_RANDOM, deaths, problems)


@scenario("fork points")
async def fork_points(campaign: Campaign) -> None:
    """A crash at each write point between the request of a fork and its adoption."""
    points = campaign.random.sample(FORK_POINTS, 3) if campaign.short else FORK_POINTS
    dice = random.Random(campaign.random.random())
    async with Life.begun(campaign.folder / "points", dice, load=ForkingLoad) as life:
        load = life.load
        assert isinstance(load, ForkingLoad)
        asked = await load.alice.ask("submit_prompt", thread_id=load.public, prompt="What is it?")
        assert asked is not None
        run_id = asked["run_id"]
        await eventually(lambda: run_id in load.finished, "a run has its answer")
        came = 0
        for point in points:
            nth = campaign.random.randint(1, MOST_TIMES) if point in OFTEN else 1
            orders = Orders(crash_at=point, crash_nth=nth)
            if await _goes_its_way(life, load, run_id, orders):
                came += 1
            else:
                load.problems.append(f"no fork came by {point!r}")
        life.count(campaign, AT_A_POINT, came, await life.settle())


async def _goes_its_way(life: Life, load: ForkingLoad, run_id: str, orders: Orders) -> bool:
    """Fork a run, let it grow, propose and adopt it, over the crash; whether there was one.

    A request that the crash cut is sent again under its id, by `Life.rise`.
    """
    await asyncio.to_thread(orders.write, life.orders)

    async def grown() -> None:
        await load.until_shown(load.forks[-1], {"ready"})

    async def adopted() -> None:
        await load.until_shown(load.forks[-1], {"adopted"})

    async def ask(person: Person, type_: str, **data: str) -> None:
        await load.about(person, type_, load.forks[-1].branch_id, **data)

    crashes = 0
    for step in (
        partial(load.fork, load.alice, run_id),
        grown,
        partial(ask, load.bob, "propose_adoption"),
        partial(ask, load.alice, "vote_on_branch", decision="approve"),
        adopted,
    ):
        try:
            await step()
        except Cut:
            crashes += await _rise(life)
            if step in {grown, adopted}:
                await step()
    if not crashes:
        # The memory learns of the adoption behind it.
        ended = asyncio.create_task(life.server.ended())
        await asyncio.wait({ended}, timeout=LAST_SECONDS)
        if ended.done():
            crashes += await _rise(life)
        ended.cancel()
    await asyncio.to_thread(life.orders.unlink, missing_ok=True)
    return bool(crashes)


async def _rise(life: Life) -> bool:
    """The next server after a crash; whether it was the one that was wanted."""
    code = await life.server.ended()
    await asyncio.to_thread(life.orders.unlink)
    await life.examine()
    await life.rise()
    return code == CRASHED

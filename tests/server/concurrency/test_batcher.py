"""What many ask at once is answered at once: `server.concurrency.batcher`, and the sign-ins that stand
on it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from server.concurrency.batcher import MAX_GROUP, Batcher
from storage.journal.sqlite import SqliteJournal
from tests.support.client import Identity
from tests.support.in_process import Caller, open_test_services

CROWD = 40


class Answers:
    """Answers keys by their double, and keeps what it was asked; one key is refused."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, keys: Sequence[int]) -> Sequence[int]:
        self.groups.append(list(keys))
        self.asked.set()
        await self.gate.wait()
        if 13 in keys:
            raise JournalError("No.")
        return [2 * key for key in keys]


async def test_who_comes_alone_is_answered_alone() -> None:
    answers = Answers()
    assert await Batcher(answers.answer).ask(1) == 2
    assert answers.groups == [[1]]


async def test_who_comes_while_one_group_is_answered_is_in_the_next() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer)
    answers.gate.clear()
    first = asyncio.create_task(batcher.ask(1))
    await answers.asked.wait()
    others = [asyncio.create_task(batcher.ask(key)) for key in (2, 3, 4)]
    await asyncio.sleep(0)
    answers.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert answers.groups == [[1], [2, 3, 4]]


async def test_who_keeps_coming_one_by_one_is_gathered_once_a_group_was_served() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer, pause=0.5)
    assert await batcher.ask(1) == 2, "who comes alone is served at once"
    others = []
    for key in (2, 3, 4):
        others.append(asyncio.create_task(batcher.ask(key)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert await asyncio.gather(*others) == [4, 6, 8]
    assert answers.groups == [[1], [2, 3, 4]]


async def test_a_group_has_a_bound() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer)
    keys = range(1_000, 1_000 + MAX_GROUP + 1)
    assert await asyncio.gather(*map(batcher.ask, keys)) == [2 * key for key in keys]
    assert [len(group) for group in answers.groups] == [MAX_GROUP, 1]


async def test_what_fails_fails_for_its_group_alone_and_with_an_error_for_each() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer)
    failed = await asyncio.gather(*map(batcher.ask, (12, 13)), return_exceptions=True)
    assert [type(each) for each in failed] == [JournalError, JournalError]
    assert failed[0] is not failed[1]
    assert await batcher.ask(14) == 28


async def test_who_goes_away_takes_nobody_along() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer)
    answers.gate.clear()
    going, staying = (asyncio.create_task(batcher.ask(key)) for key in (1, 2))
    await answers.asked.wait()
    going.cancel()
    answers.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert await staying == 4


async def test_who_went_away_may_come_back_while_others_wait() -> None:
    answers = Answers()
    batcher = Batcher(answers.answer)
    answers.gate.clear()
    first = asyncio.create_task(batcher.ask(1))
    await answers.asked.wait()
    gone, other = (asyncio.create_task(batcher.ask(key)) for key in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    back = asyncio.create_task(batcher.ask(2))
    await asyncio.sleep(0)
    answers.gate.set()
    assert list(await asyncio.gather(first, other, back)) == [2, 6, 4]
    assert answers.groups == [[1], [3, 2]], "a group names everybody once"


async def test_a_fault_that_lasts_is_that_of_one_alone() -> None:
    async def answer(keys: Sequence[int]) -> Sequence[int]:
        if 13 in keys:
            raise JournalError("The journal holds a damaged value.", retryable=False)
        return [2 * key for key in keys]

    batcher = Batcher(answer)
    found = await asyncio.gather(*map(batcher.ask, (12, 13, 14)), return_exceptions=True)
    assert found[0] == 24
    assert isinstance(found[1], JournalError)
    assert found[2] == 28


async def test_people_who_sign_in_at_the_same_moment_share_their_commits(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as services:
        people = [(Caller(services), Identity()) for _ in range(CROWD)]
        signatures = []
        for caller, identity in people:
            challenge = await caller.get("connect", public_key=identity.public_key)
            signatures.append(identity.sign(challenge["statement"]))
        journal = services.journal
        assert isinstance(journal, SqliteJournal)
        before = journal.commits
        inits = await asyncio.gather(
            *(
                caller.get("authenticate", signature=signature)
                for (caller, _), signature in zip(people, signatures, strict=True)
            )
        )
        commits = journal.commits - before
    names = {init["user"]["public_key"] for init in inits}
    assert names == {identity.public_key for _, identity in people}
    assert len({init["session"]["token"] for init in inits}) == CROWD
    # A few may be the server's own.
    assert commits <= CROWD // 8, f"{CROWD} sign-ins took {commits} commits: let them go together"


async def test_one_person_who_signs_in_many_times_at_once_is_one_user(tmp_path: Path) -> None:
    identity = Identity()
    async with open_test_services(tmp_path) as services:
        callers = await asyncio.gather(*(Caller(services).sign_in(identity) for _ in range(5)))
        found = await services.journal.known_users([callers[0].session.public_key])
    (known,) = found.values()
    assert known.head_seq == 5
    assert len({caller.token for caller in callers}) == 5


async def test_an_entry_is_encoded_once_for_all_who_follow(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as services:
        author = await Caller(services).sign_in(Identity())
        accepted = await author.get("create_thread", name="Evening", visibility="public")
        followers = [await Caller(services).sign_in(Identity()) for _ in range(10)]
        for follower in followers:
            await follower.get("get_thread", thread_id=accepted["thread_id"])
        await author.get("rename_thread", thread_id=accepted["thread_id"], name="Night")
        texts = [follower.line.texts[-1] for follower in followers]
    assert '"thread_renamed"' in texts[0]
    assert all(text is texts[0] for text in texts), (
        "followers of a public thread got copies of an entry: encode it once, for all"
    )

"""Rounds of races between servers that share a database.

A test carries out a few of one seed (`tests/server/sessions/test_races_of_servers.py`), the campaign
many of another each time (`tests/faults/servers_at_once.py`).
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from machines.models.ids import (
    PublicKey,
    RequestId,
    RunId,
    StreamId,
    ThreadId,
    thread_stream,
    user_stream,
)
from machines.models.journal import JournalEntry
from server.services import Services
from tests.support.client import Data, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.races import Pauses

VOTES: Final = ("approve_message", "reject_message")

SAME: Final = (
    "create_thread",
    "rename_thread",
    "set_name",
    "mark_read",
    "invite_co_author",
    "submit_prompt",
)
"""Requests that are sent to two servers with one id."""

LONGEST_PAGE: Final = 1_000


class Company:
    """Three co-authors of a public thread and a stranger, each signed in at every server."""

    def __init__(self, servers: Sequence[Services]) -> None:
        self.servers = servers
        self.authors: list[list[Caller]] = []
        """Of each co-author the connections, one to each server."""
        self.stranger: list[Caller] = []
        self.thread_id = ""

    @classmethod
    async def gathered(cls, servers: Sequence[Services]) -> "Company":
        company = cls(servers)
        company.authors = [await company._everywhere(Identity()) for _ in range(3)]
        company.stranger = await company._everywhere(Identity())
        founder = company.authors[0][0]
        made = await founder.get("create_thread", name="Votes", visibility="public")
        company.thread_id = made["thread_id"]
        for other in company.authors[1:]:
            await founder.bring_in(other[0], company.thread_id)
        return company

    async def _everywhere(self, identity: Identity) -> list[Caller]:
        return [await Caller(server).sign_in(identity) for server in self.servers]

    async def entries(self, stream: StreamId, after_seq: int = 0) -> tuple[JournalEntry, ...]:
        """What a stream has behind an entry. Raises AssertionError where one is missing."""
        found: list[JournalEntry] = []
        journal = self.servers[0].journal
        while True:
            last = after_seq + len(found)
            page = await journal.entries(stream, after_seq=last, limit=LONGEST_PAGE)
            found.extend(page.entries)
            if not page.has_more:
                break
        numbers = [each.seq for each in found]
        assert numbers == list(range(after_seq + 1, after_seq + 1 + len(found)))
        return tuple(found)

    async def head(self, stream: StreamId) -> int:
        """Number of the last entry of a stream."""
        return await self.servers[0].journal.head(stream)


async def votes_at_once(dice: random.Random, company: Company) -> tuple[str, ...]:
    """One round: two co-authors vote on a message at the same moment, at different servers. Gives the
    votes. Raises AssertionError where one is lost, counted twice, or answered wrongly."""
    thread_id = company.thread_id
    asked = await dice.choice(company.stranger).get(
        "submit_prompt", thread_id=thread_id, prompt="May I?"
    )
    message_id = asked["message_id"]
    votes = tuple(dice.choice(VOTES) for _ in range(2))
    places = dice.sample(range(len(company.servers)), 2)
    voters = [company.authors[nth][place] for nth, place in enumerate(places, 1)]
    pauses = Pauses(dice)
    replies = await asyncio.gather(
        *(
            pauses.soon(voter, vote, thread_id=thread_id, message_id=message_id)
            for voter, vote in zip(voters, votes, strict=True)
        )
    )
    accepted = [
        (voter.public_key, vote)
        for voter, vote, reply in zip(voters, votes, replies, strict=True)
        if reply["type"] == "accepted"
    ]
    refused = [reply["data"]["code"] for reply in replies if reply["type"] != "accepted"]
    message = await company.servers[0].journal.message(message_id)
    assert message is not None
    counted = [(each.co_author, f"{each.decision}_message") for each in message.approvals]
    assert sorted(counted) == sorted(accepted), "what was accepted was counted, and once"
    rejections = sum(vote == "reject_message" for _, vote in accepted)
    if "reject_message" not in votes:
        assert len(accepted) == 2, replies
        assert message.status == "pending"
        await company.stranger[0].get(
            "withdraw_message", thread_id=thread_id, message_id=message_id
        )
    else:
        # The first rejection ends the vote: a vote behind it comes too late.
        assert message.status == "rejected"
        assert rejections == 1
        assert refused in ([], ["invalid_transition"])
    return votes


async def finished_run(company: Company) -> str:
    """A run of the thread that has its answer."""
    author, journal = company.authors[0][0], company.servers[0].journal
    asked = await author.get("submit_prompt", thread_id=company.thread_id, prompt="What is it?")

    async def is_over() -> bool:
        run = await journal.run(asked["run_id"])
        return run is not None and run.status.final

    await eventually(is_over, "the run ends")
    return str(asked["run_id"])


async def votes_on_a_branch_at_once(
    dice: random.Random, company: Company, run_id: str
) -> tuple[str, ...]:
    """One round: two co-authors vote on a branch at the same moment, at different servers. Gives the
    votes. Raises AssertionError where one is lost, counted twice, or decides wrongly."""
    thread = {"thread_id": company.thread_id}
    journal = company.servers[0].journal
    change = {"kind": "step_text", "text": f"So it is {dice.random()}."}
    founder = company.authors[0][dice.randrange(len(company.servers))]
    forked = await founder.get("fork_run", run_id=run_id, step="yield", change=change, **thread)
    branch_id = {"branch_id": forked["branch_id"], **thread}
    await founder.get("propose_adoption", **branch_id)
    votes = tuple(dice.choice(("approve", "reject")) for _ in range(2))
    places = dice.sample(range(len(company.servers)), 2)
    voters = [company.authors[nth][place] for nth, place in enumerate(places, 1)]
    pauses = Pauses(dice)
    replies = await asyncio.gather(
        *(
            pauses.soon(voter, "vote_on_branch", decision=vote, **branch_id)
            for voter, vote in zip(voters, votes, strict=True)
        )
    )
    accepted = [
        (voter.public_key, vote)
        for voter, vote, reply in zip(voters, votes, replies, strict=True)
        if reply["type"] == "accepted"
    ]
    branch = await journal.branch_of_run(RunId(forked["run_id"]))
    assert branch is not None
    counted = [(each.co_author, str(each.decision)) for each in branch.votes[1:]]
    assert sorted(counted) == sorted(accepted), "what was accepted was counted, and once"
    run = await journal.run(RunId(forked["run_id"]))
    assert run is not None
    answer = await journal.message(run.answer_id)
    if "reject" in votes:
        assert (branch.status, answer) == ("rejected", None)
        # The first rejection ends the vote: a vote behind it finds none.
        refused = [reply["data"]["code"] for reply in replies if reply["type"] != "accepted"]
        assert refused in ([], ["not_found"])
    else:
        assert len(accepted) == 2, replies
        assert branch.status == "adopted"
        assert answer is not None
        assert answer.content == change["text"]
    return votes


async def same_request_at_once(dice: random.Random, company: Company, type_: str) -> Data:
    """One round: a request with one id arrives at two servers at the same moment. Gives its answer.
    Raises AssertionError where the answers differ, or it had more than one effect."""
    thread_id = company.thread_id
    of_thread = thread_stream(ThreadId(thread_id))
    first, *_ = company.authors
    both = dice.sample(first, 2)
    made_with: dict[str, dict[str, Any]] = {
        "create_thread": {"name": "Once"},
        "rename_thread": {"thread_id": thread_id, "name": f"Once {dice.random()}"},
        "set_name": {"name": f"Ann {dice.random()}"},
        "mark_read": {"thread_id": thread_id, "seq": await company.head(of_thread)},
        "invite_co_author": {"thread_id": thread_id, "public_key": Identity().public_key},
        "submit_prompt": {"thread_id": thread_id, "prompt": "May I, once?"},
    }
    data = made_with[type_]
    if type_ == "submit_prompt":
        both = dice.sample(company.stranger, 2)
    streams = (of_thread, user_stream(PublicKey(both[0].public_key)))
    before = {stream: await company.head(stream) for stream in streams}
    request_id, pauses = new_id(), Pauses(dice)
    replies = await asyncio.gather(
        *(pauses.soon(caller, type_, request_id=request_id, **data) for caller in both)
    )
    one, other = (reply["data"] for reply in replies)
    assert [reply["type"] for reply in replies] == ["accepted"] * 2, replies
    assert one == other, replies
    before.setdefault(thread_stream(ThreadId(one.get("thread_id") or thread_id)), 0)
    behind = [await company.entries(stream, head) for stream, head in before.items()]
    effects = Counter(
        each.kind
        for entries in behind
        for each in entries
        if each.request_id == RequestId(request_id)
    )
    assert set(effects.values()) == {1}, effects
    if message_id := one.get("message_id"):
        waits = {"thread_id": thread_id, "message_id": message_id}
        await both[0].get("withdraw_message", **waits)
    if type_ == "invite_co_author":
        await both[1].get("revoke_invitation", **data)
    return dict(one)


async def resumes_at_once(company: Company) -> None:
    """One round: a session is resumed at all servers at the same moment. Raises AssertionError unless
    one connection has it, and the others are closed as replaced."""
    person = await Caller(company.servers[0]).sign_in(Identity())
    callers = [Caller(server) for server in company.servers]
    await asyncio.gather(*(each.resume(person.token) for each in callers))
    lines = [each.line for each in (person, *callers)]

    def one_is_left() -> bool:
        return sum(line.closing_code is None for line in lines) == 1

    await eventually(one_is_left, "one connection is left")
    assert {line.closing_code for line in lines} == {None, 4009}
    left = next(each for each in callers if each.line.closing_code is None)
    await left.get("set_name", name="Ann")
    for each in (person, *callers):
        each.drop()

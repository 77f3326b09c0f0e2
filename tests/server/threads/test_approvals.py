"""Messages from outside, on the wire: votes, deadlines, and what each of them brings about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.client import Client, Data, new_id, signed_in
from tests.support.obedient_model import answer_to
from tests.support.served import ServerProcess, served

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.settings(pending_per_user=2, pending_per_thread=3),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server on which a vote lasts 2.6 seconds."""
    folder = tmp_path_factory.mktemp("hasty")
    async with served(folder, approval_days=0.00003) as running:
        yield running


@dataclass
class Users:
    """Two co-authors and an outsider, who all follow one public thread."""

    thread_id: str
    alice: Client
    bob: Client
    carol: Client

    async def submit(self, prompt: str) -> str:
        """The outsider says something; gives the message's id."""
        accepted = await self.carol.ask("submit_prompt", thread_id=self.thread_id, prompt=prompt)
        assert accepted["run_id"] is None, "it waits for approval, so nothing runs"
        return str(accepted["message_id"])

    async def vote(self, voter: Client, message_id: str, how: str = "approve") -> Data:
        """One elector's decision."""
        return await voter.ask(f"{how}_message", thread_id=self.thread_id, message_id=message_id)


@asynccontextmanager
async def users(url: str) -> AsyncIterator[Users]:
    async with signed_in(url) as alice, signed_in(url) as bob, signed_in(url) as carol:
        thread_id = await alice.new_thread(visibility="public")
        await alice.bring_in(bob, thread_id)
        await bob.follow(thread_id)
        await carol.follow(thread_id)
        yield Users(thread_id, alice, bob, carol)


async def test_a_message_from_outside_is_approved_by_all_and_its_author_joins(
    server: ServerProcess,
) -> None:
    prompt = "may I come in"
    async with users(server.url) as room:
        message_id = await room.submit(prompt)
        submitted = await room.bob.event(room.thread_id, "message_submitted", message_id=message_id)
        message = submitted["data"]["message"]
        assert (message["status"], message["content"]) == ("pending", prompt)
        assert message["electors"] == [room.alice.public_key, room.bob.public_key]
        assert message["expires_at"] is not None

        first = await room.vote(room.alice, message_id)
        assert first["run_id"] is None
        second = await room.vote(room.bob, message_id)
        assert second["run_id"] is not None
        finished = await room.carol.end_of(second["run_id"])
        assert finished["message"]["content"] == answer_to(prompt)

        approved = await room.carol.event(room.thread_id, "message_approved")
        assert approved["data"]["run_id"] == second["run_id"]
        assert approved["data"]["message"]["run_id"] == second["run_id"]
        kinds = [
            each["data"].get("kind", each["data"].get("status"))
            for each in room.carol.live(room.thread_id)
        ]
        assert kinds[:6] == [
            *("message_submitted", "vote_cast", "vote_cast", "message_approved"),
            *("co_author_joined", "queued"),
        ]
        joined = await room.carol.event(room.thread_id, "co_author_joined")
        assert joined["data"]["public_key"] == room.carol.public_key
        assert joined["data"]["thread"]["co_authors"][-1] == room.carol.public_key
        own = await room.carol.ask(
            "submit_prompt", thread_id=room.thread_id, prompt="now I need nobody"
        )
        assert own["run_id"] is not None, "a co-author's prompt runs at once"
        assert (await room.carol.end_of(own["run_id"]))["status"] == "finished"


async def test_one_rejection_ends_it_and_outsiders_see_neither_content_nor_reason(
    server: ServerProcess,
) -> None:
    async with users(server.url) as room, signed_in(server.url) as dave:
        await dave.follow(room.thread_id)
        message_id = await room.submit("something rude")
        await room.vote(room.alice, message_id)
        await room.bob.ask(
            "reject_message", thread_id=room.thread_id, message_id=message_id, reason="Be kind."
        )
        for insider in (room.alice, room.bob, room.carol):
            rejected = await insider.event(room.thread_id, "message_rejected")
            message = rejected["data"]["message"]
            assert (message["status"], message["content"]) == ("rejected", "something rude")
            assert [each["reason"] for each in message["approvals"]] == [None, "Be kind."]
        await dave.event(room.thread_id, "message_rejected")
        assert [each["seq"] for each in dave.live(room.thread_id)] == [
            each["seq"] for each in room.carol.live(room.thread_id)
        ]
        for seen in (
            [each["data"]["message"] for each in dave.live(room.thread_id)],
            (await dave.follow(room.thread_id))["messages"],
            [
                each["data"]["message"]
                for each in (await dave.ask("get_events", thread_id=room.thread_id, after_seq=3))[
                    "entries"
                ]
            ],
        ):
            assert seen
            assert {each["content"] for each in seen} == {None}
            assert {vote["reason"] for each in seen for vote in each["approvals"]} <= {None}
        assert "rude" not in str(dave.frames)
        assert "Be kind" not in str(dave.frames)
        late = await room.alice.refusal(
            "approve_message", thread_id=room.thread_id, message_id=message_id
        )
        assert late.code == "invalid_transition"
        assert late.details["state"] == "rejected"


async def test_only_electors_vote_and_once_each(server: ServerProcess) -> None:
    async with users(server.url) as room, signed_in(server.url) as dave:
        message_id = await room.submit("who may vote")
        await room.alice.bring_in(dave, room.thread_id)
        about = {"thread_id": room.thread_id, "message_id": message_id}
        newcomer = await dave.refusal("approve_message", **about)
        assert newcomer.code == "invalid_transition"
        assert "voter_is_elector" in newcomer.details["guards"]
        assert (await room.carol.refusal("approve_message", **about)).code == "forbidden"
        await room.vote(room.alice, message_id)
        twice = await room.alice.refusal("reject_message", **about)
        assert twice.code == "invalid_transition"
        assert "voter_has_not_voted" in twice.details["guards"]
        unknown = await room.bob.refusal(
            "approve_message", thread_id=room.thread_id, message_id=new_id()
        )
        assert unknown.code == "not_found"


async def test_an_author_takes_a_message_back_and_nobody_else_can(server: ServerProcess) -> None:
    async with users(server.url) as room:
        message_id = await room.submit("on second thought")
        about = {"thread_id": room.thread_id, "message_id": message_id}
        assert (await room.alice.refusal("withdraw_message", **about)).details["guards"] == [
            "author_asks"
        ]
        await room.carol.ask("withdraw_message", **about)
        withdrawn = await room.bob.event(room.thread_id, "message_withdrawn")
        assert withdrawn["data"]["message"]["status"] == "withdrawn"
        assert (await room.bob.refusal("approve_message", **about)).code == "invalid_transition"
        assert (await room.carol.refusal("withdraw_message", **about)).code == (
            "invalid_transition"
        )


async def test_an_elector_who_leaves_counts_no_more_and_may_complete_the_vote(
    server: ServerProcess,
) -> None:
    prompt = "decided by a departure"
    async with users(server.url) as room:
        message_id = await room.submit(prompt)
        await room.vote(room.alice, message_id)
        await room.bob.ask("leave_co_authorship", thread_id=room.thread_id)
        approved = await room.alice.event(room.thread_id, "message_approved")
        assert approved["data"]["message"]["electors"] == [room.alice.public_key]
        left = await room.alice.event(room.thread_id, "co_author_left")
        assert approved["seq"] == left["seq"] + 1, "one transaction"
        finished = await room.carol.end_of(approved["data"]["run_id"])
        assert finished["message"]["content"] == answer_to(prompt)
        joined = await room.bob.event(
            room.thread_id, "co_author_joined", public_key=room.carol.public_key
        )
        assert joined, "the thread is public, so who left goes on reading"


async def test_who_left_and_came_back_is_no_elector_again(server: ServerProcess) -> None:
    async with users(server.url) as room:
        message_id = await room.submit("do you remember me")
        await room.bob.ask("leave_co_authorship", thread_id=room.thread_id)
        await room.alice.bring_in(room.bob, room.thread_id)
        refused = await room.bob.refusal(
            "approve_message", thread_id=room.thread_id, message_id=message_id
        )
        assert "voter_is_elector" in refused.details["guards"]
        assert (await room.vote(room.alice, message_id))["run_id"] is not None


async def test_the_last_co_author_cannot_leave(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        refused = await alice.refusal("leave_co_authorship", thread_id=thread_id)
        assert refused.code == "invalid_transition"
        assert refused.details["guards"] == ["another_co_author_stays"]


async def test_an_outsider_may_not_do_what_co_authors_do(server: ServerProcess) -> None:
    async with users(server.url) as room:
        run = await room.alice.ask("submit_prompt", thread_id=room.thread_id, prompt="hands off")
        await room.carol.end_of(run["run_id"])
        for type_, data in (
            ("rename_thread", {"name": "Mine"}),
            ("archive_thread", {}),
            ("invite_co_author", {"public_key": room.carol.public_key}),
            ("leave_co_authorship", {}),
            ("cancel_run", {"run_id": run["run_id"]}),
            ("retry_run", {"run_id": run["run_id"]}),
        ):
            refused = await room.carol.refusal(type_, thread_id=room.thread_id, **data)
            assert refused.code == "forbidden", f"{type_}: {refused}"


async def test_who_is_a_co_author_cannot_be_invited_again(server: ServerProcess) -> None:
    async with users(server.url) as room:
        refused = await room.alice.refusal(
            "invite_co_author", thread_id=room.thread_id, public_key=room.bob.public_key
        )
        assert refused.code == "invalid_transition"


async def test_only_so_many_messages_wait(server: ServerProcess) -> None:
    async with users(server.url) as room, signed_in(server.url) as dave:
        for number in range(2):
            await room.submit(f"waiting {number}")
        about = {"thread_id": room.thread_id, "prompt": "one too many"}
        refused = await room.carol.refusal("submit_prompt", **about)
        assert refused.code == "rate_limited"
        assert refused.retry_after_ms
        await dave.ask("submit_prompt", **about)
        assert (await dave.refusal("submit_prompt", **about)).code == "rate_limited"


async def test_archiving_expires_what_waits(server: ServerProcess) -> None:
    async with users(server.url) as room:
        message_id = await room.submit("too late now")
        await room.bob.ask("archive_thread", thread_id=room.thread_id)
        expired = await room.carol.event(room.thread_id, "message_expired")
        archived = await room.carol.event(room.thread_id, "thread_archived")
        assert expired["data"]["message_id"] == message_id
        assert archived["seq"] == expired["seq"] + 1


async def test_at_the_deadline_a_message_expires_and_a_vote_comes_too_late(
    hasty: ServerProcess,
) -> None:
    async with users(hasty.url) as room:
        message_id = await room.submit("anybody there")
        expired = await room.carol.event(room.thread_id, "message_expired")
        assert expired["data"]["by"] is None
        assert expired["data"]["message"]["status"] == "expired"
        late = await room.bob.refusal(
            "approve_message", thread_id=room.thread_id, message_id=message_id
        )
        assert late.code == "invalid_transition"
        assert late.details["state"] == "expired"
        assert (await room.carol.follow(room.thread_id))["runs"] == []

"""A request that is sent again: the same answer, and one effect, whatever happened in between."""

import asyncio

import pytest

from tests.support.client import Client, Data, Identity, Refused, new_id, signed_in
from tests.support.served import ServerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.settings(llm="offline")]


async def kinds_in(client: Client, thread_id: str) -> list[str]:
    """What happened in a thread, runs left out."""
    page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
    assert not page["has_more"]
    return [each["data"]["kind"] for each in page["entries"] if each["type"] == "thread_event"]


async def runs_of(client: Client, thread_id: str) -> set[str]:
    """The runs that a thread ever had."""
    page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
    return {each["data"]["run_id"] for each in page["entries"] if each["type"] == "chorus_response"}


async def test_every_kind_of_mutating_request_is_carried_out_once(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:

        async def twice(type_: str, **data: str | None) -> Data:
            request_id = new_id()
            first = await alice.ask(type_, request_id=request_id, **data)
            assert await alice.ask(type_, request_id=request_id, **data) == first, type_
            return first

        await twice("set_name", name="Alice")
        thread_id = str((await twice("create_thread", name="Once"))["thread_id"])
        await alice.follow(thread_id)
        await twice("rename_thread", thread_id=thread_id, name="Only once")
        settings = {"instructions": "Be brief.", "model": None}
        await twice("configure_thread", thread_id=thread_id, **settings)
        key = Identity().public_key
        await twice("invite_co_author", thread_id=thread_id, public_key=key)
        await twice("revoke_invitation", thread_id=thread_id, public_key=key)
        link = (await twice("create_invite_link", thread_id=thread_id))["link"]
        await twice("revoke_invite_link", thread_id=thread_id, link_id=link["id"])
        async with signed_in(server.url) as guest:
            link = (await twice("create_invite_link", thread_id=thread_id))["link"]
            request_id = new_id()
            accept = {"request_id": request_id, "secret": link["secret"]}
            first = await guest.ask("accept_invite_link", **accept)
            assert await guest.ask("accept_invite_link", **accept) == first
            await guest.ask("leave_co_authorship", thread_id=thread_id)
        async with signed_in(server.url) as guest:
            invitation = {"thread_id": thread_id, "public_key": guest.public_key}
            for answer in ("decline_invitation", "accept_invitation"):
                await alice.ask("invite_co_author", **invitation)
                request_id = new_id()
                first = await guest.ask(answer, request_id=request_id, thread_id=thread_id)
                again = await guest.ask(answer, request_id=request_id, thread_id=thread_id)
                assert again == first, answer
        run = await twice("submit_prompt", thread_id=thread_id, prompt="Say it once.")
        assert (await alice.end_of(run["run_id"]))["status"] == "finished"
        await twice("leave_co_authorship", thread_id=thread_id)
        async with signed_in(server.url) as bob:
            own = await bob.new_thread()
            request_id = new_id()
            first = await bob.ask("archive_thread", request_id=request_id, thread_id=own)
            assert await bob.ask("archive_thread", request_id=request_id, thread_id=own) == first
            assert await kinds_in(bob, own) == ["thread_created", "thread_archived"]
        assert (await alice.ask("list_threads", scope="mine"))["threads"] == []
        told = [each["data"].get("kind") for each in alice.live(thread_id)]
        assert [each for each in told if each] == [
            *("thread_renamed", "thread_configured", "co_author_invited", "invitation_revoked"),
            *("invite_link_made", "invite_link_revoked", "invite_link_made"),
            *("co_author_joined", "co_author_left", "co_author_invited"),
            *("invitation_declined", "co_author_invited", "co_author_joined"),
            *("message_submitted", "co_author_left"),
        ]
        assert {run["run_id"]} == {
            each["data"]["run_id"]
            for each in alice.live(thread_id)
            if each["type"] == "chorus_response"
        }


async def test_the_same_request_on_many_connections_at_once_has_one_effect(
    server: ServerProcess,
) -> None:
    alice = Identity()
    async with (
        signed_in(server.url, alice) as one,
        signed_in(server.url, alice) as two,
        signed_in(server.url, alice) as three,
    ):
        connections = (one, two, three)
        thread_id = await one.new_thread()
        for number in range(5):
            request_id = new_id()
            answers = await asyncio.gather(
                *(
                    each.ask(
                        "submit_prompt",
                        request_id=request_id,
                        thread_id=thread_id,
                        prompt=f"All at once {number}",
                    )
                    for each in connections
                )
            )
            assert answers[0] == answers[1] == answers[2]
            created = await asyncio.gather(
                *(
                    each.ask("create_thread", request_id=f"create-{number}", name="One")
                    for each in connections
                )
            )
            assert created[0] == created[1] == created[2]
            await one.end_of(answers[0]["run_id"])
        assert (await kinds_in(one, thread_id)).count("message_submitted") == 5
        assert len(await runs_of(one, thread_id)) == 5
        assert len((await one.ask("list_threads", scope="mine"))["threads"]) == 6


async def test_a_vote_whose_socket_dropped_is_answered_alike_on_another(
    server: ServerProcess,
) -> None:
    bob = Identity()
    async with signed_in(server.url) as alice, signed_in(server.url, bob) as staying:
        for _ in range(8):
            async with signed_in(server.url) as carol, signed_in(server.url, bob) as dropping:
                thread_id = await alice.new_thread(visibility="public")
                await alice.bring_in(staying, thread_id)
                message = await carol.ask(
                    "submit_prompt", thread_id=thread_id, prompt="Vote for me"
                )
                vote = {"thread_id": thread_id, "message_id": message["message_id"]}
                request_id = new_id()
                first = asyncio.create_task(
                    dropping.ask("approve_message", request_id=request_id, **vote)
                )
                await asyncio.sleep(0)  # the request is on its way
                await dropping.drop()
                again = await staying.ask("approve_message", request_id=request_id, **vote)
                assert again["message_id"] == message["message_id"]
                if first.done():
                    assert first.result() == again
                first.cancel()
                assert (await kinds_in(alice, thread_id)).count("vote_cast") == 1


async def test_an_id_stands_for_one_request_of_one_person(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        request_id = "my-request:1"
        made = await alice.ask("create_thread", request_id=request_id, name="Mine")
        for type_, data in (
            ("create_thread", {"name": "Another"}),
            ("create_thread", {"name": "Mine", "visibility": "public"}),
            ("set_name", {"name": "Mine"}),
        ):
            refused = await alice.refusal(type_, request_id=request_id, **data)
            assert refused.code == "conflict", f"{type_} {data}"
        spelt_out = {"name": "Mine", "visibility": "private", "new_field": 1}
        assert await alice.ask("create_thread", request_id=request_id, **spelt_out) == made
        others = await bob.ask("create_thread", request_id=request_id, name="Mine")
        assert others["thread_id"] != made["thread_id"]


async def test_errors_are_not_remembered(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        thread_id = await alice.new_thread()
        request_id = new_id()
        rename = {"thread_id": thread_id, "name": "Ours"}
        refused = await bob.refusal("rename_thread", request_id=request_id, **rename)
        assert refused.code == "not_found"
        await alice.bring_in(bob, thread_id)
        await bob.ask("rename_thread", request_id=request_id, **rename)


async def test_access_is_checked_again_before_an_answer_is_repeated(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        thread_id = await alice.new_thread()
        await alice.bring_in(bob, thread_id)
        request_id = new_id()
        rename = {"thread_id": thread_id, "name": "Ours"}
        await bob.ask("rename_thread", request_id=request_id, **rename)
        await bob.ask("leave_co_authorship", thread_id=thread_id)
        refused = await bob.refusal("rename_thread", request_id=request_id, **rename)
        assert refused.code == "not_found"


async def test_what_was_accepted_is_answered_alike_after_a_restart(server: ServerProcess) -> None:
    alice = Identity()
    async with signed_in(server.url, alice) as client:
        thread_id = await client.new_thread()
        requests: list[tuple[str, str, Data]] = [
            (new_id(), "submit_prompt", {"thread_id": thread_id, "prompt": "Once and for all"}),
            (new_id(), "create_thread", {"name": "Kept"}),
            (new_id(), "set_name", {"name": "Alice"}),
        ]
        before = [
            await client.ask(type_, request_id=request_id, **data)
            for request_id, type_, data in requests
        ]
        await server.kill()
    await server.start()
    async with signed_in(server.url, alice) as client:
        after = [
            await client.ask(type_, request_id=request_id, **data)
            for request_id, type_, data in requests
        ]
        assert after == before
        with pytest.raises(Refused) as other:
            await client.ask("set_name", request_id=requests[2][0], name="Bob")
        assert other.value.code == "conflict"
        assert (await kinds_in(client, thread_id)).count("message_submitted") == 1

"""Who may know what: private threads are unknown to others, to the letter, by every request."""

import pytest

from tests.support.client import Client, Data, Identity, new_id, signed_in
from tests.support.served import ServerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.settings(llm="offline")]


async def finished(client: Client, thread_id: str, prompt: str) -> Data:
    """Submit a prompt to the followed thread, and wait for its answer."""
    accepted = await client.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
    end = await client.end_of(accepted["run_id"])
    assert end["status"] == "finished"
    return accepted


async def test_a_foreign_private_thread_is_unknown_by_every_request(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as mallory:
        foreign = await alice.new_thread(name="Secret plans")
        prompt = await finished(alice, foreign, "Where is the treasure?")
        ids = {"message_id": prompt["message_id"], "run_id": prompt["run_id"]}
        requests: list[tuple[str, Data]] = [
            ("get_thread", {}),
            ("get_thread", {"before_index": 1}),
            ("get_thread", {"after_seq": 0}),
            ("get_events", {"after_seq": 0}),
            ("get_past", {"at_seq": 1}),
            ("explain_run", {"run_id": ids["run_id"]}),
            ("explain_value", {"value_id": ids["message_id"]}),
            ("get_heat", {"machine": "chorus"}),
            ("submit_prompt", {"prompt": "Let me in"}),
            ("cancel_run", {"run_id": ids["run_id"]}),
            ("retry_run", {"run_id": ids["run_id"]}),
            ("approve_message", {"message_id": ids["message_id"]}),
            ("reject_message", {"message_id": ids["message_id"], "reason": "No"}),
            ("withdraw_message", {"message_id": ids["message_id"]}),
            ("invite_co_author", {"public_key": mallory.public_key}),
            ("revoke_invitation", {"public_key": mallory.public_key}),
            ("create_invite_link", {}),
            ("revoke_invite_link", {"link_id": new_id()}),
            ("propose_removal", {"public_key": alice.public_key}),
            ("vote_on_removal", {"public_key": alice.public_key, "decision": "keep"}),
            ("withdraw_removal", {"public_key": alice.public_key}),
            ("accept_invitation", {}),
            ("decline_invitation", {}),
            ("leave_co_authorship", {}),
            ("rename_thread", {"name": "Mine"}),
            ("archive_thread", {}),
            ("search", {"query": "treasure"}),
        ]
        for type_, data in requests:
            exists = await mallory.refusal(type_, thread_id=foreign, **data)
            unknown = await mallory.refusal(type_, thread_id=new_id(), **data)
            assert exists.code == "not_found", f"{type_}: {exists}"
            assert exists.wording == unknown.wording, type_
        for thread_id in (foreign, new_id()):
            left = await mallory.ask("leave_thread", thread_id=thread_id)
            assert left == {
                "thread_id": thread_id,
                **dict.fromkeys(("seq", "message_id", "run_id")),
            }
        assert (await mallory.ask("list_threads", scope="mine"))["threads"] == []
        public = await mallory.ask("list_threads", scope="public", limit=200)
        assert foreign not in [each["id"] for each in public["threads"]]
        assert "Secret plans" not in str(mallory.frames)
        assert "treasure" not in str(mallory.frames)
        head = (await alice.follow(foreign))["head_seq"]
        assert head == alice.live(foreign)[-1]["seq"], "nothing that was refused left a trace"


async def test_a_refused_thread_leaves_the_followed_one_as_it_was(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        own = await alice.new_thread()
        foreign = await bob.new_thread()
        assert (await alice.refusal("get_thread", thread_id=foreign)).code == "not_found"
        await alice.ask("rename_thread", thread_id=own, name="Still here")
        await alice.event(own, "thread_renamed")


async def test_ids_of_one_thread_are_unknown_in_another(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        first = await alice.new_thread()
        await bob.new_thread()
        prompt = await finished(alice, first, "What stands where?")
        own = await bob.new_thread()
        for type_, data in (
            ("cancel_run", {"run_id": prompt["run_id"]}),
            ("retry_run", {"run_id": prompt["run_id"]}),
            ("withdraw_message", {"message_id": prompt["message_id"]}),
            ("approve_message", {"message_id": prompt["message_id"]}),
        ):
            foreign = await bob.refusal(type_, thread_id=own, **data)
            unknown = await bob.refusal(type_, thread_id=own, **dict.fromkeys(data, new_id()))
            assert foreign.code == "not_found"
            assert foreign.wording == unknown.wording, type_


async def test_who_joined_knows_the_thread_and_who_leaves_knows_it_no_more(
    server: ServerProcess,
) -> None:
    alice, bob = Identity(), Identity()
    async with signed_in(server.url, alice) as host, signed_in(server.url, bob) as guest:
        thread_id = await host.new_thread(name="Between us")
        assert (await guest.refusal("get_thread", thread_id=thread_id)).code == "not_found"
        await host.bring_in(guest, thread_id)
        assert (await guest.follow(thread_id))["thread"]["name"] == "Between us"
        (mine,) = (await guest.ask("list_threads", scope="mine"))["threads"]
        assert mine["id"] == thread_id

        async with signed_in(server.url, bob) as elsewhere:
            await elsewhere.follow(thread_id)
            left = await guest.ask("leave_co_authorship", thread_id=thread_id)
            for client in (guest, elsewhere):
                last = await client.event(thread_id, "co_author_left", public_key=bob.public_key)
                assert last["seq"] == left["seq"]
                assert (await client.refusal("get_thread", thread_id=thread_id)).code == (
                    "not_found"
                )
            await host.ask("rename_thread", thread_id=thread_id, name="Without you")
            await host.event(thread_id, "thread_renamed")
            for client in (guest, elsewhere):
                await client.ask("ping")  # what was under way to it has come by now
                assert client.live(thread_id)[-1]["data"]["kind"] == "co_author_left"
                assert "Without you" not in str(client.frames)
                own = await client.new_thread(name="My own")
                await client.ask("rename_thread", thread_id=own, name="It goes on")
                await client.event(own, "thread_renamed")


async def test_a_public_thread_is_read_and_listed_by_anyone_who_is_signed_in(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        thread_id = await alice.new_thread(name="Open house", visibility="public")
        public = await bob.ask("list_threads", scope="public", limit=200)
        assert thread_id in [each["id"] for each in public["threads"]]
        assert (await bob.ask("list_threads", scope="mine"))["threads"] == []
        await bob.follow(thread_id)
        await finished(alice, thread_id, "Is this house open?")
        await bob.until_seq(alice.live(thread_id)[-1]["seq"])
        assert bob.live(thread_id) == alice.live(thread_id), "nothing in it is hidden"


async def test_a_search_finds_what_its_asker_may_read_and_nothing_else(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        hidden = await alice.new_thread(name="Recipes")
        await finished(alice, hidden, "The saffron risotto of my grandmother needs marrow.")
        # A run in the same thread searches only after the memory holds what came before it.
        await finished(alice, hidden, "What needs marrow?")
        own = await alice.ask("search", query="saffron risotto with marrow", thread_id=hidden)
        assert "grandmother" in own["results"][0]["content"]
        assert own["results"][0]["thread_id"] == hidden
        assert own["results"][0]["author"] == alice.public_key
        assert all(0 <= each["score"] <= 1 for each in own["results"])
        everywhere = await bob.ask("search", query="saffron risotto with marrow", limit=80)
        assert hidden not in {each["thread_id"] for each in everywhere["results"]}
        await alice.ask("invite_co_author", thread_id=hidden, public_key=bob.public_key)
        asked = await bob.ask("search", query="saffron risotto with marrow", limit=80)
        assert hidden not in {each["thread_id"] for each in asked["results"]}, "not yet"
        await bob.ask("accept_invitation", thread_id=hidden)
        joined = await bob.ask("search", query="saffron risotto with marrow", limit=80)
        assert "grandmother" in joined["results"][0]["content"]


async def test_a_run_recalls_only_what_all_its_readers_may_read(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        secret = await alice.new_thread()
        await finished(alice, secret, "The password of the harbour gate is swordfish.")
        await finished(alice, secret, "Remember the harbour gate.")
        for visibility, guests in (("public", ()), ("private", (bob,))):
            shared = await alice.new_thread(visibility=visibility)
            for guest in guests:
                await alice.bring_in(guest, shared)
            run = await finished(alice, shared, "What is the password of the harbour gate?")
            recalled = await alice.response(run["run_id"], "completed", step="experience")
            assert secret not in {each["thread_id"] for each in recalled["priors"]}
        alone = await alice.new_thread()
        run = await finished(alice, alone, "What is the password of the harbour gate?")
        recalled = await alice.response(run["run_id"], "completed", step="experience")
        assert secret in {each["thread_id"] for each in recalled["priors"]}


async def test_content_that_waits_for_approval_is_never_recalled(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        thread_id = await alice.new_thread(visibility="public")
        await bob.ask(
            "submit_prompt", thread_id=thread_id, prompt="Unicorns graze on the moon at noon."
        )
        await alice.event(thread_id, "message_submitted")
        run = await finished(alice, thread_id, "What do unicorns do on the moon?")
        recalled = await alice.response(run["run_id"], "completed", step="experience")
        assert not any("graze" in each["content"] for each in recalled["priors"])
        found = await alice.ask("search", query="unicorns graze on the moon", thread_id=thread_id)
        assert not any("graze" in each["content"] for each in found["results"])

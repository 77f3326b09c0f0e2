"""Resuming: a dropped socket costs nobody a frame, and a session lives until it is ended."""

import pytest

from tests.support.client import Client, Identity, connected, seqs, signed_in
from tests.support.obedient_model import STEPS, ObedientModel
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_dropped_socket_loses_and_repeats_no_frame_while_a_run_streams(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "cut off while it streams"
    early = model.hold(prompt, "action", first="The first half,", rest=" the second half.")
    late = model.hold(prompt, "yield", first="Nearly ", rest="done.")
    async with signed_in(server.url) as watcher:
        thread_id = await watcher.new_thread(visibility="public")
        async with signed_in(server.url) as before:
            await before.follow(thread_id)
            run = await watcher.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
            run_id = run["run_id"]
            await before.response(run_id, "delta", step="action")
            assert before.followed is not None
            seen = before.followed.seq
            await before.drop()
            assert [each["text"] for each in before.deltas(run_id)] == ["The first half,"]

            async with connected(server.url) as between:
                init = await between.resume(before.token)
                assert init["thread_id"] == thread_id
                assert init["session"]["token"] == before.token
                epoch = between.frames[0]["data"]["epoch"]
                snapshot = await between.follow(thread_id, after_seq=seen, epoch=epoch)
                (live,) = snapshot["runs"]
                assert (live["step"], live["text"]) == ("action", "The first half,")
                early.opened.set()
                await between.response(run_id, "delta", step="yield")
                await between.until_seq(snapshot["head_seq"])
                assert between.followed is not None
                middle = between.followed.seq
                await between.drop()

        late.opened.set()
        assert (await watcher.end_of(run_id))["status"] == "finished"
        last = watcher.live(thread_id)[-1]["seq"]
        async with connected(server.url) as after:
            await after.resume(between.token)
            assert after.live(thread_id) == [], "it follows nothing until it asks"
            await after.follow(thread_id, after_seq=middle)
            await after.until_seq(last)
        pieced = [*before.live(thread_id), *between.live(thread_id), *after.live(thread_id)]
        assert pieced == watcher.live(thread_id)
        assert seqs(pieced) == list(range(2, last + 1))


async def test_who_comes_in_the_middle_sees_what_was_done_and_hears_the_rest(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "joined in the middle"
    gate = model.hold(prompt, "yield", first="Wait for", rest=" it.")
    async with signed_in(server.url) as alice, signed_in(server.url) as bob:
        thread_id = await alice.new_thread(visibility="public")
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        await alice.response(run["run_id"], "delta", step="yield")
        (live,) = (await bob.follow(thread_id))["runs"]
        assert live["status"] == "running"
        assert [each["step"] for each in live["outputs"]] == list(STEPS[:-1])
        assert live["text"] == "Wait for"
        gate.opened.set()
        done = await bob.response(run["run_id"], "completed", step="yield")
        assert done["text"] == "Wait for it."
        heard = [(each["offset"], each["text"]) for each in bob.deltas(run["run_id"])]
        assert [each for each in heard if each[1]] == [(8, " it.")]


async def test_catching_up_beyond_the_head_or_with_a_stale_epoch_is_refused(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        beyond = await alice.refusal("get_thread", thread_id=thread_id, after_seq=2)
        assert beyond.code == "invalid_field"
        assert beyond.details["field"] == "after_seq"
        stale = await alice.refusal("get_thread", thread_id=thread_id, after_seq=0, epoch="other")
        assert stale.code == "conflict"
        epoch = alice.frames[0]["data"]["epoch"]
        await alice.follow(thread_id, after_seq=0, epoch=epoch)
        await alice.event(thread_id, "thread_created")
        await alice.follow(thread_id, after_seq=1)
        await alice.ask("rename_thread", thread_id=thread_id, name="Goes on")
        await alice.event(thread_id, "thread_renamed")


async def test_a_resume_takes_the_session_away_from_the_socket_that_had_it(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as first, connected(server.url) as second:
        thread_id = await first.new_thread()
        init = await second.resume(first.token)
        assert init["user"]["public_key"] == first.public_key
        assert await first.close_code() == 4009
        await second.follow(thread_id)
        await second.ask("rename_thread", thread_id=thread_id, name="Taken over")
        async with connected(server.url) as third:
            await third.resume(first.token)
            assert await second.close_code() == 4009


async def test_signing_out_closes_and_ends_the_token(server: ServerProcess) -> None:
    alice = Identity()
    async with signed_in(server.url, alice) as leaving, signed_in(server.url, alice) as staying:
        assert await leaving.ask("sign_out") is not None
        assert await leaving.close_code() == 1000
        async with connected(server.url) as later:
            assert (await later.refusal("resume", token=leaving.token)).code == "auth_failed"
            await later.sign_in(alice)
        assert await staying.ask("ping") == {}, "another session of the same person goes on"


async def test_a_wrong_token_is_refused_and_connect_still_works(server: ServerProcess) -> None:
    async with connected(server.url) as client:
        assert (await client.refusal("resume", token="x")).code == "auth_failed"
        await client.sign_in(Identity())


async def test_a_session_and_its_person_survive_a_restart(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread(name="Still there")
        epoch = alice.frames[0]["data"]["epoch"]
        assert await server.stop() == 0
        assert await alice.close_code() == 1001
    await server.start()
    async with connected(server.url) as again:
        assert again.frames[0]["data"]["epoch"] == epoch
        init = await again.resume(alice.token)
        assert init["user"]["public_key"] == alice.public_key
        assert init["session"]["token"] == alice.token
        assert init["thread_id"] == thread_id
        assert [each["name"] for each in init["threads"]] == ["Still there"]
        await _works(again, thread_id)


async def _works(client: Client, thread_id: str) -> None:
    await client.follow(thread_id)
    await client.ask("rename_thread", thread_id=thread_id, name="It works")
    await client.event(thread_id, "thread_renamed")

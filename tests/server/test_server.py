"""The whole server over its websocket: sign-in, threads, and runs from their prompt to their end."""

import asyncio
import json

import pytest

from machines.models.outputs import StepEnum
from machines.prompting.lengths import STEP_TOKENS
from tests.support.client import Data, Identity, Refused, base58, connected, new_id, signed_in
from tests.support.eventually import PATIENCE
from tests.support.obedient_model import (
    STEPS,
    ObedientModel,
    answer_to,
    update,
)
from tests.support.scripted_endpoint import (
    DONE,
    chunk,
    cuts_after,
    line,
    refuses,
    says,
    stalls_after,
    writes,
)
from tests.support.served import ServerProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.settings(thread_queue=1, max_attempts=2),
]


# --- Opening -------------------------------------------------------------------------------------


async def test_a_connection_is_greeted_with_what_the_server_is(server: ServerProcess) -> None:
    async with connected(server.url) as client:
        hello = client.frames[0]["data"]
        assert client.frames[0]["re"] is None
    assert hello["protocol"] == 1
    assert hello["limits"]["max_frame_bytes"] == 393_216
    assert hello["model"] == {"name": "scripted-1", "offline": False}
    assert isinstance(hello["embedder"]["semantic"], bool)
    assert hello["epoch"]


async def test_a_key_signs_in_and_is_the_same_person_the_next_time(server: ServerProcess) -> None:
    alice = Identity()
    async with connected(server.url) as client:
        first = await client.sign_in(alice)
    assert first["user"]["public_key"] == alice.public_key
    assert first["user"]["name"] is None
    assert first["threads"] == []
    assert first["thread_id"] is None
    async with connected(server.url) as client:
        again = await client.sign_in(alice)
    assert again["user"] == first["user"]
    assert again["session"]["token"] != first["session"]["token"]


async def test_before_init_there_is_nothing_but_sign_in_and_ping(server: ServerProcess) -> None:
    async with connected(server.url) as client:
        assert await client.ask("ping") == {}
        refused = [
            await client.refusal("create_thread", name="x"),
            await client.refusal("get_thread", thread_id=new_id()),
            await client.refusal("sign_out"),
            await client.refusal("search", query="x"),
        ]
        assert {each.code for each in refused} == {"not_authenticated"}
        await client.sign_in(Identity())


async def test_a_second_connect_is_refused_and_the_first_goes_on(server: ServerProcess) -> None:
    alice = Identity()
    async with connected(server.url) as client:
        challenge = await client.ask("connect", public_key=alice.public_key)
        refused = await client.refusal("connect", public_key=Identity().public_key)
        assert refused.code == "invalid_transition"
        assert refused.details["machine"] == "connection"
        assert refused.details["state"] == "authenticating"
        assert "authenticate" in refused.details["allowed"]
        init = await client.ask("authenticate", signature=alice.sign(challenge["statement"]))
        assert init["user"]["public_key"] == alice.public_key
        assert (await client.refusal("connect", public_key=alice.public_key)).code == (
            "invalid_transition"
        )


async def test_a_signature_of_another_key_or_another_statement_is_refused(
    server: ServerProcess,
) -> None:
    alice, mallory = Identity(), Identity()
    async with connected(server.url) as client:
        challenge = await client.ask("connect", public_key=alice.public_key)
        forged = mallory.sign(challenge["statement"])
        assert (await client.refusal("authenticate", signature=forged)).code == "auth_failed"
        second = await client.ask("connect", public_key=alice.public_key)
        assert second["nonce"] != challenge["nonce"]
        stale = alice.sign(challenge["statement"])
        assert (await client.refusal("authenticate", signature=stale)).code == "auth_failed"
        third = await client.ask("connect", public_key=alice.public_key)
        await client.ask("authenticate", signature=alice.sign(third["statement"]))


async def test_a_challenge_serves_once(server: ServerProcess) -> None:
    alice = Identity()
    async with connected(server.url) as client:
        assert (
            await client.refusal("authenticate", signature=alice.sign("nothing"))
        ).code == "auth_failed"
        challenge = await client.ask("connect", public_key=alice.public_key)
        wrong = alice.sign("something else")
        assert (await client.refusal("authenticate", signature=wrong)).code == "auth_failed"
    async with connected(server.url) as client:
        await client.ask("connect", public_key=alice.public_key)
        signature = alice.sign(challenge["statement"])
        assert (await client.refusal("authenticate", signature=signature)).code == "auth_failed"


async def test_three_failures_close_with_4001(server: ServerProcess) -> None:
    async with connected(server.url) as client:
        for _ in range(3):
            assert (await client.refusal("resume", token="not-a-token")).code == "auth_failed"
        assert await client.close_code() == 4001


# --- Threads -------------------------------------------------------------------------------------


async def test_a_thread_is_created_listed_renamed_read_and_archived(
    server: ServerProcess,
) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread(name="  Morning  ", visibility="public")
        snapshot = await alice.follow(thread_id)
        assert snapshot["thread"]["name"] == "Morning"
        assert snapshot["thread"]["co_authors"] == [alice.public_key]
        assert snapshot["thread"]["token_balance"] == 0
        assert (snapshot["messages"], snapshot["runs"], snapshot["head_seq"]) == ([], [], 1)

        renamed = await alice.ask("rename_thread", thread_id=thread_id, name="Noon")
        event = await alice.event(thread_id, "thread_renamed", by=alice.public_key)
        assert event["seq"] == renamed["seq"] == 2
        assert event["data"]["thread"]["name"] == "Noon"
        (fired,) = event["data"]["transitions"]
        assert (fired["machine"], fired["event"]) == ("thread", "rename")

        await alice.ask("archive_thread", thread_id=thread_id)
        await alice.event(thread_id, "thread_archived")
        for type_, data in (
            ("submit_prompt", {"prompt": "Too late"}),
            ("rename_thread", {"name": "Night"}),
            ("archive_thread", {}),
        ):
            refused = await alice.refusal(type_, thread_id=thread_id, **data)
            assert refused.code == "invalid_transition", refused
            assert refused.details["state"] == "archived"
        (mine,) = (await alice.ask("list_threads", scope="mine"))["threads"]
        assert mine["id"] == thread_id
        assert (mine["status"], mine["head_seq"]) == ("archived", 3)
        assert (await alice.follow(thread_id))["thread"]["status"] == "archived"


async def test_lists_page_from_the_last_changed_on(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        made = [await alice.new_thread(name=f"Thread {number}") for number in range(5)]
        await alice.ask("rename_thread", thread_id=made[0], name="Changed last")
        page = await alice.ask("list_threads", scope="mine", limit=2)
        listed = [each["id"] for each in page["threads"]]
        while page["next"] is not None:
            page = await alice.ask("list_threads", scope="mine", limit=2, after=page["next"])
            assert 1 <= len(page["threads"]) <= 2
            listed += [each["id"] for each in page["threads"]]
        assert listed == [made[0], *reversed(made[1:])]


async def test_a_thread_is_created_for_oneself_alone(server: ServerProcess) -> None:
    async with connected(server.url) as alice:
        init = await alice.sign_in(Identity())
        await alice.ask("create_thread", name="Own", user_id=init["user"]["id"])
        refused = await alice.refusal("create_thread", name="Not own", user_id=new_id())
        assert refused.code == "forbidden"


async def test_a_name_is_shown_to_who_reads(server: ServerProcess) -> None:
    alice = Identity()
    async with signed_in(server.url, alice) as client:
        assert (await client.ask("set_name", name=" Alice "))["thread_id"] is None
        thread_id = await client.new_thread()
        assert (await client.follow(thread_id))["names"] == {alice.public_key: "Alice"}
    async with connected(server.url) as client:
        assert (await client.sign_in(alice))["user"]["name"] == "Alice"


async def test_who_leaves_a_thread_hears_no_more_of_it_but_notices(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        for _ in range(2):  # leaving what is not followed changes nothing
            left = await alice.ask("leave_thread", thread_id=thread_id)
            assert left["thread_id"] == thread_id
        await alice.ask("rename_thread", thread_id=thread_id, name="Elsewhere")
        notice = await alice.notice(thread_id, "thread_renamed")
        assert notice["data"] == {
            "thread_id": thread_id,
            "head_seq": 2,
            "kind": "thread_renamed",
        }
        assert "seq" not in notice


async def test_notices_of_a_busy_thread_are_gathered(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        began = asyncio.get_running_loop().time()
        thread_id = await alice.new_thread()
        await alice.ask("leave_thread", thread_id=thread_id)
        for number in range(20):
            await alice.ask("rename_thread", thread_id=thread_id, name=f"Name {number}")
        await alice.until(
            lambda each: each["type"] == "notice" and each["data"]["head_seq"] == 21,
            "the notice of the last change",
        )
        seconds = asyncio.get_running_loop().time() - began
        notices = [each for each in alice.frames if each["type"] == "notice"]
        assert 2 <= len(notices) <= seconds + 1, f"{len(notices)} notices in {seconds} s"


# --- Runs ----------------------------------------------------------------------------------------


async def test_a_prompt_streams_through_six_steps_to_its_answer(server: ServerProcess) -> None:
    prompt = "whether it rains"
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        accepted = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        run_id = accepted["run_id"]
        finished = await alice.end_of(run_id)
        assert finished["status"] == "finished"

        responses = alice.responses(run_id)
        assert responses[0]["status"] == "queued"
        completed = [each for each in responses if each["status"] == "completed"]
        assert [each["step"] for each in completed] == list(STEPS)
        assert [each["step"] for each in responses if each["status"] == "started"] == [
            *("action", "experience", "experience"),
            *("intention", "observation", "update", "yield"),
        ]
        assert {each["step"] for each in alice.deltas(run_id)} >= {"action", "yield"}
        assert "priors" in completed[1]
        assert completed[4]["output"]["loop"] is False

        message = finished["message"]
        assert message["content"] == completed[-1]["text"] == answer_to(prompt)
        assert message["id"] == finished["message_id_of_answer"]
        assert (message["role"], message["author"], message["index"]) == ("chorus", None, 1)
        assert message["html"].strip() == f"<p>{answer_to(prompt)}</p>"
        assert (message["model"], message["run_id"]) == ("scripted-1", run_id)
        fired = [each for frame in responses for each in frame["transitions"]]
        assert [each["event"] for each in fired if each["machine"] == "chorus"] == [
            *("start", "step_completed", "priors_retrieved"),
            *("step_completed" for _ in range(5)),
        ]
        assert {each["machine"] for each in fired} == {"chorus", "thread", "message"}

        snapshot = await alice.follow(thread_id)
        assert [each["content"] for each in snapshot["messages"]] == [prompt, answer_to(prompt)]
        assert snapshot["messages"][0]["id"] == accepted["message_id"]
        assert snapshot["messages"][0]["html"] is None
        assert snapshot["runs"] == []


async def test_a_model_that_asks_for_it_goes_round_again(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "what goes round"
    model.plan(prompt, "update", *(update(loop=True) for _ in range(9)))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        accepted = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        finished = await alice.end_of(accepted["run_id"])
        assert (finished["status"], finished["iteration"]) == ("finished", 3)
        steps = [
            (each["iteration"], each["step"])
            for each in alice.responses(accepted["run_id"])
            if each["status"] == "completed"
        ]
        assert steps == [
            *((iteration, step) for iteration in (1, 2, 3) for step in STEPS[:-1]),
            (3, "yield"),
        ]


async def test_a_second_prompt_waits_its_turn_and_a_third_is_too_many(
    server: ServerProcess, model: ObedientModel
) -> None:
    gate = model.hold("the first of three", "action")
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        first = await alice.ask("submit_prompt", thread_id=thread_id, prompt="the first of three")
        await gate.reached.wait()
        second = await alice.ask("submit_prompt", thread_id=thread_id, prompt="the second of three")
        refused = await alice.refusal(
            "submit_prompt", thread_id=thread_id, prompt="the third of three"
        )
        assert refused.code == "thread_busy"
        assert refused.retry_after_ms
        runs = (await alice.follow(thread_id))["runs"]
        assert [(each["run_id"], each["status"]) for each in runs] == [
            (first["run_id"], "running"),
            (second["run_id"], "queued"),
        ]
        gate.opened.set()
        assert (await alice.end_of(second["run_id"]))["status"] == "finished"
        ends = [
            each["data"]["run_id"]
            for each in alice.live(thread_id)
            if each["data"].get("status") == "finished"
        ]
        assert ends == [first["run_id"], second["run_id"]]
        (action,) = (each for each in model.reads("the second of three") if each.step == "action")
        assert answer_to("the first of three") in action.text, "it reads what was said before it"


async def test_a_running_run_is_stopped_upstream_too_and_the_next_one_starts(
    server: ServerProcess, model: ObedientModel
) -> None:
    gate = model.hold("stop me", "yield", first="Half an ans")
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        first = await alice.ask("submit_prompt", thread_id=thread_id, prompt="stop me")
        await alice.response(first["run_id"], "delta", step="yield")
        second = await alice.ask("submit_prompt", thread_id=thread_id, prompt="go after it")
        accepted = await alice.ask("cancel_run", thread_id=thread_id, run_id=first["run_id"])
        assert accepted["run_id"] == first["run_id"]
        async with asyncio.timeout(PATIENCE):
            await gate.hung_up.wait()
        cancelled = await alice.end_of(first["run_id"])
        assert (cancelled["status"], cancelled["by"]) == ("cancelled", alice.public_key)
        assert cancelled["partial"] == "Half an ans"
        assert (await alice.end_of(second["run_id"]))["status"] == "finished"
        refused = await alice.refusal("cancel_run", thread_id=thread_id, run_id=first["run_id"])
        assert refused.code == "invalid_transition"
        assert not any("Half an ans" in each.text for each in model.reads("go after it"))


async def test_a_queued_run_is_stopped_before_it_began(
    server: ServerProcess, model: ObedientModel
) -> None:
    gate = model.hold("busy with this", "action")
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        first = await alice.ask("submit_prompt", thread_id=thread_id, prompt="busy with this")
        second = await alice.ask("submit_prompt", thread_id=thread_id, prompt="never asked")
        await alice.ask("cancel_run", thread_id=thread_id, run_id=second["run_id"])
        assert (await alice.end_of(second["run_id"]))["status"] == "cancelled"
        gate.opened.set()
        assert (await alice.end_of(first["run_id"]))["status"] == "finished"
        assert model.reads("never asked") == []


async def test_a_run_goes_on_when_its_author_goes_and_another_may_stop_it(
    server: ServerProcess, model: ObedientModel
) -> None:
    alice, bob = Identity(), Identity()
    gate = model.hold("while I am away", "action")
    async with signed_in(server.url, alice) as at_desk:
        thread_id = await at_desk.new_thread()
        async with signed_in(server.url, bob) as guest:
            await at_desk.bring_in(guest, thread_id)
        run = await at_desk.ask("submit_prompt", thread_id=thread_id, prompt="while I am away")
        await gate.reached.wait()
    async with signed_in(server.url, bob) as client:
        snapshot = await client.follow(thread_id)
        (live,) = snapshot["runs"]
        assert (live["run_id"], live["step"]) == (run["run_id"], "action")
        gate.opened.set()
        assert (await client.end_of(run["run_id"]))["status"] == "finished"
        stuck = model.hold("stopped by another", "yield")
        async with signed_in(server.url, alice) as back:
            second = await back.ask(
                "submit_prompt", thread_id=thread_id, prompt="stopped by another"
            )
        await stuck.reached.wait()
        await client.ask("cancel_run", thread_id=thread_id, run_id=second["run_id"])
        assert (await client.end_of(second["run_id"]))["by"] == bob.public_key


async def test_archiving_stops_the_runs(server: ServerProcess, model: ObedientModel) -> None:
    gate = model.hold("until it is archived", "action")
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt="until it is archived")
        await gate.reached.wait()
        await alice.ask("archive_thread", thread_id=thread_id)
        cancelled = await alice.end_of(run["run_id"])
        assert (cancelled["status"], cancelled["by"]) == ("cancelled", None)
        async with asyncio.timeout(PATIENCE):
            await gate.hung_up.wait()


# --- Failures of the model -----------------------------------------------------------------------


async def test_a_failed_attempt_is_told_and_nothing_of_it_feeds_what_follows(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "cut in the middle"
    model.plan(prompt, "action", cuts_after("Poisoned ", "words"), says("Sound", " words"))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        assert (await alice.end_of(run["run_id"]))["status"] == "finished"
        told = [
            (each["status"], each["attempt"])
            for each in alice.responses(run["run_id"])
            if each["step"] == "action"
        ]
        assert told == [
            ("queued", 1),
            ("started", 1),
            ("recovering", 1),
            ("started", 2),
            ("completed", 2),
        ]
        recovering = await alice.response(run["run_id"], "recovering")
        assert recovering["code"] == "ai_unavailable"
        assert recovering["partial"] == "Poisoned words"
        assert recovering["retry_in_ms"] > 0
        done = await alice.response(run["run_id"], "completed", step="action")
        assert done["text"] == "Sound words"
        later = [each for each in model.reads(prompt) if each.step != "action"]
        assert len(later) == 5
        assert not any("Poisoned" in each.text for each in later)


async def test_a_text_that_ends_at_its_length_limit_is_kept_and_marked_as_cut(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "tell it at length"
    model.plan(prompt, "action", says("A long", " thought", finish="length"))
    model.plan(prompt, "yield", says("A long", " answer", finish="length"))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        finished = await alice.end_of(run["run_id"])
        assert finished["message"]["content"] == "A long answer"
        assert finished["message"]["cut"] is True
        cut = {
            each["step"]: each.get("cut", False)
            for each in alice.responses(run["run_id"])
            if each["status"] == "completed"
        }
        assert cut == {step: step in {"action", "yield"} for step in STEPS}
        assert len(model.reads(prompt)) == len(STEPS)
        snapshot = await alice.follow(thread_id)
        assert [each.get("cut") for each in snapshot["messages"]] == [None, True]
        page = await alice.ask("get_events", thread_id=thread_id, after_seq=1)
        assert page["entries"] == alice.live(thread_id)


async def test_thoughts_are_shown_while_they_come_and_kept_nowhere(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "think about it"
    thoughts = [
        line(chunk(reasoning_content=text)) for text in ("Let me ", "SEE \N{GRINNING FACE}")
    ]
    events = [*thoughts, line(chunk("A thought")), line(chunk(finish="stop")), DONE]
    model.plan(prompt, "action", writes(*events))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        assert (await alice.end_of(run["run_id"]))["status"] == "finished"
        passing = [
            frame["data"]
            for frame in alice.frames
            if frame["type"] == "chorus_response" and frame["data"]["status"] == "thinking"
        ]
        text = ""
        for each in passing:
            assert (each["step"], each["offset"]) == ("action", len(text))
            text += each["text"]
        assert text == "Let me SEE \N{GRINNING FACE}"
        done = await alice.response(run["run_id"], "completed", step="action")
        assert done["text"] == "A thought"
        page = await alice.ask("get_events", thread_id=thread_id, after_seq=0)
        assert "SEE" not in json.dumps(page["entries"])
        assert not any("SEE" in each.text for each in model.reads(prompt))


async def test_who_comes_while_a_model_thinks_sees_what_it_thought_so_far(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "think for long"
    model.plan(prompt, "action", stalls_after(tail=[chunk(reasoning_content="Let me see.")]))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        await alice.response(run["run_id"], "thinking")
        (shown,) = (await alice.follow(thread_id))["runs"]
        assert (shown["text"], shown["thinking"]) == ("", "Let me see.")
        await alice.ask("cancel_run", thread_id=thread_id, run_id=run["run_id"])
        stopped = await alice.end_of(run["run_id"])
        assert "partial" not in stopped, "thoughts are no part of an answer"


async def test_json_that_is_cut_off_is_asked_for_again_with_a_larger_limit(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "count them all"
    model.plan(prompt, "update", says('{"reasoning": "It goes', finish="length"))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        assert (await alice.end_of(run["run_id"]))["status"] == "finished"
        first, second = [each.limit for each in model.reads(prompt) if each.step == "update"]
        assert first is not None
        assert first >= STEP_TOKENS[StepEnum.UPDATE]
        assert second == 2 * first


async def test_a_run_that_has_no_attempt_left_fails_and_may_be_run_again(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "always overloaded"
    model.plan(prompt, "action", refuses(503), refuses(503))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        failed = await alice.end_of(run["run_id"])
        assert (failed["status"], failed["code"], failed["attempt"]) == (
            *("failed", "ai_unavailable"),
            2,
        )
        assert "SECRET" not in json.dumps(alice.frames), "the endpoint's own words stay behind"
        retried = await alice.ask("retry_run", thread_id=thread_id, run_id=run["run_id"])
        assert retried["run_id"] != run["run_id"]
        assert retried["message_id"] == run["message_id"]
        assert (await alice.end_of(retried["run_id"]))["status"] == "finished"
        for run_id in (run["run_id"], retried["run_id"]):
            refused = await alice.refusal("retry_run", thread_id=thread_id, run_id=run_id)
            assert refused.code == "invalid_transition"
            assert refused.details["guards"]
        unknown = await alice.refusal("retry_run", thread_id=thread_id, run_id=new_id())
        assert unknown.code == "not_found"


async def test_what_an_operator_must_mend_is_not_tried_again(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "with a wrong key"
    model.plan(prompt, "action", refuses(401))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        failed = await alice.end_of(run["run_id"])
        assert (failed["status"], failed["code"]) == ("failed", "ai_rejected")
        assert len(model.reads(prompt)) == 1


async def test_useless_output_fails_the_run_by_its_own_code(
    server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "in no shape"
    model.plan(prompt, "update", says("No JSON"), says("{}"))
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        failed = await alice.end_of(run["run_id"])
        assert (failed["status"], failed["code"], failed["step"]) == (
            *("failed", "ai_invalid_output"),
            "update",
        )
        messages = (await alice.follow(thread_id))["messages"]
        assert [each["content"] for each in messages] == [prompt], "a failure is no answer"


# --- The journal, on the wire --------------------------------------------------------------------


async def test_the_journal_read_in_pages_is_what_was_seen_live(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt="to be read again")
        await alice.end_of(run["run_id"])
        entries, after = [], 0
        while True:
            page = await alice.ask("get_events", thread_id=thread_id, after_seq=after, limit=4)
            entries += page["entries"]
            after = entries[-1]["seq"]
            if not page["has_more"]:
                break
            assert len(page["entries"]) == 4
        assert [each["seq"] for each in entries] == list(range(1, page["head_seq"] + 1))
        assert entries[0]["data"]["kind"] == "thread_created"
        assert entries[1:] == alice.live(thread_id)
        beyond = await alice.ask("get_events", thread_id=thread_id, after_seq=after + 7)
        assert (beyond["entries"], beyond["has_more"]) == ([], False)


async def test_messages_page_back_without_following_anew(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        thread_id = await alice.new_thread()
        for number in range(3):
            run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=f"page {number}")
            await alice.end_of(run["run_id"])
        newest = await alice.follow(thread_id, limit=2)
        assert [each["index"] for each in newest["messages"]] == [4, 5]
        assert newest["has_more"]
        other = await alice.ask("create_thread", name="Another")
        await alice.follow(str(other["thread_id"]))
        older = await alice.ask("get_thread", thread_id=thread_id, limit=9, before_index=4)
        assert [each["index"] for each in older["messages"]] == [0, 1, 2, 3]
        assert not older["has_more"]
        assert alice.followed is not None
        assert alice.followed.thread_id == other["thread_id"]
        await alice.ask("rename_thread", thread_id=other["thread_id"], name="Still followed")
        await alice.event(str(other["thread_id"]), "thread_renamed")


@pytest.mark.parametrize(
    ("type_", "data", "field"),
    [
        ("create_thread", {"name": "  "}, "name"),
        ("create_thread", {"name": "x" * 81}, "name"),
        ("create_thread", {"name": "x", "visibility": "secret"}, "visibility"),
        ("create_thread", {}, "name"),
        ("get_thread", {"thread_id": "7"}, "thread_id"),
        ("get_events", {"thread_id": new_id(), "after_seq": "0"}, "after_seq"),
        ("get_events", {"thread_id": new_id(), "after_seq": -1}, "after_seq"),
        ("submit_prompt", {"thread_id": new_id(), "prompt": "\n \t"}, "prompt"),
        ("list_threads", {"scope": "all"}, "scope"),
        ("search", {"query": "x", "limit": 81}, "limit"),
        ("invite_co_author", {"thread_id": new_id(), "public_key": "0OIl"}, "public_key"),
        *(
            ("invite_co_author", {"thread_id": new_id(), "public_key": base58(key)}, "public_key")
            for key in (bytes(32), b"\2" + bytes(31), b"\1" + bytes(31))
        ),
    ],
)
async def test_a_wrong_field_is_named(
    server: ServerProcess, type_: str, data: Data, field: str
) -> None:
    async with signed_in(server.url) as alice:
        refused = await alice.refusal(type_, **data)
        assert refused.code == "invalid_field"
        assert refused.details["field"] == field
        assert refused.details["problem"]


async def test_a_list_goes_on_only_where_it_ended(server: ServerProcess) -> None:
    async with signed_in(server.url) as alice:
        with pytest.raises(Refused) as refused:
            await alice.ask("list_threads", scope="mine", after="nowhere")
        assert refused.value.code == "invalid_field"

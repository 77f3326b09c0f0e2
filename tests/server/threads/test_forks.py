"""A run goes on in another way from one of its steps, and stands in the thread only once it is adopted."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.llm.policy import ModelPolicy
from server.services import Services
from server.wire.differences import MOST_SPANS
from tests.server.threads.forking import (
    OTHER_MODEL,
    asked,
    co_author,
    followed_thread,
    fork,
    over,
    steps_of,
    told,
    written_by,
)
from tests.support.client import Data
from tests.support.follower import services_with_model
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.scripted_endpoint import says

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ObedientModel]:
    async with obedient_model() as model:
        yield model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(
    model: ObedientModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Services]:
    folder = tmp_path_factory.mktemp("forks")
    async with services_with_model(
        model.url, folder, ModelPolicy(), models=(OTHER_MODEL,)
    ) as services:
        yield services


async def test_what_a_fork_keeps_is_not_asked_again_and_is_the_same_to_the_byte(
    services: Services, model: ObedientModel
) -> None:
    ann = await co_author(services)
    thread = await followed_thread(ann)
    prompt = "Which lamp burns longest?"
    first = await asked(ann, thread, prompt)
    before = await steps_of(ann, thread, first["run_id"])
    asked_before = len(model.asked)

    text = "Another reading of what is wanted."
    forked = await fork(ann, thread, first, "intention", {"kind": "step_text", "text": text})

    steps = [each.step for each in model.asked[asked_before:]]
    assert steps == ["observation", "update", "yield"]
    assert text in model.asked[asked_before].text
    after = await steps_of(ann, thread, forked["run_id"])
    assert after[:2] == before[:2]
    assert after[2] == {**before[2], "text": text, "usage": None}
    assert await steps_of(ann, thread, first["run_id"]) == before, "its origin is as it was"
    assert await services.journal.verify() == ()


@pytest.mark.parametrize(
    ("step", "change", "goes_on"),
    [
        ("action", {"kind": "prompt", "text": "And which lamp is cheapest?"}, "experience"),
        ("experience", {"kind": "model", "model": OTHER_MODEL}, "intention"),
        ("intention", {"kind": "instructions", "text": "In verse."}, "observation"),
        ("observation", {"kind": "step_text", "text": "It never repeats."}, "update"),
        ("update", {"kind": "step_text", "text": "Nothing more to find."}, "yield"),
        ("yield", {"kind": "model", "model": OTHER_MODEL}, "yield"),
    ],
)
async def test_a_fork_goes_on_after_its_step_with_the_change(
    services: Services, model: ObedientModel, step: str, change: Data, goes_on: str
) -> None:
    ann = await co_author(services)
    thread = await followed_thread(ann)
    prompt = f"What lasts, asked before {step}?"
    first = await asked(ann, thread, prompt)
    count = len(model.asked)

    forked = await fork(ann, thread, first, step, change)

    next_one = model.asked[count]
    assert next_one.step == goes_on
    assert next_one.prompt == (change["text"] if change["kind"] == "prompt" else prompt)
    assert next_one.model == change.get("model", "scripted-1")
    assert ("In verse." in next_one.system) is (change["kind"] == "instructions")
    compared = await ann.get(
        "compare_runs", run_id=first["run_id"], other_run_id=forked["run_id"], **thread
    )
    assert compared["other"]["origin"] == {
        "run_id": first["run_id"],
        "step": step,
        "iteration": 1,
        "change": change,
    }
    assert compared["other"]["branch"]["status"] == "ready"
    explained = await ann.get("explain_run", run_id=forked["run_id"], **thread)
    changed = {} if change["kind"] == "step_text" else {change["kind"]: list(change.values())[-1]}
    assert explained["asked_with"] == {"prompt": prompt, **changed}, "as it was asked, not as it is"


async def test_another_text_of_the_answer_is_the_branchs_answer_without_any_call(
    services: Services, model: ObedientModel
) -> None:
    ann = await co_author(services)
    thread = await followed_thread(ann)
    first = await asked(ann, thread, "Who keeps the light?")
    count = len(model.asked)
    text = "The keeper does, as we know."
    forked = await fork(ann, thread, first, "yield", {"kind": "step_text", "text": text})
    assert len(model.asked) == count

    await ann.get("propose_adoption", branch_id=forked["branch_id"], **thread)
    shown = await ann.get("get_thread", **thread)
    *_, answer = shown["messages"]
    assert (answer["content"], answer["status"], answer["model"]) == (text, "approved", None)
    assert answer["forked_from"]["change"] == "step_text"


async def test_a_branch_is_no_part_of_the_thread_before_all_its_electors_agreed(
    services: Services, model: ObedientModel
) -> None:
    ann, bob = await co_author(services), await co_author(services)
    thread = await followed_thread(ann, bob)
    first = await asked(ann, thread, "What is the sea?")
    forked = await fork(ann, thread, first, "yield", {"kind": "model", "model": OTHER_MODEL})
    shown = await bob.get("get_thread", **thread)
    (branch,) = shown["branches"]
    assert (branch["status"], branch["made_by"]) == ("ready", ann.public_key)
    assert len(shown["messages"]) == 2
    branch_id = {"branch_id": forked["branch_id"], **thread}

    await ann.get("propose_adoption", **branch_id)
    assert len((await bob.get("get_thread", **thread))["messages"]) == 2
    (item,) = (await bob.get("get_inbox"))["items"]
    assert (item["kind"], item["branch_id"]) == ("branch", forked["branch_id"])
    twice = await ann.ask("vote_on_branch", decision="approve", **branch_id)
    assert twice["data"]["details"]["guards"] == ["voter_has_not_voted", "not deadline_is_ahead"]
    await bob.get("vote_on_branch", decision="approve", **branch_id)

    adopted = await bob.line.until(told(bob, "branch_adopted"), "the adoption")
    answer = adopted["data"]["message"]
    shown = await bob.get("get_thread", **thread)
    prompt, old, new = shown["messages"]
    assert (old["status"], old["superseded_by"]) == ("superseded", answer["id"])
    assert (new["status"], new["supersedes"], new["id"]) == ("approved", old["id"], answer["id"])
    assert new["forked_from"] == {
        "branch_id": forked["branch_id"],
        "run_id": first["run_id"],
        "step": "yield",
        "iteration": 1,
        "change": "model",
    }
    assert prompt["run_id"] == adopted["data"]["run_id"] == forked["run_id"]
    assert prompt["id"] == adopted["data"]["prompt_id"]
    assert shown["branches"] == []
    assert (await bob.get("get_inbox"))["items"] == []
    await asked(bob, thread, "And what is the shore?")
    reads = model.reads("And what is the shore?")[0].text
    assert new["content"] in reads
    assert await services.journal.verify() == ()


async def test_one_vote_against_it_ends_a_branch(services: Services) -> None:
    ann, bob = await co_author(services), await co_author(services)
    thread = await followed_thread(ann, bob)
    first = await asked(ann, thread, "What is the wind?")
    forked = await fork(ann, thread, first, "yield", {"kind": "step_text", "text": "Moving air."})
    branch_id = {"branch_id": forked["branch_id"], **thread}
    await bob.get("propose_adoption", **branch_id)
    await ann.get("vote_on_branch", decision="reject", **branch_id)
    ended = await bob.line.until(told(bob, "branch_rejected"), "the end of the vote")
    assert ended["data"]["by"] == ann.public_key
    shown = await bob.get("get_thread", **thread)
    assert (len(shown["messages"]), shown["branches"]) == (2, [])
    gone = await bob.ask("vote_on_branch", decision="approve", **branch_id)
    assert gone["data"]["code"] == "not_found"


async def test_what_cannot_be_forked_is_refused_as_the_protocol_says(services: Services) -> None:
    ann = await co_author(services)
    thread, elsewhere = await followed_thread(ann), await followed_thread(ann)
    await ann.get("get_thread", **thread)
    first = await asked(ann, thread, "What is fog?")
    steps = await steps_of(ann, thread, first["run_id"])
    text = {"kind": "step_text", "text": "Other."}
    unknown = {"run_id": thread["thread_id"]}
    for where, run, step, more, change, code in (
        (thread, unknown, "action", {}, text, "not_found"),
        (elsewhere, first, "action", {}, text, "not_found"),
        (thread, first, "action", {"iteration": 2}, text, "not_found"),
        (thread, first, "action", {"iteration": 0}, text, "invalid_field"),
        (thread, first, "dreaming", {}, text, "invalid_field"),
        (thread, first, "action", {}, {"kind": "step_text", "text": " "}, "invalid_field"),
        (thread, first, "action", {}, {"kind": "prompt", "text": "x" * 32_001}, "too_large"),
        (
            thread,
            first,
            "action",
            {},
            {"kind": "instructions", "text": "x" * 4_001},
            "invalid_field",
        ),
        (thread, first, "action", {}, {"kind": "model", "model": "unheard-of"}, "invalid_field"),
        (thread, first, "action", {}, {"kind": "mood", "text": "sad"}, "invalid_field"),
        (thread, first, "action", {}, {"kind": "prompt", "text": "What is fog?"}, "invalid_field"),
        (thread, first, "action", {}, {"kind": "instructions", "text": " "}, "invalid_field"),
        (
            thread,
            first,
            "yield",
            {},
            {"kind": "step_text", "text": steps[-1]["text"]},
            "invalid_field",
        ),
    ):
        data = {"run_id": run["run_id"], "step": step, "change": change, **more, **where}
        refused = await ann.ask("fork_run", **data)
        assert refused["data"]["code"] == code, (data, refused)
    compared = await ann.ask(
        "compare_runs", run_id=first["run_id"], other_run_id=thread["thread_id"], **thread
    )
    assert compared["data"]["code"] == "not_found"
    for request in ("propose_adoption", "discard_branch"):
        gone = await ann.ask(request, branch_id=first["run_id"], **thread)
        assert gone["data"]["code"] == "not_found"
    assert (await ann.get("get_thread", **thread))["branches"] == []


async def test_a_thread_has_room_for_so_many_branches(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machines.decisions.branches.MAX_OPEN_BRANCHES", 1)
    ann = await co_author(services)
    thread = await followed_thread(ann)
    first = await asked(ann, thread, "What is dew?")
    change = {"kind": "step_text", "text": "Water."}
    one = await fork(ann, thread, first, "yield", change)
    data = {"run_id": first["run_id"], "step": "yield", "change": change, **thread}
    again = await ann.ask("fork_run", **data)
    assert (again["data"]["code"], again["data"]["retryable"]) == ("rate_limited", True)
    await ann.get("discard_branch", branch_id=one["branch_id"], **thread)
    await fork(ann, thread, first, "yield", change)


async def test_forks_may_follow_from_one_another_up_to_a_bound(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machines.decisions.branches.MAX_GENERATIONS", 3)
    ann = await co_author(services)
    thread = await followed_thread(ann)
    first = await asked(ann, thread, "What is foam?")
    runs = [first]
    for text, step in (("Air.", "intention"), ("Sea.", "update"), ("Salt.", "action")):
        change = {"kind": "step_text", "text": text}
        runs.append(await fork(ann, thread, runs[-1], step, change))
    again = {"run_id": runs[-1]["run_id"], "step": "action", "change": {"kind": "step_text"}}
    refused = await ann.ask("fork_run", **thread, **again | {"change": {**change, "text": "?"}})
    assert refused["data"]["code"] == "too_large"
    assert refused["data"]["message"] == "At most 3 forks may follow from one another."
    shown = await ann.get("get_thread", **thread)
    assert [each.get("generation") for each in shown["branches"]] == [None, 2, 3]
    ways = {
        one["run_id"]: await ann.get(
            "compare_runs", run_id=one["run_id"], other_run_id=first["run_id"], **thread
        )
        for one in runs
    }
    own = [len(way["one"]["edges"]) - way["common_edges"] for way in ways.values()]
    common = [way["common_edges"] for way in ways.values()]
    assert own[0] == 0
    assert common[0] > common[1] == common[2] > common[3], "the last one left it at its first step"


async def test_a_fork_sent_again_is_made_once(services: Services) -> None:
    ann = await co_author(services)
    thread = await followed_thread(ann)
    first = await asked(ann, thread, "What is ice?")
    change = {"kind": "step_text", "text": "Cold water."}
    data = {"run_id": first["run_id"], "step": "yield", "change": change, **thread}
    replies = [await ann.get("fork_run", request_id="once", **data) for _ in range(2)]
    assert replies[0] == replies[1]
    assert len((await ann.get("get_thread", **thread))["branches"]) == 1
    other = {**data, "change": {**change, "text": "Hard water."}}
    assert (await ann.ask("fork_run", request_id="once", **other))["data"]["code"] == "conflict"


async def test_what_becomes_of_branches_where_a_prompt_is_written_anew_or_a_co_author_leaves(
    services: Services,
) -> None:
    ann, bob, cid = [await co_author(services) for _ in range(3)]
    thread = await followed_thread(ann, bob, cid)
    first = await asked(ann, thread, "What is a reef?")
    change = {"kind": "step_text", "text": "Corals."}
    voted_on = await fork(bob, thread, first, "yield", change)
    own = await fork(bob, thread, first, "yield", {**change, "text": "Rocks."})
    branch_id = {"branch_id": voted_on["branch_id"], **thread}
    await ann.get("propose_adoption", **branch_id)
    await cid.get("vote_on_branch", decision="approve", **branch_id)
    await bob.get("leave_co_authorship", **thread)
    adopted = await ann.line.until(told(ann, "branch_adopted"), "the vote without who left")
    assert adopted["data"]["by"] is None
    assert adopted["data"]["message"]["content"] == "Corals."
    shown = await ann.get("get_thread", **thread)
    assert shown["branches"] == [], "what bob made and nobody proposed went with them"
    assert own["branch_id"] in {
        each["data"]["branch"]["id"]
        for each in ann.line.frames
        if each["data"].get("kind") == "branch_discarded"
    }
    late = await fork(
        ann,
        thread,
        {"run_id": adopted["data"]["branch"]["run_id"]},
        "yield",
        change | {"text": "A bar."},
    )
    await ann.get(
        "submit_prompt", prompt="What is an atoll?", supersedes=first["message_id"], **thread
    )
    shown = await ann.get("get_thread", **thread)
    assert late["branch_id"] not in {each["id"] for each in shown["branches"]}
    statuses = [each["status"] for each in shown["messages"]]
    assert statuses[:3] == ["superseded"] * 3
    assert await services.journal.verify() == ()


async def test_a_fork_waits_for_its_turn_and_its_maker_may_give_it_up(
    services: Services, model: ObedientModel
) -> None:
    ann, bob = await co_author(services), await co_author(services)
    thread = await followed_thread(ann, bob)
    first = await asked(ann, thread, "What is rain?")
    gate = model.hold("What is snow?", "action")
    held = await ann.get("submit_prompt", prompt="What is snow?", **thread)
    await gate.reached.wait()
    forked = await ann.get(
        "fork_run",
        run_id=first["run_id"],
        step="action",
        change={"kind": "prompt", "text": "What is hail?"},
        **thread,
    )
    shown = await ann.get("get_thread", **thread)
    waiting = {each["run_id"]: each["status"] for each in shown["runs"]}
    assert waiting == {held["run_id"]: "running", forked["run_id"]: "queued"}
    branch_id = {"branch_id": forked["branch_id"], **thread}
    refused = await bob.ask("discard_branch", **branch_id)
    assert refused["data"]["details"]["guards"] == ["maker_asks"]
    await ann.get("discard_branch", **branch_id)
    ended = await over(ann, forked["run_id"])
    assert ended["data"]["status"] == "cancelled"
    gate.opened.set()
    await over(ann, held["run_id"])
    assert model.reads("What is hail?") == []


async def test_what_a_fork_has_written_is_kept_whatever_stops_it(
    services: Services, model: ObedientModel
) -> None:
    ann, bob = await co_author(services), await co_author(services)
    thread = await followed_thread(ann, bob)
    prompt = "What is a current?"
    first = await asked(ann, thread, prompt)
    anew = {"prompt": "What is a tide?", "supersedes": first["message_id"]}
    for stop, data in (("leave_co_authorship", {}), ("submit_prompt", anew)):
        gate = model.hold(prompt, "yield", first="Half a st")
        maker = bob if stop == "leave_co_authorship" else ann
        change = {"kind": "step_text", "text": f"Wanted before {stop}."}
        forked = await maker.get(
            "fork_run", run_id=first["run_id"], step="update", change=change, **thread
        )
        await gate.reached.wait()
        await ann.line.until(written_by(forked["run_id"]), "the text so far")
        await maker.get(stop, **data, **thread)
        ended = await over(ann, forked["run_id"])
        assert (ended["data"]["status"], ended["data"]["partial"]) == ("cancelled", "Half a st")
        kept = await ann.get("get_events", after_seq=ended["seq"] - 1, limit=1, **thread)
        assert kept["entries"][0]["data"]["partial"] == "Half a st"


async def test_an_adoption_stops_a_retried_run_that_would_answer_its_prompt_once_more(
    services: Services, model: ObedientModel
) -> None:
    ann, bob = await co_author(services), await co_author(services)
    thread = await followed_thread(ann, bob)
    prompt = "What is a swell?"
    written = model.hold(prompt, "yield")
    first = await ann.get("submit_prompt", prompt=prompt, **thread)
    await written.reached.wait()
    await ann.get("cancel_run", run_id=first["run_id"], **thread)
    await over(ann, first["run_id"])
    forked = await fork(ann, thread, first, "update", {"kind": "step_text", "text": "Go on."})
    branch_id = {"branch_id": forked["branch_id"], **thread}
    await bob.get("propose_adoption", **branch_id)
    again = model.hold(prompt, "action")
    retried = await ann.get("retry_run", run_id=first["run_id"], **thread)
    await again.reached.wait()
    await ann.line.until(written_by(retried["run_id"]), "the text so far")
    behind = await bob.get("submit_prompt", prompt="And a calm?", **thread)

    await ann.get("vote_on_branch", decision="approve", **branch_id)
    ended = await over(ann, retried["run_id"])
    assert (ended["data"]["status"], ended["data"]["by"]) == ("cancelled", None)
    assert ended["data"]["partial"] == "So far."
    await over(ann, behind["run_id"])
    shown = await ann.get("get_thread", **thread)
    answers = [each["run_id"] for each in shown["messages"] if each["role"] == "chorus"]
    assert answers == [forked["run_id"], behind["run_id"]]
    assert await services.journal.verify() == ()


async def test_texts_that_differ_in_every_third_word_are_compared_within_one_frame(
    services: Services, model: ObedientModel
) -> None:
    ann = await co_author(services)
    thread = await followed_thread(ann)
    runs = []
    for prompt in ("One way?", "Another way?"):
        text = " ".join(f"a b {prompt[0]}{number}" for number in range(900))
        for step in ("action", "yield"):
            model.plan(prompt, step, says(text))
        runs.append((await asked(ann, thread, prompt))["run_id"])
    compared = await ann.get("compare_runs", run_id=runs[0], other_run_id=runs[1], **thread)
    assert compared["one"]["status"] == compared["other"]["status"] == "finished"
    assert sum(len(each["spans"]) for each in compared["steps"]) <= MOST_SPANS

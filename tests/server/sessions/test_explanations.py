"""`explain_run` on the wire: what is told, in pages, and of what is not there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machines.charts import known_declarations
from machines.chorus import chorus_machine
from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from server.services import Services
from server.sessions import explanations
from storage.journal.history import DECLARATION
from tests.storage.journal.keep_journal import run
from tests.support.client import Data, Identity, new_id
from tests.support.eventful_thread import lived
from tests.support.in_process import Caller, open_test_services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as opened:
        yield opened


@pytest.fixture
async def alice(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


@pytest.fixture
async def named(alice: Caller) -> Data:
    """Ids of a thread and of its run, which failed once on its way."""
    thread = {"thread_id": (await alice.get("create_thread", name="Rivers"))["thread_id"]}
    await alice.get("get_thread", **thread)
    run_id = await run(alice, "STUMBLE: what do rivers carry?", "finished", **thread)
    return {**thread, "run_id": run_id}


async def test_each_transition_is_told_with_its_guards_and_what_it_brought(
    alice: Caller, named: Data
) -> None:
    told = await alice.get("explain_run", **named)
    events = await alice.get("get_events", thread_id=named["thread_id"], after_seq=0)
    recorded = [
        transition | {"seq": entry["seq"]}
        for entry in events["entries"]
        if entry["data"].get("run_id") == named["run_id"]
        for transition in entry["data"]["transitions"]
    ]
    assert [each["transition"] | {"seq": each["seq"]} for each in told["transitions"]] == recorded
    first = told["transitions"][0]
    assert first["edges"][0] == {
        "edge": "edge_chorus_start_queued_running",
        "target": "running",
        "verdict": "taken",
        "guards": [
            {"name": "thread_is_free", "expected": True, "value": True},
            {"name": "is_forked", "expected": False, "value": False},
        ],
    }
    assert {each["verdict"] for each in first["edges"][1:]} == {"not_tried"}
    assert told["meanings"]["thread_is_free"] == "No other run of the thread is under way."
    assert first["effects"][0]["brought"] == told["transitions"][1]["transition"]["event"]
    assert told.pop("asked_with") == {"prompt": "STUMBLE: what do rivers carry?"}
    assert "rivers" not in str(told).lower(), "nothing else that was written is told"


async def test_an_explanation_that_one_frame_does_not_hold_is_told_in_pages(
    alice: Caller, named: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (await alice.get("explain_run", **named))["transitions"]
    monkeypatch.setattr(explanations, "FRAME_ROOM", 5_000)
    told, after, pages = [], 0, 0
    more = True
    while more:
        page = await alice.get("explain_run", after_seq=after, **named)
        assert page["transitions"], "a page that tells nothing leads to no end"
        told += page["transitions"]
        after, more, pages = told[-1]["seq"], page.get("has_more", False), pages + 1
    assert told == whole
    assert pages > 1


async def test_a_vote_is_explained_to_all_who_may_read_of_it(services: Services) -> None:
    ann, ben, eve = [await Caller(services).sign_in(Identity()) for _ in range(3)]
    made = await ann.get("create_thread", name="Rivers", visibility="public")
    thread = {"thread_id": made["thread_id"]}
    sent = await ben.get("submit_prompt", prompt="Buy my lamps", **thread)
    about = {"message_id": sent["message_id"], **thread}
    await ann.get("reject_message", reason="An advertisement", **about)
    for caller in (ann, ben, eve):
        told = await caller.get("explain_value", value_id=sent["message_id"], **thread)
        submitted, rejected = told["transitions"]
        assert submitted["transition"]["target"] == "pending"
        assert rejected["transition"]["event"] == "reject"
        assert rejected["facts"] == {"voter": ann.public_key}
        assert rejected["judged"] == "executed"
        assert rejected["edges"][0]["guards"][0] == {
            "name": "voter_is_elector",
            "expected": True,
            "value": True,
        }
        assert "lamps" not in str(told)
        assert "advertisement" not in str(told)


async def test_whatever_a_machine_moves_in_a_thread_is_explained(services: Services) -> None:
    ann, thread_id = await lived(services)
    eve = await Caller(services).sign_in(Identity())
    thread = {"thread_id": thread_id}
    events = await ann.get("get_events", after_seq=0, limit=1_000, **thread)
    taken: dict[str, list[Data]] = {}
    kinds: dict[str, str] = {}
    for entry in events["entries"]:
        for each in entry["data"]["transitions"]:
            taken.setdefault(each["instance"], []).append(each)
            kinds[each["instance"]] = each["machine"]
    assert {*kinds.values()} == {
        *("chorus", "message", "thread", "invitation", "invite_link", "removal", "branch")
    }
    public = await eve.get("get_events", after_seq=0, limit=1_000, **thread)
    known = {each["instance"] for e in public["entries"] for each in e["data"]["transitions"]}
    for id_, machine in kinds.items():
        if machine == "thread":
            continue
        told = await ann.get("explain_value", value_id=id_, **thread)
        assert [each["transition"] for each in told["transitions"]] == taken[id_]
        answer = await eve.ask("explain_value", value_id=id_, **thread)
        is_told = id_ in known and machine != "branch"
        assert answer["type"] == ("value_explanation" if is_told else "error"), machine


async def test_a_run_that_the_thread_does_not_have_is_not_found(alice: Caller, named: Data) -> None:
    other = (await alice.get("create_thread", name="Other"))["thread_id"]
    for data in (
        named | {"run_id": new_id()},
        named | {"thread_id": other},
    ):
        refused = await alice.ask("explain_run", **data)
        assert (refused["type"], refused["data"]["code"]) == ("error", "not_found")


async def test_what_another_chart_wrote_is_told_by_the_declaration_that_the_journal_keeps(
    services: Services, alice: Caller, named: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = await services.journal.run_entries(RunId(named["run_id"]))
    today = chorus_machine().fingerprint
    older = tuple(
        each.model_copy(
            update={"fingerprint": each.fingerprint.replace(today, "chorus:000000000000")}
        )
        for each in entries
    )

    async def run_entries(_: RunId) -> tuple[JournalEntry, ...]:
        return older

    monkeypatch.setattr(services.journal, "run_entries", run_entries)
    unknown = (await alice.get("explain_run", **named))["transitions"][0]
    assert (unknown["is_declared"], unknown["edges"]) == (False, [])
    text = known_declarations()[today].to_json().replace(today, "chorus:000000000000")
    await services.journal.note(f"{DECLARATION}chorus:000000000000", text)
    known = (await alice.get("explain_run", **named))["transitions"][0]
    assert known["is_declared"]
    assert known["edges"][0]["guards"][0]["value"] is True

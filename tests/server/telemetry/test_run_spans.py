"""The spans of runs: on journals of every version, which hold runs of every kind."""

import asyncio
import json

import pytest

from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from server.telemetry import conventions as names
from server.telemetry.run_spans import RESUMED, ends, run_spans
from server.telemetry.span import Span
from tests.server.telemetry.traces import VERSIONS, Told, named, problems_of, told_by_version

Entries = tuple[JournalEntry, ...]


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda kept: kept.stem)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A journal that an earlier version wrote."""
    return asyncio.run(told_by_version(request.param, tmp_path_factory.mktemp("kept")))


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """That of the newest version."""
    return asyncio.run(told_by_version(VERSIONS[-1], tmp_path_factory.mktemp("newest")))


def spans_of(told: Told, *events: str, kind: str) -> tuple[Span, ...]:
    """Of the first run that accepted these events, and whose last entry is of a kind."""
    for run_id, entries in told.runs.items():
        fired = {each.event.event for entry in entries for each in entry.fired}
        if fired.issuperset(events) and entries[-1].kind == kind:
            return run_spans(run_id, entries)
    raise AssertionError(f"no run has {events} and ends with {kind}")


def test_every_beginning_of_every_run_is_one_whole_trace(told: Told) -> None:
    assert told.runs
    for run_id, entries in told.runs.items():
        for count in range(1, len(entries) + 1):
            spans = run_spans(run_id, entries[:count])
            assert problems_of(spans) == [], entries[:count]
            unfinished = not any(ends(run_id, each) for each in entries[:count])
            assert (names.UNFINISHED in spans[-1].attributes) is unfinished


def test_a_run_has_its_steps_and_each_attempt_of_the_model(told: Told) -> None:
    root = spans_of(told, "start", kind="finished")[-1]
    spans = spans_of(told, "start", kind="finished")
    assert root.name == "invoke_agent chorus"
    assert not root.failed
    assert root.attributes[names.RUN_STATUS] == "finished"
    steps = named(spans, "step")
    assert [each.attributes[names.STEP] for each in steps] == [
        "action",
        "experience",
        "intention",
        "observation",
        "update",
        "yield",
    ]
    chats = named(spans, "chat")
    assert [each.parent_id for each in chats] == [each.span_id for each in steps]
    (searched,) = named(spans, "retrieval")
    assert searched.parent_id == steps[1].span_id
    assert {each.attributes[names.EDGE] for each in chats}
    assert {each.attributes[names.OUTPUT_TYPE] for each in chats} == {"text", "json"}


def test_a_failed_attempt_and_the_wait_after_it_are_spans(told: Told) -> None:
    spans = spans_of(told, "ai_failed", kind="finished")
    first, second = (
        each for each in named(spans, "chat") if each.attributes[names.STEP] == "action"
    )
    (waited,) = named(spans, "wait")
    assert (first.failed, first.attributes[names.ERROR_TYPE]) == (True, "ai_unavailable")
    assert waited.attributes[names.WAITS_FOR] == "ai_unavailable"
    assert (first.end, waited.end) == (waited.start, second.start)
    assert (first.attributes[names.ATTEMPT], second.attributes[names.ATTEMPT]) == (1, 2)
    assert not spans[-1].failed


def test_a_failed_run_says_why_and_waits_for_nothing(told: Told) -> None:
    spans = spans_of(told, "ai_failed", kind="failed")
    root = spans[-1]
    assert (root.failed, root.attributes[names.ERROR_TYPE]) == (True, "ai_rejected")
    assert [each.failed for each in spans] == [True, True, True], "the attempt, the step, the run"
    assert named(spans, "wait") == []


def test_a_cancelled_run_has_not_failed(told: Told) -> None:
    spans = spans_of(told, "cancel", kind="cancelled")
    assert not any(each.failed for each in spans)
    assert spans[-1].attributes[names.RUN_STATUS] == "cancelled"


def test_the_ids_follow_from_the_journal_alone(newest: Told) -> None:
    for run_id, entries in newest.runs.items():
        assert run_spans(run_id, entries) == run_spans(run_id, entries)
        root = run_spans(run_id, entries)[-1]
        assert f"{root.trace_id:032x}" == run_id.replace("-", ""), "a run is found by its own id"


def test_spans_hold_no_text_unless_content_is_asked_for(newest: Told) -> None:
    words = 0
    for run_id, entries in newest.runs.items():
        prompt = str(entries[0].changes[0].model_dump()["value"]["prompt"])
        assert prompt not in str(run_spans(run_id, entries))
        root = run_spans(run_id, entries, content=True)[-1]
        (asked,) = json.loads(str(root.attributes[names.INPUT_MESSAGES]))
        assert asked == {"role": "user", "parts": [{"type": "text", "content": prompt}]}
        words += names.OUTPUT_MESSAGES in root.attributes
    assert words, "a finished run has its answer"


def test_where_content_is_asked_for_all_that_the_model_wrote_is_there(newest: Told) -> None:
    for run_id, entries in newest.runs.items():
        spans = str(run_spans(run_id, entries, content=True))
        for entry in entries:
            if entry.kind == "completed":
                written = json.dumps(entry.data["text"], ensure_ascii=False)[1:-1]
                assert repr(written)[1:-1] in spans


def test_a_run_that_lost_its_server_says_that_it_was_resumed(newest: Told) -> None:
    run_id, entries = next(iter(newest.runs.items()))
    started = next(each for each in entries if each.kind == "started")
    lost = _lost(run_id, started)
    root = run_spans(run_id, (*entries[: entries.index(started) + 1], lost))[-1]
    (resumed,) = root.events
    assert (resumed.name, resumed.attributes[names.EVENT]) == (RESUMED, "carrier_lost")
    assert root.attributes[names.REBUILDS] == 1


def _lost(run_id: RunId, started: JournalEntry) -> JournalEntry:
    """What a server that takes the run up writes."""
    change = next(each for each in started.changes if each.id == run_id).model_dump()
    value = {**change["value"], "health": "recovering"}
    event = {
        "event": "carrier_lost",
        "run_id": run_id,
        "step": value["current_step"],
        "iteration": value["iteration"],
        "attempt": value["attempt"],
        "at": started.at,
    }
    taken = {
        "machine": "chorus",
        "instance": run_id,
        "event": "carrier_lost",
        "source": "stable",
        "target": "recovering",
        "edge": "edge_chorus_carrier_lost_stable_recovering",
    }
    return JournalEntry.model_validate(
        {
            **started.model_dump(),
            "kind": "recovering",
            "seq": started.seq + 1,
            "fired": [{"machine": "chorus", "instance": run_id, "event": event}],
            "transitions": [taken],
            "changes": [{**change, "version": change["version"] + 1, "value": value}],
        }
    )

"""What servers send to a collector: each run as one trace, once, whoever carried it."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from machines.models.ids import RunId, ThreadId
from machines.models.journal import Batch, JournalEntry
from server.services import Services
from server.telemetry import conventions as names
from server.telemetry.live import LiveTraces
from server.telemetry.run_spans import RESUMED, run_spans
from server.telemetry.span import Span
from storage.journal.port import Journal
from tests.server.telemetry.traces import VERSIONS, Told, told_by_version
from tests.server.threads.forking import asked, co_author, followed_thread, fork
from tests.support.client import Identity
from tests.support.collector import Collected, collector, exports_to, values
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers


@pytest.fixture
async def collected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collected]:
    """What servers of the test send."""
    async with collector() as running:
        exports_to(monkeypatch, running.url)
        yield running


async def ended(alice: Caller, thread_id: str, prompt: str, status: str = "finished") -> RunId:
    """A run, once it has ended."""
    asked = await alice.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    await alice.line.until(
        lambda each: (
            each["data"].get("run_id") == asked["run_id"] and each["data"].get("status") == status
        ),
        f"the end of a run of {prompt}",
    )
    return RunId(asked["run_id"])


async def in_a_thread(services: Services, who: Identity | None = None) -> tuple[Caller, str]:
    alice = await Caller(services).sign_in(who or Identity())
    thread = await alice.get("create_thread", name="Spans", visibility="public")
    await alice.get("get_thread", thread_id=thread["thread_id"])
    return alice, thread["thread_id"]


async def trace_of(collected: Collected, run_id: RunId) -> list[object]:
    """The spans that came of a run, once its root is there."""
    trace = bytes.fromhex(run_id.replace("-", ""))
    await eventually(
        lambda: any(each.trace_id == trace for each in collected.roots()), "a trace came"
    )
    return [each for each in collected.spans if each.trace_id == trace]


def shape(spans: tuple[Span, ...]) -> Counter[object]:
    """Spans as a collector sees them."""
    return Counter(
        (
            each.span_id,
            each.parent_id or 0,
            each.name,
            each.start,
            each.end,
            each.failed,
            tuple(sorted((key, str(value)) for key, value in each.attributes.items())),
        )
        for each in spans
    )


def shape_of_what_came(collected: Collected, run_id: RunId) -> Counter[object]:
    trace = bytes.fromhex(run_id.replace("-", ""))
    return Counter(
        (
            int.from_bytes(each.span_id),
            int.from_bytes(each.parent_span_id),
            each.name,
            each.start_time_unix_nano,
            each.end_time_unix_nano,
            each.status.code == 2,
            tuple(sorted((key, str(value)) for key, value in values(each.attributes).items())),
        )
        for each in collected.spans
        if each.trace_id == trace
    )


async def test_what_is_sent_live_is_what_the_journal_gives_later(
    collected: Collected, tmp_path: Path
) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice, thread_id = await in_a_thread(services)
        ends = {"A river": "finished", "STUMBLE": "finished", "FAIL": "failed"}
        runs = [await ended(alice, thread_id, each, ends[each]) for each in ends]
        held = await alice.get("submit_prompt", thread_id=thread_id, prompt="HOLD")
        waited = await alice.get("submit_prompt", thread_id=thread_id, prompt="A lake")
        await alice.get("cancel_run", thread_id=thread_id, run_id=held["run_id"])
        runs += [RunId(held["run_id"]), RunId(waited["run_id"])]
        for run_id in runs:
            await trace_of(collected, run_id)
            entries = await services.journal.run_entries(run_id)
            assert shape_of_what_came(collected, run_id) == shape(run_spans(run_id, entries))
        assert "queued" in {each.name for each in collected.spans}
        await eventually(
            lambda: counted(services, "exported") == len(collected.spans), "they are counted"
        )
    assert {each["service.name"] for each in collected.resources} == {"chorus"}
    assert "prompt" not in str(collected.spans)
    assert "A river" not in str(collected.spans)


async def test_a_forked_run_is_a_trace_that_follows_from_the_run_it_left(
    collected: Collected, tmp_path: Path
) -> None:
    async with open_test_services(tmp_path) as services:
        ann = await co_author(services)
        thread = await followed_thread(ann)
        origin = await asked(ann, thread, "A river")
        for step in ("intention", "yield"):
            change = {"kind": "step_text", "text": "Another text"}
            forked = await fork(ann, thread, origin, step, change)
            run_id = RunId(forked["run_id"])
            spans = await trace_of(collected, run_id)
            entries = await services.journal.run_entries(run_id)
            assert shape_of_what_came(collected, run_id) == shape(run_spans(run_id, entries))
            assert len(spans) == (7 if step == "intention" else 1), (
                "what it keeps is not asked again"
            )
    left = bytes.fromhex(origin["run_id"].replace("-", ""))
    links = [each.trace_id for root in collected.roots() for each in root.links]
    assert links == [left, left]


async def test_a_run_is_one_trace_over_a_restart(collected: Collected, tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice, thread_id = await in_a_thread(services)
        asked = await alice.get("submit_prompt", thread_id=thread_id, prompt="HOLD it")
        await alice.line.until(lambda each: each["data"].get("status") == "delta", "it began")
    assert collected.spans == [], "nothing is sent of a run that goes on"
    run_id = RunId(asked["run_id"])
    async with open_test_services(tmp_path) as services:
        await trace_of(collected, run_id)
        entries = await services.journal.run_entries(run_id)
    assert shape_of_what_came(collected, run_id) == shape(run_spans(run_id, entries))
    (root,) = collected.roots()
    assert [each.name for each in root.events] == [RESUMED]


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_a_run_is_one_trace_over_servers(
    collected: Collected, url: str, tmp_path: Path
) -> None:
    async with several_servers(2, tmp_path, url, moody=True) as (here, there):
        who = Identity()
        alice, thread_id = await in_a_thread(here, who)
        elsewhere = await Caller(there).sign_in(who)
        asked = await elsewhere.get("submit_prompt", thread_id=thread_id, prompt="HOLD it")
        run_id = RunId(asked["run_id"])
        # Who stops it is another server than carries it, and has seen nothing of it.
        await alice.get("cancel_run", thread_id=thread_id, run_id=run_id)
        await trace_of(collected, run_id)
        entries = await here.journal.run_entries(run_id)
    assert shape_of_what_came(collected, run_id) == shape(run_spans(run_id, entries))


async def test_a_message_that_waits_for_its_electors_is_a_trace_that_its_run_follows_from(
    collected: Collected, tmp_path: Path
) -> None:
    clock = Clock()
    environment = clock.environment()
    async with open_test_services(
        tmp_path, environment=environment, session_hours=1_000
    ) as services:
        alice, thread_id = await in_a_thread(services)
        carol = await Caller(services).sign_in(Identity())
        await carol.get("get_thread", thread_id=thread_id)
        outcomes: dict[str, str] = {}
        for way in ("rejected", "withdrawn", "approved", "expired"):
            asked = await carol.get("submit_prompt", thread_id=thread_id, prompt=f"Be {way}")
            outcomes[asked["message_id"]] = way
            message = {"thread_id": thread_id, "message_id": asked["message_id"]}
            match way:
                case "rejected":
                    await alice.get("reject_message", **message, reason="No")
                case "withdrawn":
                    await carol.get("withdraw_message", **message)
                case "approved":
                    await alice.get("approve_message", **message)
                    carol = await Caller(services).sign_in(Identity())
                case _:
                    clock.ahead = timedelta(days=8)
                    late = await alice.ask("approve_message", **message)
                    assert late["type"] == "error"
        await eventually(
            lambda: len(collected.roots()) == 6, "four messages, a run, and the late vote"
        )
    approvals = [each for each in collected.spans if each.name == "approval"]
    found = {
        values(each.attributes)[names.MESSAGE]: values(each.attributes)[names.OUTCOME]
        for each in approvals
    }
    assert found == outcomes
    failed = {
        values(each.attributes).get(names.ERROR_TYPE) for each in approvals if each.status.code == 2
    }
    assert failed == {"expired", "rejected"}
    (run,) = (each for each in collected.roots() if each.name == "invoke_agent chorus")
    (approved,) = (
        each for each in approvals if values(each.attributes)[names.OUTCOME] == "approved"
    )
    assert [each.span_id for each in run.links] == [approved.span_id]
    assert [values(each.attributes) for each in approved.events] == [{names.DECISION: "approve"}]
    assert "No" not in str(approvals)


async def test_content_is_sent_where_it_is_asked_for(
    collected: Collected, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "evening")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=ours,host.name=attic")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=ours")
    async with open_test_services(tmp_path) as services:
        alice, thread_id = await in_a_thread(services)
        run_id = await ended(alice, thread_id, "What do rivers carry?")
        await trace_of(collected, run_id)
    (root,) = collected.roots()
    assert "What do rivers carry?" in values(root.attributes)[names.INPUT_MESSAGES]
    expected = {"service.name": "evening", "service.version": "ours", "host.name": "attic"}
    assert expected.items() <= collected.resources[0].items()
    assert collected.headers[0]["x-tenant"] == "ours"


async def test_a_trace_that_is_not_sampled_is_not_sent(
    collected: Collected, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with open_test_services(tmp_path) as services:
        alice, thread_id = await in_a_thread(services)
        await ended(alice, thread_id, "A river")
    assert collected.spans == []


async def test_a_collector_that_is_away_or_stuck_costs_spans_alone(
    collected: Collected,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
    collected.status = 400
    monkeypatch.setattr("server.telemetry.exporting.FLUSH_SECONDS", 0.1)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
    async with open_test_services(tmp_path) as services:
        alice, thread_id = await in_a_thread(services)
        await ended(alice, thread_id, "Refused")
        await eventually(lambda: counted(services, "failed") > 0, "spans were refused")
        collected.answers.clear()
        collected.asked.clear()
        await ended(alice, thread_id, "Stuck")
        await asyncio.wait_for(collected.asked.wait(), 20)
        await ended(alice, thread_id, "Waits")
        await ended(alice, thread_id, "Dropped")
        await eventually(lambda: counted(services, "dropped") > 0, "a trace has no room")
        metrics = services.metrics
    assert re.search(rb'chorus_spans_total\{outcome="exported"\} [1-9]', metrics.text()) is None
    assert caplog.text.count("the collector takes no spans") == 1
    assert "secret" not in caplog.text
    assert collected.url not in caplog.text


def counted(services: Services, outcome: str) -> float:
    """How many spans came to this."""
    series = rf'chorus_spans_total{{outcome="{outcome}"}} ([0-9.]+)'
    found = re.search(series.encode(), services.metrics.text())
    return float(found[1]) if found else 0.0


class _Entries:
    """A journal that is asked for the entries of runs, and keeps which."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.asked: list[RunId] = []

    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        self.asked.append(run_id)
        return self._told.runs[run_id]


@pytest.mark.parametrize(("kept", "read"), [(10, 0), (1, 1)])
async def test_runs_that_are_remembered_no_more_are_read_again(
    kept: int, read: int, tmp_path: Path
) -> None:
    told = await told_by_version(VERSIONS[-1], tmp_path)
    one, other = [each for each, entries in told.runs.items() if entries[-1].kind == "finished"][:2]
    journal, offered = _Entries(told), list[Sequence[Span]]()
    live = LiveTraces(
        cast("Journal", journal), offered.append, lambda _: True, content=False, kept=kept
    )
    reading = asyncio.create_task(live.run())
    for entries in zip(told.runs[one], told.runs[other], strict=False):
        live.after_commit(Batch(entries=entries), (), ThreadId(""))
    rest = told.runs[one][len(told.runs[other]) :] + told.runs[other][len(told.runs[one]) :]
    live.after_commit(Batch(entries=rest), (), ThreadId(""))
    runs = [run_spans(each, told.runs[each]) for each in (one, other)]

    def traces() -> list[Sequence[Span]]:
        return [each for each in offered if each[-1].name != "approval"]

    await eventually(lambda: len(traces()) == 2, "both are offered")
    reading.cancel()
    assert sorted(traces(), key=str) == sorted(runs, key=str)
    assert len(journal.asked) == read


async def test_a_defect_in_a_trace_is_logged_and_no_runs_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = await told_by_version(VERSIONS[-1], tmp_path)
    run_id, entries = next(iter(told.runs.items()))
    journal, offered = _Entries(told), list[Sequence[Span]]()
    live = LiveTraces(cast("Journal", journal), offered.append, lambda _: True, content=False)
    reading = asyncio.create_task(live.run())
    live.after_commit(Batch(entries=entries[:2]), (), ThreadId(""))
    damaged = entries[2].model_copy(update={"transitions": ()})
    live.after_commit(Batch(entries=(damaged,)), (), ThreadId(""))
    assert "spans could not be made" in caplog.text
    live.after_commit(Batch(entries=entries[3:]), (), ThreadId(""))
    await eventually(lambda: bool(offered), "it is read")
    reading.cancel()
    assert offered == [run_spans(run_id, entries)]


async def test_a_run_that_was_elsewhere_for_a_while_is_read(tmp_path: Path) -> None:
    told = await told_by_version(VERSIONS[-1], tmp_path)
    run_id, entries = next(iter(told.runs.items()))
    journal, offered = _Entries(told), list[Sequence[Span]]()
    live = LiveTraces(cast("Journal", journal), offered.append, lambda _: True, content=False)
    reading = asyncio.create_task(live.run())
    live.after_commit(Batch(entries=entries[:2]), (), ThreadId(""))
    live.after_commit(Batch(entries=entries[-3:]), (), ThreadId(""))
    await eventually(lambda: bool(offered), "it is offered")
    reading.cancel()
    assert offered == [run_spans(run_id, entries)]
    assert journal.asked == [run_id]

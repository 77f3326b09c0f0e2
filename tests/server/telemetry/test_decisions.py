"""What waits for a decision is a trace of its own, live and from the journal alike."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from machines.models.ids import RunId, thread_stream
from server.commands import export
from server.settings import Settings
from server.telemetry import conventions as names
from server.telemetry.decision_spans import decision_spans
from server.telemetry.span import Span
from tests.server.telemetry.traces import told_by
from tests.server.threads.forking import asked, co_author, followed_thread, fork
from tests.support.collector import Collected, collector, exports_to, values
from tests.support.eventually import eventually
from tests.support.in_process import open_test_services

ID = {
    "approval": names.MESSAGE,
    "invitation": names.INVITATION,
    "invite_link": names.INVITE_LINK,
    "removal": names.REMOVAL,
    "branch": names.BRANCH,
}


def came(collected: Collected) -> dict[tuple[int, int], object]:
    """The decisions that were sent, by trace and span."""
    return {
        (int.from_bytes(each.trace_id), int.from_bytes(each.span_id)): (
            each.name,
            each.start_time_unix_nano,
            each.end_time_unix_nano,
            each.status.code == 2,
            values(each.attributes),
            [values(event.attributes) for event in each.events],
            [(link.trace_id.hex(), link.span_id.hex()) for link in each.links],
        )
        for each in collected.roots()
        if each.name in ID
    }


def made(spans: list[Span]) -> dict[tuple[int, int], object]:
    """Spans likewise."""
    return {
        (each.trace_id, each.span_id): (
            each.name,
            each.start,
            each.end,
            each.failed,
            dict(each.attributes),
            [dict(event.attributes) for event in each.events],
            [(f"{link.trace_id:032x}", f"{link.span_id:016x}") for link in each.links],
        )
        for each in spans
    }


async def test_every_decision_is_a_trace_live_and_of_the_journal_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with collector() as collected:
        exports_to(monkeypatch, collected.url)
        async with open_test_services(tmp_path) as services:
            ann, ben, cay, dan = [await co_author(services) for _ in range(4)]
            thread = await followed_thread(ann, ben, cay)
            for refuse in (dan, ann):
                await ann.get("invite_co_author", public_key=dan.public_key, **thread)
                if refuse is dan:
                    await dan.get("decline_invitation", **thread)
                else:
                    await ann.get("revoke_invitation", public_key=dan.public_key, **thread)
            links = [(await ann.get("create_invite_link", **thread))["link"] for _ in range(2)]
            await ann.get("revoke_invite_link", link_id=links[0]["id"], **thread)
            await dan.get("accept_invite_link", secret=links[1]["secret"])
            named = {"public_key": cay.public_key, **thread}
            await ann.get("propose_removal", **named)
            await ann.get("withdraw_removal", **named)
            await ann.get("propose_removal", **named)
            await ben.get("vote_on_removal", decision="keep", **named)
            run = await asked(ann, thread, "A river")
            forked: list[str] = []
            for vote in ("approve", "reject"):
                change = {"kind": "step_text", "text": "Another river"}
                grown = await fork(ann, thread, run, "yield", change)
                forked.append(grown["run_id"])
                branch = {"branch_id": grown["branch_id"]}
                await ann.get("propose_adoption", **branch, **thread)
                for voter in (ben, cay, dan) if vote == "approve" else (ben,):
                    await voter.get("vote_on_branch", decision=vote, **branch, **thread)
            stream = thread_stream(thread["thread_id"])
            page = await services.journal.entries(stream, after_seq=0, limit=500)
            spans = [span for entry in page.entries for span in decision_spans(entry)]
            await eventually(lambda: len(came(collected)) == len(spans), "all of them came")
        assert came(collected) == made(spans)
        told = await told_by(tmp_path)
        exported = [span for entry in told.settled for span in decision_spans(entry)]
        assert made(exported) == made(spans), "an export reads the entries that it needs"
        file = tmp_path / "spans.jsonl"
        await export.run(
            Settings(data=tmp_path),
            export.Wanted(run_id=RunId(forked[0])),
            endpoint=None,
            out=str(file),
            say=lambda _: None,
            progress=Console(file=StringIO()),
        )
        names_of_one = [
            json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]
            for line in file.read_text().splitlines()
        ]
        assert sorted(names_of_one) == ["branch", "invoke_agent chorus"], "a run with its branch"
    outcomes = sorted(
        (each.name, str(each.attributes[names.OUTCOME]), each.failed) for each in spans
    )
    assert outcomes == [
        ("branch", "adopted", False),
        ("branch", "rejected", True),
        ("invitation", "accepted", False),
        ("invitation", "accepted", False),
        ("invitation", "declined", True),
        ("invitation", "revoked", False),
        ("invite_link", "revoked", False),
        ("invite_link", "used", False),
        ("removal", "kept", True),
        ("removal", "withdrawn", False),
    ]
    for span in spans:
        assert f"{span.trace_id:032x}" == str(span.attributes[ID[span.name]]).replace("-", "")
        assert span.attributes[names.CONVERSATION] == thread["thread_id"]
        assert {names.EVENT, names.EDGE, names.SEQ} <= span.attributes.keys()
    votes = {each.name: each.attributes[names.VOTES] for each in spans if each.events}
    assert votes.keys() == {"branch", "removal"}
    ends = [each for each in spans if each.name == "branch"]
    assert all(len(each.links) == 1 for each in ends), "a branch names its run"
    said = str(spans)
    assert not [each for each in (ann, ben, cay, dan) if each.public_key in said]
    assert "river" not in said

"""A request that is refused is a span with what refused it, and nothing of what was said."""

import re
from pathlib import Path
from typing import Any

import pytest

from machines.models.errors import ErrorCode
from machines.models.wire.frames import ErrorData
from machines.models.wire.requests import PingRequest
from server.environment import system_environment
from server.metrics import Metrics
from server.telemetry import conventions as names
from server.telemetry.refusals import AT_ONCE, LiveRefusals
from server.telemetry.span import RUN_ROOT, Span, span_id_of
from tests.server.threads.forking import asked, co_author, followed_thread
from tests.support.client import Identity
from tests.support.collector import collector, exports_to, values
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services


async def test_a_refusal_names_its_guard_or_its_code_and_what_it_was_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with collector() as collected:
        exports_to(monkeypatch, collected.url)
        async with open_test_services(tmp_path, prompts_per_minute=2) as services:
            ann, eve = [await co_author(services) for _ in range(2)]
            thread = await followed_thread(ann, visibility="public")
            run = await asked(ann, thread, "A river")
            waiting = await eve.get("submit_prompt", prompt="A secret lake", **thread)
            voted = {"message_id": waiting["message_id"], **thread}
            await eve.ask("approve_message", **voted)
            ben = await co_author(services)
            await ann.bring_in(ben, thread["thread_id"])
            await ben.ask("reject_message", **voted)
            await ann.ask("cancel_run", run_id=run["run_id"], **thread)
            await ann.get("submit_prompt", prompt="A second river", **thread)
            await ann.ask("submit_prompt", prompt="A river too many", **thread)
            await eve.ask("accept_invite_link", secret="s" * 32)
            await ann.ask("get_heat", machine="chorus", since="2026-01-02T00:00:00Z",
                          until="2026-01-01T00:00:00Z", **thread)  # fmt: skip
            stranger = Caller(services)
            await stranger.get("connect", public_key=Identity().public_key)
            forged = Identity().sign("something else")
            assert (await stranger.ask("authenticate", signature=forged))["type"] == "error"

            def refused() -> list[Any]:
                return [each for each in collected.roots() if each.name.startswith("refused ")]

            await eventually(lambda: len(refused()) == 7, "each refusal came")
            errors = re.findall(rb'chorus_errors_total\{code="(\w+)"\} 1', services.metrics.text())
            assert b"auth_failed" in errors, "what the connection's machine refuses is counted too"
        found = {each.name.split()[1]: each for each in refused()}
        told = {name: values(each.attributes) for name, each in found.items()}
    assert told["reject_message"] == {
        names.REQUEST: "reject_message",
        names.ERROR_TYPE: "invalid_transition",
        names.MACHINE: "message",
        names.STATE: "pending",
        names.EVENT: "reject",
        names.GUARDS: ("voter_is_elector",),
        names.CONVERSATION: thread["thread_id"],
        names.MESSAGE: waiting["message_id"],
    }
    assert told["cancel_run"][names.STATE] == "finished"
    assert names.GUARDS not in told["cancel_run"], "no edge, and so no guard"
    (link,) = found["cancel_run"].links
    assert link.trace_id.hex() == run["run_id"].replace("-", "")
    assert int.from_bytes(link.span_id) == span_id_of(run["run_id"], RUN_ROOT)
    codes = {name: each[names.ERROR_TYPE] for name, each in told.items()}
    assert codes == {
        "approve_message": "forbidden",
        "reject_message": "invalid_transition",
        "cancel_run": "invalid_transition",
        "submit_prompt": "rate_limited",
        "accept_invite_link": "not_found",
        "get_heat": "invalid_field",
        "authenticate": "auth_failed",
    }
    assert told["get_heat"][names.FIELD] == "since"
    assert {each.status.code for each in found.values()} == {2}
    said = str(found)
    assert not [each for each in ("river", "lake", "ssss", ann.public_key) if each in said]


def test_a_flood_of_refusals_leaves_room_for_the_rest() -> None:
    offered: list[Span] = []
    metrics = Metrics()
    live = LiveRefusals(offered.extend, lambda _: True, system_environment(), metrics)
    request = PingRequest.model_validate_json('{"type": "ping", "id": "a", "data": {}}')
    for code in (ErrorCode.RATE_LIMITED, ErrorCode.NOT_FOUND):
        for _ in range(AT_ONCE * 4):
            live.refused(request, ErrorData(code=code, message="", retryable=False))
        told = [each for each in offered if each.attributes[names.ERROR_TYPE] == code.value]
        assert AT_ONCE <= len(told) < AT_ONCE * 2
    assert b'chorus_spans_total{outcome="dropped"}' in metrics.text()


def test_a_refusal_that_is_not_sampled_is_not_sent() -> None:
    offered: list[Span] = []
    live = LiveRefusals(offered.extend, lambda _: False, system_environment(), Metrics())
    request = PingRequest.model_validate_json('{"type": "ping", "id": "a", "data": {}}')
    live.refused(request, ErrorData(code=ErrorCode.NOT_FOUND, message="", retryable=False))
    assert offered == []


def test_a_defect_in_the_span_of_a_refusal_is_logged_and_the_request_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(_: object) -> None:
        raise ValueError

    live = LiveRefusals(fails, lambda _: True, system_environment(), Metrics())
    request = PingRequest.model_validate_json('{"type": "ping", "id": "a", "data": {}}')
    live.refused(request, ErrorData(code=ErrorCode.NOT_FOUND, message="", retryable=False))
    assert "the span of a refusal could not be made" in caplog.text

"""No input makes memory or time grow without bound: rates, counts and sizes that end somewhere.

The bounds of frames, outboxes and Markdown are tested beside their code; here are those of threads,
rooms, sessions, timers and addresses.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from machines.models.ids import PublicKey, TimerId
from machines.models.journal import SessionTimer, TimerRow
from machines.models.limits import MAX_CO_AUTHORS, MAX_SERVER_FRAME_BYTES
from server.environment import system_environment
from server.http.site import serve_web
from server.runs.interpreter import RECALLED_CHARACTERS
from server.services import Services, open_services
from server.settings import Settings
from server.timers.timers import SWEEP_FROM, Timers
from tests.support.client import Data, Frame, Identity, connected, new_id
from tests.support.in_process import Caller, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(
        tmp_path, moody=True, thread_queue=0, pending_per_user=0
    ) as services:
        yield services


@pytest_asyncio.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Services]:
    """One prompt a minute for a person, and what follows from it."""
    async with open_test_services(tmp_path, moody=True, prompts_per_minute=1) as services:
        yield services


def code_of(reply: Frame) -> str:
    return str(reply["data"].get("code", reply["type"]))


# --- Rates ---------------------------------------------------------------------------------------


async def test_many_keys_of_one_address_share_what_an_address_may_prompt(strict: Services) -> None:
    people = [await Caller(strict).sign_in(Identity()) for _ in range(11)]
    answers = []
    for person in people:
        thread = await person.get("create_thread", name="Mine")
        reply = await person.ask("submit_prompt", thread_id=thread["thread_id"], prompt="HOLD this")
        answers.append(code_of(reply))
    assert answers == ["accepted"] * 10 + ["rate_limited"]
    elsewhere = await Caller(strict, address="192.0.2.77").sign_in(Identity())
    thread = await elsewhere.get("create_thread", name="Mine")
    assert (
        code_of(await elsewhere.ask("submit_prompt", prompt="HOLD", thread_id=thread["thread_id"]))
        == "accepted"
    )


async def test_a_prompt_that_is_sent_again_costs_nothing_of_what_a_person_or_an_address_may(
    strict: Services,
) -> None:
    people = [await Caller(strict).sign_in(Identity()) for _ in range(10)]
    prompts: list[tuple[Caller, dict[str, str], Data]] = []
    for person in people:
        thread_id = (await person.get("create_thread", name="Mine"))["thread_id"]
        prompt = {"thread_id": thread_id, "prompt": "HOLD this", "request_id": new_id()}
        prompts.append((person, prompt, await person.get("submit_prompt", **prompt)))
        for _ in range(2):
            for sender, sent, first in prompts:
                assert await sender.get("submit_prompt", **sent) == first
    for person, sent, _ in prompts:
        another = {**sent, "request_id": new_id()}
        assert code_of(await person.ask("submit_prompt", **another)) == "rate_limited"


async def test_searches_are_limited_by_person(strict: Services) -> None:
    person = await Caller(strict).sign_in(Identity())
    answers = [code_of(await person.ask("search", query="rivers")) for _ in range(7)]
    assert answers == ["search_results"] * 6 + ["rate_limited"]
    other = await Caller(strict).sign_in(Identity())
    assert code_of(await other.ask("search", query="rivers")) == "search_results"


async def test_changes_are_limited_by_person_on_all_connections(strict: Services) -> None:
    identity = Identity()
    desk, phone = [await Caller(strict).sign_in(identity) for _ in range(2)]
    answers = [code_of(await desk.ask("set_name", name=f"N{number}")) for number in range(30)]
    assert set(answers) == {"accepted"}
    refused = await phone.ask("set_name", name="One more")
    assert code_of(refused) == "rate_limited"
    assert refused["data"]["retry_after_ms"] > 0
    assert code_of(await phone.ask("list_threads", scope="mine")) == "threads"


# --- Threads -------------------------------------------------------------------------------------


async def test_a_thread_has_so_many_co_authors_and_no_more(services: Services) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread = await alice.get("create_thread", name="Crowd", visibility="public")
    data = {"thread_id": thread["thread_id"]}
    for _ in range(MAX_CO_AUTHORS - 3):
        guest = await Caller(services).sign_in(Identity())
        await alice.bring_in(guest, thread["thread_id"])
        guest.drop()
    last = await Caller(services).sign_in(Identity())
    await alice.get("invite_co_author", public_key=last.public_key, **data)
    outsider = await Caller(services).sign_in(Identity())
    sent = await outsider.get("submit_prompt", prompt="The last one in?", **data)
    one_more = await alice.ask("invite_co_author", public_key=Identity().public_key, **data)
    assert code_of(one_more) == "too_large", "what waits for approval, or an answer, has its place"
    late = await Caller(services).sign_in(Identity())
    assert code_of(await late.ask("submit_prompt", prompt="And me?", **data)) == "too_large"
    await alice.get("reject_message", message_id=sent["message_id"], **data)
    await last.get("accept_invitation", **data)
    await alice.bring_in(late, thread["thread_id"])
    shown = await alice.get("get_thread", **data)
    assert len(shown["thread"]["co_authors"]) == MAX_CO_AUTHORS


async def test_a_page_of_long_messages_ends_early_and_the_rest_is_paged_back_to(
    services: Services,
) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread = await alice.get("create_thread", name="Long")
    data = {"thread_id": thread["thread_id"]}
    count = MAX_SERVER_FRAME_BYTES // 32_000 + 8
    for number in range(count):
        prompt = f"HOLD {number:04} ".ljust(32_000, "x")
        await alice.get("submit_prompt", prompt=prompt, **data)
    indexes: list[int] = []
    page = await alice.get("get_thread", limit=200, **data)
    while True:
        shown = [each["index"] for each in page["messages"]]
        indexes = shown + indexes
        if not page["has_more"]:
            break
        page = await alice.get("get_thread", limit=200, before_index=indexes[0], **data)
    assert indexes == list(range(count))


async def test_rooms_forget_the_longest_unused_texts_first(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.threads.rooms.MAX_KEPT_CHARACTERS", 100_000)
    alice = await Caller(services).sign_in(Identity())
    threads = []
    for _ in range(8):
        thread = await alice.get("create_thread", name="Long")
        await alice.get(
            "submit_prompt", thread_id=thread["thread_id"], prompt="HOLD ".ljust(20_000, "x")
        )
        threads.append(thread["thread_id"])
        assert services.thread_service.rooms.weight <= 100_000
    for thread_id in threads:
        await alice.get("rename_thread", thread_id=thread_id, name="Still there")
    assert 0 < services.thread_service.rooms.weight <= 100_000


async def test_what_a_run_carries_of_long_memories_is_bounded(services: Services) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread = await alice.get("create_thread", name="Long")
    data = {"thread_id": thread["thread_id"]}
    await alice.get("get_thread", **data)
    for number in range(6):
        long = f"River {number} ".ljust(30_000, "x")
        run = await alice.get("submit_prompt", prompt=long, **data)
        recalled = await alice.line.until(
            lambda frame, run_id=run["run_id"]: (  # type: ignore[misc]
                frame["data"].get("run_id") == run_id
                and frame["data"].get("step") == "experience"
                and frame["data"].get("status") == "completed"
            ),
            "what a run recalled",
        )
    priors = recalled["data"]["priors"]
    assert len(priors) >= 5
    assert sum(len(each["content"]) for each in priors) <= RECALLED_CHARACTERS


# --- Sessions and timers -------------------------------------------------------------------------


async def test_more_interrupted_sessions_than_are_kept_resume_all_the_same(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sessions.registry.MAX_KEPT", 3)
    callers = [await Caller(services).sign_in(Identity()) for _ in range(6)]
    for caller in callers:
        caller.drop()
    for caller in callers:
        assert (await Caller(services).resume(caller.token)).public_key == caller.public_key


async def test_timers_that_were_cancelled_do_not_gather() -> None:
    async def fire(_: TimerRow) -> None:
        """Nothing is due."""

    now = datetime.now(UTC)
    timers = Timers(lambda: now, fire)
    timer = SessionTimer(token_hash="0" * 64, public_key=PublicKey("1" * 32))
    for number in range(5 * SWEEP_FROM):
        row = TimerRow(id=TimerId(f"{number}"), due_at=now + timedelta(days=1), timer=timer)
        timers.set([row])
        timers.cancel([row.id])
    assert len(timers) <= 2 * SWEEP_FROM


# --- Sockets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET /ws HTTP/1.1\r\nHost: localhost\r\n"])
async def test_who_connects_and_says_nothing_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("server.http.site.HANDSHAKE_SECONDS", 0.2)
    settings = Settings(data=tmp_path, llm="offline")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        async with (
            open_services(settings, system_environment()) as services,
            serve_web(services, listening),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()


async def test_who_does_not_sign_in_is_closed_with_4001(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sockets.websocket.INIT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = Settings(data=tmp_path, llm="offline")
        async with (
            open_services(settings, system_environment()) as services,
            serve_web(services, listening) as address,
            connected(address) as silent,
        ):
            assert (await silent.ask("ping")) == {}
            assert await silent.close_code() == 4001

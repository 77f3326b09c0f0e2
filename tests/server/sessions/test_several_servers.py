"""Sessions where several servers share the journal: each serves one connection, whichever server it is
to, and what is over is over at all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from machines.decisions.connections import hash_token
from machines.models.journal import Batch, Committed
from server.services import Services
from server.sessions.elsewhere import UsersElsewhere
from storage.journal.port import Journal
from tests.support.client import Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sequence[Services]]:
    """Two of them, which look at their sessions when a test says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.sessions.watch.SWEEP_SECONDS", 3_600.0)
        async with several_servers(2, tmp_path_factory.mktemp("servers"), url) as opened:
            yield opened


@pytest.fixture
def unannounced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that hear nothing of what the others do with sessions."""
    for heard in ("session_taken_up", "user_went_on"):
        monkeypatch.setattr(UsersElsewhere, heard, lambda *_: None)


async def look(*servers: Services) -> None:
    """What each does by itself every 30 seconds."""
    for each in servers:
        await each.sessions.look()


def is_closed(caller: Caller, code: int) -> bool:
    return caller.line.closing_code == code


def asked(request: str, thread_id: str) -> dict[str, Any]:
    """What a request is made with."""
    of: dict[str, dict[str, Any]] = {
        "rename_thread": {"thread_id": thread_id, "name": "Too late"},
        "get_events": {"thread_id": thread_id, "after_seq": 0},
        "list_threads": {"scope": "mine"},
        "sign_out": {},
    }
    return of.get(request, {"thread_id": thread_id})


async def test_a_session_resumed_at_another_server_closes_its_former_connection_at_once(
    servers: Sequence[Services],
) -> None:
    first = await Caller(servers[0]).sign_in(Identity())
    second = await Caller(servers[1]).resume(first.token)
    await eventually(partial(is_closed, first, 4009), "the former connection is closed")
    third = await Caller(servers[0]).resume(first.token)
    await eventually(partial(is_closed, second, 4009), "the former connection is closed")
    await servers[1].sessions.end(hash_token(first.token))
    await eventually(partial(is_closed, third, 4001), "the session is over everywhere")
    assert third.line.frames[-1]["data"]["code"] == "auth_failed"


async def test_a_session_resumed_at_another_server_is_found_by_a_look(
    servers: Sequence[Services], unannounced: None
) -> None:
    first = await Caller(servers[0]).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Moves"))["thread_id"]
    second = await Caller(servers[1]).resume(first.token)
    await look(*servers)
    assert first.line.closing_code == 4009
    await second.get("rename_thread", thread_id=thread_id, name="Moved")

    third = await Caller(servers[0]).resume(first.token)
    await look(*servers)
    assert second.line.closing_code == 4009
    await third.get("rename_thread", thread_id=thread_id, name="Moved back")
    fourth = await Caller(servers[0]).resume(first.token)
    await look(*servers)
    assert third.line.closing_code == 4009
    assert (await fourth.get("get_thread", thread_id=thread_id))["thread"]["name"] == "Moved back"


@pytest.mark.parametrize(
    "request_", ["rename_thread", "get_events", "get_thread", "typing", "sign_out"]
)
async def test_a_former_connection_is_refused_before_anything_is_announced(
    servers: Sequence[Services], unannounced: None, request_: str
) -> None:
    first = await Caller(servers[0]).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Here"))["thread_id"]
    second = await Caller(servers[1]).resume(first.token)
    refused = await first.ask(request_, **asked(request_, thread_id))
    assert refused["data"]["code"] == "auth_failed"
    assert first.line.closing_code == 4009
    shown = await second.get("get_thread", thread_id=thread_id)
    assert shown["thread"]["name"] == "Here", "the session goes on at the other server"


@pytest.mark.parametrize("request_", ["rename_thread", "get_events", "get_thread", "list_threads"])
async def test_whose_session_ended_at_another_server_is_served_no_more(
    servers: Sequence[Services], unannounced: None, request_: str
) -> None:
    first = await Caller(servers[0]).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Secret"))["thread_id"]
    await servers[1].sessions.end(hash_token(first.token))
    first.line.clear()
    refused = await first.ask(request_, **asked(request_, thread_id))
    assert refused["data"]["code"] == "auth_failed"
    assert first.line.closing_code == 4001
    assert not any("Secret" in text for text in first.line.texts)
    again = await Caller(servers[0]).ask("resume", token=first.token)
    assert again["data"]["code"] == "auth_failed"


async def test_a_session_that_ended_at_another_server_is_found_by_a_look(
    servers: Sequence[Services], unannounced: None
) -> None:
    first = await Caller(servers[0]).sign_in(Identity())
    other = await Caller(servers[0]).sign_in(Identity())
    await servers[1].sessions.end(hash_token(first.token))
    await look(*servers)
    assert first.line.closing_code == 4001
    assert first.line.frames[-1]["data"]["code"] == "auth_failed"
    assert other.line.closing_code is None


async def test_a_session_whose_time_is_over_is_closed_at_whichever_server_it_is(
    servers: Sequence[Services], postgres: Cluster, url: str
) -> None:
    callers = [await Caller(server).sign_in(Identity()) for server in servers]
    sooner = "UPDATE timers SET due_at = 0 WHERE id LIKE 'session:%'"
    await asyncio.to_thread(postgres.run, sooner, database=url.rpartition("/")[2])
    for each in callers:
        await eventually(partial(is_closed, each, 4001), "the session is over")
        assert each.line.frames[-1]["data"]["code"] == "auth_failed"


async def test_prompts_and_sign_ins_are_counted_by_all_servers_together(
    url: str, tmp_path: Path
) -> None:
    limits = {"prompts_per_minute": 1, "sign_ins_per_minute": 1}
    async with several_servers(2, tmp_path, url, **limits) as (here, there):
        alice, address = Identity(), "192.0.2.7"
        first = await Caller(here, address=address).sign_in(alice)
        second = await Caller(there, address="192.0.2.8").sign_in(alice)
        for server in (here, there):
            refused = await Caller(server, address=address).ask(
                "connect", public_key=alice.public_key
            )
            assert refused["data"]["code"] == "rate_limited"
            resumed = await Caller(server, address=address).ask("resume", token=first.token)
            assert resumed["data"]["code"] == "rate_limited"
            assert resumed["data"]["retry_after_ms"] > 0

        thread_id = (await first.get("create_thread", name="Busy"))["thread_id"]
        prompt = {"thread_id": thread_id, "prompt": "Once a minute"}
        request_id = new_id()
        accepted = await first.get("submit_prompt", request_id=request_id, **prompt)
        refused = await second.ask("submit_prompt", **prompt)
        assert refused["data"]["code"] == "rate_limited"
        again = await second.get("submit_prompt", request_id=request_id, **prompt)
        assert again == accepted, "one that is sent again costs nothing"


async def test_a_prompt_that_reaches_two_servers_at_the_same_instant_costs_one_token(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with several_servers(2, tmp_path, url, prompts_per_minute=3) as servers:
        alice = Identity()
        callers = [await Caller(server).sign_in(alice) for server in servers]
        made = await callers[0].get("create_thread", name="Twice")
        request_id = new_id()
        both_are_charged = asyncio.Barrier(2)

        def hold_back(journal: Journal) -> None:
            """Let neither commit before both have taken a token."""
            commit = journal.commit

            async def later(batch: Batch) -> Committed:
                if batch.reply is not None and batch.reply.request_id == request_id:
                    await both_are_charged.wait()
                return await commit(batch)

            monkeypatch.setattr(journal, "commit", later)

        for server in servers:
            hold_back(server.journal)
        prompt = {"thread_id": made["thread_id"], "prompt": "At the same instant"}
        one, other = await asyncio.gather(
            *(each.get("submit_prompt", request_id=request_id, **prompt) for each in callers)
        )
        assert one == other
        told = [(await callers[n % 2].ask("submit_prompt", **prompt))["type"] for n in range(3)]
        assert told == ["accepted", "accepted", "error"], "the echo cost nothing"

"""Sessions where several servers share the journal: each serves one connection, whichever server it is
to, and what is over is over at all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from machines.decisions.connections import hash_token
from server.services import Services
from tests.support.client import Identity, new_id
from tests.support.in_process import Caller, open_test_services
from tests.support.postgres import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_MEMORY = "http://127.0.0.1:9"
"""Sessions need none."""


class Servers(NamedTuple):
    """Two of them, on one database."""

    a: Services
    b: Services


@pytest.fixture(scope="module")
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                open_test_services(
                    tmp_path_factory.mktemp(name), database_url=url, qdrant_url=NO_MEMORY
                )
            )
            for name in Servers._fields
        ]
        yield Servers(*opened)


async def look(*servers: Services) -> None:
    """What each does by itself every 30 seconds."""
    for each in servers:
        await each.sessions.look()


def asked(request: str, thread_id: str) -> dict[str, Any]:
    """What a request is made with."""
    of: dict[str, dict[str, Any]] = {
        "rename_thread": {"thread_id": thread_id, "name": "Too late"},
        "get_events": {"thread_id": thread_id, "after_seq": 0},
        "list_threads": {"scope": "mine"},
        "sign_out": {},
    }
    return of.get(request, {"thread_id": thread_id})


async def test_a_session_resumed_at_another_server_leaves_its_former_connection(
    servers: Servers,
) -> None:
    first = await Caller(servers.a).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Moves"))["thread_id"]
    second = await Caller(servers.b).resume(first.token)
    await look(*servers)
    assert first.line.closing_code == 4009
    await second.get("rename_thread", thread_id=thread_id, name="Moved")

    third = await Caller(servers.a).resume(first.token)
    await look(*servers)
    assert second.line.closing_code == 4009
    await third.get("rename_thread", thread_id=thread_id, name="Moved back")
    fourth = await Caller(servers.a).resume(first.token)
    await look(*servers)
    assert third.line.closing_code == 4009
    assert (await fourth.get("get_thread", thread_id=thread_id))["thread"]["name"] == "Moved back"


@pytest.mark.parametrize(
    "request_", ["rename_thread", "get_events", "get_thread", "typing", "sign_out"]
)
async def test_a_former_connection_is_refused_before_anything_is_announced(
    servers: Servers, request_: str
) -> None:
    first = await Caller(servers.a).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Here"))["thread_id"]
    second = await Caller(servers.b).resume(first.token)
    refused = await first.ask(request_, **asked(request_, thread_id))
    assert refused["data"]["code"] == "auth_failed"
    assert first.line.closing_code == 4009
    shown = await second.get("get_thread", thread_id=thread_id)
    assert shown["thread"]["name"] == "Here", "the session goes on at the other server"


@pytest.mark.parametrize("request_", ["rename_thread", "get_events", "get_thread", "list_threads"])
async def test_whose_session_ended_at_another_server_is_served_no_more(
    servers: Servers, request_: str
) -> None:
    first = await Caller(servers.a).sign_in(Identity())
    thread_id = (await first.get("create_thread", name="Secret"))["thread_id"]
    await servers.b.sessions.end(hash_token(first.token))
    first.line.clear()
    refused = await first.ask(request_, **asked(request_, thread_id))
    assert refused["data"]["code"] == "auth_failed"
    assert first.line.closing_code == 4001
    assert not any("Secret" in text for text in first.line.texts)
    again = await Caller(servers.a).ask("resume", token=first.token)
    assert again["data"]["code"] == "auth_failed"


async def test_a_session_that_ends_at_another_server_closes_who_asks_for_nothing(
    servers: Servers,
) -> None:
    first = await Caller(servers.a).sign_in(Identity())
    other = await Caller(servers.a).sign_in(Identity())
    await servers.b.sessions.end(hash_token(first.token))
    await look(*servers)
    assert first.line.closing_code == 4001
    assert first.line.frames[-1]["data"]["code"] == "auth_failed"
    assert other.line.closing_code is None


async def test_of_two_resumes_at_the_same_moment_one_has_the_session(servers: Servers) -> None:
    person = await Caller(servers.a).sign_in(Identity())
    for _ in range(20):
        callers = [Caller(servers.a), Caller(servers.b), Caller(servers.b)]
        await asyncio.gather(*(each.resume(person.token) for each in callers))
        await look(*servers)
        kept = [each for each in callers if each.line.closing_code is None]
        assert len(kept) == 1
        assert {each.line.closing_code for each in callers} == {None, 4009}
        await kept[0].get("set_name", request_id=new_id(), name="Ann")
        for each in callers:
            each.drop()

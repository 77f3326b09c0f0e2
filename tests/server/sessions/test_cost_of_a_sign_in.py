"""What a sign-in costs: tasks, calls to the system, reads and values; counted, and never timed."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from machines.models.wire.frames import HelloFrame
from server.environment import Environment, system_environment
from server.http.site import serve_web
from server.services import Services
from server.wire.codec import decode_server_frame, encode_server_frame
from tests.support.client import connected, signed_in
from tests.support.in_process import open_test_services

PEOPLE = 5


@asynccontextmanager
async def served(folder: Path, environment: Environment) -> AsyncIterator[tuple[Services, str]]:
    """The server in this process behind a real port, and its address."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(
            open_test_services(folder, environment=environment)
        )
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield services, await stack.enter_async_context(serve_web(services, listening))


async def test_a_sign_in_takes_one_task_besides_those_of_aiohttp(tmp_path: Path) -> None:
    started: Counter[str] = Counter()

    def noting(loop: asyncio.AbstractEventLoop, work: Any, **rest: Any) -> asyncio.Task[Any]:
        started[getattr(work, "__qualname__", "")] += 1
        return asyncio.Task(work, loop=loop, **rest)

    async with served(tmp_path, system_environment()) as (_, url), AsyncExitStack() as stack:
        asyncio.get_running_loop().set_task_factory(noting)
        for _ in range(PEOPLE):
            await stack.enter_async_context(signed_in(url))
        asyncio.get_running_loop().set_task_factory(None)
    assert started["_Socket._work"] == PEOPLE, (
        f"{PEOPLE} sign-ins started {dict(started)}: a first `connect` waits for nothing, so let it"
        " be handled where it is read"
    )


async def test_many_who_come_share_a_greeting_but_for_its_time(tmp_path: Path) -> None:
    environment, asked = system_environment(), 0
    start, seconds = environment.now(), 0

    def now() -> Any:
        nonlocal seconds
        seconds += 1
        return start + timedelta(seconds=seconds)

    # A clock of its own: the moment is another each time, and an epoch never gets old.
    stopped = replace(environment, now=now, monotonic=lambda: 0.0)
    async with served(tmp_path, stopped) as (services, url), AsyncExitStack() as stack:
        epoch = services.journal.epoch

        async def counted() -> str:
            nonlocal asked
            asked += 1
            return await epoch()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services.journal, "epoch", counted)
            clients = [await stack.enter_async_context(connected(url)) for _ in range(PEOPLE)]
            greetings = [client.frames[0] for client in clients]
    hellos = [decode_server_frame(json.dumps(each)) for each in greetings]
    assert [json.loads(encode_server_frame(each)) for each in hellos] == greetings
    times = [each.data.server_time for each in hellos if isinstance(each, HelloFrame)]
    assert len(set(times)) == PEOPLE, "each is told the time at which they came"
    assert asked == 1, f"{PEOPLE} greetings asked {asked} times for the epoch: remember it"

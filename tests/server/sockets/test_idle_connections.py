"""What an idle connection is made of: counted, not timed or weighed."""

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from server.http.site import serve_web
from tests.support.client import signed_in
from tests.support.in_process import open_test_services

PEOPLE = 5

AIOHTTP_S_OWN = ("RequestHandler.start", "RequestHandler._handle_request")


def tasks_of_the_server() -> Counter[str]:
    """Names of the coroutines that run for sockets on this loop."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    names = [getattr(each, "__qualname__", "") for each in coroutines]
    return Counter(name for name in names if name.startswith(("RequestHandler.", "_Socket.")))


async def test_an_idle_connection_has_no_task_but_those_of_aiohttp(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_test_services(tmp_path))
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = await stack.enter_async_context(serve_web(services, listening))
        for _ in range(PEOPLE):
            await stack.enter_async_context(signed_in(url))
        found = tasks_of_the_server()
    assert found == dict.fromkeys(AIOHTTP_S_OWN, PEOPLE), (
        f"{PEOPLE} idle connections are {dict(found)}: let a task be there only while it works"
    )

"""The proxy of the composition, a real Caddy, in front of three servers: websockets go through it to any of
them, sessions resume at another, and what is of one server alone does not go through."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from server.http.site import serve_web
from tests.deploy.files import DEPLOY
from tests.support.client import Identity, connected, signed_in
from tests.support.eventually import eventually
from tests.support.postgres import Cluster, free_port
from tests.support.several_servers import several_servers

INSTALL: Final = "Caddy is not installed, and this test needs it: apt install caddy"
UPSTREAM: Final = re.compile(r"chorus-(\d):8080")
STOP_SECONDS: Final = 10.0


def configured(ports: list[int]) -> str:
    """The Caddyfile, with servers at these ports in place of the composition's."""
    text = (DEPLOY / "Caddyfile").read_text("utf-8")
    assert UPSTREAM.findall(text) == [str(n + 1) for n in range(len(ports))]
    local = UPSTREAM.sub(lambda found: f"127.0.0.1:{ports[int(found[1]) - 1]}", text)
    return f"{{\n\tadmin off\n}}\n{local}"


@asynccontextmanager
async def proxied(
    folder: Path, database_url: str
) -> AsyncIterator[tuple[str, list[AsyncExitStack]]]:
    """The proxy's address, and what ends each of the three servers behind it."""
    caddy = shutil.which("caddy") or pytest.fail(INSTALL)
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"public_url": url, "trusted_proxies": "127.0.0.1"}
    async with (
        several_servers(3, folder, database_url, **settings) as servers,
        AsyncExitStack() as all_ends,
    ):
        ends = [await all_ends.enter_async_context(AsyncExitStack()) for _ in servers]
        ports = []
        for services, end in zip(servers, ends, strict=True):
            listening = socket.create_server(("127.0.0.1", 0))
            ports.append(listening.getsockname()[1])
            await end.enter_async_context(serve_web(services, listening))
        file = folder / "Caddyfile"
        file.write_text(configured(ports), "utf-8")
        homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        proxy = await asyncio.create_subprocess_exec(
            *(caddy, "run", "--config", str(file), "--adapter", "caddyfile"),
            env={**os.environ, **homes, "SITE_ADDRESS": f":{url.rpartition(':')[2]}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield url, ends
        finally:
            proxy.terminate()
            await asyncio.wait_for(proxy.wait(), STOP_SECONDS)


@pytest.fixture
def database_url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_a_conversation_goes_through_the_proxy_to_any_server(
    database_url: str, tmp_path: Path
) -> None:
    async with proxied(tmp_path, database_url) as (url, ends), aiohttp.ClientSession() as http:

        async def status(path: str) -> int:
            try:
                async with http.get(f"{url}{path}") as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                return 0

        async def is_served() -> bool:
            return await status("/") == 200

        await eventually(is_served, "the page comes through the proxy")
        for path in ("/healthz", "/readyz", "/metrics"):
            assert await status(path) == 404, path

        identity = Identity()
        async with signed_in(url) as ann, signed_in(url, identity) as ben:
            thread_id = await ann.new_thread(name="Evening")
            await ann.bring_in(ben, thread_id)
            await ben.follow(thread_id)
            await ann.ask("rename_thread", thread_id=thread_id, name="Night")
            await ben.event(thread_id, "thread_renamed")
            token, seen = ben.token, ben.followed.seq if ben.followed else 0
        for end in ends[:2]:
            await end.aclose()
        async with connected(url) as again:
            await again.ask("resume", token=token)
            shown = await again.follow(thread_id, after_seq=seen)
            assert shown["thread"]["name"] == "Night"

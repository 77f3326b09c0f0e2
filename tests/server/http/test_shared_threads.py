"""A public thread is read by anyone who has its address; of any other nothing is told."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession

from server.http.shared_threads import PAGES_PER_MINUTE
from server.http.site import serve_web
from server.services import Services
from tests.support.client import Identity, new_id
from tests.support.in_process import Caller, open_test_services


@dataclass
class Reader:
    """Somebody who is not signed in."""

    session: ClientSession
    address: str

    async def read(self, path: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of a page."""
        async with self.session.get(f"{self.address}{path}") as response:
            return response.status, await response.text(), dict(response.headers)


@asynccontextmanager
async def served(folder: Path, path: str = "") -> AsyncIterator[tuple[Services, Reader]]:
    """A server, below a path of its public address where one is named, and a reader of it."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    public_url = f"http://127.0.0.1:{port}{path}" if path else None
    async with (
        open_test_services(
            folder, moody=True, prompts_per_minute=0, public_url=public_url
        ) as services,
        serve_web(services, listening) as address,
        ClientSession() as session,
    ):
        yield services, Reader(session, address)


async def host_of(services: Services) -> Caller:
    host = await Caller(services).sign_in(Identity())
    await host.get("set_name", name="Ann <script>")
    return host


async def new_thread(host: Caller, name: str, visibility: str, *prompts: str) -> str:
    thread: str = (await host.get("create_thread", name=name, visibility=visibility))["thread_id"]
    for prompt in prompts:
        await host.get("submit_prompt", thread_id=thread, prompt=prompt)
    return thread


async def test_a_public_thread_is_read_without_a_session_and_holds_no_markup_of_users(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (services, reader):
        host = await host_of(services)
        thread = await new_thread(host, "Open <b>house</b>", "public")
        await host.get("get_thread", thread_id=thread)
        await host.get("submit_prompt", thread_id=thread, prompt="<img src=x onerror=alert(1)>")
        await host.line.until(lambda each: each["data"].get("status") == "finished", "an answer")
        outsider = await Caller(services).sign_in(Identity())
        await outsider.get("submit_prompt", thread_id=thread, prompt="PENDING WORDS")
        status, text, headers = await reader.read(f"/t/{thread}")
        assert status == 200
        assert "&lt;img src=x onerror=alert(1)&gt;" in text
        assert "Ann &lt;script&gt;" in text
        assert "Open &lt;b&gt;house&lt;/b&gt;" in text
        assert "PENDING WORDS" not in text
        assert text.count("<article") == 2
        assert "Read only" in text
        assert f'<a href="../#/t/{thread}">Sign in to take part</a>' in text
        assert "<script" not in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "script" not in headers["Content-Security-Policy"]
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Cache-Control"] == "no-store"
        for path in re.findall(r'href="\.\.(/page/[^"]+)"', text):
            assert (await reader.read(path))[0] == 200, path
        await host.get("archive_thread", thread_id=thread)
        assert "Read only, archived" in (await reader.read(f"/t/{thread}"))[1]


async def test_a_thread_that_is_private_or_not_there_is_one_and_the_same_404(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (services, reader):
        host = await host_of(services)
        private = await new_thread(host, "Plans", "private", "HOLD a secret")
        archived = await new_thread(host, "Old plans", "private")
        await host.get("archive_thread", thread_id=archived)
        answers = {
            (await reader.read(f"/t/{path}"))[:2]
            for path in (private, archived, new_id(), "nonsense", f"{new_id()}?before=-1", "%00")
        }
        assert len(answers) == 1
        ((status, text),) = answers
        assert status == 404
        assert "Plans" not in text


async def test_older_messages_are_on_pages_of_their_own(tmp_path: Path) -> None:
    async with served(tmp_path) as (services, reader):
        host = await host_of(services)
        prompts = [f"HOLD number {each:03}" for each in range(60)]
        thread = await new_thread(host, "Long", "public", *prompts[:17])
        for prompt in prompts[17:]:
            run = (await host.get("get_thread", thread_id=thread))["runs"][0]["run_id"]
            await host.get("cancel_run", thread_id=thread, run_id=run)
            await host.get("submit_prompt", thread_id=thread, prompt=prompt)
        _, newest, _ = await reader.read(f"/t/{thread}")
        (older,) = re.findall(r'href="(\?before=\d+)"', newest)
        _, oldest, _ = await reader.read(f"/t/{thread}{older}")
        assert re.findall(r"number \d\d\d", oldest + newest) == [each[5:] for each in prompts]
        assert "?before=" not in oldest


async def test_who_reads_too_many_pages_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, reader):
        codes = [(await reader.read("/t/nonsense"))[0] for _ in range(PAGES_PER_MINUTE + 5)]
        assert codes[0] == 404
        status, _, headers = await reader.read("/t/nonsense")
        if status != 429:
            pytest.fail(f"never limited: {codes}")
        assert int(headers["Retry-After"]) >= 1


async def test_below_the_path_of_a_public_address_it_finds_its_files_too(tmp_path: Path) -> None:
    async with served(tmp_path, "/chorus") as (services, reader):
        host = await host_of(services)
        thread = await new_thread(host, "Open house", "public")
        status, text, _ = await reader.read(f"/t/{thread}")
        assert status == 200
        assert reader.address.endswith("/chorus")
        for path in re.findall(r'href="\.\.(/page/[^"]+)"', text):
            assert (await reader.read(path))[0] == 200, path

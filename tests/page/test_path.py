"""A server that a proxy gives a path: the page, its socket and its links, with the path taken away
by the proxy or left to the server."""

import socket
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from server.chat.signin import parse_url
from tests.page.browser import someone
from tests.support.client import signed_in
from tests.support.prefix_proxy import prefix_proxy
from tests.support.served import served

pytestmark = pytest.mark.asyncio(loop_scope="module")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("takes_away", [True, False])
async def test_the_page_its_socket_and_its_links_work_below_a_path(
    browser: Browser, tmp_path: Path, takes_away: bool
) -> None:
    port, own = free_port(), free_port()
    url = f"http://127.0.0.1:{port if takes_away else own}/chorus"
    async with (
        served(tmp_path, port=own, public_url=url) as server,
        prefix_proxy("/chorus", own, port),
    ):
        assert server.url == url, "the server prints what browsers dial"
        async with someone(browser, f"{url}/", "Ann") as ann:
            await ann.ask("The red boat is called Marianne.")
            await ann.answers(1)
            await ann.open_machines()
            await expect(ann.state("chorus", "finished")).to_have_class(
                "state atomic final current"
            )
            link = ann.page.url
            assert link.startswith(f"{url}/#/t/")
            await ann.page.goto("about:blank")
            await ann.page.goto(link)
            await ann.connected()
            await ann.answers(1)
        dialled = parse_url(url)
        assert dialled.path == "/chorus/ws"
        async with signed_in(url) as bob:
            await bob.new_thread()

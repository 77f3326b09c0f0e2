"""One browser for each module of page tests, and a server that keeps its port."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.page.browser import chromium, free_port
from tests.support.empty_journal import put_empty_journal
from tests.support.obedient_model import ObedientModel
from tests.support.served import ServerProcess, served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    model: ObedientModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server with the obedient model; it keeps its port when it is started again."""
    folder = tmp_path_factory.mktemp("page")
    await asyncio.to_thread(put_empty_journal, folder / "data")
    async with served(folder, model.url, port=free_port()) as running:
        yield running

"""The real model's server, one for all tests here."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

CONTEXT_TOKENS: Final = 4_096
MODEL: Final = "smollm2"
PYTHON: Final = Path(__file__).parents[2] / ".venv-model" / "bin" / "python"
START_SECONDS: Final = 120.0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama() -> AsyncIterator[str]:
    """The base URL of the model's endpoint."""
    if not PYTHON.exists():
        pytest.fail("the packages of the model are missing; `make test-model` installs them")
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(Path(__file__).with_name("llama_server.py")), str(CONTEXT_TOKENS)),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            address = (await process.stdout.readline()).decode().strip()
        assert address, "the model's server ended before it served"
        yield f"{address}/v1"
    finally:
        process.kill()
        await process.wait()

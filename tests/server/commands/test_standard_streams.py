"""Commands whose standard streams are closed, or whose terminal claims to have no room."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientConnectionError, ClientSession

from server.commands.standard_streams import MOST_COLUMNS, forget_unusable_size
from tests.support.eventually import eventually

ROOT: Final = Path(__file__).parents[3]
DEADLINE: Final = 60.0
"""Seconds; a busy machine is slow, and that is no defect."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    own = {"HOME": str(home), "PYTHONPATH": str(ROOT), "CHORUS_LLM": "offline", **variables}
    return kept | own


def chorus(
    home: Path, redirection: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command whose descriptors a shell opens or closes, to its end."""
    program = [sys.executable, "-m", "server.cli", *arguments]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *program],
        cwd=home,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


ASK: Final = ("ask", "--data", "data", "Hello?")


def test_an_answer_comes_though_nothing_can_be_told_on_the_way(tmp_path: Path) -> None:
    done = chorus(tmp_path, "2>&-", *ASK)
    assert done.returncode == 0
    assert "No language model is connected" in done.stdout


def test_an_answer_that_nothing_takes_is_not_asked_for(tmp_path: Path) -> None:
    done = chorus(tmp_path, ">&-", *ASK)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Standard output is closed" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--show-settings"]])
def test_what_a_command_prints_is_never_lost_without_a_word(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = chorus(tmp_path, ">&-", *arguments)
    assert (done.returncode, done.stderr) == (1, "chorus: Standard output is closed\n")


def test_a_prompt_from_a_closed_input_is_blank(tmp_path: Path) -> None:
    done = chorus(tmp_path, "<&-", "ask", "--data", "data", "-")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "it is blank" in done.stderr


async def test_a_server_whose_streams_are_closed_serves_and_writes_into_no_file_of_its_own(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    program = [sys.executable, "-m", "server.cli", "serve", "--port", port, "--data", "data"]
    serving = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *program),
        cwd=tmp_path,
        env=environment(tmp_path),
    )

    async def is_ready() -> bool:
        assert serving.returncode is None, f"it ended with {serving.returncode}"
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                return response.status == 200
        except ClientConnectionError:
            return False

    async with ClientSession() as session:
        await eventually(is_ready, "the server is ready", within=DEADLINE)
    serving.terminate()
    assert await serving.wait() == 0
    assert chorus(tmp_path, "", "verify", "--data", "data").returncode == 0


@pytest.mark.parametrize("columns", ["0", "-5", "1000000000"])
def test_a_width_that_is_none_is_not_believed(tmp_path: Path, columns: str) -> None:
    done = chorus(tmp_path, "", "--help", COLUMNS=columns)
    assert done.returncode == 0
    assert "Co-authored conversations" in done.stdout
    assert len(done.stdout) < 10_000


def test_a_size_that_can_be_drawn_in_is_kept() -> None:
    kept = {"COLUMNS": str(MOST_COLUMNS), "LINES": "1", "TERM": "xterm"}
    given = dict(kept)
    forget_unusable_size(given)
    assert given == kept
    forget_unusable_size(lost := {"COLUMNS": str(MOST_COLUMNS + 1), "LINES": "0"})
    assert lost == {}

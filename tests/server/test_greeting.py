"""What a start prints: where the server is, and what keeps other machines out."""

from pathlib import Path
from typing import Any, Final

import pytest

from server.app import greeting
from tests.support.in_process import open_test_services

ADDRESS: Final = "http://127.0.0.1:8080"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - a setting, never bound here


@pytest.mark.parametrize(
    ("settings", "is_hidden"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": EVERYWHERE}, True),
        ({"host": "::"}, True),
        ({"host": "192.0.2.1"}, True),
        ({"host": EVERYWHERE, "public_url": "https://chorus.example.org"}, False),
    ],
)
async def test_a_server_that_others_reach_and_cannot_use_says_which_setting_lets_them_in(
    tmp_path: Path, settings: dict[str, Any], is_hidden: bool
) -> None:
    async with open_test_services(tmp_path, **settings) as services:
        lines = greeting(services, ADDRESS)
    assert lines[0] == f"Chorus is at {ADDRESS}"
    assert any("CHORUS_PUBLIC_URL" in line for line in lines) is is_hidden


async def test_the_line_for_a_terminal_can_be_pasted_where_the_server_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "of ours" / "bin" / "chorus"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(program), "serve"])
    async with open_test_services(tmp_path) as services:
        for path, folder, called in (
            (program.parent, tmp_path, "chorus"),
            (tmp_path, tmp_path, "'of ours/bin/chorus'"),
            (tmp_path, Path("/usr"), f"'{program}'"),
        ):
            monkeypatch.setenv("PATH", str(path))
            monkeypatch.chdir(folder)
            lines = greeting(services, ADDRESS)
            terminal = next(line for line in lines if line.startswith("  terminal"))
            assert terminal == f"  terminal  {called} chat {ADDRESS}"

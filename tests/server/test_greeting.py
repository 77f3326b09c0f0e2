"""What a start prints: where the server is, and what keeps other machines out."""

from pathlib import Path
from typing import Any, Final

import pytest

from server.app import greeting
from tests.support.in_process import open_test_services

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
        lines = greeting(services, "http://127.0.0.1:8080")
    assert lines[0] == "Chorus is at http://127.0.0.1:8080"
    assert any("CHORUS_PUBLIC_URL" in line for line in lines) is is_hidden

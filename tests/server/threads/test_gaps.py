"""Who would miss an entry is given nothing more: they notice, come again, and have it all."""

from pathlib import Path

import pytest

from machines.models.journal import JournalEntry
from server.wire.presenter import LiveEntry
from server.wire.renderer import Renderer
from tests.support.client import Identity
from tests.support.in_process import Caller, open_test_services

TOO_SLOW = 4008


@pytest.mark.parametrize("visibility", ["public", "private"])
async def test_an_entry_that_could_not_be_shown_is_no_silent_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visibility: str
) -> None:
    async with open_test_services(tmp_path) as services:
        ada = await Caller(services).sign_in(Identity())
        thread = await ada.get("create_thread", name="Evening", visibility=visibility)
        thread_id = thread["thread_id"]
        await ada.get("get_thread", thread_id=thread_id)
        with monkeypatch.context() as failing:

            async def fail(_: Renderer, entries: tuple[JournalEntry, ...]) -> list[LiveEntry]:
                raise ValueError(f"{len(entries)} entries cannot be shown")

            failing.setattr(Renderer, "live", fail)
            await ada.get("rename_thread", thread_id=thread_id, name="Not shown")
        assert ada.line.closing_code != TOO_SLOW, "nothing tells yet that an entry is missing"
        renamed = await ada.get("rename_thread", thread_id=thread_id, name="Shown")
        assert ada.live(thread_id) == [], "an entry came although one before it was missing"
        assert ada.line.closing_code == TOO_SLOW, "who lacks an entry must come again"

        again = await Caller(services).resume(ada.token)
        await again.get("get_thread", thread_id=thread_id, after_seq=thread["seq"])
        assert [each["seq"] for each in again.live(thread_id)] == [
            renamed["seq"] - 1,
            renamed["seq"],
        ]

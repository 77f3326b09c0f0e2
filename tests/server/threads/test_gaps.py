"""Who lacks an entry is not given the next one before it: it is read from the journal."""

from pathlib import Path

import pytest

from machines.models.journal import JournalEntry
from server.wire.presenter import LiveEntry
from server.wire.renderer import Renderer
from tests.support.client import Frame, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services

TOO_SLOW = 4008


async def fail(_: Renderer, entries: tuple[JournalEntry, ...]) -> list[LiveEntry]:
    raise ValueError(f"{len(entries)} entries cannot be shown")


@pytest.mark.parametrize("visibility", ["public", "private"])
async def test_an_entry_that_could_not_be_shown_comes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visibility: str
) -> None:
    async with open_test_services(tmp_path) as services:
        ada = await Caller(services).sign_in(Identity())
        thread = await ada.get("create_thread", name="Evening", visibility=visibility)
        thread_id = thread["thread_id"]
        await ada.get("get_thread", thread_id=thread_id)
        with monkeypatch.context() as failing:
            failing.setattr(Renderer, "live", fail)
            await ada.get("rename_thread", thread_id=thread_id, name="Not shown")
        renamed = await ada.get("rename_thread", thread_id=thread_id, name="Shown")

        def is_last(frame: Frame) -> bool:
            return bool(frame.get("seq") == renamed["seq"])

        await ada.line.until(is_last, "the entry that could be shown")
        shown = [each["seq"] for each in ada.live(thread_id)]
        assert shown == [renamed["seq"] - 1, renamed["seq"]]


async def test_who_cannot_be_given_what_they_lack_is_closed_and_has_it_when_they_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_test_services(tmp_path) as services:
        ada = await Caller(services).sign_in(Identity())
        thread = await ada.get("create_thread", name="Evening")
        thread_id = thread["thread_id"]
        await ada.get("get_thread", thread_id=thread_id)
        with monkeypatch.context() as failing:
            failing.setattr(Renderer, "live", fail)
            renamed = await ada.get("rename_thread", thread_id=thread_id, name="Not shown")
            services.broadcast.expect(thread_id, renamed["seq"])
            await eventually(
                lambda: ada.line.closing_code == TOO_SLOW, "who lacks an entry must come again"
            )
        assert ada.live(thread_id) == []

        again = await Caller(services).resume(ada.token)
        await again.get("get_thread", thread_id=thread_id, after_seq=thread["seq"])
        assert [each["seq"] for each in again.live(thread_id)] == [renamed["seq"]]

"""`chorus ask` on a terminal: the steps as they happen, and an answer that a terminal cannot obey."""

import asyncio
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from machines.models.errors import JournalError
from machines.models.ids import PublicKey
from machines.models.journal import Committed
from server.chat.keyfile import load_or_create
from server.commands.ask import ask
from server.commands.errors import CommandFailed
from server.environment import system_environment
from server.settings import Settings
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support import scripted_endpoint
from tests.support.fake_qdrant import fake_qdrant
from tests.support.obedient_model import obedient_model

WIDTH = 100


class Terminal:
    """What a terminal was sent."""

    def __init__(self) -> None:
        self._sent = StringIO()
        self.console = Console(
            file=self._sent, force_terminal=True, width=WIDTH, height=24, _environ={}
        )

    @property
    def text(self) -> str:
        return self._sent.getvalue()


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key of the user who asks."""
    path = tmp_path / "key"
    monkeypatch.setenv("CHORUS_KEY_FILE", str(path))
    return path


def settings(folder: Path, url: str) -> Settings:
    return Settings(data=folder / "data", llm=url, model="scripted-1", max_attempts=2)


async def test_on_a_terminal_steps_are_told_and_a_hostile_answer_is_harmless(
    tmp_path: Path,
) -> None:
    out, progress = Terminal(), Terminal()
    prompt = "What is it?"
    async with obedient_model() as model:
        model.plan(prompt, "action", scripted_endpoint.refuses(503))
        thought = scripted_endpoint.line(scripted_endpoint.chunk(reasoning_content="SECRETLY"))
        said = scripted_endpoint.line(scripted_endpoint.chunk("Seen.", "stop"))
        thinks = scripted_endpoint.writes(thought, said, scripted_endpoint.DONE)
        model.plan(prompt, "action", thinks)
        model.plan(
            prompt,
            "yield",
            scripted_endpoint.says("**So** \x1b]0;owned\x07 it is.", finish="length"),
        )
        await ask(
            settings(tmp_path, model.url),
            system_environment(),
            prompt,
            out=out.console,
            progress=progress.console,
            steps=True,
        )
    assert "it is." in out.text
    assert "**So**" not in out.text, "Markdown is drawn"
    assert "\x1b]0;" not in out.text + progress.text
    for told in (
        "scripted-1",
        "Action",
        "ai_unavailable",
        "Observation",
        "Yield",
        "cut at the length limit",
        "thought, 8 characters",
    ):
        assert told in progress.text
    assert "SECRETLY" not in out.text + progress.text, "thoughts are folded"


async def test_an_answer_that_is_enough_is_told_once_with_its_one_step(tmp_path: Path) -> None:
    out, progress = Terminal(), Terminal()
    async with obedient_model() as model:
        model.plan("Hello", "action", scripted_endpoint.says("Good ", "morning!\n[eno", "ugh]"))
        await ask(
            settings(tmp_path, model.url),
            system_environment(),
            "Hello",
            out=out.console,
            progress=progress.console,
        )
        assert [each.step for each in model.asked] == ["action"]
    assert out.text.count("Good morning!") == 1
    assert "Action" in progress.text
    assert "Yield" not in progress.text
    assert "[eno" not in out.text + progress.text


async def test_a_run_that_fails_is_told_with_its_code(tmp_path: Path) -> None:
    async with scripted_endpoint.serve(scripted_endpoint.refuses(401)) as endpoint:
        with pytest.raises(CommandFailed, match=r"The run failed \(ai_rejected\): "):
            await ask(
                settings(tmp_path, endpoint.url),
                system_environment(),
                "What is it?",
                out=Terminal().console,
                progress=Terminal().console,
            )


async def test_an_ask_that_is_interrupted_leaves_no_run_behind(
    tmp_path: Path, key_file: Path
) -> None:
    out = Terminal()
    async with scripted_endpoint.serve(scripted_endpoint.stalls_after("So ")) as endpoint:
        asking = asyncio.create_task(
            ask(
                settings(tmp_path, endpoint.url),
                system_environment(),
                "What is it?",
                out=out.console,
                progress=Terminal().console,
            )
        )
        reached = asyncio.create_task(endpoint.reached.wait())
        await asyncio.wait({asking, reached}, return_when=asyncio.FIRST_COMPLETED)
        assert not asking.done(), f"it ended before it asked the model: {asking}"
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert out.text == ""
    journal = SqliteJournal(tmp_path / "data" / JOURNAL_FILE)
    await journal.open()
    try:
        assert await journal.live_runs() == ()
        me = PublicKey(load_or_create(key_file).public_key)
        assert len((await journal.threads_of(me, after=None, limit=9)).rows) == 1
    finally:
        await journal.close()


async def test_a_memory_that_is_away_is_told_where_the_steps_are(tmp_path: Path) -> None:
    out, progress = Terminal(), Terminal()
    async with fake_qdrant() as qdrant:
        await qdrant.disappear()
        await ask(
            Settings(data=tmp_path / "data", llm="offline", qdrant_url=qdrant.url),
            system_environment(),
            "What do rivers carry?",
            out=out.console,
            progress=progress.console,
        )
    for shown in (out.text, progress.text):
        assert "could not be searched" in shown
        assert "Nothing was found" not in shown


async def test_a_disk_that_fills_is_told_and_ends_an_ask_whose_run_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, prompt = Terminal(), "What is it?"

    async def full(*_: object) -> Committed:
        raise JournalError("The disk is full: nothing more can be stored.")

    async with obedient_model() as model:
        held = model.hold(prompt, "action")
        chosen = settings(tmp_path, model.url).model_copy(update={"storage_wait_seconds": 0.3})
        asking = asyncio.create_task(
            ask(
                chosen,
                system_environment(),
                prompt,
                out=Terminal().console,
                progress=progress.console,
            )
        )
        await held.reached.wait()
        with monkeypatch.context() as patch:
            patch.setattr(SqliteJournal, "commit", full)
            held.opened.set()
            with pytest.raises(CommandFailed, match=r"^The disk is full: .* waited for 0\.3 s"):
                await asking
        assert progress.text.count("The run waits.") == 1
        out = Terminal()
        await ask(
            chosen,
            system_environment(),
            "And then?",
            out=out.console,
            progress=Terminal().console,
        )
    journal = SqliteJournal(tmp_path / "data" / JOURNAL_FILE)
    await journal.open()
    try:
        assert await journal.live_runs() == (), "both runs ended"
    finally:
        await journal.close()

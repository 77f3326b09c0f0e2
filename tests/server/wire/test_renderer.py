"""Long answers are rendered off the event loop, and each frame holds what it would have held."""

import asyncio
import random
import threading
from functools import cache

import pytest

from machines.decisions.views import message_view
from machines.models.domain import Role
from machines.models.ids import thread_stream
from machines.models.journal import JournalEntry
from server.wire import markdown, presenter
from server.wire.markdown import render_markdown
from server.wire.presenter import LiveEntry
from server.wire.renderer import MAX_ON_LOOP, Renderer
from tests.support.journal_values import ANN, entry, message, thread

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def answered(text: str) -> JournalEntry:
    """An entry that ends a run with this answer."""
    of = thread("asked", ANN)
    answer = message(of, 1, role=Role.CHORUS, author=None, content=text)
    data = {"kind": "finished", "message": message_view(answer)}
    return entry(thread_stream(of.id)).model_copy(update={"data": data})


def text_of(pattern: str, length: int) -> str:
    """The pattern again and again, never twice the same: `*` is a letter."""
    dice = random.Random(7)
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        parts.append(pattern.replace("*", dice.choice(LETTERS)))
    return "".join(parts)[:length]


@pytest.fixture
def rendered_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which Markdown was rendered."""
    threads: list[str] = []
    render = render_markdown

    def watched(text: str) -> str:
        threads.append(threading.current_thread().name)
        return render(text)

    monkeypatch.setattr(presenter, "render_markdown", watched)
    return threads


async def live_entry(entry: JournalEntry) -> LiveEntry:
    renderer = Renderer()
    try:
        (live,) = await renderer.live([entry])
        live.full  # noqa: B018 - it is encoded now, if it was not before
        return live
    finally:
        renderer.close()


async def test_a_long_answer_is_rendered_in_the_thread(rendered_in: list[str]) -> None:
    live = await live_entry(answered("word " * MAX_ON_LOOP))
    (thread,) = rendered_in
    assert thread.startswith("renderer")
    assert "<p>word word" in live.full


async def test_the_first_answer_is_rendered_in_the_thread_however_short(
    rendered_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markdown, "_pipeline", cache(markdown._pipeline.__wrapped__))
    await live_entry(answered("A *word*."))
    (thread,) = rendered_in
    assert thread.startswith("renderer")


async def test_a_short_answer_is_rendered_where_it_is(rendered_in: list[str]) -> None:
    render_markdown("what renders is built")
    await live_entry(answered("A *word*."))
    assert rendered_in == [threading.current_thread().name]


@pytest.mark.parametrize(
    "pattern", ["*![", "[*](b) ", "**a ", "> *\n\n", "<http://*> ", "`*", "|*"]
)
async def test_an_answer_made_for_the_purpose_keeps_nobody_waiting(pattern: str) -> None:
    """The watch on the loop fails this test where rendering it holds the loop."""
    for _ in range(3):
        await live_entry(answered(text_of(pattern, 17_000)))
        await asyncio.sleep(0)

"""An answer is rendered as it is written: what is sent, how often, and what it costs."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from machines.models.wire.views import RenderedText
from server.runs.live_answer import (
    GROWTH,
    LARGE_BLOCK,
    LARGE_GROWTH,
    MAX_HTML_CHARACTERS,
    MAX_OPEN_CHARACTERS,
    LiveAnswer,
)
from server.wire.markdown import render_markdown
from server.wire.renderer import Renderer
from tests.support.eventually import eventually

Parts = tuple[RenderedText, ...]


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


def shown(sent: list[Parts]) -> list[RenderedText]:
    """What a client has, by PROTOCOL: a part takes the place of those that do not end before it."""
    parts: list[RenderedText] = []
    for first, *others in sent:
        parts = [each for each in parts if each.end <= first.start] + [first, *others]
    return parts


async def test_each_block_is_sent_when_it_ends_and_the_last_one_as_it_grows(
    renderer: Renderer,
) -> None:
    sent: list[Parts] = []
    answer = LiveAnswer(sent.append, renderer)
    answer.add("# Title\n\nSome *em")
    await eventually(lambda: len(sent) == 1, "the beginning is rendered")
    assert [each.html for each in shown(sent)] == ["<h1>Title</h1>\n", "<p>Some *em</p>\n"]
    answer.add("phasis*.\n\n- one\n- two\n\nThe end.")
    await eventually(lambda: len(sent) == 2, "the rest is rendered")
    answer.close()
    assert sent[1][0].start == len("# Title\n\n"), "what is final is sent once"
    text = "# Title\n\nSome *emphasis*.\n\n- one\n- two\n\nThe end."
    assert "".join(each.html for each in shown(sent)) == render_markdown(text)
    assert list(answer.rendered) == shown(sent), "who comes now gets the same"


async def test_a_long_block_is_rendered_again_only_when_it_has_grown_by_a_part_of_itself(
    renderer: Renderer,
) -> None:
    sent: list[Parts] = []
    answer = LiveAnswer(sent.append, renderer)
    long = "word " * 400
    answer.add(long)
    await eventually(lambda: len(sent) == 1, "the block is rendered")
    for _ in range(len(long) // GROWTH - 1):
        answer.add("x")
    answer.add("xx")
    await eventually(lambda: len(sent) == 2, "the block has grown")
    assert sent[1][0].end == len(long) + len(long) // GROWTH + 1, (
        "what came piece by piece is in it"
    )
    answer.close()


async def test_a_large_block_is_rendered_as_it_grows_and_more_seldom(renderer: Renderer) -> None:
    sent: list[Parts] = []
    answer = LiveAnswer(sent.append, renderer)
    code = "```\n" + "x = 1\n" * (LARGE_BLOCK // 6 + 1)
    answer.add(code)
    await eventually(lambda: len(sent) == 1, "a block above LARGE_BLOCK is rendered")
    assert sent[0][0].html.startswith("<pre><code>x = 1")
    for _ in range(len(code) // LARGE_GROWTH):
        answer.add("x")
    answer.add("x")
    await eventually(lambda: len(sent) == 2, "the block has grown by a part in LARGE_GROWTH")
    assert sent[1][0].end >= len(code) + len(code) // LARGE_GROWTH
    answer.close()


async def test_a_block_without_an_end_is_left_as_text(renderer: Renderer) -> None:
    sent: list[Parts] = []
    answer = LiveAnswer(sent.append, renderer)
    answer.add("```\n")
    await eventually(lambda: len(sent) == 1, "the beginning is rendered")
    for _ in range(4):
        answer.add("x" * (MAX_OPEN_CHARACTERS // 3))
    await asyncio.sleep(0)
    assert answer.is_closed
    assert len(sent) == 1


async def test_no_frame_is_too_large_whatever_is_written(renderer: Renderer) -> None:
    sent: list[Parts] = []
    answer = LiveAnswer(sent.append, renderer)
    columns = 90
    table = "a|" * columns + "\n" + "-|" * columns + "\n" + "x|\n" * 90
    answer.add(table)
    await eventually(lambda: answer.is_closed, "its HTML is too long")
    assert sent == []


async def test_who_comes_late_to_a_long_answer_gets_its_end(renderer: Renderer) -> None:
    sent: asyncio.Queue[Parts] = asyncio.Queue()
    answer = LiveAnswer(sent.put_nowait, renderer)
    for number in range(8):
        answer.add("<" * 3_500 + f" {number}\n\n")
        last = await sent.get()
    answer.close()
    parts = answer.rendered
    assert 0 < sum(len(each.html) for each in parts) <= MAX_HTML_CHARACTERS
    assert parts[-1] == last[-1]
    for before, behind in pairwise(parts):
        assert before.end <= behind.start

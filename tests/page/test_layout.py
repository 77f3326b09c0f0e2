"""Where things stand: boxes of the main views, at two widths, alike in both themes; no pixel is
compared."""

from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import SIZES, Person, someone
from tests.support.obedient_model import ObedientModel
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

Box = dict[str, float]

STACKED = (".thread-head", ".strip", ".stream", ".composer-top", ".composer-box")
"""Parts of the conversation, each above the next."""

IN_A_TURN = ("article[data-role=user] > .message-main > .said", ".run-answer", ".run-head")
"""Parts of a prompt that is answered, likewise."""

OVER = (".machine-head", ".stage", ".replay")
"""Parts of the machines, likewise."""

BOXES = """(selectors) => Object.fromEntries(selectors.map((selector) => {
  const shown = [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const { left, top, right, bottom } = shown.at(-1)?.getBoundingClientRect() ?? {};
  return [selector, { left, top, right, bottom }];
}))"""


@SIZES
async def test_the_parts_of_each_view_stand_where_they_belong_in_either_theme(
    browser: Browser, server: ServerProcess, model: ObedientModel, viewport: dict[str, int]
) -> None:
    found = []
    for scheme in ("light", "dark"):
        prompt = f"Where does it stand at {viewport['width']}, {'by day' if scheme == 'light' else 'by night'}?"
        held = model.hold(prompt, "action")
        async with someone(
            browser,
            server.url,
            "Ann",
            viewport=viewport,
            color_scheme=scheme,
            reduced_motion="reduce",
        ) as ann:
            await ann.page.get_by_role("button", name="Not now").click()
            await ann.new_thread("Boxes")
            empty = await boxes(ann, ".thread-head", ".stream", ".composer-top", ".composer-box")
            await ann.ask(prompt)
            await held.reached.wait()
            await expect(ann.page.locator(".composer .stop")).to_be_visible()
            running = await boxes(ann, *STACKED)
            held.opened.set()
            await ann.answers(1)
            await expect(ann.page.locator(".composer .stop")).to_be_hidden()
            answered = await boxes(ann, *STACKED)
            turn = await boxes(ann, *IN_A_TURN)
            await ann.page.get_by_role("button", name="Replay").first.click()
            await expect(ann.page.get_by_role("slider")).to_be_visible()
            await expect(ann.page.locator(".drawing svg")).to_be_visible()
            machines = await boxes(ann, *OVER)
        views = (empty, running, answered, machines)
        for view in views:
            assert_stacked(view, viewport)
        for above, below in pairwise(turn.values()):
            assert above["bottom"] <= below["top"] + 1
        assert running[".composer-box"] == answered[".composer-box"], "the prompt box stays"
        assert running[".stream"] == answered[".stream"], "so does what is read"
        found.append(views)
    assert found[0] == found[1], "a theme moves nothing"


async def boxes(person: Person, *selectors: str) -> dict[str, Box]:
    """The last visible element of each, in pixels of the window."""
    found: dict[str, Any] = await person.run(BOXES, list(selectors))
    for selector, box in found.items():
        assert len(box) == 4, f"{selector} is not shown"
    return found


def assert_stacked(view: dict[str, Box], viewport: dict[str, int]) -> None:
    for (upper, above), (lower, below) in pairwise(view.items()):
        assert above["bottom"] <= below["top"] + 1, f"{upper} covers {lower}"
    for selector, box in view.items():
        assert box["left"] >= 0, f"{selector} begins outside"
        assert box["right"] <= viewport["width"], f"{selector} ends outside"
        assert box["top"] >= 0, f"{selector} begins above"
        assert box["bottom"] <= viewport["height"], f"{selector} ends below"
        assert box["right"] - box["left"] >= 40, f"{selector} has no width"
        assert box["bottom"] - box["top"] >= 20, f"{selector} has no height"

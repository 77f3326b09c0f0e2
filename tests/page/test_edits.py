"""A user writes their own last prompt anew: by the pencil or Arrow-Up, and what the others see of it."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import LOOKS, Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def assert_folded(person: Person, old: str) -> None:
    """The earlier version stands in its place, folded, and its answer with it."""
    message = person.message(old)
    await expect(message.locator("> .message-main > .message-head .chip")).to_have_text("edited")
    await expect(message.locator("> .message-main > .said")).to_be_hidden()
    await expect(person.page.get_by_text(answer_to(old))).to_be_hidden()


@LOOKS
async def test_the_last_prompt_is_edited_by_keyboard_and_the_old_one_is_folded(
    browser: Browser, server: ServerProcess, viewport: dict[str, int], scheme: str
) -> None:
    looks: dict[str, Any] = {
        "viewport": viewport,
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    size = f"{viewport['width']}-{scheme}"
    old, new = f"What do rivres do at {size}?", f"What do rivers do at {size}?"
    async with (
        someone(browser, server.url, "Ann", **looks) as ann,
        someone(browser, server.url, "Bob", **looks) as bob,
    ):
        await ann.page.get_by_role("button", name="Not now").click()
        await bob.visit(await ann.new_thread("Edits", public=True))
        await ann.ask(old)
        await ann.answers(1)
        await expect(bob.message(old).get_by_role("button", name="Edit this prompt")).to_be_hidden()

        await ann.page.locator("#prompt").focus()
        await ann.page.keyboard.press("ArrowUp")
        await expect(ann.page.locator("#prompt")).to_have_value(old)
        await expect(ann.page.locator(".editing")).to_be_visible()
        await ann.shoot(f"editing-{size}")
        await assert_accessible(ann.page, f"a prompt that is edited, {size}")
        await ann.page.keyboard.press("Escape")
        await expect(ann.page.locator(".editing")).to_be_hidden()
        await expect(ann.page.locator("#prompt")).to_have_value("")
        await ann.page.keyboard.press("ArrowUp")
        await ann.page.keyboard.press("Control+A")
        await ann.page.keyboard.type(new)
        await ann.page.keyboard.press("Enter")
        for person in (ann, bob):
            await expect(person.page.get_by_text(answer_to(new))).to_be_visible()
            await assert_folded(person, old)
        assert await ann.run("() => document.documentElement.scrollWidth <= innerWidth")
        await ann.shoot(f"edited-{size}")
        earlier = ann.page.get_by_role("button", name="Show the earlier version")
        await earlier.focus()
        await ann.page.keyboard.press("Enter")
        await expect(ann.page.get_by_text(answer_to(old))).to_be_visible()
        await assert_accessible(ann.page, f"an earlier version, {size}")
        await ann.shoot(f"earlier-{size}")
        await ann.page.get_by_role("button", name="Hide the earlier version").click()
        await assert_folded(ann, old)

        await bob.page.reload()
        await expect(bob.page.get_by_text(answer_to(new))).to_be_visible()
        await assert_folded(bob, old)


async def test_the_pencil_edits_a_prompt_whose_run_is_under_way_and_keeps_the_draft(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    old, new = "Held for an edit?", "Edited while held?"
    held = model.hold(old, "action")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(old)
        await held.reached.wait()
        await ann.page.fill("#prompt", "A draft for later")
        await ann.message(old).hover()
        await ann.message(old).get_by_role("button", name="Edit this prompt").click()
        await expect(ann.page.locator("#prompt")).to_have_value(old)
        await ann.page.fill("#prompt", new)
        await ann.page.press("#prompt", "Enter")
        await held.hung_up.wait()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text(answer_to(new))
        await expect(ann.page.locator("#prompt")).to_have_value("A draft for later")
        await ann.page.get_by_role("button", name="Show the earlier version").click()
        await expect(ann.message(old).get_by_role("button", name="Run again")).to_be_hidden()
        await ann.open_machines("Message")


async def test_an_outsiders_edit_of_a_pending_message_waits_for_the_votes_anew(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Eve") as eve,
    ):
        await eve.visit(await ann.new_thread("Open to edits", public=True))
        await eve.ask("Mai I ask?")
        await expect(eve.message("Mai I ask?").locator(".chip")).to_have_text("waits for approval")
        await eve.page.press("#prompt", "ArrowUp")
        await eve.page.fill("#prompt", "May I ask?")
        await eve.page.press("#prompt", "Enter")
        await expect(eve.message("May I ask?").locator(".chip")).to_have_text("waits for approval")
        await expect(ann.message("Mai I ask?").locator(".chip")).to_have_text("edited")
        await ann.message("May I ask?").get_by_role("button", name="Approve").click()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text(answer_to("May I ask?"))

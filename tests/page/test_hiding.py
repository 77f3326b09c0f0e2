"""A user hides messages and threads for themselves: folded, out of the list, in every window of theirs."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.browser import LOOKS, SIZES, Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def press(person: Person, name: str) -> None:
    """A button is pressed by the keyboard alone."""
    await person.page.get_by_role("button", name=name, exact=True).focus()
    await person.page.keyboard.press("Enter")


async def choose_from_menu(person: Person, name: str) -> None:
    await press(person, "More about this thread")
    await press(person, name)


async def another_window(person: Person, address: str) -> Page:
    """The same user in a second window."""
    page = await person.page.context.new_page()
    await page.goto(address)
    return page


@LOOKS
async def test_a_hidden_message_is_folded_with_its_answer_for_its_user_alone(
    browser: Browser, server: ServerProcess, viewport: dict[str, int], scheme: str
) -> None:
    looks: dict[str, Any] = {"viewport": viewport, "color_scheme": scheme}
    size = f"{viewport['width']}-{scheme}"
    prompt = f"What is hidden at {size}?"
    async with (
        someone(browser, server.url, "Ann", **looks) as ann,
        someone(browser, server.url, "Bob", **looks) as bob,
    ):
        await ann.page.get_by_role("button", name="Not now").click()
        address = await ann.new_thread("Hiding", public=True)
        await bob.visit(address)
        await ann.ask(prompt)
        await ann.answers(1)
        window = await another_window(ann, address)
        answer = answer_to(prompt)
        await expect(window.get_by_text(answer)).to_be_visible()

        head = ann.message(prompt).locator("> .message-main > .message-head")
        await head.get_by_role("button", name="Hide this message").focus()
        await ann.page.keyboard.press("Enter")
        for page in (ann.page, window):
            await expect(page.get_by_role("button", name="Hidden by you. Show")).to_be_visible()
            await expect(page.get_by_text(answer)).to_be_hidden()
        await expect(bob.page.get_by_text(answer)).to_be_visible()
        await expect(bob.page.get_by_role("button", name="Hidden by you. Show")).to_be_hidden()
        assert await ann.run("() => document.documentElement.scrollWidth <= innerWidth")
        await assert_accessible(ann.page, f"a hidden message, {size}")
        await ann.shoot(f"hidden-message-{size}")

        await press(ann, "Hidden by you. Show")
        await expect(ann.page.get_by_text(answer)).to_be_visible()
        await expect(window.get_by_text(answer)).to_be_hidden()
        await press(ann, "Hidden by you. Fold")
        await ann.page.reload()
        await expect(ann.page.get_by_role("button", name="Hidden by you. Show")).to_be_visible()
        await expect(ann.page.get_by_text(answer)).to_be_hidden()

        await press(ann, "Show this message again")
        for page in (ann.page, window):
            await expect(page.get_by_text(answer)).to_be_visible()
            await expect(page.get_by_role("button", name="Hidden by you. Show")).to_be_hidden()


@SIZES
async def test_a_hidden_thread_leaves_the_list_until_it_is_shown_again(
    browser: Browser, server: ServerProcess, viewport: dict[str, int]
) -> None:
    size = viewport["width"]
    name = f"Old plans {size}"
    async with someone(browser, server.url, "Ann", viewport=viewport) as ann:
        await ann.page.get_by_role("button", name="Not now").click()
        address = await ann.new_thread(name)
        window = await another_window(ann, address)
        await expect(window.locator(".thread-title")).to_have_text(name)
        rows = ann.page.locator(".thread-list .thread-name", has_text=name)
        elsewhere = window.locator(".thread-list .thread-name", has_text=name)
        await expect(rows).to_have_count(1)
        await choose_from_menu(ann, "Hide the thread")
        for found in (rows, elsewhere):
            await expect(found).to_have_count(0)
        await ann.ask(f"What is said in a hidden thread at {size}?")
        await ann.answers(1)
        await expect(rows).to_have_count(0)
        await ann.page.reload()
        await expect(ann.page.locator(".thread-title")).to_have_text(name)
        await expect(rows).to_have_count(0)

        await ann.show("Threads")
        await press(ann, "Show hidden threads")
        await expect(rows).to_have_count(1)
        await assert_accessible(ann.page, f"hidden threads, {size}")
        await ann.shoot(f"hidden-threads-{size}")
        await ann.show("Conversation")
        await choose_from_menu(ann, "Show the thread in my list")
        await expect(rows).to_have_count(0)
        await ann.show("Threads")
        await press(ann, "Show my threads")
        for found in (rows, elsewhere):
            await expect(found).to_have_count(1)

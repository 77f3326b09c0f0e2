"""Who is there and who types, as the page shows it, and what hides it."""

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import someone
from tests.page.test_habits import assert_accessible
from tests.page.test_inbox import invite
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("width", [1280, 360])
async def test_two_see_each_other_and_who_types_until_one_hides_it(
    browser: Browser, server: ServerProcess, width: int
) -> None:
    viewport = {"width": width, "height": 740}
    async with (
        someone(browser, server.url, "Ann", viewport=viewport) as ann,
        someone(browser, server.url, "Bob", viewport=viewport, color_scheme="dark") as bob,
    ):
        await ann.new_thread(f"Meeting at {width}")
        await invite(ann, bob)
        await bob.show("Threads")
        await bob.page.locator(".invitation").get_by_role("button", name="Accept").click()
        await expect(bob.title).to_have_text(f"Meeting at {width}")
        for person, other in ((ann, "Bob"), (bob, "Ann")):
            await expect(person.page.locator(".thread-about")).to_contain_text(f"here: {other}")
        await bob.page.locator("#prompt").press_sequentially("I think")
        typing = ann.page.locator(".typing")
        await expect(typing).to_have_text("Bob is typing…")
        await ann.shoot(f"typing-{width}")
        await assert_accessible(ann.page, f"who types, at {width}")
        overflow = await ann.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"it is {overflow} px too wide"
        await bob.page.locator("#prompt").press("Enter")
        await expect(typing).to_be_hidden()
        await bob.show("Threads")
        await bob.page.locator(".who").click()
        await bob.page.get_by_label("Show co-authors that I am here").uncheck()
        await expect(ann.page.locator(".thread-about")).not_to_contain_text("here:")
        await bob.page.keyboard.press("Escape")
        await bob.show("Conversation")
        await expect(bob.page.locator(".thread-about")).not_to_contain_text("here:")
        await bob.page.reload()
        await bob.connected()
        await expect(bob.title).to_have_text(f"Meeting at {width}")
        await bob.show("Threads")
        await bob.page.locator(".who").click()
        await expect(bob.page.get_by_label("Show co-authors that I am here")).not_to_be_checked()

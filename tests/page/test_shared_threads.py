"""A public thread before somebody who is not signed in: it is read, and leads to where one takes part."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import LOOKS, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


@LOOKS
async def test_a_public_thread_is_read_without_signing_in_and_leads_to_the_gate(
    browser: Browser, server: ServerProcess, viewport: dict[str, int], scheme: str
) -> None:
    look: dict[str, Any] = {"viewport": viewport, "color_scheme": scheme}
    prompt = "What may anyone read?"
    copied = "() => navigator.clipboard.readText()"
    async with someone(browser, server.url, "Ann", **look) as ann:
        await ann.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await ann.new_thread("Plans")
        menu = ann.page.get_by_role("button", name="More about this thread")
        await menu.click()
        await expect(ann.page.get_by_role("button", name="Copy a read-only link")).to_be_hidden()
        await ann.page.keyboard.press("Escape")
        thread = await ann.new_thread("Open house", public=True)
        await ann.ask(prompt)
        await ann.answers(1)
        await menu.click()
        await ann.page.get_by_role("button", name="Copy a read-only link").click()
        await expect(ann.page.get_by_text("The link is copied.")).to_be_visible()
        address = str(await ann.run(copied))
    async with someone(browser, address, "Bob", enters=False, **look) as bob:
        await expect(bob.page.get_by_role("heading", level=1)).to_have_text("Open house")
        said = bob.page.locator("article")
        await expect(said).to_have_count(2)
        await expect(said.first).to_contain_text(prompt)
        await expect(said.first).to_contain_text("Ann")
        await expect(said.last).to_contain_text(answer_to(prompt))
        await expect(bob.page.get_by_text("Read only")).to_be_visible()
        overflow = await bob.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0
        await assert_accessible(bob.page, f"a shared thread, {scheme}")
        await bob.shoot(f"shared-{viewport['width']}-{scheme}")
        await bob.page.get_by_role("link", name="Sign in to take part").click()
        await expect(bob.page).to_have_url(thread)
        await expect(bob.page.locator("#gate-name")).to_be_visible()

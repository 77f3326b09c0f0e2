"""Somebody whom one knows is invited by name, and asked for before it is done."""

import pytest
from playwright.async_api import Browser, Dialog, expect

from tests.page.browser import someone
from tests.page.test_habits import assert_accessible
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "viewport", [{"width": 1280, "height": 800}, {"width": 360, "height": 740}], ids=["1280", "360"]
)
async def test_who_shares_a_thread_is_invited_into_another_by_name(
    browser: Browser, server: ServerProcess, viewport: dict[str, int]
) -> None:
    async with (
        someone(browser, server.url, "Ann", viewport=viewport) as ann,
        someone(browser, server.url, "Bob", viewport=viewport) as bob,
    ):
        await ann.new_thread("Plans")
        await ann.page.get_by_role("button", name="Co-authors", exact=True).click()
        await expect(ann.page.get_by_text("Invite by name")).to_be_hidden()
        await ann.page.get_by_role("button", name="Make a link").click()
        address = await ann.page.get_by_label("The link, shown only now").input_value()
        await ann.page.keyboard.press("Escape")
        await bob.page.goto(address)
        await bob.page.get_by_role("button", name="Join").click()
        await expect(bob.title).to_have_text("Plans")

        await ann.new_thread("Recipes")
        await ann.page.get_by_role("button", name="Co-authors", exact=True).click()
        known = ann.page.locator("#acquaintances li")
        await expect(known).to_contain_text("in Plans")
        await ann.page.get_by_label("Somebody you share a thread with").fill("nobody")
        await expect(known).to_have_count(0)
        await ann.page.get_by_label("Somebody you share a thread with").fill("bo")
        await expect(known).to_have_count(1)
        await assert_accessible(ann.page, "people one knows")
        await ann.shoot(f"people-{viewport['width']}")
        asked: list[str] = []

        async def agree(dialog: Dialog) -> None:
            asked.append(dialog.message)
            await dialog.accept()

        ann.page.once("dialog", agree)
        await ann.page.get_by_role("button", name="Invite Bob").click()
        await expect(ann.page.get_by_role("dialog")).to_be_hidden()
        assert asked[0].startswith("Invite Bob (")
        await bob.show("Threads")
        await expect(bob.page.locator(".invitation")).to_contain_text(
            "Ann invites you into Recipes"
        )

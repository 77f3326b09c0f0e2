"""An invite link: one makes it, another who knows only the address joins by it, and both go on together."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import LOOKS, Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def make_link(host: Person) -> str:
    """Make a link by the dialog of co-authors; gives its address. By the keyboard alone."""
    await host.page.get_by_role("button", name="Co-authors", exact=True).focus()
    await host.page.keyboard.press("Enter")
    await host.page.get_by_role("button", name="Make a link").focus()
    await host.page.keyboard.press("Enter")
    address = await host.page.get_by_label("The link, shown only now").input_value()
    await expect(host.page.get_by_role("button", name="Copy the link").last).to_be_focused()
    return address


@LOOKS
async def test_who_knows_only_the_address_of_a_link_joins_and_both_read_each_other(
    browser: Browser, server: ServerProcess, viewport: dict[str, int], scheme: str
) -> None:
    look: dict[str, Any] = {"viewport": viewport, "color_scheme": scheme}
    width = viewport["width"]
    async with someone(browser, server.url, "Ann", **look) as ann:
        await ann.new_thread("Plans")
        address = await make_link(ann)
        assert address.startswith(f"{server.url}/#join=")
        await expect(ann.page.locator("#links")).to_contain_text("An open link of Ann")
        await assert_accessible(ann.page, f"the link that was made, {scheme}")
        await ann.shoot(f"link-made-{width}-{scheme}")
        await ann.page.keyboard.press("Escape")

        async with someone(browser, address, "Bob", enters=False, **look) as bob:
            await expect(bob.page.locator(".lead")).to_contain_text("see who invites you")
            await bob.shoot(f"link-gate-{width}-{scheme}")
            await bob.enter()
            dialog = bob.page.get_by_role("dialog")
            await expect(dialog).to_contain_text("Ann invites you into Plans")
            await assert_accessible(bob.page, f"what a link says, {scheme}")
            await bob.shoot(f"link-opened-{width}-{scheme}")
            await expect(bob.page.get_by_role("button", name="Join")).to_be_focused()
            await bob.page.keyboard.press("Enter")
            await expect(bob.title).to_have_text("Plans")
            await expect(dialog).to_be_hidden()
            assert "join" not in bob.page.url
            for person, text in ((ann, "Hello from Ann"), (bob, "Hello from Bob")):
                await person.ask(text)
                for each in (ann, bob):
                    await expect(each.message(text).locator(".author").first).to_contain_text(
                        person.name
                    )
                    await expect(each.answered.last.locator(".said")).to_have_text(answer_to(text))


async def test_a_link_that_ended_says_so_in_one_sentence(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        thread = await ann.new_thread("Plans")
        address = await make_link(ann)
        await ann.page.keyboard.press("Escape")
        await ann.page.get_by_role("button", name="Co-authors", exact=True).click()
        await ann.page.locator("#links").get_by_role("button", name="Take back").click()
        await expect(ann.page.locator("#links li")).to_have_count(0)
        for wrong in (address, f"{server.url}/#join=guessed"):
            await bob.page.goto(f"{server.url}/")
            await bob.page.goto(wrong)
            alert = bob.page.get_by_role("dialog").get_by_role("alert")
            await expect(alert).to_have_text(
                "This link leads nowhere: it was used, taken back, or has expired."
            )
            await bob.shoot("link-ended")
            await bob.page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
            await expect(bob.page).to_have_url(f"{server.url}/")
        await ann.page.keyboard.press("Escape")
        own = await make_link(ann)
        await ann.page.goto(f"{server.url}/")
        await ann.page.goto(own)
        await expect(ann.page).to_have_url(thread)

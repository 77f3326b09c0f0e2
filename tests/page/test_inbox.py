"""The inbox: its count, the way from each thing to its place, mentions, and the browser's notifications."""

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import SIZES, Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


HIDE = """() => {
  window.isLookedAt = false;
  window.told = [];
  Object.defineProperty(document, "visibilityState", {
    get: () => (window.isLookedAt ? "visible" : "hidden"),
  });
  window.Notification = class extends EventTarget {
    static permission = "default";
    static asked = 0;
    static async requestPermission() {
      this.asked += 1;
      this.permission = "granted";
      return this.permission;
    }
    constructor(title, { body, tag }) {
      super();
      window.told.push({ title, body, tag, notification: this });
    }
    close() {}
  };
}"""
"""What no headless browser does by itself: a page that is not looked at, and the system's notices."""


async def key_of(person: Person) -> str:
    await person.show("Threads")
    await person.page.locator(".who").click()
    key = await person.page.locator("#own-key").inner_text()
    await person.page.keyboard.press("Escape")
    await person.show("Conversation")
    return key


async def invite(host: Person, guest: Person) -> None:
    await host.page.get_by_role("button", name="Co-authors").click()
    await host.page.get_by_label("Invite by public key").fill(await key_of(guest))
    await host.page.get_by_role("button", name="Invite", exact=True).click()
    await expect(host.page.get_by_role("dialog", name="Co-authors")).to_be_hidden()


async def open_inbox(person: Person) -> None:
    await person.show("Threads")
    await person.page.locator(".inbox-button").click()
    await expect(person.page.get_by_role("dialog", name="Inbox")).to_be_visible()


@SIZES
async def test_what_waits_is_counted_and_leads_to_its_place(
    browser: Browser, server: ServerProcess, viewport: dict[str, int]
) -> None:
    name = f"Council at {viewport['width']}"
    prompt = f"May I ask at {viewport['width']}?"
    scheme = "light" if viewport["width"] > 400 else "dark"
    async with (
        someone(browser, server.url, "Ann", viewport=viewport, color_scheme=scheme) as ann,
        someone(browser, server.url, "Bob", viewport=viewport) as bob,
    ):
        address = await ann.new_thread(name, public=True)
        await expect(ann.page).to_have_title(f"{name} · Chorus")
        await ann.show("Threads")
        await ann.page.get_by_role("button", name="New thread").click()
        await ann.page.keyboard.press("Escape")
        await ann.new_thread(f"Elsewhere at {viewport['width']}")
        await bob.visit(address)
        await bob.ask(prompt)
        await expect(ann.page).to_have_title(f"(1) Elsewhere at {viewport['width']} · Chorus")
        await ann.show("Threads")
        button = ann.page.get_by_role("button", name="Inbox: 1 for you")
        await expect(button).to_be_visible()
        await ann.shoot(f"inbox-button-{viewport['width']}")
        await ann.page.keyboard.press("Control+i")
        dialog = ann.page.get_by_role("dialog", name="Inbox")
        item = dialog.get_by_role("link")
        await expect(dialog.get_by_role("heading", name="Needs your vote")).to_be_visible()
        await expect(item).to_contain_text("Bob asks for approval")
        await expect(item).to_contain_text(prompt)
        await ann.shoot(f"inbox-{viewport['width']}")
        await assert_accessible(ann.page, f"the inbox at {viewport['width']}")
        overflow = await ann.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"the inbox is {overflow} px too wide"
        await item.focus()
        await ann.page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(ann.title).to_have_text(name)
        await expect(ann.message(prompt)).to_be_in_viewport()
        await ann.message(prompt).get_by_role("button", name="Approve").click()
        await expect(ann.page).to_have_title(f"{name} · Chorus")
        await open_inbox(ann)
        await expect(dialog).to_contain_text("Nothing waits for you")


async def test_a_name_is_completed_by_the_keyboard_and_its_owner_is_told(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob Builder") as bob,
    ):
        await ann.new_thread("Names")
        await invite(ann, bob)
        await expect(bob.page.get_by_role("button", name="Inbox: 1 for you")).to_be_visible()
        await open_inbox(bob)
        await bob.page.get_by_role("link", name="Ann invites you").click()
        accept = bob.page.locator(".invitation").get_by_role("button", name="Accept")
        await expect(accept).to_be_focused()
        await bob.page.keyboard.press("Enter")
        await expect(bob.title).to_have_text("Names")
        await bob.new_thread("Away")
        box = ann.page.locator("#prompt")
        await box.press_sequentially("Ask @bo")
        names = ann.page.get_by_role("listbox", name="Co-authors to mention")
        await expect(names.get_by_role("option")).to_have_text(["Bob Builder"])
        await expect(box).to_have_attribute("aria-activedescendant", "mention-0")
        await ann.shoot("mention-list")
        await assert_accessible(ann.page, "names that complete a mention")
        await box.press("Escape")
        await expect(names).to_be_hidden()
        await box.press_sequentially("b")
        await box.press("Enter")
        await expect(box).to_have_value("Ask @Bob Builder ")
        await box.press_sequentially("🙂 twice")
        await box.press("Enter")
        mark = ann.message("twice").locator("mark")
        await expect(mark).to_have_text("@Bob Builder")
        await expect(mark).to_have_class("mention")
        await expect(bob.page).to_have_title("(1) Away · Chorus")
        await open_inbox(bob)
        await bob.page.get_by_role("link", name="Ann mentions you").click()
        await expect(bob.title).to_have_text("Names")
        await expect(bob.message("twice").locator("mark")).to_have_class("mention own")
        await bob.shoot("mention-own")
        await expect(bob.page).to_have_title("Names · Chorus")


async def test_the_browser_tells_only_who_asked_for_it_and_does_not_look(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann", enters=False) as ann,
        someone(browser, server.url, "B\u00f8b") as bob,
    ):
        await ann.page.add_init_script(f"({HIDE})()")
        await ann.page.reload()
        await ann.enter()
        address = await ann.new_thread("Watched", public=True)
        await bob.visit(address)
        await bob.ask("Nobody is told of this?")
        await expect(ann.page).to_have_title("(1) Watched · Chorus")
        assert await ann.run("() => [Notification.asked, told.length]") == [0, 0]
        await ann.page.locator(".who").click()
        await ann.page.get_by_role("button", name="Turn notifications on").click()
        off = ann.page.get_by_role("button", name="Turn notifications off")
        await expect(off).to_be_visible()
        await ann.page.keyboard.press("Escape")
        await bob.ask("Told\u202e <b>plainly</b>?\n\nYes")
        await expect(ann.page).to_have_title("(2) Watched · Chorus")
        await ann.page.wait_for_function("() => told.length === 1")
        title, body = await ann.run("() => [told[0].title, told[0].body]")
        assert title == "Watched"
        assert body == "B\u00f8b asks for approval: Told <b>plainly</b>? Yes"
        await ann.run("() => { isLookedAt = true; }")
        await bob.ask("Looked at?")
        await expect(ann.page).to_have_title("(3) Watched · Chorus")
        await ann.run("() => told[0].notification.dispatchEvent(new Event('click'))")
        await expect(ann.message("plainly")).to_be_focused()
        assert await ann.run("() => told.length") == 1
        await ann.page.locator(".who").click()
        await off.click()
        await ann.page.keyboard.press("Escape")
        await ann.run("() => { isLookedAt = false; }")
        await bob.message("Looked at?").get_by_role("button", name="Withdraw").click()
        await expect(ann.page).to_have_title("(2) Watched · Chorus")
        await bob.ask("Told no more?")
        await expect(ann.page).to_have_title("(3) Watched · Chorus")
        assert await ann.run("() => told.length") == 1

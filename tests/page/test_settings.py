"""What users choose and are told of themselves: theme, shortcuts, the recovery file, what went wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.page.browser import SIZES, someone
from tests.page.test_habits import assert_accessible
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


CONTRASTS = """() => {
  const channel = (value) => value <= 10.31 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map(Number).map(channel);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const low = [];
  for (const lit of document.querySelectorAll("svg.machine :is(.edge.last, .state.atomic.current)")) {
    const box = lit.querySelector(":scope > .row") ?? lit.querySelector(":scope > path.box, :scope > path");
    const behind = light(getComputedStyle(box).fill);
    for (const text of lit.querySelectorAll("text, tspan")) {
      const before = light(getComputedStyle(text).fill);
      const ratio = (Math.max(before, behind) + 0.05) / (Math.min(before, behind) + 0.05);
      if (ratio < 4.5) low.push(`${text.textContent}: ${ratio.toFixed(2)}`);
    }
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_is_lit_in_a_drawing_can_be_read_in_either_theme(
    browser: Browser, server: ServerProcess, scheme: str
) -> None:
    async with someone(browser, server.url, "Ann", color_scheme=scheme) as ann:
        await ann.ask(f"Lit in {scheme}?")
        await ann.answers(1)
        await ann.open_machines()
        await expect(ann.state("chorus", "finished")).to_have_class("state atomic final current")
        assert await ann.run(CONTRASTS) == []
        await ann.page.locator(".machine-tools").get_by_role("button", name="Replay").click()
        slider = ann.page.get_by_role("slider")
        await slider.press("Home")
        for _ in range(6):
            await slider.press("ArrowRight")
            assert await ann.run(CONTRASTS) == []


@SIZES
async def test_a_theme_is_chosen_kept_and_whole(
    browser: Browser, server: ServerProcess, viewport: dict[str, int]
) -> None:
    paper = "() => getComputedStyle(document.body).backgroundColor"
    async with someone(
        browser, server.url, "Ann", viewport=viewport, color_scheme="light", reduced_motion="reduce"
    ) as ann:
        light = await ann.run(paper)
        await ann.show("Threads")
        await ann.page.locator(".who").click()
        await ann.page.get_by_label("Dark").check()
        dark = await ann.run(paper)
        assert dark != light
        await ann.shoot(f"settings-{viewport['width']}")
        await assert_accessible(ann.page, "the settings in a chosen dark")
        await ann.page.reload()
        await ann.connected()
        assert await ann.run(paper) == dark


async def test_shortcuts_are_listed_and_do_what_they_say(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        keys = ann.page.keyboard
        await keys.type("?")
        await expect(ann.page.locator("#prompt")).to_have_value("?")
        await ann.page.locator(".scroller").focus()
        await keys.press("?")
        listed = ann.page.locator(".shortcuts")
        await expect(listed).to_contain_text("stops the run")
        await keys.press("Escape")
        await expect(listed).to_have_count(0)
        await keys.press("Control+m")
        await expect(ann.page.locator("dialog.machines")).to_be_visible()
        await keys.press("Escape")
        await expect(ann.page.locator("dialog.machines")).to_be_hidden()


async def test_a_recovery_file_is_made_at_any_time_and_what_is_lost_without_it_is_said_once(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "recovery.key"
    async with someone(browser, server.url, "Ann") as ann:
        told = ann.page.locator(".recovery")
        await expect(told).to_contain_text("lost with its data")
        await ann.page.get_by_role("button", name="Not now").click()
        await ann.page.reload()
        await ann.connected()
        await expect(told).to_be_hidden()
        await ann.page.locator(".who").click()
        key = await ann.page.locator("#own-key").inner_text()
        async with ann.page.expect_download() as saving:
            await ann.page.get_by_role("button", name="Save a recovery file").click()
        await (await saving.value).save_as(file)

    async with someone(browser, server.url, "Ann", enters=False) as elsewhere:
        await elsewhere.page.set_input_files("#gate-file", file)
        await elsewhere.connected()
        await elsewhere.page.locator(".who").click()
        await expect(elsewhere.page.locator("#own-key")).to_have_text(key)


async def test_neither_key_that_the_browser_keeps_can_be_exported_and_the_seed_lies_sealed(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        kept = await ann.page.evaluate(
            """() => new Promise((resolve) => {
                const opening = indexedDB.open("chorus", 1);
                opening.onsuccess = () => {
                    const asked = opening.result.transaction("keys").objectStore("keys").get("own");
                    asked.onsuccess = async () => {
                        const { publicKey, privateKey, sealed, ...more } = asked.result;
                        const exports = [["pkcs8", privateKey], ["raw", sealed.key]];
                        const refused = await Promise.all(exports.map(([format, key]) =>
                            crypto.subtle.exportKey(format, key).then(() => "given", () => "refused")
                        ));
                        const sealedBytes = sealed.data.byteLength;
                        resolve({ refused, sealedBytes, more: Object.keys(more) });
                    };
                };
            })"""
        )
    # A seed of 32 bytes and its tag of 16; nothing else is kept of the key.
    assert kept == {"refused": ["refused", "refused"], "sealedBytes": 48, "more": []}


async def test_a_dialog_says_itself_what_went_wrong_until_something_is_changed(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("Keys")
        await ann.page.get_by_role("button", name="Co-authors").click()
        dialog = ann.page.get_by_role("dialog", name="Co-authors")
        await dialog.get_by_label("Invite by public key").fill("no key at all")
        await dialog.get_by_role("button", name="Invite", exact=True).click()
        problem = dialog.get_by_role("alert")
        await expect(problem).to_contain_text("Nobody was invited")
        await expect(ann.page.locator(".toast.error")).to_have_count(0)
        await ann.shoot("dialog-problem")
        await problem.get_by_role("button", name="Dismiss").click()
        await expect(problem).to_be_hidden()
        await dialog.get_by_role("button", name="Invite", exact=True).click()
        await expect(problem).to_be_visible()
        await dialog.get_by_label("Invite by public key").fill("another")
        await expect(problem).to_be_hidden()


async def test_what_failed_is_said_until_it_is_dismissed_or_done(
    browser: Browser, server: ServerProcess
) -> None:
    failing = True
    full: dict[str, Any] = {
        "code": "rate_limited",
        "message": "Too many prompts; wait a moment.",
        "retryable": True,
        "retry_after_ms": 1_000,
    }

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_server(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if failing and frame["type"] == "submit_prompt":
                route.send(json.dumps({"type": "error", "re": frame["id"], "data": full}))
            else:
                upstream.send(payload)

        route.on_message(to_server)
        upstream.on_message(route.send)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.new_thread("Too fast")
        complaint = ann.page.locator(".toast.error")
        await ann.ask("Again?")
        await expect(complaint).to_contain_text("Too many prompts")
        await complaint.get_by_role("button", name="Dismiss").click()
        await expect(complaint).to_have_count(0)
        await ann.page.press("#prompt", "Enter")
        await expect(complaint).to_have_count(1)
        failing = False
        await ann.page.press("#prompt", "Enter")
        await ann.answers(1)
        await expect(complaint).to_have_count(0)

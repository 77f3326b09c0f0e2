"""The interface in each of its languages: as the browser prefers, or as its user chose."""

import json
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.browser import Person, someone
from tests.page.test_types import node_tool
from tests.page.test_types import page as page  # the copy that tsc checks
from tests.support.obedient_model import ObedientModel
from tests.support.served import ServerProcess

ENGLISH_LEFT: Final = """async () => {
  const { en } = await import(new URL("page/texts/en.js", document.baseURI).href);
  const { de } = await import(new URL("page/texts/de.js", document.baseURI).href);
  const pairs = (one, other) => Object.entries(one).flatMap(([key, value]) => {
    if (typeof value === "string") return value === other[key] ? [] : [value.trim()];
    if (typeof value === "object") return pairs(value, other[key]);
    return value.length === 1 ? [value(7).trim()] : [];
  });
  const english = new Set(pairs(en, de));
  const shown = [];
  for (const element of document.querySelectorAll("body *")) {
    for (const name of ["aria-label", "title", "placeholder"]) shown.push(element.getAttribute(name));
    for (const node of element.childNodes) if (node instanceof Text) shown.push(node.data.trim());
  }
  return shown.filter((text) => english.has(text));
}"""
"""Texts of the English catalogue, other than German, that the page shows."""


async def assert_german(page: Page, view: str) -> None:
    left = await page.evaluate(ENGLISH_LEFT)
    assert not left, f"{view} is partly English: {json.dumps(left)}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("width", [1280, 360])
async def test_a_german_browser_is_shown_german_and_an_english_choice_is_remembered(
    browser: Browser, server: ServerProcess, model: ObedientModel, width: int
) -> None:
    async with someone(
        browser,
        server.url,
        "Änne",
        enters=False,
        locale="de-AT",
        viewport={"width": width, "height": 800},
    ) as anne:
        await assert_german(anne.page, "the gate")
        await enter(anne)
        await expect(anne.page.locator("html")).to_have_attribute("lang", "de")
        await assert_german(anne.page, "the empty page")
        await anne.ask("Wie geht es?")
        await anne.answers(1)
        await expect(anne.page.locator(".run-summary")).to_contain_text("6 Schritte")
        await anne.open_run("Wie geht es?")
        await anne.page.locator(".run [data-step=experience] .step-toggle").click()
        await assert_german(anne.page, "the conversation")
        overflow = await anne.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"the German conversation is {overflow} px too wide"
        await anne.shoot(f"german-{width}")
        await anne.page.fill("#prompt", "Noch nicht fertig")
        if width == 360:
            await anne.page.locator(".areas [data-area=threads]").click()
        await anne.page.locator(".who").click()
        await assert_german(anne.page, "the settings")
        await anne.shoot(f"german-settings-{width}")
        await anne.page.get_by_label("Sprache").select_option("English")
        await expect(anne.page.locator("html")).to_have_attribute("lang", "en")
        await anne.connected()
        await expect(anne.page.locator("#prompt")).to_have_value("Noch nicht fertig")
        await expect(anne.page.locator(".run-summary")).to_contain_text("6 steps")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_kept_of_no_language_that_there_is_counts_for_nothing(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.run("() => localStorage.setItem('chorus.choices', '{\"language\": \"xx\"}')")
        await ann.page.reload()
        await ann.enter()
        await expect(ann.page.locator("html")).to_have_attribute("lang", "en")


async def enter(anne: Person) -> None:
    await anne.page.fill("#gate-name", anne.name)
    await anne.page.get_by_role("button", name="Beginnen").click()
    await expect(anne.page.locator("#connection")).to_contain_text("Verbunden")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    start: "Beginnen",\n', ""),
        ('    start: "Beginnen",', '    start: "Beginnen",\n    begin: "Los",'),
        ("stop: (whose) => (whose === null", "stop: (whose, run) => (whose === null"),
    ],
    ids=["missing", "unknown", "other parameters"],
)
def test_a_catalogue_that_differs_from_the_english_one_is_no_catalogue(
    page: Path, old: str, new: str
) -> None:
    german = page / "server" / "page" / "texts" / "de.js"
    text = german.read_text(encoding="utf-8")
    assert old in text
    german.write_text(text.replace(old, new), encoding="utf-8")
    assert "server/page/texts/de.js" in node_tool("tsc", folder=page)

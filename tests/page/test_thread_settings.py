"""A thread's instructions and model in the page: the dialog, the line that tells of a change, by
keyboard."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.page.browser import LOOKS, Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import ObedientModel
from tests.support.served import ServerProcess, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    model: ObedientModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server that lets threads choose between two models."""
    async with served(tmp_path_factory.mktemp("two"), model.url, models="scripted-2") as running:
        yield running


async def open_settings(person: Person) -> None:
    """Open the dialog by the keyboard alone."""
    await person.page.get_by_role("button", name="More about this thread").focus()
    await person.page.keyboard.press("Enter")
    await person.page.get_by_role("button", name="Thread settings").focus()
    await person.page.keyboard.press("Enter")
    await expect(person.page.get_by_role("dialog")).to_contain_text("Thread settings")


@LOOKS
async def test_instructions_and_model_are_set_by_keyboard_and_every_co_author_sees_the_change(
    browser: Browser,
    server: ServerProcess,
    model: ObedientModel,
    viewport: dict[str, int],
    scheme: str,
) -> None:
    looks: dict[str, Any] = {
        "viewport": viewport,
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    size = f"{viewport['width']}-{scheme}"
    async with (
        someone(browser, server.url, "Ann", **looks) as ann,
        someone(browser, server.url, "Bob", **looks) as bob,
    ):
        await ann.page.get_by_role("button", name="Not now").click()
        address = await ann.new_thread("House style", public=True)
        await bob.visit(address)
        await ann.ask(f"Before, at {size}?")
        await ann.answers(1)

        await open_settings(ann)
        box = ann.page.get_by_role("textbox", name="Instructions")
        await expect(box).to_be_focused()
        await expect(ann.page.get_by_role("dialog")).to_contain_text("anyone signed in may read")
        await ann.page.keyboard.type("Answer in one sentence.\nName no brands.")
        await expect(ann.page.locator(".dialog .count")).to_have_text("39 of 4,000 characters")
        await ann.page.keyboard.press("Tab")
        await expect(ann.page.get_by_label("Model")).to_be_focused()
        await ann.page.keyboard.press("ArrowDown")
        await ann.shoot(f"thread-settings-{size}")
        await assert_accessible(ann.page, f"the thread's settings, {size}")
        await ann.page.keyboard.press("Tab")
        await ann.page.keyboard.press("Enter")
        await expect(ann.page.get_by_role("dialog")).to_be_hidden()

        for person in (ann, bob):
            line = person.page.locator(".settings-change")
            await expect(line).to_contain_text(
                "Ann gave instructions and chose the model scripted-2"
            )
            await expect(person.page.locator(".thread-about")).to_contain_text("with instructions")
            await expect(line.locator("ins").first).to_be_hidden()
        line = ann.page.locator(".settings-change")
        await line.locator("summary").focus()
        await ann.page.keyboard.press("Enter")
        await expect(line.locator("ins")).to_have_text(
            ["Answer in one sentence.", "Name no brands."]
        )
        assert await ann.run("() => document.documentElement.scrollWidth <= innerWidth")

        prompt = f"After, at {size}?"
        await ann.ask(prompt)
        await ann.answers(2)
        assert {(each.model, "Name no brands." in each.system) for each in model.reads(prompt)} == {
            ("scripted-2", True)
        }
        order = await ann.run(
            "() => [...document.querySelectorAll('.messages > *')].map((each) => each.className)"
        )
        assert [each.split(" ")[0] for each in order] == ["message", "settings-change", "message"]

        await open_settings(ann)
        await expect(box).to_have_value("Answer in one sentence.\nName no brands.")
        await box.fill("Answer in two sentences.\nName no brands.")
        await ann.page.get_by_role("button", name="Save", exact=True).click()
        changed = ann.page.locator(".settings-change").last
        await expect(changed).to_contain_text("Ann changed the instructions")
        await changed.locator("summary").click()
        await expect(changed.locator("del")).to_have_text("Answer in one sentence.")
        await expect(changed.locator("ins")).to_have_text("Answer in two sentences.")
        await ann.shoot(f"settings-changed-{size}")
        await assert_accessible(ann.page, f"changed settings, {size}")

        await ann.open_run(prompt)
        await ann.step(prompt, "intention").locator(".step-toggle").click()
        await ann.step(prompt, "intention").get_by_role("button", name="What if…").click()
        await ann.page.get_by_label("The instructions").check()
        as_asked = "Answer in one sentence.\nName no brands."
        await expect(ann.page.locator("#fork-text")).to_have_value(as_asked)
        await expect(ann.page.locator("#fork-model option")).to_have_text(["scripted-1"])


async def test_who_may_not_change_them_reads_them(browser: Browser, server: ServerProcess) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        address = await ann.new_thread("Read only", public=True)
        await open_settings(ann)
        await ann.page.get_by_role("textbox", name="Instructions").fill("<b>Be brief.</b>")
        await ann.page.get_by_role("button", name="Save", exact=True).click()
        await expect(ann.page.locator(".settings-change")).to_contain_text("gave instructions")
        await bob.visit(address)
        await open_settings(bob)
        dialog = bob.page.get_by_role("dialog")
        await expect(dialog).to_contain_text("<b>Be brief.</b>")
        await expect(dialog).to_contain_text("scripted-1")
        await expect(dialog.get_by_role("button", name="Save", exact=True)).to_have_count(0)


async def test_what_is_refused_is_said_in_the_dialog_and_keeps_what_was_typed(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("Too much")
        await open_settings(ann)
        box = ann.page.get_by_role("textbox", name="Instructions")
        await box.fill("x" * 4_001)
        await ann.page.get_by_role("button", name="Save", exact=True).click()
        await expect(ann.page.get_by_role("alert")).to_contain_text("at most 4000 characters")
        await expect(box).to_have_value("x" * 4_001)
        await box.press("Escape")
        await expect(ann.page.get_by_role("dialog")).to_be_hidden()

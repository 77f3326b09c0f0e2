"""Coming for the first time, with no set-up: a key, a prompt, an answer; and coming back."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.page.browser import someone
from tests.support.served import ServerProcess, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offline(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server as it is on a fresh machine: no model is configured."""
    async with served(tmp_path_factory.mktemp("offline")) as running:
        yield running


async def test_a_stranger_gets_an_answer_and_is_told_that_no_model_wrote_it(
    browser: Browser, offline: ServerProcess
) -> None:
    async with someone(browser, offline.url, "Ann") as ann:
        await ann.ask("Our garden has three apple trees, planted in 1998.")
        await ann.answers(1)
        await expect(ann.page.locator(".banner")).to_contain_text("No language model is connected")
        await expect(ann.answered.locator(".model")).to_contain_text("offline")
        await expect(ann.page.locator(".thread-link").first).to_contain_text("Our garden has three")

        await ann.ask("When were the apple trees planted?")
        await ann.answers(2)
        await expect(ann.answered.last.locator(".prose")).to_contain_text("planted in 1998")
        await ann.answered.last.locator(".citation").first.click()
        source = ann.page.get_by_role("dialog", name="Source P1")
        await expect(source).to_contain_text("Our garden has three apple trees, planted in 1998.")
        await expect(source).to_contain_text("Ann")
        await ann.shoot("first-answer")
        await ann.page.keyboard.press("Escape")
        words = await ann.page.locator("body").inner_text()
        assert words.count("No language model is connected") == 1, "it is said once a screen"
        assert "OPENAI_API_KEY" not in words, "the operator is told by the server"


async def test_no_step_says_a_thing_twice_and_nothing_is_sure_by_0_percent(
    browser: Browser, offline: ServerProcess
) -> None:
    async with someone(browser, offline.url, "Ann") as ann:
        for prompt in ("The bell of the tower weighs two tons.", "What does the bell weigh?"):
            await ann.ask(prompt)
            await expect(ann.message(prompt).locator("article")).to_be_visible()
        prior = "The bell of the tower weighs two tons."
        answer = await ann.answered.last.locator(".prose").inner_text()
        assert answer.count(prior) == 1, answer
        await ann.open_run("What does the bell weigh?")
        for step in ("action", "experience", "intention", "observation", "update"):
            row = ann.step("What does the bell weigh?", step)
            await row.locator(".step-toggle").click()
            body = row.locator(".step-body")
            await expect(body).to_be_visible()
            words = await body.inner_text()
            assert not re.search(r"confidence 0%|-\d", words, re.IGNORECASE), words
            said = [line.strip().casefold() for line in words.splitlines() if len(line) > 20]
            assert len(said) == len(set(said)), words


async def test_a_step_shows_what_memory_held_and_what_became_of_it(
    browser: Browser, offline: ServerProcess
) -> None:
    async with someone(browser, offline.url, "Ann") as ann:
        await ann.ask("The red boat is called Marianne.")
        await ann.answers(1)
        await ann.ask("How is the red boat called?")
        await ann.answers(2)
        await ann.open_run("How is the red boat called?")
        row = ann.step("How is the red boat called?", "experience")
        await row.locator(".step-toggle").click()
        prior = row.locator(".prior").filter(has_text="Marianne").first
        for mark in ("used", "selected", "cited"):
            await expect(prior.locator(f".mark.{mark}")).to_be_visible()
        await expect(prior.locator(".score")).not_to_be_empty()


async def test_the_key_cannot_be_read_and_a_reload_needs_no_new_one(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        kept = await ann.run(
            """() => new Promise((resolve) => {
              const opening = indexedDB.open("chorus");
              opening.onsuccess = () => {
                const asked = opening.result.transaction("keys").objectStore("keys").get("own");
                asked.onsuccess = () => {
                  const { publicKey: key, privateKey, sealed } = asked.result;
                  resolve({ key, extractable: privateKey.extractable || sealed.key.extractable });
                };
              };
            })"""
        )
        assert kept["extractable"] is False
        await ann.page.reload()
        await ann.connected()
        await ann.page.locator(".who").click()
        await expect(ann.page.locator("#own-key")).to_have_text(kept["key"])


async def test_a_recovery_file_makes_the_same_person_in_another_browser(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "recovery.key"
    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.get_by_label("Save a recovery file").check()
        async with ann.page.expect_download() as saving:
            await ann.enter()
        await (await saving.value).save_as(file)
        await ann.page.locator(".who").click()
        key = await ann.page.locator("#own-key").inner_text()
    assert file.read_text().startswith("chorus-ed25519-seed:")

    async with someone(browser, server.url, "Ann", enters=False) as elsewhere:
        damaged = file.with_name("damaged.key")
        text = file.read_text().strip()
        damaged.write_text(text[:-1] + ("2" if text[-1] != "2" else "3"))
        await elsewhere.page.set_input_files("#gate-file", damaged)
        await expect(elsewhere.page.get_by_role("alert")).to_contain_text("damaged")
        await elsewhere.page.set_input_files("#gate-file", file)
        await elsewhere.connected()
        await elsewhere.page.locator(".who").click()
        await expect(elsewhere.page.locator("#own-key")).to_have_text(key)


async def test_who_signs_out_may_come_back_with_the_same_key(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.page.locator(".who").click()
        key = await ann.page.locator("#own-key").inner_text()
        await ann.page.get_by_role("button", name="Sign out", exact=True).click()
        await ann.page.reload()
        await ann.page.get_by_role("button", name="Sign in").click()
        await ann.connected()
        await ann.page.locator(".who").click()
        await expect(ann.page.locator("#own-key")).to_have_text(key)


async def test_without_cryptography_the_page_says_what_to_do(
    browser: Browser, server: ServerProcess
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    await page.goto(server.url)
    await expect(page.get_by_role("alert")).to_contain_text("https")
    await context.close()

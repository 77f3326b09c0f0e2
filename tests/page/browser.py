"""People in front of the page: each with a browser profile of their own, in one real Chromium.

    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask("Why?")
        await ann.answers(1)

A person fails the test when the page logs an error or throws. Selectors live here, so that a test
reads as what people do and see; nothing here knows the page's modules.
"""

import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

PATIENCE_MS: Final = 20_000
SHOTS: Final = os.environ.get("CHORUS_SHOTS")
"""A folder to keep a screenshot of each main view in, to be looked at; unset keeps none."""

_ARGUMENTS: Final = (
    "--no-sandbox",  # as root, as in a container, Chromium has no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_NAMES: Final = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
)
"""The shell without windows first: it is the same engine, and takes half the time."""


def chromium_path() -> str:
    """Where Chromium is; fails with what to do where it is not."""
    chosen = os.environ.get("CHORUS_CHROMIUM")
    found = chosen or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None or not Path(found).exists():
        pytest.fail(
            "The page is tested in a real browser, and Chromium was not found. Install it "
            "(apt install chromium-headless-shell), or name it: CHORUS_CHROMIUM=/path/to/chromium make test",
            pytrace=False,
        )
    return found


_WIDE: Final = {"width": 1280, "height": 800}
_NARROW: Final = {"width": 360, "height": 740}

SIZES: Final = pytest.mark.parametrize("viewport", [_WIDE, _NARROW], ids=["1280", "360"])
LOOKS: Final = pytest.mark.parametrize(
    ("viewport", "scheme"), [(_WIDE, "light"), (_NARROW, "dark")], ids=["1280-light", "360-dark"]
)
"""Both sizes and both themes: no rule of the style sheets is for one pair of them alone."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=list(_ARGUMENTS)
        )
        try:
            yield browser
        finally:
            await browser.close()


def free_port() -> int:
    """A port that a server may take, and take again after it was ended."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Person:
    """One person's page."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.complaints: list[str] = []
        """Errors that the page logged or threw."""
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)

    # What people do

    async def enter(self) -> None:
        """Begin with a key that the browser makes."""
        await self.page.fill("#gate-name", self.name)
        await self.page.get_by_role("button", name="Start").click()
        await self.connected()

    async def ask(self, text: str) -> None:
        """Write a prompt and send it by Enter."""
        await self.page.fill("#prompt", text)
        await self.page.press("#prompt", "Enter")

    async def new_thread(self, name: str, *, public: bool = False) -> str:
        """Make a thread by its dialog; gives the address of the page with it."""
        await self.show("Threads")
        await self.page.get_by_role("button", name="New thread").click()
        await self.page.fill("#new-name", name)
        if public:
            await self.page.get_by_label("Public").last.check()
        await self.page.get_by_role("button", name="Create").click()
        await expect(self.title).to_have_text(name)
        return self.page.url

    async def show(self, area: str) -> None:
        """Go to an area of the page, where it shows one at a time."""
        choice = self.page.get_by_role("navigation", name="Areas").get_by_text(area)
        if await choice.is_visible():
            await choice.click()

    async def visit(self, address: str) -> None:
        """Follow an address that somebody gave, and wait until its thread is open."""
        await self.page.goto(address)
        await expect(self.page.locator(".thread-about")).to_contain_text("co-author")

    async def open_machines(self, name: str = "Run") -> None:
        """Look at a machine's drawing, which lies over the page."""
        head = self.page.locator(".thread-head")
        await head.get_by_role("button", name="Machines", exact=True).click()
        await self.choose_machine(name)

    async def close_machines(self) -> None:
        """Go back to the conversation."""
        await self.page.get_by_role("button", name="Close the machines").click()
        await expect(self.page.locator("dialog.machines")).to_be_hidden()

    async def choose_machine(self, name: str) -> None:
        """Look at another machine's drawing."""
        await self.page.get_by_role("tab", name=name, exact=True).click()

    async def open_run(self, prompt: str) -> None:
        """Unfold the steps beneath a prompt."""
        toggle = self.message(prompt).locator(".run-toggle")
        if await toggle.get_attribute("aria-expanded") != "true":
            await toggle.click()

    async def shoot(self, name: str) -> None:
        """Keep a screenshot for people to look at, where a folder for it is named."""
        if SHOTS:
            await self.page.screenshot(path=Path(SHOTS) / f"{name}.png")

    # What people see

    @property
    def title(self) -> Locator:
        return self.page.locator(".thread-title")

    @property
    def messages(self) -> Locator:
        """All messages but those under way to the server."""
        return self.page.locator("article.message:not(.outgoing)")

    def message(self, text: str) -> Locator:
        """The message of a person that holds `text`."""
        return self.page.locator("article[data-role=user]").filter(
            has=self.page.locator(".said", has_text=text)
        )

    def step(self, prompt: str, step: str) -> Locator:
        """A step's row under a prompt."""
        return self.message(prompt).locator(f".run > .steps [data-step={step}]")

    @property
    def answered(self) -> Locator:
        return self.page.locator("article[data-role=chorus]")

    async def answers(self, count: int) -> None:
        """Wait until there are so many answers."""
        await expect(self.answered).to_have_count(count)

    async def connected(self) -> None:
        """Wait until the page says so."""
        await expect(self.page.locator("#connection")).to_contain_text("Connected")

    def state(self, machine: str, name: str) -> Locator:
        """A state's element in the drawing."""
        return self.page.locator(f"#state_{machine}_{name}")

    async def lit(self, machine: str) -> set[str]:
        """Ids of the states that are lit in the drawing."""
        states = self.page.locator(f"svg.{machine} .state.current")
        return {await each.get_attribute("id") or "" for each in await states.all()}

    async def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate a function in the page."""
        return await self.page.evaluate(script, argument)

    def _heard(self, message: ConsoleMessage) -> None:
        # A socket or file that a test took away is told by Chromium itself, not by the page.
        if message.type == "error" and "net::ERR_" not in message.text:
            self.complaints.append(message.text)


@asynccontextmanager
async def someone(
    browser: Browser, url: str, name: str, *, enters: bool = True, **options: Any
) -> AsyncIterator[Person]:
    """A person with a fresh profile before the page; signed in unless told otherwise."""
    settings = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", **options}
    context = await browser.new_context(**settings)
    try:
        person = Person(await context.new_page(), name)
        await person.page.goto(url)
        if enters:
            await person.enter()
        yield person
        assert not person.complaints, f"{name}'s page complained: {person.complaints}"
    finally:
        await context.close()

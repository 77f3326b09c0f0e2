"""The thread as it was after an earlier entry: shown, marked, only read, and left by one key."""

import json

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.page.browser import Person, someone
from tests.support.obedient_model import answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def look_back(person: Person) -> None:
    await person.page.get_by_role("button", name="More about this thread").click()
    await person.page.get_by_role("button", name="As it was").click()
    await expect(person.page.get_by_role("region", name="The thread as it was")).to_be_visible()


async def test_a_thread_is_shown_as_it_was_and_left_by_escape(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask("First?")
        await ann.answers(1)
        await ann.ask("Second?")
        await ann.answers(2)
        await look_back(ann)
        position = ann.page.get_by_label("Entry of the journal")
        await expect(position).to_be_focused()
        head = int(await position.get_attribute("max") or "0")
        await expect(ann.page.locator(".past-words")).to_contain_text(f"entry {head} of {head}")
        await expect(ann.messages).to_have_count(4)
        await expect(ann.page.locator("#prompt")).to_be_hidden()

        await position.fill("2")  # at once, past all that came between
        await expect(ann.messages).to_have_count(1)
        await position.press("End")
        await expect(ann.messages).to_have_count(4)

        for _ in range(head - 2):
            await ann.page.keyboard.press("ArrowLeft")
        await expect(ann.page.locator(".past-words")).to_contain_text("message submitted by Ann")
        await expect(ann.messages).to_have_count(1)
        await expect(ann.page.get_by_text(answer_to("First?"))).to_be_hidden()
        await ann.page.keyboard.press("ArrowRight")
        await ann.page.keyboard.press("ArrowRight")
        await expect(ann.page.locator(".strip [data-step=action]")).to_have_attribute(
            "data-state", "running"
        )
        await ann.shoot("past")
        await ann.page.keyboard.press("Escape")
        await expect(ann.messages).to_have_count(4)
        await expect(ann.page.locator("#prompt")).to_be_visible()


async def test_a_time_leads_to_what_there_was_then_and_none_to_another_epoch(
    browser: Browser, server: ServerProcess
) -> None:
    restored: dict[str, str] = {}
    sockets: list[WebSocketRoute] = []

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()
        sockets.append(route)

        def to_page(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if frame["type"] == "hello":
                frame["data"].update(restored)
            route.send(json.dumps(frame))

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.ask("When?")
        await ann.answers(1)
        await look_back(ann)
        words = ann.page.locator(".past-words")
        await ann.page.get_by_label("Time", exact=True).fill("2001-01-01T00:00:00")
        await expect(words).to_have_text("There was nothing of the thread yet.")
        await ann.page.get_by_label("Time", exact=True).fill("2100-01-01T00:00:00")
        await expect(ann.messages).to_have_count(2)
        await ann.page.get_by_role("button", name="Back to now").click()
        await expect(words).to_be_hidden()

        await look_back(ann)
        restored["epoch"] = "that of a dump"
        await sockets[-1].close()
        await expect(words).to_be_hidden()
        await expect(ann.messages).to_have_count(2)


async def test_what_comes_while_the_past_is_shown_waits_for_now(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Ben") as ben,
    ):
        address = await ann.new_thread("Then and now", public=True)
        await ann.ask("Before?")
        await ann.answers(1)
        await ben.page.goto(address)
        await ben.answers(1)
        await look_back(ben)
        await ann.ask("After?")
        await ann.answers(2)
        head = ben.page.get_by_label("Entry of the journal")
        shown = int(await head.input_value())
        await expect(head).not_to_have_attribute("max", str(shown))
        await expect(ben.messages).to_have_count(2)
        await ben.page.keyboard.press("Escape")
        await ben.answers(2)

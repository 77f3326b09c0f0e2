"""Habits of people: the keyboard alone, a screen reader, dark, narrow, long threads, still pictures."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from tests.page.browser import Person, someone
from tests.support.eventually import eventually
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE: Final = Path(
    os.environ.get(
        "CHORUS_AXE", Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
    )
)
SERIOUS: Final = {"serious", "critical"}
LONG: Final = 2_000


async def test_everything_is_done_by_the_keyboard_alone(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    held = model.hold("By keys?", "action")
    async with someone(browser, server.url, "Ann", enters=False) as ann:
        keys = ann.page.keyboard
        await expect(ann.page.locator("#gate-name")).to_be_focused()
        await keys.type("Ann")
        await keys.press("Enter")
        await ann.connected()
        await expect(ann.page.locator("#prompt")).to_be_focused()
        await keys.type("By keys?")
        await keys.press("Shift+Enter")
        await keys.press("Backspace")
        await keys.press("Enter")
        await expect(ann.step("By keys?", "action").locator(".step-text")).to_have_text("So far. ")
        await keys.press("Escape")
        await expect(ann.page.locator(".run-summary")).to_contain_text("Stopped")
        held.opened.set()
        await reach(ann, "Retry")
        await keys.press("Enter")
        await ann.answers(1)
        await reach(ann, "6 steps")
        await keys.press("Enter")
        await reach(ann, "Action")
        await keys.press("Enter")
        await expect(ann.step("By keys?", "action").locator(".step-text")).to_be_visible()
        await keys.press("Control+k")
        await expect(ann.page.locator("#search")).to_be_focused()
        await keys.type("keys")
        await keys.press("Enter")
        await expect(ann.page.locator(".result").first).to_be_visible()
        await reach(ann, "Machines")
        await keys.press("Enter")
        await expect(ann.page.locator("#machine-chorus")).to_be_focused()
        await keys.press("ArrowRight")
        await expect(ann.page.locator("#machine-message")).to_have_attribute(
            "aria-selected", "true"
        )
        await reach(ann, "Replay", within=".machines")
        await keys.press("Enter")
        await expect(ann.page.get_by_role("slider")).to_be_focused()
        await keys.press("End")
        await expect(ann.page.locator(".replay-words")).to_contain_text("message submitted")
        await keys.press("Escape")
        await expect(ann.page.locator("dialog.machines")).to_be_hidden()


async def test_what_is_typed_stays_in_its_field_while_the_thread_of_the_address_opens(
    browser: Browser, server: ServerProcess
) -> None:
    waiting: list[Callable[[], None]] = []
    holds = True

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_page(payload: str | bytes) -> None:
            if holds and json.loads(payload)["type"] == "thread_messages":
                waiting.append(partial(route.send, payload))
            else:
                route.send(payload)

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    prompt = "Which rope holds?"
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("Ropes")
        await ann.ask(prompt)
        await ann.answers(1)
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.connected()
        await ann.page.locator("#search").press_sequentially("rope ")
        await eventually(lambda: bool(waiting), "the page has asked for the thread")
        await expect(ann.title).to_have_text("A new conversation")
        holds = False
        for send in waiting:
            send()
        await expect(ann.title).to_have_text("Ropes")
        await ann.page.keyboard.type("holds")
        await ann.page.keyboard.press("Enter")
        await expect(ann.page.locator("#search")).to_have_value("rope holds")
        await expect(ann.page.locator(".result").filter(has_text=prompt).first).to_be_visible()
        await expect(ann.page.locator("#prompt")).to_have_value("")


async def test_the_main_views_have_no_serious_finding_of_axe(
    browser: Browser, server: ServerProcess
) -> None:
    for scheme in ("light", "dark"):
        async with someone(
            browser, server.url, "Ann", enters=False, color_scheme=scheme, reduced_motion="reduce"
        ) as ann:
            await assert_accessible(ann.page, f"the gate, {scheme}")
            await ann.enter()
            await assert_accessible(ann.page, f"the empty page, {scheme}")
            await ann.ask(f"Is this readable in {scheme}?")
            await ann.answers(1)
            await ann.page.locator(".run-toggle").click()
            for step in ("experience", "intention", "update"):
                row = ann.page.locator(f".run [data-step={step}] .step-toggle")
                await row.click()
            await ann.page.mouse.move(0, 0)
            await ann.shoot(f"conversation-{scheme}")
            await assert_accessible(ann.page, f"the conversation, {scheme}")
            await ann.open_machines()
            for machine in ("Run", "Message", "Thread", "Connection"):
                await ann.choose_machine(machine)
                await expect(ann.page.locator(".drawing svg")).to_be_visible()
                await ann.shoot(f"machine-{machine.lower()}-{scheme}")
                await assert_accessible(ann.page, f"the {machine} machine, {scheme}")
            await ann.close_machines()
            await ann.page.locator(".who").click()
            await assert_accessible(ann.page, f"a dialog, {scheme}")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_views_of_what_people_do_together_have_no_serious_finding_and_need_no_mouse(
    browser: Browser, server: ServerProcess, scheme: str, width: int
) -> None:
    prompt, where = f"May I, at {width} in {scheme}?", f"{scheme} at {width}"
    options: dict[str, Any] = {
        "color_scheme": scheme,
        "reduced_motion": "reduce",
        "viewport": {"width": width, "height": 800},
    }
    async with (
        someone(browser, server.url, "Ann", **options) as ann,
        someone(browser, server.url, "Bob", **options) as bob,
    ):
        await ann.show("Threads")
        keys = ann.page.keyboard
        await reach(ann, "New thread")
        await keys.press("Enter")
        await assert_accessible(ann.page, f"the dialog of a new thread, {where}")
        await keys.press("Escape")
        address = await ann.new_thread(f"Doors, {where}", public=True)
        await bob.visit(address)
        await bob.ask(prompt)
        vote = ann.message(prompt).locator(".approval")
        await expect(vote).to_contain_text("Ann has not voted")
        await assert_accessible(ann.page, f"a vote, {where}")
        await assert_accessible(bob.page, f"what waits for a vote, {where}")
        await reach(ann, "Approve", within=".approval")
        await keys.press("Enter")
        await expect(vote).to_contain_text("Ann approved")
        await ann.answers(1)
        await reach(ann, "Co-authors")
        await keys.press("Enter")
        await expect(ann.page.get_by_role("dialog")).to_contain_text("Bob")
        await assert_accessible(ann.page, f"the co-authors, {where}")
        await keys.press("Escape")
        await keys.press("Control+k")
        await keys.type("doors")
        await keys.press("Enter")
        await expect(ann.page.locator(".search-results [role=status]")).to_contain_text("found")
        await assert_accessible(ann.page, f"search results, {where}")


async def test_at_360_pixels_each_area_fills_the_page_and_nothing_is_cut_off(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(
        browser, server.url, "Ann", viewport={"width": 360, "height": 740}, has_touch=True
    ) as ann:
        await ann.ask("Does this fit on a small screen, with all its words?")
        await ann.answers(1)
        for area in ("Threads", "Conversation"):
            await ann.page.get_by_role("navigation", name="Areas").get_by_text(area).click()
            overflow = await ann.run("() => document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{area} is {overflow} px too wide"
            await expect(ann.page.locator(f".{area.lower()}")).to_be_visible()
            await ann.shoot(f"narrow-{area.lower()}")
            await assert_accessible(ann.page, f"{area} at 360 px")
        await ann.open_machines()
        overflow = await ann.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"the machines are {overflow} px too wide"
        await expect(ann.page.locator(".drawing svg")).to_be_visible()
        await ann.shoot("narrow-machines")
        await assert_accessible(ann.page, "the machines at 360 px")


async def test_what_is_read_does_not_move_while_text_streams(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Keep still?"
    words = " ".join(f"word{number}" for number in range(400))
    model.hold(prompt, "action", first=words, rest="end").opened.set()
    held = model.hold(prompt, "yield", first=words)
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("Still")
        await ann.ask("Something before?")
        await ann.answers(1)
        await ann.run(
            """() => {
              window.shifts = 0;
              new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) {
                  if (!entry.hadRecentInput) window.shifts += entry.value;
                }
              }).observe({type: "layout-shift"});
            }"""
        )
        await ann.ask(prompt)
        await expect(ann.page.locator(".live-answer:visible")).to_contain_text("word")
        await ann.page.locator(".scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
        await expect(ann.page.locator(".jump")).to_be_visible()
        before = await ann.messages.first.bounding_box()
        held.opened.set()
        await ann.answers(2)
        assert await ann.messages.first.bounding_box() == before
        assert await ann.run("() => window.shifts") < 0.1


async def test_two_thousand_messages_scroll_from_end_to_end(
    browser: Browser, server: ServerProcess
) -> None:
    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_page(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if frame["type"] == "thread_messages":
                data = frame["data"]
                data["messages"] = [message(data["thread"], index) for index in range(LONG)]
            route.send(json.dumps(frame))

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.new_thread("Long")
        await expect(ann.messages).to_have_count(LONG)
        await expect(ann.page.locator(f"#message-{message_id(LONG - 1)}")).to_be_in_viewport()
        drawn = await ann.page.locator(".scroller").evaluate(
            """async (scroller) => {
              const texts = [...scroller.querySelectorAll(".said")];
              const drawn = [];
              for (let step = 60; step >= 0; step -= 1) {
                scroller.scrollTop = scroller.scrollHeight * step / 60;
                await new Promise((frame) => requestAnimationFrame(() => setTimeout(frame)));
                const isDrawn = (text) => text.checkVisibility({contentVisibilityAuto: true});
                drawn.push(texts.filter(isDrawn).length);
              }
              return drawn;
            }"""
        )
        assert max(drawn) < LONG / 10, f"{max(drawn)} of {LONG} messages are laid out at once"
        assert min(drawn) > 0
        await expect(ann.page.locator(f"#message-{message_id(0)}")).to_be_in_viewport()


async def test_motion_stops_where_the_person_asks_for_none(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    held = model.hold("Calm?", "action")
    async with someone(browser, server.url, "Ann", reduced_motion="reduce") as ann:
        await ann.ask("Calm?")
        await expect(ann.step("Calm?", "action")).to_have_attribute("data-state", "running")
        running = await ann.run("() => document.getAnimations().length")
        assert running == 0
        held.opened.set()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text(answer_to("Calm?"))


async def reach(person: Person, name: str, within: str = "body") -> None:
    """Press Tab until the focus is on what is called `name`; fails where it never is."""
    script = """(within) => {
      const focused = document.activeElement;
      const label = focused.getAttribute("aria-label") ?? focused.innerText;
      return focused.closest(within) ? label.trim() : "";
    }"""
    for _ in range(80):
        await person.page.keyboard.press("Tab")
        if str(await person.run(script, within)).startswith(name):
            return
    pytest.fail(f"{name} cannot be reached by Tab")


async def assert_accessible(page: Page, where: str) -> None:
    if not AXE.exists():
        pytest.fail(f"axe-core is not at {AXE}; fetch it with: make node", pytrace=False)
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in found["violations"] if each["impact"] in SERIOUS]
    told = [
        f"{each['id']}: {each['help']}\n    "
        + "\n    ".join(node["html"][:160] for node in each["nodes"][:4])
        for each in serious
    ]
    assert not serious, f"{where}:\n" + "\n".join(told)


def message_id(index: int) -> str:
    return f"00000000-0000-4000-8000-{index:012d}"


def message(thread: dict[str, Any], index: int) -> dict[str, Any]:
    """One of many messages, in the shape of the wire."""
    is_answer = index % 2 == 1
    content = f"Message {index}. " + "Some words of it. " * (index % 17 + 1)
    return {
        "id": message_id(index),
        "thread_id": thread["id"],
        "index": index,
        "role": "chorus" if is_answer else "user",
        "author": None if is_answer else thread["co_authors"][0],
        "content": content,
        "html": f"<p>{content}</p>" if is_answer else None,
        "status": "approved",
        "approvals": [],
        "electors": [],
        "expires_at": None,
        "run_id": None,
        "model": "scripted-1" if is_answer else None,
        "citations": [],
        "usage": None,
        "version": 1,
        "created_at": thread["created_at"],
        "updated_at": thread["created_at"],
    }

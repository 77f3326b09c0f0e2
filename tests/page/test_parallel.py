"""Several prompts at once in one thread: whose run is stopped, whose answer it is, what is in view."""

import json

import pytest
from playwright.async_api import Browser, Locator, WebSocketRoute, expect

from tests.page.browser import Person, someone
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}
SIZES = pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["1280", "360"])


@SIZES
async def test_escape_stops_ones_own_prompt_or_the_running_one_and_never_anothers_in_the_queue(
    browser: Browser, server: ServerProcess, model: ObedientModel, viewport: dict[str, int]
) -> None:
    width = viewport["width"]
    first, second, third = (f"{which} at {width}?" for which in ("First", "Second", "Third"))
    held = model.hold(first, "action")
    async with (
        someone(browser, server.url, "Ann", viewport=viewport) as ann,
        someone(browser, server.url, "Bob", viewport=viewport) as bob,
    ):
        await together(ann, bob, f"Stopping at {width}")
        await ann.ask(first)
        await held.reached.wait()
        await ann.ask(second)
        await expect(bob.message(second)).to_be_visible()
        await bob.ask(third)
        await expect(summary(ann, second)).to_have_text("Waits: 1 run before it")
        await expect(summary(ann, third)).to_have_text("Waits: 2 runs before it")
        await expect(stop(ann)).to_have_text("Stop your run")
        await expect(stop(bob)).to_have_text("Take your prompt back")
        await ann.shoot(f"queue-{width}")

        await bob.page.press("#prompt", "Escape")
        await expect(summary(ann, third)).to_have_text("Taken back by Bob before it began")
        await expect(summary(bob, third)).to_have_text("Taken back by you before it began")
        await expect(stop(bob)).to_have_text("Stop Ann\N{RIGHT SINGLE QUOTATION MARK}s run")
        await bob.page.press("#prompt", "Escape")
        await expect(summary(ann, first)).to_have_text("Stopped by Bob at Action")
        await expect(ann.message(first).locator(".note.error")).to_be_hidden()
        await ann.answers(2)  # the one that Bob joined by, and the second
        await expect(ann.message(second).locator("article .said")).to_have_text(answer_to(second))
        await expect(stop(ann)).to_be_hidden()
        held.opened.set()
        await ann.shoot(f"stopped-{width}")


async def test_who_is_no_co_author_can_stop_nothing(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Mine alone?"
    held = model.hold(prompt, "action")
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Eve") as eve,
    ):
        address = await ann.new_thread("Look, do not touch", public=True)
        await eve.visit(address)
        await ann.ask(prompt)
        await expect(eve.step(prompt, "action").locator(".step-text")).to_have_text("So far. ")
        await expect(stop(eve)).to_be_hidden()
        await eve.page.press("#prompt", "Escape")
        held.opened.set()
        await eve.answers(1)


@SIZES
async def test_each_answer_stands_beneath_its_own_prompt(
    browser: Browser, server: ServerProcess, model: ObedientModel, viewport: dict[str, int]
) -> None:
    prompts = [f"{which} of three at {viewport['width']}?" for which in ("One", "Two", "Three")]
    held = model.hold(prompts[0], "action")
    async with someone(browser, server.url, "Ann", viewport=viewport) as ann:
        await ann.new_thread("Three at once")
        for prompt in prompts:
            await ann.ask(prompt)
        await expect(ann.page.locator("article[data-role=user]")).to_have_count(3)
        held.opened.set()
        await ann.answers(3)
        for prompt in prompts:
            said = ann.message(prompt).locator("article[data-role=chorus] .said")
            await expect(said).to_have_text(answer_to(prompt))
            assert await top(said) < await top(summary(ann, prompt))
            await expect(summary(ann, prompt)).to_contain_text("6 steps")
        await ann.shoot(f"answers-{viewport['width']}")
        await ann.page.reload()
        await ann.answers(3)
        for prompt in prompts:
            said = ann.message(prompt).locator("article[data-role=chorus] .said")
            await expect(said).to_have_text(answer_to(prompt))


@SIZES
async def test_a_prompt_that_was_sent_is_in_view_whatever_was_read_and_whatever_streams(
    browser: Browser, server: ServerProcess, model: ObedientModel, viewport: dict[str, int]
) -> None:
    words = "\n\n".join(f"Paragraph {number}, of some length." for number in range(60))
    long, short = (f"{which} to read at {viewport['width']}?" for which in ("Long", "Short"))
    model.hold(long, "yield", first=words, rest="End.").opened.set()
    held = model.hold(short, "yield", first=words, rest="End.")
    async with someone(browser, server.url, "Ann", viewport=viewport) as ann:
        await ann.new_thread("In view")
        await ann.ask(long)
        await ann.answers(1)
        await expect(
            ann.message(long).locator(":scope > .message-main > .said")
        ).to_be_in_viewport()
        await ann.page.locator(".scroller").evaluate("(scroller) => { scroller.scrollTop = 200; }")
        await expect(ann.page.locator(".jump")).to_be_visible()
        await ann.ask(short)
        own = ann.message(short).locator(":scope > .message-main > .said")
        await expect(own).to_be_in_viewport(ratio=1)
        await expect(ann.page.locator(".live-answer:visible")).to_contain_text("Paragraph 59")
        await expect(own).to_be_in_viewport(ratio=1)
        await ann.shoot(f"sent-{viewport['width']}")
        held.opened.set()
        await ann.answers(2)
        await expect(own).to_be_in_viewport(ratio=1)
        await ann.page.locator(".jump").click()
        await expect(ann.answered.last.get_by_text("Paragraph 59")).to_be_in_viewport()


async def test_an_answer_whose_prompt_is_further_up_leads_to_it(
    browser: Browser, server: ServerProcess
) -> None:
    prompt = "Where do I belong?"
    cut = False

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_page(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if cut and frame["type"] == "thread_messages" and len(frame["data"]["messages"]) > 1:
                frame["data"]["messages"] = frame["data"]["messages"][1:]
                frame["data"]["has_more"] = True
            route.send(json.dumps(frame))

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        address = await ann.new_thread("Further up")
        await ann.ask(prompt)
        await ann.answers(1)
        cut = True
        # The list reads on by itself where its end is near; here the user does.
        await ann.page.add_init_script("window.IntersectionObserver = class { observe() {} }")
        await ann.page.goto(address)
        await ann.page.reload()
        await ann.answers(1)
        await expect(ann.message(prompt)).to_have_count(0)
        await ann.answered.get_by_role("button", name="Answers an earlier prompt").click()
        await expect(ann.message(prompt).locator("article .said")).to_have_text(answer_to(prompt))
        await expect(ann.page.get_by_role("button", name="Answers an earlier")).to_be_hidden()


async def together(ann: Person, bob: Person, name: str) -> None:
    """Both in one thread as its co-authors: what Bob asks first is approved."""
    address = await ann.new_thread(name, public=True)
    await bob.visit(address)
    await bob.ask(f"May I join {name}?")
    await ann.message("May I join").get_by_role("button", name="Approve").click()
    await bob.answers(1)
    await ann.answers(1)
    await expect(bob.page.locator("#prompt-hint")).not_to_contain_text("no co-author")


def summary(person: Person, prompt: str) -> Locator:
    """The one line about the run of a prompt."""
    return person.message(prompt).locator(".run-summary")


def stop(person: Person) -> Locator:
    """The button above the prompt box, which says what Escape does."""
    return person.page.locator(".composer .stop")


async def top(element: Locator) -> float:
    """Where an element begins, in pixels from the upper edge of the window."""
    box = await element.bounding_box()
    assert box is not None
    return box["y"]

"""Two people who know only the address work together, one at a desk and one on a phone."""

import re
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import Person, someone
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESK: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 360, "height": 740}


@pytest.mark.parametrize(("anns", "bobs"), [(DESK, PHONE), (PHONE, DESK)], ids=["desk", "phone"])
async def test_two_people_go_through_a_thread_and_are_told_of_each_moment(
    browser: Browser,
    server: ServerProcess,
    model: ObedientModel,
    anns: dict[str, int],
    bobs: dict[str, int],
) -> None:
    place = f"Garden {anns['width']}"
    async with (
        someone(browser, server.url, "Ann", viewport=anns, enters=False) as ann,
        someone(browser, server.url, "Bob", viewport=bobs, enters=False) as bob,
    ):
        people = (ann, bob)
        for person in people:
            await expect(person.page.locator(".gate")).to_contain_text("No account")
            await person.enter()
            await expect(person.page.locator(".welcome")).to_contain_text("six steps")

        await invite(ann, bob, place)
        await ask_at_once(ann, bob, model, place)
        await lose_the_server(ann, bob, server, model, place)
        await vote(ann, bob, f"Market {anns['width']}")
        for person in people:
            overflow = await person.run("() => document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{person.name}'s page is {overflow} px too wide"


async def invite(ann: Person, bob: Person, place: str) -> None:
    """Ann makes a thread, and Bob joins it by an invitation."""
    await ann.new_thread(place)
    await expect(ann.page.locator(".thread-about")).to_have_text("private · 1 co-author")
    await bob.show("Threads")
    await bob.page.locator(".who").click()
    key = await bob.page.locator("#own-key").inner_text()
    await bob.page.keyboard.press("Escape")
    await ann.page.get_by_role("button", name="Co-authors").click()
    await ann.page.get_by_label("Invite by public key").fill(key)
    await ann.page.get_by_role("button", name="Invite", exact=True).click()
    card = bob.page.locator(".invitation")
    await expect(card).to_contain_text(f"Ann invites you into {place}")
    await shoot(bob, "invited")
    await card.get_by_role("button", name="Accept").click()
    await expect(bob.title).to_have_text(place)
    for person, other in ((ann, bob), (bob, ann)):
        await expect(person.page.locator(".thread-about")).to_have_text(
            f"private · 2 co-authors · here: {other.name}"
        )


async def ask_at_once(ann: Person, bob: Person, model: ObedientModel, place: str) -> None:
    """Both ask; Ann's run is under way, Bob's waits; Ann stops hers, and Bob's goes on."""
    hers, his = f"What grows in {place}?", f"Who waters {place}?"
    held = model.hold(hers, "action")
    await ann.ask(hers)
    await expect(bob.step(hers, "action").locator(".step-text")).to_have_text("So far. ")
    await bob.ask(his)
    for person in (ann, bob):
        await expect(person.message(his).locator(".run-summary")).to_have_text(
            "Waits: 1 run before it"
        )
        await expect(person.page.locator(".strip-facts")).to_contain_text("stable")
    await expect(ann.page.locator(".composer .stop")).to_have_text("Stop your run")
    await expect(bob.page.locator(".composer .stop")).to_have_text("Take your prompt back")
    await shoot(bob, "waits")
    await ann.page.press("#prompt", "Escape")
    await expect(ann.message(hers).locator(".run-summary")).to_contain_text("Stopped by you")
    await expect(bob.message(hers).locator(".run-summary")).to_contain_text("Stopped by Ann")
    held.opened.set()
    for person in (ann, bob):
        await expect(person.message(his).locator("[data-role=chorus] .said")).to_have_text(
            answer_to(his)
        )
    await shoot(ann, "stopped")


async def lose_the_server(
    ann: Person, bob: Person, server: ServerProcess, model: ObedientModel, place: str
) -> None:
    """The server is killed in the middle of Ann's answer; Bob asks meanwhile; both are answered."""
    hers, his = f"Is {place} still there?", f"And the gate of {place}?"
    held = model.hold(hers, "yield")
    await ann.ask(hers)
    for person in (ann, bob):
        await expect(person.message(hers).locator(".live-answer")).to_contain_text("So far.")
    await server.kill()
    held.opened.set()
    for person in (ann, bob):
        line = person.page.locator("#connection")
        await expect(line).to_contain_text(re.compile("onnecting in"))
        await expect(line.get_by_role("button", name="Try now")).to_be_visible()
    await bob.ask(his)
    await expect(bob.page.locator(".outgoing")).to_contain_text(his)
    await expect(bob.page.locator(".outgoing")).to_contain_text("Sending…")
    await shoot(bob, "away")
    await server.start()
    for person in (ann, bob):
        await person.connected()
        for prompt in (hers, his):
            await expect(person.message(prompt).locator("[data-role=chorus] .said")).to_have_text(
                answer_to(prompt)
            )
    await expect(bob.page.locator(".outgoing")).to_have_count(0)
    await shoot(ann, "back")


async def vote(ann: Person, bob: Person, place: str) -> None:
    """Bob asks in a public thread of Ann's, which he finds in the list; Ann votes."""
    prompt = f"What is sold at {place}?"
    await ann.new_thread(place, public=True)
    await bob.show("Threads")
    await bob.page.get_by_role("tab", name="Public").click()
    await bob.page.locator(".thread-link", has_text=place).click()
    await expect(bob.page.locator("#prompt-hint")).to_contain_text(
        "what you send waits until its co-author approves"
    )
    await bob.ask(prompt)
    await expect(bob.message(prompt).locator(".chip")).to_have_text("waits for approval")
    await expect(bob.message(prompt).locator(".votes")).to_contain_text("Ann has not voted")
    await expect(ann.message(prompt).locator(".author")).to_contain_text("Bob")
    await expect(ann.message(prompt).locator(".approval")).to_contain_text("0 of 1 voted")
    await shoot(ann, "vote")
    await ann.message(prompt).get_by_role("button", name="Approve").click()
    for person in (ann, bob):
        ballot = person.message(prompt).locator(".vote")
        await expect(ballot).to_contain_text("Ann approved")
        await expect(ballot.locator("time")).to_be_visible()
        await expect(person.message(prompt).locator("[data-role=chorus] .said")).to_have_text(
            answer_to(prompt)
        )
    await expect(bob.page.locator(".thread-about")).to_have_text(
        "public · 2 co-authors · here: Ann"
    )
    await shoot(bob, "answered")


async def shoot(person: Person, moment: str) -> None:
    width = await person.run("() => innerWidth")
    await person.shoot(f"journey-{moment}-{width}")

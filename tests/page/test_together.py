"""Several people, or one in two tabs: votes, refusals, the same things in the same order."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.page.browser import someone
from tests.page.test_past import look_back
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_outsiders_prompt_waits_for_every_vote_and_then_runs(
    browser: Browser, server: ServerProcess
) -> None:
    prompt = "May a stranger ask?"
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        address = await ann.new_thread("Open house", public=True)
        await bob.visit(address)
        await expect(bob.page.locator("#prompt-hint")).to_contain_text("no co-author")
        await bob.ask(prompt)
        await expect(bob.message(prompt).locator(".chip")).to_have_text("waits for approval")
        await expect(bob.message(prompt).locator(".vote")).to_contain_text("Ann has not voted")
        await expect(bob.message(prompt).locator(".approval")).to_contain_text("7 days left")
        await expect(bob.message(prompt).get_by_role("button", name="Approve")).to_be_hidden()

        await expect(ann.message(prompt).locator(".author")).to_contain_text("Bob")
        await ann.shoot("approval")
        await ann.open_machines("Message")
        await expect(ann.state("message", "pending")).to_have_class("state atomic current")
        await ann.close_machines()
        await ann.message(prompt).get_by_role("button", name="Approve").click()
        await ann.open_machines("Message")
        await expect(ann.state("message", "approved")).to_have_class("state atomic current")
        await expect(ann.page.locator(".machine-words")).to_contain_text(
            "every other elector approved"
        )
        await ann.close_machines()
        for person in (ann, bob):
            await person.answers(1)
            await expect(person.answered.locator(".said")).to_have_text(answer_to(prompt))
            await expect(person.message(prompt).locator(".vote")).to_contain_text("Ann approved")
        await expect(bob.page.locator(".thread-link")).to_contain_text("2 people")


async def test_a_rejection_tells_its_reason_to_the_author_and_nothing_to_others(
    browser: Browser, server: ServerProcess
) -> None:
    prompt = "Buy my things?"
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
        someone(browser, server.url, "Eve") as eve,
    ):
        address = await ann.new_thread("No adverts", public=True)
        await bob.visit(address)
        await eve.visit(address)
        await bob.ask(prompt)
        await ann.message(prompt).get_by_label("Reason for rejecting").fill("Not here, please.")
        await ann.message(prompt).get_by_role("button", name="Reject").click()
        await expect(bob.message(prompt).locator(".chip")).to_have_text("rejected")
        await expect(bob.message(prompt).locator("q")).to_have_text("Not here, please.")
        await expect(eve.messages).to_contain_text("shown to the co-authors and its author alone")
        await expect(eve.messages).not_to_contain_text(prompt)
        await expect(eve.messages).not_to_contain_text("Not here, please.")


async def test_a_vote_that_comes_too_late_is_refused_in_words(
    browser: Browser, server: ServerProcess
) -> None:
    prompt = "Taken back?"
    withheld = False

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_page(payload: str | bytes) -> None:
            if not (withheld and json.loads(payload)["type"] == "thread_event"):
                route.send(payload)

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    async with (
        someone(browser, server.url, "Ann", enters=False) as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        address = await ann.new_thread("Late news", public=True)
        await bob.visit(address)
        await bob.ask(prompt)
        await expect(ann.message(prompt).locator(".vote")).to_contain_text("Ann has not voted")
        withheld = True
        await bob.message(prompt).get_by_role("button", name="Withdraw").click()
        await expect(bob.message(prompt).locator(".chip")).to_have_text("withdrawn")
        await ann.message(prompt).get_by_role("button", name="Approve").click()
        await expect(ann.page.locator(".toast.error")).to_contain_text("Your vote was not counted")
        await ann.open_machines("Message")
        words = ann.page.locator(".machine-words")
        await expect(words).to_contain_text("approve was refused in withdrawn")


async def test_a_guard_that_was_false_is_named_and_the_edges_not_taken_are_lit(
    browser: Browser, server: ServerProcess
) -> None:
    """The server's answer is put in the place of another one: what is drawn comes from it alone."""
    prompt = "Refuse me?"
    refusal: dict[str, Any] = {
        "code": "invalid_transition",
        "message": "The message refuses to approve: the deadline is over.",
        "retryable": False,
        "details": {
            "machine": "message",
            "state": "pending",
            "event": "approve",
            "guards": ["deadline_is_ahead"],
            "allowed": ["withdraw", "expire"],
        },
    }

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_server(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if frame["type"] != "approve_message":
                upstream.send(payload)
                return
            route.send(json.dumps({"type": "error", "re": frame["id"], "data": refusal}))

        route.on_message(to_server)
        upstream.on_message(route.send)

    async with (
        someone(browser, server.url, "Ann", enters=False) as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        address = await ann.new_thread("Too late", public=True)
        await bob.visit(address)
        await bob.ask(prompt)
        await ann.message(prompt).get_by_role("button", name="Approve").click()
        await expect(ann.page.locator(".toast.error")).to_contain_text("Your vote was not counted")
        await ann.open_machines("Message")
        await expect(ann.page.locator(".machine-words")).to_contain_text(
            "because it was false that deadline is ahead"
        )
        refused = ann.page.locator("svg.message .edge.refused")
        # The words may be there before the drawing is.
        await expect(refused).not_to_have_count(0)
        ids = {await each.get_attribute("id") for each in await refused.all()}
        assert "edge_message_approve_pending_approved" in ids
        await ann.shoot("refused")


async def test_who_is_invited_joins_only_by_accepting_and_any_co_author_takes_it_back(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        await ann.new_thread("Secret garden")
        await bob.page.locator(".who").click()
        key = await bob.page.locator("#own-key").inner_text()
        await bob.page.keyboard.press("Escape")
        card = bob.page.locator(".invitation")

        async def invite() -> None:
            await ann.page.get_by_role("button", name="Co-authors").click()
            await ann.page.get_by_label("Invite by public key").fill(key)
            await ann.page.get_by_role("button", name="Invite", exact=True).click()
            await expect(card).to_contain_text("Ann invites you into Secret garden")

        await invite()
        await bob.shoot("invited")
        await expect(bob.page.locator(".thread-link")).to_have_count(0)
        await card.get_by_role("button", name="Decline").click()
        await expect(card).to_have_count(0)

        await invite()
        await ann.page.get_by_role("button", name="Co-authors").click()
        waiting = ann.page.locator("#invited")
        await expect(waiting).to_contain_text(key)
        await waiting.get_by_role("button", name="Take back").click()
        await expect(card).to_have_count(0)

        await invite()
        await bob.page.reload()
        await card.get_by_role("button", name="Accept").click()
        await expect(bob.title).to_have_text("Secret garden")
        await expect(card).to_have_count(0)
        await ann.open_machines("Invitation")
        await expect(ann.state("invitation", "accepted")).to_have_class(re.compile("current"))


async def test_a_co_author_is_removed_by_the_votes_of_all_the_others(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
        someone(browser, server.url, "Cat") as cat,
    ):
        await ann.new_thread("Crowded garden")
        for guest in (bob, cat):
            await guest.page.locator(".who").click()
            key = await guest.page.locator("#own-key").inner_text()
            await guest.page.keyboard.press("Escape")
            await ann.page.get_by_role("button", name="Co-authors").click()
            await ann.page.get_by_label("Invite by public key").fill(key)
            await ann.page.get_by_role("button", name="Invite", exact=True).click()
            await guest.page.get_by_role("button", name="Accept", exact=True).click()
            await expect(guest.title).to_have_text("Crowded garden")
        ann.page.on("dialog", lambda dialog: dialog.accept())
        await ann.page.get_by_role("button", name="Co-authors").click()
        person = ann.page.locator(".people .person", has_text=key)
        await person.get_by_role("button", name="Remove").click()
        card = bob.page.locator(".removal")
        await expect(card).to_contain_text("proposes to remove")
        await expect(cat.page.locator(".removal button")).to_have_count(0)
        await bob.shoot("removal")
        await look_back(cat)
        await card.get_by_role("button", name="Remove", exact=True).click()
        await expect(card).to_have_count(0)
        await expect(bob.page.locator(".thread-about")).to_contain_text("2 co-authors")
        await expect(cat.page.locator(".past")).to_be_hidden()
        await expect(cat.title).to_have_text("A new conversation")
        await expect(cat.page.locator(".toast.error")).to_contain_text("is closed to you now")


async def test_two_tabs_and_two_people_see_the_same_in_the_same_order(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        address = await ann.new_thread("Crowded")
        await bob.page.locator(".who").click()
        key = await bob.page.locator("#own-key").inner_text()
        await bob.page.keyboard.press("Escape")
        await ann.page.get_by_role("button", name="Co-authors").click()
        await ann.page.get_by_label("Invite by public key").fill(key)
        await ann.page.get_by_role("button", name="Invite", exact=True).click()
        await bob.page.get_by_role("button", name="Accept", exact=True).click()
        await expect(bob.title).to_have_text("Crowded")

        tab = await ann.page.context.new_page()
        await tab.goto(address)
        held = model.hold("First?", "action")
        await ann.ask("First?")
        await bob.ask("Second?")
        held.opened.set()
        pages = (ann.page, bob.page, tab)
        for page in pages:
            await expect(page.locator("article[data-role=chorus]")).to_have_count(2)
        orders = [await page.locator(".message-main > .said").all_text_contents() for page in pages]
        assert orders[0] == orders[1] == orders[2]
        assert len(orders[0]) == 4


async def test_a_public_thread_is_found_renamed_and_archived_before_everyone(
    browser: Browser, server: ServerProcess
) -> None:
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        await ann.new_thread("Market place", public=True)
        await bob.page.get_by_role("tab", name="Public").click()
        await bob.page.locator(".thread-link", has_text="Market place").click()
        await expect(bob.title).to_have_text("Market place")
        menu = ann.page.get_by_role("button", name="More about this thread")
        await menu.click()
        await ann.page.get_by_role("button", name="Rename").click()
        await ann.page.locator("#rename").fill("Old market")
        await ann.page.get_by_role("dialog").get_by_role("button", name="Rename").click()
        await expect(bob.title).to_have_text("Old market")

        ann.page.once("dialog", lambda dialog: dialog.accept())
        await menu.click()
        await ann.page.get_by_role("button", name="Archive").click()
        for person in (ann, bob):
            await expect(person.page.locator("#prompt")).to_be_disabled()
            await expect(person.page.locator("#prompt-hint")).to_contain_text("only read")
        await ann.open_machines("Thread")
        await expect(ann.state("thread", "archived")).to_have_class("state atomic final current")


async def test_what_happens_in_another_thread_is_marked_and_search_leads_to_it(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("One")
        await ann.ask("The harbour master is called Osgood.")
        await ann.answers(1)
        await ann.new_thread("Two")
        await expect(ann.page.locator(".thread-link[aria-current]")).to_contain_text("Two")
        await ann.page.fill("#search", "the name of the harbour master")
        await ann.page.press("#search", "Enter")
        await ann.page.locator(".result", has_text="Osgood").first.click()
        await expect(ann.title).to_have_text("One")
        await expect(ann.page.locator("article.reached")).to_contain_text("Osgood")
        other = await ann.page.context.new_page()
        await other.goto(server.url)
        await other.locator(".thread-link", has_text="Two").click()
        await expect(other.locator(".thread-title")).to_have_text("Two")
        await other.fill("#prompt", "Somebody there?")
        await other.press("#prompt", "Enter")
        await expect(ann.page.locator(".thread-link.is-unread")).to_contain_text("Two")


async def test_what_comes_from_a_thread_never_seen_stands_under_its_name_and_its_authors(
    browser: Browser, server: ServerProcess
) -> None:
    said, asked = "Bees dance to tell where flowers stand.", "Why do bees dance to flowers?"
    async with (
        someone(browser, server.url, "Carol") as carol,
        someone(browser, server.url, "Ann") as ann,
    ):
        await carol.new_thread("Apiary", public=True)
        await carol.ask(said)
        await carol.answers(1)
        await ann.ask(asked)
        await ann.answers(1)
        await ann.open_run(asked)
        await ann.step(asked, "experience").locator(".step-toggle").click()
        its_text = ann.page.get_by_text(said, exact=True)
        prior = ann.step(asked, "experience").locator(".prior").filter(has=its_text)
        await expect(prior.locator(".prior-head")).to_contain_text("Carol")
        await expect(prior.locator(".prior-head")).to_contain_text("in Apiary")
        await expect(ann.page.locator(".thread-link")).to_have_count(1)

        await ann.page.reload()
        await ann.connected()
        await ann.page.fill("#search", said)
        await ann.page.press("#search", "Enter")
        found = ann.page.locator(".result").filter(has=its_text)
        await expect(found.locator(".result-head")).to_contain_text("Carol in Apiary")

"""A user asks "what if?" at a step of a run: the branch, its comparison, and its adoption by all."""

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import Person, someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANGED = "They want it in one word."


async def fork(
    person: Person, prompt: str, changed: str = CHANGED, step: str = "intention"
) -> None:
    """Change what a step said, and let the run go on."""
    await person.open_run(prompt)
    shown = person.message(prompt).locator(f'.step[data-step="{step}"]')
    await shown.locator(".step-toggle").click()
    await shown.get_by_role("button", name="What if…").click()
    await person.page.fill("#fork-text", changed)
    await person.shoot("fork-dialog")
    await person.page.get_by_role("button", name="Go on").click()


async def test_a_branch_is_compared_and_adopted_by_its_only_co_author(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt, next_one = "What does a river carry?", "And where to?"
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Eve") as eve,
    ):
        elsewhere = await ann.new_thread("Elsewhere")
        address = await ann.new_thread("Rivers", public=True)
        await eve.visit(address)
        await ann.ask(prompt)
        await ann.answers(1)
        asked = len(model.asked)
        answer = model.hold(prompt, "yield")
        await fork(ann, prompt)
        card = ann.page.locator("div.branch")
        await answer.reached.wait()
        await ann.ask(next_one)
        waiting = ann.message(next_one).locator(".run-summary")
        await expect(waiting).to_have_text("Waits: 1 run before it")
        of_it = eve.message(next_one).locator(".run-summary")
        await expect(of_it).to_have_text("Waits for its turn")  # she is told of no branch
        answer.opened.set()
        await ann.answers(2)
        await expect(card).to_contain_text("Ann changed what Intention said.")
        await expect(card).to_contain_text("not proposed yet")
        asked_for = [each.step for each in model.asked[asked:] if each.prompt == prompt]
        assert asked_for == ["observation", "update", "yield"]
        assert await ann.page.locator(".messages article").count() == 4, "it is no message yet"

        await card.get_by_role("button", name="Why").click()
        runs = ann.page.get_by_label("Of this prompt")
        await expect(runs.locator("option:checked")).to_have_text("2: branch, finished")
        await ann.page.locator(".why-step", has_text="from observation to update").click()
        await ann.page.locator(".why-details").get_by_role("button", name="What if…").click()
        await expect(ann.page.get_by_label("What Observation said").last).to_have_value(
            "It repeats."
        )
        await ann.page.keyboard.press("Escape")
        await ann.page.get_by_role("button", name="What if, after Intention?").click()
        of_kept = ann.page.get_by_role("dialog", name="What if, after Intention?")
        await expect(of_kept.locator("#fork-text")).to_have_value(CHANGED)
        await ann.shoot("why-kept")
        await ann.page.keyboard.press("Escape")
        await ann.choose_machine("Branch")
        await expect(ann.page.locator(".machine-now")).to_contain_text("ready")
        await ann.close_machines()

        compare = card.get_by_role("button", name="Compare")
        await compare.click()
        dialog = ann.page.get_by_role("dialog", name="Two ways")
        await expect(dialog).to_be_visible()
        await ann.run("(address) => location.assign(address)", elsewhere)
        await expect(ann.title).to_have_text("Elsewhere")
        await expect(dialog).to_have_count(0)
        await ann.page.go_back()
        await expect(ann.title).to_have_text("Rivers")
        await compare.click()
        await expect(dialog).to_contain_text(f"Changed text: {CHANGED}")
        intention = dialog.locator("details", has_text="Intention")
        await intention.locator("summary").click()
        await expect(intention.locator("ins").first).to_be_visible()
        await expect(dialog.locator("details", has_text="Action")).to_contain_text("kept")
        await ann.shoot("comparison")
        await dialog.get_by_text("Both ways on the machine").click()
        drawn = "() => document.querySelector('.ways img').naturalWidth > 100"
        await dialog.locator(".ways").scroll_into_view_if_needed()
        await ann.page.wait_for_function(drawn)
        await ann.shoot("comparison-ways")
        await assert_accessible(ann.page, "two ways side by side")
        await dialog.get_by_role("button", name="Adopt it").click()
        await expect(card).to_have_count(0)
        await expect(ann.page.get_by_text("Adopted in place of the first answer.")).to_be_visible()
        await ann.open_run(prompt)
        steps = ann.message(prompt).locator(".step")
        await expect(steps.nth(0)).to_contain_text("kept, not asked again")
        await expect(ann.page.get_by_role("button", name="Stop", exact=False)).to_have_count(0)
        await ann.shoot("adopted")
        await ann.page.reload()
        await expect(ann.page.get_by_text("Adopted in place of the first answer.")).to_be_visible()
        assert await ann.page.locator(".messages article").count() == 4

        await eve.page.reload()
        await eve.message(prompt).get_by_role("button", name="Show its machines").first.click()
        why = eve.page.locator(".why-step", has_text="from yielding to finished")
        await expect(why).to_be_visible()
        about = eve.page.locator(".machine-about")
        await expect(about).to_contain_text("is told to the co-authors alone")
        await expect(eve.page.locator(".toast.error")).to_have_count(0)

        await fork(ann, prompt, "Two words are enough.", "experience")
        await expect(card).to_contain_text("Ann changed what Experience said.")
        await expect(card).to_contain_text("Fork 2 in a row")
        await ann.shoot("fork-of-a-fork")
        offered = ann.message(prompt).get_by_role("button", name="What if…")
        await expect(offered).to_have_count(1)
        ann.page.once("dialog", lambda dialog: dialog.accept())
        await ann.page.get_by_role("button", name="More about this thread").click()
        await ann.page.get_by_role("button", name="Archive").click()
        await expect(offered).to_have_count(0)


async def test_a_branch_waits_for_the_vote_of_each_co_author(
    browser: Browser, server: ServerProcess
) -> None:
    prompt = "What does a mountain keep?"
    async with (
        someone(browser, server.url, "Ann") as ann,
        someone(browser, server.url, "Bob") as bob,
    ):
        await bob.visit(await ann.new_thread("Branches", public=True))
        await bob.ask(prompt)
        await ann.message(prompt).get_by_role("button", name="Approve").click()
        await ann.answers(1)
        await fork(ann, prompt)
        for person in (ann, bob):
            await expect(person.page.locator("div.branch")).to_contain_text("not proposed yet")
        compare = bob.page.locator("div.branch").get_by_role("button", name="Compare")
        await compare.focus()
        await ann.page.locator("div.branch").get_by_role("button", name="Propose it").click()
        await expect(bob.page.locator("div.branch")).to_contain_text("1 of 2 want to adopt it")
        await expect(compare).to_be_focused()
        await expect(bob.page.locator("#announcer")).to_have_text(
            "Another answer waits for a vote."
        )
        await expect(ann.page.get_by_text(answer_to(prompt))).to_be_visible()
        await bob.shoot("branch-vote")
        await bob.page.locator("div.branch").get_by_role("button", name="Adopt it").click()
        for person in (ann, bob):
            await expect(person.page.locator("div.branch")).to_have_count(0)
            await expect(
                person.page.get_by_text("Adopted in place of the first answer.")
            ).to_be_visible()
        await ann.open_run(prompt)
        steps = ann.message(prompt).locator(".step")
        await expect(steps.nth(0)).to_contain_text("kept, not asked again")

        await bob.open_run(prompt)
        await bob.message(prompt).locator('[data-step="update"] .step-toggle').click()
        await bob.page.get_by_role("button", name="What if…").click()
        dialog = bob.page.get_by_role("dialog", name="What if, after Update?")
        await expect(dialog).to_be_visible()
        other = await bob.page.context.new_page()
        await other.goto(server.url)
        await other.locator(".who").click()
        await other.get_by_role("button", name="Sign out", exact=True).click()
        await expect(bob.page.locator(".gate")).to_be_visible()
        await expect(dialog).to_have_count(0)
        await expect(bob.page).to_have_title("Chorus")

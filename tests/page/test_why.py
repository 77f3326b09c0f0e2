"""Why did it do that: the transitions of a run in the page, each with its guards, and the drawing as it was."""

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.page.browser import Person, someone
from tests.support.obedient_model import ObedientModel, update
from tests.support.scripted_endpoint import refuses
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_transition_tells_its_guards_and_lights_the_drawing_as_it_was(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Why did you do that?"
    model.plan(prompt, "action", refuses(500))
    model.plan(prompt, "update", update(loop=True))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await ann.answers(1)
        await ann.open_machines()
        why = ann.page.get_by_role("region", name="Why")
        await expect(why).to_be_visible()
        heads = why.get_by_role("button", expanded=False)
        await expect(heads.first).to_contain_text("start from queued to running")
        await expect(heads.nth(1)).to_contain_text("ai failed from stable to recovering")

        await heads.nth(1).click()
        details = why.locator(".why-details")
        await expect(details).to_contain_text("Taken: to recovering")
        await expect(details).to_contain_text("attempts left: true. With this failure, fewer than")
        await expect(details).to_contain_text("brought “retry due” in entry")
        assert await ann.lit("chorus") == {
            f"state_chorus_{name}" for name in ("running", "step", "health", "action", "recovering")
        }
        last = ann.page.locator("svg.chorus .edge.last")
        await expect(last).to_have_id("edge_chorus_ai_failed_stable_recovering")
        await expect(ann.page.locator(".machine-about")).to_contain_text("As it was after 2")
        await ann.shoot("why")

        await ann.page.keyboard.press("ArrowDown")
        await expect(last).to_have_id("edge_chorus_retry_due_recovering_stable")
        await ann.page.keyboard.press("ArrowUp")
        await ann.page.keyboard.press("ArrowUp")
        await expect(last).to_have_id("edge_chorus_start_queued_running")
        await ann.page.keyboard.press("Escape")
        await expect(details).to_have_count(0)
        assert await ann.lit("chorus") == {"state_chorus_finished"}
        await expect(ann.page.locator("dialog.machines")).to_be_visible()


async def test_an_edge_that_was_not_taken_names_the_guard_that_was_false(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask("Only once?")
        await ann.answers(1)
        await ann.open_machines()
        head = ann.page.get_by_role("button", name="step completed from update to yielding")
        await head.click()
        passed = ann.page.locator(".why-edges > [data-verdict=passed_over]")
        await expect(passed).to_contain_text("Not taken: to action")
        await expect(passed.locator("[data-holds=false]")).to_contain_text(
            "another loop is wanted: false. Update asks for another iteration."
        )


async def test_transitions_of_a_run_under_way_come_to_the_list(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Why do you wait?"
    step = model.hold(prompt, "intention")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await step.reached.wait()
        await ann.open_machines()
        await expect(reached(ann, "experience to intention")).to_be_visible()
        await expect(reached(ann, "intention to observation")).to_have_count(0)
        step.opened.set()
        await expect(reached(ann, "yielding to finished")).to_be_visible()


def reached(person: Person, way: str) -> Locator:
    return person.page.locator(".why-step", has_text=f"from {way}")

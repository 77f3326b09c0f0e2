"""The machines as users look at them: the strip that is always there, and the drawings over the page."""

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.page.browser import SIZES, Person, someone
from tests.support.obedient_model import STEPS, ObedientModel, update
from tests.support.scripted_endpoint import refuses
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


CUT = """() => [...document.querySelectorAll(".strip :is(.strip-name, .strip-letter, .strip-facts)")]
  .filter((each) => each.checkVisibility() && each.textContent !== "")
  .filter((each) => {
    const { left, right, width } = each.getBoundingClientRect();
    const size = Number.parseFloat(getComputedStyle(each).fontSize);
    return left < 0 || right > innerWidth || width === 0 || size < 12;
  })
  .map((each) => each.textContent)"""


@SIZES
async def test_the_strip_says_step_health_and_loop_and_is_never_cut(
    browser: Browser, server: ServerProcess, model: ObedientModel, viewport: dict[str, int]
) -> None:
    prompt = f"Strip at {viewport['width']}?"
    model.plan(prompt, "action", refuses(500))
    first = model.hold(prompt, "action")
    model.plan(prompt, "update", update(loop=True))
    async with someone(browser, server.url, "Ann", viewport=viewport) as ann:
        await ann.ask(prompt)
        await first.reached.wait()
        await expect(step(ann, "action")).to_have_attribute("data-state", "running")
        await expect(step(ann, "action")).to_have_attribute("aria-current", "step")
        await expect(step(ann, "yield")).to_have_attribute("data-state", "waiting")
        await expect(facts(ann)).to_have_text("stable")
        assert await ann.run(CUT) == []
        await ann.shoot(f"strip-{viewport['width']}")
        first.opened.set()
        await ann.answers(1)
        await expect(facts(ann)).to_have_text("finished \N{MIDDLE DOT} loop 2")
        for each in STEPS:
            await expect(step(ann, each)).to_have_attribute("data-state", "completed")
        assert await ann.run(CUT) == []
        await ann.page.reload()
        await expect(facts(ann)).to_have_text("finished \N{MIDDLE DOT} loop 2")


async def test_a_strip_that_is_put_away_stays_away_and_comes_back_when_asked_for(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask("Put it away?")
        await ann.answers(1)
        await choose(ann, "Hide the steps")
        await expect(ann.page.locator(".strip")).to_be_hidden()
        await ann.page.reload()
        await ann.answers(1)
        await expect(ann.page.locator(".strip")).to_be_hidden()
        await ann.open_machines()
        await ann.close_machines()
        await choose(ann, "Show the steps")
        await expect(ann.page.locator(".strip")).to_be_visible()


async def test_a_drawing_is_zoomed_moved_and_shown_whole_and_the_choice_is_kept(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask("Zoom?")
        await ann.answers(1)
        await ann.open_machines()
        drawing = ann.page.locator(".drawing")
        svg = drawing.locator("svg")
        await expect(svg).to_be_visible()
        readable = await width(ann)
        box = await drawing.bounding_box()
        assert box is not None
        assert box["width"] > 800, "the drawing has no room"

        await ann.page.get_by_role("button", name="Larger").click()
        assert await width(ann) == pytest.approx(readable * 1.25, rel=0.02)
        before = await place(ann)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await ann.page.mouse.move(x, y)
        await ann.page.mouse.down()
        await ann.page.mouse.move(x + 60, y + 40, steps=4)
        await ann.page.mouse.up()
        after = await place(ann)
        assert after[0] - before[0] == pytest.approx(60, abs=2)
        assert after[1] - before[1] == pytest.approx(40, abs=2)
        await drawing.focus()
        await ann.page.keyboard.press("-")
        assert await width(ann) == pytest.approx(readable, rel=0.02)

        await ann.page.get_by_role("button", name="Whole").click()
        whole = await svg.bounding_box()
        assert whole is not None
        assert whole["height"] <= box["height"] + 1
        assert whole["width"] <= box["width"] + 1
        await ann.choose_machine("Thread")
        await ann.page.reload()
        await ann.answers(1)
        await (
            ann.page.locator(".thread-head")
            .get_by_role("button", name="Machines", exact=True)
            .click()
        )
        await expect(ann.page.locator("#machine-thread")).to_have_attribute("aria-selected", "true")
        await expect(ann.page.get_by_role("button", name="Whole")).to_have_attribute(
            "aria-pressed", "true"
        )


# --- Why -----------------------------------------------------------------------------------------


LATE = """async () => {
  const { Explanations } = await import(new URL("page/explained.js", document.baseURI).href);
  const answers = {};
  const explanations = new Explanations({
    run: ({ run_id: id }) => new Promise((answer) => (answers[id] = answer)),
  });
  const answer = async (id, reading) => {
    const transitions = [{ seq: 1, transition: { instance: id } }];
    answers[id]({ transitions, meanings: {}, has_more: false });
    await reading;
  };
  const [one, other] = ["one", "other"].map((id) => explanations.read("thread", "chorus", id, 1));
  await answer("other", other);
  await answer("one", one);
  return ["one", "other"].map((id) => explanations.of(id)?.transitions.length ?? 0);
}"""
"""Two runs are asked about, one after the other, and the answer about the first comes last."""


async def test_what_is_told_late_of_a_run_takes_nothing_from_the_one_that_is_shown(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        assert await ann.run(LATE) == [0, 1]


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
        last = ann.page.locator("svg.chorus .edge.last")
        await expect(last).to_have_id("edge_chorus_ai_failed_stable_recovering")
        assert await ann.lit("chorus") == {
            f"state_chorus_{name}" for name in ("running", "step", "health", "action", "recovering")
        }
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
        await expect(ann.page.get_by_role("region", name="Why")).to_contain_text("8 transitions in")
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


# --- Parts of the page ---------------------------------------------------------------------------


def reached(person: Person, way: str) -> Locator:
    """A transition in the list of those that are explained."""
    return person.page.locator(".why-step", has_text=f"from {way}")


def step(person: Person, name: str) -> Locator:
    """A step of the strip."""
    return person.page.locator(f".strip [data-step={name}]")


def facts(person: Person) -> Locator:
    """What the strip says of health and loop."""
    return person.page.locator(".strip-facts")


async def choose(person: Person, item: str) -> None:
    """Choose an item of the thread's menu."""
    await person.page.get_by_role("button", name="More about this thread").click()
    await person.page.get_by_role("button", name=item).click()


async def width(person: Person) -> float:
    """Of the drawing, in pixels."""
    return float(await person.run("() => document.querySelector('.canvas').clientWidth"))


async def place(person: Person) -> tuple[float, float]:
    """Where the drawing begins in the window."""
    box = await person.page.locator(".drawing svg").bounding_box()
    assert box is not None
    return box["x"], box["y"]

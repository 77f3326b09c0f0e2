"""`python -m tests.page.screenshot docs/page.png`: the picture of the page for the README.

Two users plan a roof garden in one thread, on a real server whose model says what stands here: the
first answer is there, the second is being written. Run it again after the page has changed its looks.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.async_api import expect

from tests.page.browser import Person, chromium, someone
from tests.support.obedient_model import Gate, ObedientModel, obedient_model
from tests.support.scripted_endpoint import says, says_json, usage
from tests.support.served import served

VIEWPORT: Final = {"width": 1280, "height": 900}
LOOK: Final = "() => document.activeElement?.blur()"
SEEN: Final[dict[str, Any]] = {
    "viewport": VIEWPORT,
    "color_scheme": "light",
    "reduced_motion": "reduce",  # nothing is caught on its way
}
THREAD: Final = "Roof garden"
OTHERS: Final = ("Questions for the architect", "Watering rota")

FIRST: Final = (
    "The roof carries 150 kg per square metre and has six hours of sun. What can we grow there?"
)
FIRST_ANSWER: Final = """\
Plenty, as long as the beds stay shallow:

- **Herbs and salads** in 15 cm of soil, about 110 kg/m² when wet.
- **Beans** on a trellis, if it is tied down against the wind.
"""

SECOND: Final = "Would two rows of tomatoes be too heavy?"
SECOND_ANSWER: Final = (
    "Not if they stand along the walls. Tomatoes want 30 cm of soil, about 220 kg/m² when wet: "
    "more than the 150 kg/m² that the roof carries [P1]. ",
    "Over the supporting walls that load may be spread.",
)

_STEPS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    (FIRST, "experience"): {
        "synthesis": "Nothing was said about the roof before.",
        "key_insights": [],
        "used": [],
    },
    (FIRST, "intention"): {
        "explicit_intent": "A list of plants for this roof.",
        "implicit_intent": "To be sure that the roof holds.",
        "confidence": 0.9,
        "selected": [],
    },
    (FIRST, "observation"): {
        "analysis": "Weight decides, not sun.",
        "patterns": ["Shallow beds stay under the limit."],
        "gaps": ["How strong the wind is."],
        "confidence": 0.8,
    },
    (SECOND, "experience"): {
        "synthesis": "The load limit and the depth of the beds are known from this thread.",
        "key_insights": ["The roof carries 150 kg/m².", "15 cm of wet soil weigh 110 kg/m²."],
        "used": ["P1", "P2"],
    },
    (SECOND, "intention"): {
        "explicit_intent": "Whether two rows of tomatoes fit.",
        "implicit_intent": "To grow more than salad without a new survey.",
        "confidence": 0.86,
        "selected": [
            {"label": "P1", "why": "it holds the limit"},
            {"label": "P2", "why": "it holds the weight of soil"},
        ],
    },
    (SECOND, "observation"): {
        "analysis": "Deep beds pass the limit in the middle of the roof, not over its walls.",
        "patterns": ["Twice the soil is twice the weight."],
        "gaps": ["Where the supporting walls are."],
        "confidence": 0.82,
    },
}


def plan(model: ObedientModel) -> Gate:
    """Tell the model what to say; gives the gate that holds the second answer half written."""
    for (prompt, step), answer in _STEPS.items():
        model.plan(prompt, step, says_json(answer))
    for prompt in (FIRST, SECOND):
        model.plan(prompt, "action", says("A first thought: ", "weigh the soil before the plants."))
        enough = {"reasoning": "Limit and weights are known.", "loop": False, "confidence": 0.88}
        model.plan(prompt, "update", says_json(enough))
    model.plan(FIRST, "yield", says(FIRST_ANSWER, counted=usage(1_412, 96)))
    return model.hold(SECOND, "yield", *SECOND_ANSWER)


async def act(ann: Person, ben: Person, gate: Gate) -> None:
    """Bring the page to the moment of the picture."""
    for name in OTHERS:
        await ann.new_thread(name)
    address = await ann.new_thread(THREAD, public=True)
    await ann.ask(FIRST)
    await ann.answers(1)
    await ben.visit(address)
    await ben.ask(SECOND)
    await ann.message(SECOND).get_by_role("button", name="Approve").click()
    await gate.reached.wait()
    await expect(ann.page.locator(".live-answer").last).to_contain_text("Tomatoes want")
    await ann.page.get_by_role("button", name="Not now").click()
    await ann.message(FIRST).locator(".said").first.scroll_into_view_if_needed()


async def picture(path: Path) -> None:
    """Write the picture to `path`."""
    with TemporaryDirectory() as folder:
        async with (
            obedient_model() as model,
            served(Path(folder), model.url) as server,
            chromium() as browser,
            someone(browser, server.url, "Ann", **SEEN) as ann,
            someone(browser, server.url, "Ben") as ben,
        ):
            gate = plan(model)
            await act(ann, ben, gate)
            await ann.page.evaluate(LOOK)
            await ann.page.screenshot(path=path, animations="disabled")
            gate.opened.set()
            await ann.answers(2)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.page.screenshot", description=__doc__)
    parser.add_argument("path", type=Path, help="where to write the PNG")
    asyncio.run(picture(parser.parse_args(arguments).path))


if __name__ == "__main__":
    main(sys.argv[1:])

"""A model that answers every step of the loop, and does for single prompts what a test wrote down.

One endpoint serves all tests of a module: prompts are told apart by their text, so use a new text
for each prompt that has a plan. Steps without a plan, and those whose plan is used up, are answered.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from machines.prompting.quoting import quotations
from tests.support.scripted_endpoint import (
    DONE,
    Script,
    ScriptedEndpoint,
    chunk,
    line,
    says,
    says_json,
    serve,
)
from tests.support.step_asked import step_asked

STEPS: Final = ("action", "experience", "intention", "observation", "update", "yield")

_JSON: Final[dict[str, dict[str, Any]]] = {
    "experience": {"synthesis": "What was said adds little.", "key_insights": [], "used": []},
    "intention": {
        "explicit_intent": "To know.",
        "implicit_intent": "To be sure.",
        "confidence": 0.5,
        "selected": [],
    },
    "observation": {"analysis": "It repeats.", "patterns": [], "gaps": [], "confidence": 0.5},
}


@dataclass
class Gate:
    """A held answer: its first piece is out, the rest comes once it is opened."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """The server stopped listening before the answer ended."""


@dataclass(frozen=True)
class Asked:
    """One request that reached the model."""

    prompt: str
    step: str
    text: str
    """All that the model read, but for the system text."""
    limit: int | None = None
    """Tokens that its answer may have."""
    model: str = ""
    """The model that was asked for."""
    system: str = ""
    """The system text."""


class ObedientModel:
    """What `obedient_model` gives; its `url` goes behind `--llm`."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._plans: dict[tuple[str, str], list[Script]] = {}

    def plan(self, prompt: str, step: str, *scripts: Script) -> None:
        """Answer this prompt's next attempts at `step` by `scripts`."""
        self._plans.setdefault((prompt, step), []).extend(scripts)

    def hold(
        self, prompt: str, step: str, first: str = "So far. ", rest: str = "Done.", times: int = 1
    ) -> Gate:
        """Hold the next attempts at `step` (action or yield), so many, after their first piece."""
        gate = Gate()

        async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            await response.write(line(chunk(first)))
            gate.reached.set()
            try:
                await gate.opened.wait()
            except asyncio.CancelledError:
                gate.hung_up.set()
                raise
            for event in (line(chunk(rest)), line(chunk(finish="stop")), DONE):
                await response.write(event)
            return response

        self.plan(prompt, step, *[script] * times)
        return gate

    def reads(self, prompt: str) -> list[Asked]:
        """What the model was asked for a prompt, in order."""
        return [each for each in self.asked if each.prompt == prompt]

    async def answer(self, endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        """The script of all requests."""
        body = await request.json()
        text = body["messages"][-1]["content"]
        step = step_asked(text).value
        prompt = next(each.text for each in quotations(text) if each.section == "request")
        system = body["messages"][0]["content"]
        limit = body.get("max_completion_tokens")
        self.asked.append(Asked(prompt, step, text, limit, body["model"], system))
        plan = self._plans.get((prompt, step))
        script = plan.pop(0) if plan else _usual(prompt, step)
        return await script(endpoint, request)


def update(*, loop: bool = False) -> Script:
    """A good answer of the update step."""
    return says_json(
        {
            "reasoning": "There may be more." if loop else "It is enough.",
            "loop": loop,
            "next_query": "more of it" if loop else "",
            "confidence": 0.5,
            "key_insights": [],
        }
    )


def answer_to(prompt: str) -> str:
    """What the model yields for a prompt without a plan."""
    return f"The answer to {prompt} is yes."


def _usual(prompt: str, step: str) -> Script:
    match step:
        case "action":
            return says("A first thought on ", prompt)
        case "update":
            return update()
        case "yield":
            return says("The answer to ", prompt, " is yes.")
        case _:
            return says_json(_JSON[step])


@asynccontextmanager
async def obedient_model() -> AsyncIterator[ObedientModel]:
    """The model, served on a free port of this machine."""
    model = ObedientModel()
    async with serve(model.answer) as endpoint:
        model.url = endpoint.url
        yield model

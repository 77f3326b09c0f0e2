"""The endpoint behind a load: answers every step and every text to embed, and counts who asks twice.

Whether a completed step was asked of the model again is decided here, from what the journal held
when the server was killed: see `TirelessModel.new_life`.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiohttp import web

from machines.models.outputs import StepEnum
from machines.prompting.quoting import quotations
from tests.support.obedient_model import answer_to, update
from tests.support.scripted_endpoint import (
    DONE,
    ScriptedEndpoint,
    chunk,
    line,
    says_json,
    serve,
)
from tests.support.step_asked import step_asked

EMBEDDING_MODEL: Final = "scripted-embedder"
DIMENSIONS: Final = 16

LOOPS: Final = "(look twice)"
"""A prompt with this in it is given a second iteration."""

_PASS: Final = re.compile(r"^Pass (\d+) of at most", re.MULTILINE)
_TYPED: Final[dict[StepEnum, dict[str, Any]]] = {
    StepEnum.EXPERIENCE: {"synthesis": "It was said before.", "key_insights": [], "used": []},
    StepEnum.INTENTION: {
        "explicit_intent": "To know.",
        "implicit_intent": "To be sure.",
        "confidence": 0.5,
        "selected": [{"label": "P1", "why": "It is near."}],
    },
    StepEnum.OBSERVATION: {"analysis": "It goes on.", "patterns": [], "gaps": [], "confidence": 1},
}


class Step(NamedTuple):
    """One step of the run of one prompt; prompts are unique in a load."""

    prompt: str
    step: str
    iteration: int


class TirelessModel:
    """What `tireless_model` gives; its `url` goes behind `--llm`."""

    def __init__(self, dice: random.Random) -> None:
        self.url = ""
        self.repeated: list[Step] = []
        """Steps that were asked for although they were completed, or twice in one life."""
        self.asked = 0
        self.failing = ""
        """A prompt that is refused once; see `fail_next`."""
        self._dice = dice
        self._completed: frozenset[Step] = frozenset()
        self._kept: set[Step] = set()
        self._this_life: set[Step] = set()

    def new_life(self, completed: Collection[Step]) -> None:
        """The server begins again, and its journal holds these steps: nobody may ask for them."""
        self._completed = frozenset(completed)
        self._this_life.clear()

    def keep(self, steps: Iterable[Step]) -> None:
        """A fork keeps these of another run: nobody may ever ask for them."""
        self._kept.update(steps)

    def forget(self, prompt: str) -> None:
        """The prompt is given a new run: its steps are asked for again, and rightly."""
        self._completed = frozenset(each for each in self._completed if each.prompt != prompt)
        self._this_life -= {each for each in self._this_life if each.prompt == prompt}

    def fail_next(self, prompt: str) -> None:
        """Answer 503 once when this prompt is asked, which the server tries again."""
        self.failing = prompt

    async def answer(self, _: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        """The script of all requests."""
        body = await request.json()
        if request.path.endswith("/embeddings"):
            return web.json_response(
                {"data": [_embedded(*each) for each in enumerate(body["input"])]}
            )
        text = body["messages"][-1]["content"]
        prompt = next(each.text for each in quotations(text) if each.section == "request")
        if prompt == self.failing:
            self.failing = ""
            return web.json_response({"error": {"message": "not now"}}, status=503)
        kind = step_asked(text)
        asked = Step(prompt, kind.value, int(_PASS.findall(text)[-1]))
        self.asked += 1
        if asked in self._completed | self._kept | self._this_life:
            self.repeated.append(asked)
        self._this_life.add(asked)
        match kind:
            case StepEnum.ACTION:
                return await self._speak(request, f"A first thought on {prompt}")
            case StepEnum.YIELD:
                return await self._speak(request, answer_to(prompt))
            case StepEnum.UPDATE:
                await self._pause()
                loop = LOOPS in prompt and asked.iteration == 1
                return await update(loop=loop)(_, request)
            case _:
                await self._pause()
                return await says_json(_TYPED[kind])(_, request)

    async def _speak(self, request: web.Request, text: str) -> web.StreamResponse:
        """A stream of a few pieces, slow enough to be cut in the middle."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        third = len(text) // 3
        for piece in (text[:third], text[third:-third], text[-third:]):
            await response.write(line(chunk(piece)))
            await self._pause()
        await response.write(line(chunk(finish="stop")) + DONE)
        return response

    async def _pause(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, 0.02))


def _embedded(index: int, text: str) -> dict[str, Any]:
    """A vector that follows from the text."""
    digest = hashlib.sha256(text.encode()).digest()
    return {"index": index, "embedding": [byte / 255 + 0.01 for byte in digest[:DIMENSIONS]]}


@asynccontextmanager
async def tireless_model(dice: random.Random) -> AsyncIterator[TirelessModel]:
    """The model, served on a free port of this machine."""
    model = TirelessModel(dice)
    async with serve(model.answer) as endpoint:
        model.url = endpoint.url
        yield model

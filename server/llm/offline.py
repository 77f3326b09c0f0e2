"""The offline responder: answers in process where no language model is connected.

It reads the request that a model would be sent, and its answers are read as a model's are. It writes
nothing of its own. It finds the sentences of the thread and the priors that stand closest to the
request, names their sources, and says in every text that it is no language model. Deterministic;
update never asks for another pass, since a second one would find the same.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from machines.models.chorus import StepCompleted
from machines.models.effects import AICall, attempt_of
from machines.models.message import EXTRACTIVE_MODEL, EXTRACTIVE_NOTICE
from machines.models.outputs import StepEnum
from machines.prompting.answers import read_answer
from machines.prompting.instructions import has_instructions
from machines.prompting.quoting import quotations
from machines.prompting.request import memory_was_searched
from server.llm.extractive import Sentence, closest, first_sentence, words, written_words
from server.llm.port import OnText, unheard

MODEL: Final = EXTRACTIVE_MODEL
"""The responder's name wherever a model is named."""

NOTICE: Final = EXTRACTIVE_NOTICE
"""How the texts of action and yield begin."""

_INSTRUCTIONS_IGNORED: Final = (
    "The instructions of this thread are ignored: only a language model can keep to them."
)
_MEMORY_AWAY: Final = "The memory could not be searched."

_HOW_TO_CONNECT: Final = (
    "To have requests answered, connect a model: set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` and "
    "`CHORUS_MODEL` for an endpoint of your own, and start the server again."
)
_OWN_PHRASES: Final = re.compile(
    rf"^(?:{re.escape(NOTICE)}|{re.escape(_HOW_TO_CONNECT[:24])}|{re.escape(_MEMORY_AWAY)}"
    rf"|{re.escape(_INSTRUCTIONS_IGNORED)}).*$",
    re.MULTILINE,
)
"""Lines of earlier answers of this responder that are about no request."""

_SENTENCES: Final = 5
_SELECTED: Final = 5
_WORDS: Final = 6
_NEAR: Final = 2
"""Priors that count where none shares a word with the request: the search found them nearest."""

_PIECE: Final = re.compile(r"\s*\S{1,48}|\s+")
"""What is told at once: about a word, as models send them. Every character is in one."""


class OfflineModel:
    """Answers the calls of the Chorus loop; `clock` gives UTC."""

    name = MODEL
    offline = True

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        """See `LanguageModel.answer`."""
        del on_thought  # it has none
        # In a thread, since ranking long texts takes tens of milliseconds.
        text, output, _ = await asyncio.to_thread(lambda: read_answer(call, respond(call)))
        for piece in _PIECE.findall(text):
            on_text(piece)
            await asyncio.sleep(0)  # others get their turn, and a cancelled answer ends here
        return StepCompleted(
            **attempt_of(call, self._clock()), text=text, output=output, usage=None, model=MODEL
        )

    async def close(self) -> None:
        """Nothing is open."""


# --- What it answers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Prior:
    """A prior as the request shows it."""

    label: str
    text: str


@dataclass(frozen=True)
class _Material:
    """What a request quotes."""

    request: str
    thread: tuple[str, ...]
    priors: tuple[_Prior, ...]
    memory_searched: bool
    """False where what the memory holds is not known."""
    has_instructions: bool = False
    """Whether the thread's co-authors gave instructions, which are not followed."""

    def from_thread(self) -> tuple[Sentence, ...]:
        """Sentences of the thread that stand closest to the request."""
        return closest(self.request, [("", text) for text in self.thread], _SENTENCES)

    def from_priors(self) -> tuple[Sentence, ...]:
        """Sentences of the priors that stand closest to the request, by words or else by meaning."""
        by_words = closest(
            self.request, [(prior.label, prior.text) for prior in self.priors], _SENTENCES
        )
        return by_words or tuple(
            Sentence(text, prior.label, 0.0)
            for prior in self.priors[:_NEAR]
            if (text := first_sentence(prior.text))
        )


def respond(call: AICall) -> str:
    """The answer to a call of the loop, as a model would write it."""
    material = _material(call)
    match call.step:
        case StepEnum.ACTION:
            return _action(material)
        case StepEnum.EXPERIENCE:
            return json.dumps(_experience(material))
        case StepEnum.INTENTION:
            return json.dumps(_intention(material))
        case StepEnum.OBSERVATION:
            return json.dumps(_observation(material))
        case StepEnum.UPDATE:
            return json.dumps(_update(material))
        case StepEnum.YIELD:
            return _yield(material)
        case _:
            assert_never(call.step)


def _material(call: AICall) -> _Material:
    """What the request quotes; of the priors those whose labels count in the answer."""
    prompt = next(each.content for each in call.messages if each.role == "user")
    found = quotations(prompt)
    priors = (
        _Prior(each.about.partition(",")[0], _OWN_PHRASES.sub("", each.text))
        for each in found
        if each.section == "priors"
    )
    counting = {supplied.label for supplied in call.priors}
    return _Material(
        request="\n".join(each.text for each in found if each.section == "request"),
        thread=tuple(_OWN_PHRASES.sub("", each.text) for each in found if each.section == "thread"),
        priors=tuple(prior for prior in priors if prior.label in counting),
        memory_searched=memory_was_searched(prompt),
        has_instructions=any(
            has_instructions(each.content) for each in call.messages if each.role == "system"
        ),
    )


def _action(material: _Material) -> str:
    sentences = material.from_thread()
    if not sentences:
        return (
            f"{NOTICE}, so there is no first answer; "
            "this thread holds nothing that shares a word with the request."
        )
    return _paragraphs(
        f"{NOTICE}, so there is no first answer. Closest to the request in this thread:",
        _list(sentences),
    )


def _experience(material: _Material) -> dict[str, object]:
    sentences = material.from_priors()
    if sentences:
        synthesis = _paragraphs("Closest to the request in the memory:", _list(sentences))
    elif material.priors:
        synthesis = "Nothing that was found in the memory stands near the request."
    elif not material.memory_searched:
        synthesis = _MEMORY_AWAY
    else:
        synthesis = "Nothing was found in the memory."
    return {
        "synthesis": synthesis,
        "key_insights": [sentence.text for sentence in sentences[:3]],
        "used": list(dict.fromkeys(sentence.source for sentence in sentences)),
    }


def _intention(material: _Material) -> dict[str, object]:
    asked = written_words(material.request)
    ranked: list[tuple[int, str, str]] = []
    for prior in material.priors:
        theirs = set(words(prior.text))
        if shared := [form for word, form in asked.items() if word in theirs]:
            why = f"It shares with the request: {', '.join(shared[:_WORDS])}."
            ranked.append((len(shared), prior.label, why))
    ranked.sort(key=lambda each: -each[0])
    if not ranked:
        near = "The search finds it near in meaning."
        ranked = [(0, prior.label, near) for prior in material.priors[:_NEAR]]
    return {
        "explicit_intent": _shortened(material.request),
        "implicit_intent": "To find what lies beneath a request takes a language model.",
        "confidence": 0.0,
        "selected": [{"label": label, "why": why} for _, label, why in ranked[:_SELECTED]],
    }


def _observation(material: _Material) -> dict[str, object]:
    texts = [*material.thread, *(prior.text for prior in material.priors)]
    having = Counter(word for text in texts for word in set(words(text)))
    asked = written_words(material.request)
    common = [(form, having[word]) for word, form in asked.items() if having[word] > 1]
    missing = [form for word, form in asked.items() if not having[word]]
    return {
        "analysis": (
            f"Of {len(asked)} words of the request, {len(asked) - len(missing)} stand in the "
            f"{len(texts)} messages that were looked at."
            if texts
            else "There is no other message to look at."
        ),
        "patterns": [f"{count} messages speak of: {form}." for form, count in common[:_WORDS]],
        "gaps": (
            [f"No message speaks of: {', '.join(missing[:_WORDS])}."] if missing and texts else []
        ),
        "confidence": 0.0,
    }


def _update(material: _Material) -> dict[str, object]:
    return {
        "reasoning": "One pass is enough: without a language model a second would find the same.",
        "loop": False,
        "next_query": "",
        "confidence": 0.0,
        "key_insights": [sentence.text for sentence in material.from_priors()[:3]],
    }


def _yield(material: _Material) -> str:
    remembered = material.from_priors()
    quoted = {sentence.text for sentence in remembered}
    said = tuple(each for each in material.from_thread() if each.text not in quoted)
    away = [] if material.memory_searched else [_MEMORY_AWAY]
    ignored = [_INSTRUCTIONS_IGNORED] if material.has_instructions else []
    if not remembered and not said:
        places = "this thread" if away else "this thread or in the memory"
        return _paragraphs(
            f"{NOTICE}, and nothing in {places} stands near the request.",
            *away,
            *ignored,
            _HOW_TO_CONNECT,
        )
    return _paragraphs(
        f"{NOTICE}, so nothing here was written for this request: it is put together from "
        "messages, those sentences first that stand closest to it.",
        *(["**From the memory**", _list(remembered)] if remembered else []),
        *away,
        *(["**From this thread**", _list(said)] if said else []),
        *ignored,
        _HOW_TO_CONNECT,
    )


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(parts)


def _list(sentences: tuple[Sentence, ...]) -> str:
    """Sentences as a Markdown list, each with the label of its source."""
    return "\n".join(
        f"- {sentence.text} [{sentence.source}]" if sentence.source else f"- {sentence.text}"
        for sentence in sentences
    )


def _shortened(text: str) -> str:
    """The beginning of a request, never blank."""
    line = " ".join(text.split())
    return (line if len(line) <= 300 else line[:296].rstrip() + " ...") or "(an empty request)"

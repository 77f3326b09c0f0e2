"""The run that every contestant of the step question carries out: one script, plain values.

The standard library alone beside `measure`, since peers have no more. The model answers at once with
what stands here; a contestant adds nothing to it and leaves nothing out.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.measure import Spent, tell

STEPS: Final = ("action", "experience", "intention", "observation", "update", "yield")
"""One iteration; update leads back to action until the last iteration."""

_WORDS: Final = [
    "the",
    "thread",
    "keeps",
    "what",
    "its",
    "authors",
    "said",
    "and",
    "why",
    "a",
    "late",
    "vote",
    "does",
    "not",
    "count",
    "while",
    "memory",
    "finds",
    "older",
    "words",
    "that",
    "still",
    "matter",
    "to",
    "a",
    "question",
    "asked",
    "anew",
    "under",
    "another",
    "name",
]


def prose(seed: str, characters: int) -> str:
    """Text of exactly so many characters that follows from `seed` alone."""
    words: list[str] = []
    length, number = 0, 0
    while length < characters:
        digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        some = [_WORDS[byte % len(_WORDS)] for byte in digest]
        words.extend(some)
        length += sum(len(word) + 1 for word in some)
        number += 1
    return " ".join(words)[:characters]


def uuid(seed: str) -> str:
    """A UUID string that follows from `seed` alone."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


PROMPT: Final = prose("prompt", 300)

CONTEXT: Final[list[dict[str, Any]]] = [
    {
        "message_id": uuid(f"context{n}"),
        "role": "chorus" if n % 2 else "user",
        "author": None,
        "content": prose(f"context{n}", 1_200 if n % 2 else 300),
    }
    for n in range(16)
]
"""Recent messages of the thread: prompts and answers in turn, as long as this script's."""

RECALLED: Final = (12, 9, 9)
"""Priors that the search of each iteration brings: as many as a run of Chorus takes, three of which
were selected by then."""

QUOTED: Final = 12
"""Of the priors, those that stand in one prompt."""

PRIORS: Final[list[dict[str, Any]]] = [
    {
        "message_id": uuid(f"prior{n}"),
        "thread_id": uuid("elsewhere"),
        "content": prose(f"prior{n}", 300),
        "author": None,
        "score": round(0.9 - n / 100, 2),
        "created_at": "2026-01-01T00:00:00Z",
    }
    for n in range(sum(RECALLED))
]
"""What the memory brings to experience: each iteration finds others."""


def priors_of(iteration: int) -> list[dict[str, Any]]:
    """What the search of an iteration, from 1, brings."""
    before = sum(RECALLED[: iteration - 1])
    return PRIORS[before : before + RECALLED[iteration - 1]]


def text_of(step: str, iteration: int) -> str:
    """What a person reads of a step."""
    return prose(f"{step}{iteration}", 1_200 if step == "yield" else 600)


def output_of(step: str, iteration: int, iterations: int) -> dict[str, Any]:
    """What a step gives beside its text, as PROTOCOL shapes it."""
    selected = [prior["message_id"] for prior in PRIORS[:3]]
    outputs: dict[str, dict[str, Any]] = {
        "action": {},
        "experience": {
            "key_insights": [prose(f"insight{n}", 80) for n in range(3)],
            "used": selected,
        },
        "intention": {
            "explicit_intent": prose("explicit", 120),
            "implicit_intent": prose("implicit", 120),
            "confidence": 0.8,
            "selected_priors": [
                {"message_id": each, "why": prose(f"why{each}", 80)} for each in selected
            ],
        },
        "observation": {
            "patterns": [prose(f"pattern{n}", 80) for n in range(3)],
            "gaps": [prose("gap", 80)],
            "confidence": 0.7,
        },
        "update": {
            "reasoning": prose("reasoning", 200),
            "loop": iteration < iterations,
            "next_query": prose("query", 60) if iteration < iterations else None,
            "confidence": 0.75,
            "key_insights": [prose("update", 80)],
        },
        "yield": {
            "citations": [
                {"label": f"P{n + 1}", "message_id": each, "thread_id": uuid("elsewhere")}
                for n, each in enumerate(selected)
            ]
        },
    }
    return outputs[step]


def record_of(step: str, iteration: int, iterations: int) -> dict[str, Any]:
    """A completed step as a run's state keeps it."""
    return {
        "step": step,
        "iteration": iteration,
        "attempt": 1,
        "text": text_of(step, iteration),
        "output": output_of(step, iteration, iterations),
        "usage": {"prompt_tokens": 900, "completion_tokens": 200, "total_tokens": 1_100},
    }


def script(iterations: int) -> dict[tuple[str, int], dict[str, Any]]:
    """The record of each (step, iteration), made beforehand so that making them costs no contestant."""
    return {
        (step, iteration): record_of(step, iteration, iterations)
        for iteration in range(1, iterations + 1)
        for step in STEPS
        if step != "yield" or iteration == iterations
    }


def steps_of(iterations: int) -> int:
    """Steps of a run with so many iterations: five each, and the last one's yield."""
    return 5 * iterations + 1


def prompt_of(state: Mapping[str, Any], step: str) -> str:
    """What a peer asks the model: the same material as Chorus quotes, put together plainly."""
    parts = [f"<thread>{each['content']}</thread>" for each in state["messages"]]
    parts.append(f"<request>{state['prompt']}</request>")
    if step != "action":
        parts.extend(f"<prior>{each['content']}</prior>" for each in state["priors"][-QUOTED:])
        parts.extend(
            f"<record step={each['step']}>{each['text']}\n{json.dumps(each['output'])}</record>"
            for each in state["steps"]
        )
    parts.append(f"Step: {step}, pass {state['iteration']}.")
    return "\n\n".join(parts)


def ask(prompt: str, record: dict[str, Any]) -> dict[str, Any]:
    """A model that answers at once; it has read the prompt."""
    if not prompt.endswith("."):
        raise ValueError("this is no prompt")
    return record


def tell_of(short: Spent, long: Spent, runs: int) -> None:
    """Tell the figures of the question: `short` is of so many runs of one iteration, `long` of half as
    many of three."""
    tell(
        run_cpu=short.cpu / runs * 1e3,
        step_cpu=long.cpu / (runs // 2) / steps_of(3) * 1e3,
        run_wall=short.wall / runs * 1e3,
        run_bytes=short.written / runs / 1e3,
    )


def initial_state() -> dict[str, Any]:
    """A run's state before its first step, as a peer keeps it."""
    return {
        "prompt": PROMPT,
        "query": PROMPT,
        "messages": CONTEXT,
        "priors": [],
        "steps": [],
        "iteration": 1,
        "status": "running",
    }

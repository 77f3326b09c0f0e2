"""The questions, in the order of the page. Each module declares some; nothing is run here."""

from typing import Final

from benchmarks.figures import Question
from benchmarks.questions import (
    connections,
    elsewhere,
    fanout,
    growth,
    heat,
    load,
    memory,
    recall,
    scale,
    search,
    start,
    steps,
    streaming,
    traces,
    transitions,
)

QUESTIONS: Final[tuple[Question, ...]] = (
    *steps.QUESTIONS,
    *transitions.QUESTIONS,
    *streaming.QUESTIONS,
    *connections.QUESTIONS,
    *fanout.QUESTIONS,
    *elsewhere.QUESTIONS,
    *search.QUESTIONS,
    *memory.QUESTIONS,
    *recall.QUESTIONS,
    *growth.QUESTIONS,
    *heat.QUESTIONS,
    *load.QUESTIONS,
    *scale.QUESTIONS,
    *start.QUESTIONS,
    *traces.QUESTIONS,
)

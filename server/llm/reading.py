"""Reading what a model answered, off the event loop where it is long.

Finding the JSON in an answer, and the labels in a text, takes up to 0.25 us a character of what was
written for the purpose: an answer of 200,000 would hold up everybody for 50 ms.
"""

import asyncio
from typing import Final

from machines.models.effects import AICall
from machines.prompting.answers import ReadAnswer, read_answer

MOST_ON_LOOP: Final = 8_000
"""Characters of an answer that is read where it is: handing it over costs as much as most take."""


async def read_whole_answer(call: AICall, raw_text: str) -> ReadAnswer:
    """`read_answer`, which says what it raises."""
    if len(raw_text) <= MOST_ON_LOOP:
        return read_answer(call, raw_text)
    return await asyncio.to_thread(read_answer, call, raw_text)

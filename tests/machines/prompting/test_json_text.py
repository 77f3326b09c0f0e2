"""Objects in a text are found within a bound on the work, whoever wrote it for the purpose."""

import json

import pytest

from machines.models.errors import AIError
from machines.models.outputs import StepEnum
from machines.prompting.answers import read_answer
from machines.prompting.json_text import MAX_LOOKS, Patience, objects_in
from tests.machines.prompting.test_answers import call

COSTLY = {
    "brackets that never close": "{" * 60_000,
    "keys that never close": '{"' * 60_000,
    "objects in objects": '{"a":' * 40_000,
    "lists": '{"a":' + "[" * 60_000,
    "empty objects": "{} " * 60_000,
    "a text of brackets": json.dumps({"a": "{" * 60_000}),
    "arguments of brackets": json.dumps(
        {"name": "x", "arguments": "{" * 30_000, "parameters": "{" * 30_000}
    ),
    "many texts of brackets": json.dumps({"a": "{" * 900}) * 60,
}


class Counted(Patience):
    """Counts the looks that were taken."""

    taken = 0

    def is_over(self) -> bool:
        self.taken += 1
        return super().is_over()


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_no_text_is_looked_at_without_bound(text: str) -> None:
    counted = Counted()
    for found in objects_in(text, counted):
        for value in found.values():
            if isinstance(value, str):
                list(objects_in(value, counted))
    assert counted.taken <= MAX_LOOKS + 200, "what is over may be asked once for each beginning"
    with pytest.raises(AIError):
        read_answer(call(StepEnum.EXPERIENCE), text)


def test_an_object_behind_much_else_is_found() -> None:
    text = "{ not yet, " * 20 + "so here it is: " + json.dumps({"synthesis": "It is so."})
    assert list(objects_in(text)) == [{"synthesis": "It is so."}]
    assert read_answer(call(StepEnum.EXPERIENCE), text).text == "It is so."


def test_of_a_list_without_end_the_first_are_looked_at() -> None:
    answer = {"synthesis": "So.", "key_insights": ["one", *[f"{n}" for n in range(5_000)]]}
    read = read_answer(call(StepEnum.EXPERIENCE), json.dumps(answer))
    assert read.output.step == "experience"
    assert read.output.key_insights[0] == "one"

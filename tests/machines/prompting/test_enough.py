"""The mark by which action says that its answer is enough: what counts, and that nobody reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.errors import AIError
from machines.models.outputs import ActionOutput, StepEnum
from machines.prompting.answers import read_answer
from machines.prompting.enough import MARK, shown, unmarked
from machines.prompting.request import build_ai_call
from tests.machines.prompting.asking_runs import state

pieces = st.lists(
    st.sampled_from(
        ("Hello", " ", "\n", "[", "]", "enough", "[eno", "ugh]", MARK, "[Enough]", "!")
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("written", "text", "is_enough"),
    [
        ("Hello!", "Hello!", False),
        ("Hello!\n[enough]", "Hello!", True),
        ("Hello! [Enough]\n", "Hello!\n", True),
        ("[enough]\nHello!", "\nHello!", False),
        ("Hello!\n[enough]\n\nHave a nice day.", "Hello!\n\nHave a nice day.", False),
        ("That is enough.", "That is enough.", False),
        ("See [enough", "See [enough", False),
    ],
)
def test_a_mark_counts_at_the_end_and_is_taken_out_wherever_it_stands(
    written: str, text: str, is_enough: bool
) -> None:
    assert unmarked(written) == (text, is_enough)


@given(pieces)
def test_a_text_is_shown_piece_by_piece_as_it_is_kept(written: list[str]) -> None:
    told, withheld = "", ""
    for piece in written:
        text, withheld = shown(withheld + piece)
        told += text
    assert told + withheld == unmarked("".join(written)).text


@given(pieces, pieces)
def test_what_was_shown_is_never_taken_back(before: list[str], behind: list[str]) -> None:
    text, _ = shown("".join(before))
    assert unmarked("".join([*before, *behind])).text.startswith(text)


def test_action_gives_the_text_without_the_mark() -> None:
    answer = read_answer(build_ai_call(state(StepEnum.ACTION)), "Hello!\n[enough]")
    assert (answer.text, answer.output) == ("Hello!", ActionOutput(enough=True))


def test_a_mark_alone_is_no_answer() -> None:
    with pytest.raises(AIError, match="empty"):
        read_answer(build_ai_call(state(StepEnum.ACTION)), f" {MARK}\n")


def test_only_the_first_action_is_asked_for_a_mark() -> None:
    for step in StepEnum:
        for iteration in (1, 2):
            user = build_ai_call(state(step, iteration=iteration)).messages[1].content
            assert (MARK in user) is (step is StepEnum.ACTION and iteration == 1)

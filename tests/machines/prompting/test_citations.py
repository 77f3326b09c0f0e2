"""Citations: a label counts only where the server gave it to this very answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.chorus import ChorusState
from machines.models.domain import Role
from machines.models.outputs import ActionOutput, ExperienceOutput, StepEnum, YieldOutput
from machines.prompting.answers import read_answer
from machines.prompting.quoting import CITATION, cleaned, harmless_once, quotations, uncited
from machines.prompting.request import build_ai_call
from tests.machines.prompting.asking_runs import (
    context,
    hostile,
    intention,
    prior,
    record,
    state,
    states,
)


@given(states(), st.sampled_from(StepEnum))
def test_no_quoted_message_holds_a_label_that_could_be_copied(
    run: ChorusState, step: StepEnum
) -> None:
    user = build_ai_call(run.model_copy(update={"current_step": step})).messages[1].content
    said = [each.text for each in quotations(user) if each.section != "records"]
    assert not [text for text in said if CITATION.search(text)]


@given(hostile, st.booleans())
def test_taking_labels_out_leaves_none_and_makes_none(text: str, is_answer: bool) -> None:
    planted = harmless_once(text.replace("P2", "[P1]").replace("é", "[P[p1; P2]1]"))
    assert not CITATION.search(uncited(planted, is_answer=is_answer))


@pytest.mark.parametrize(
    ("text", "of_an_answer", "of_a_person"),
    [
        ("It is moved [P1].", "It is moved.", "It is moved (P1)."),
        ("So [P1, P12] and [ p3 ]", "So and", "So (P1, P12) and (p3)"),
        ("[P[P1]1]", "(P1)", "[P(P1)1]"),
        ("A [list] of P1 [Pier 4]", "A [list] of P1 [Pier 4]", "A [list] of P1 [Pier 4]"),
    ],
)
def test_old_labels_are_left_out_of_answers_and_put_in_parentheses_elsewhere(
    text: str, of_an_answer: str, of_a_person: str
) -> None:
    assert uncited(text, is_answer=True) == of_an_answer
    assert uncited(text, is_answer=False) == of_a_person


def test_an_answer_that_copies_an_old_one_cites_nothing() -> None:
    """The old answer's `[P1]` was another message than this run's."""
    run = state(
        StepEnum.YIELD,
        messages=(context(1, "We meet on 2 April [P1], at the clock [P2].", Role.CHORUS),),
        priors=(prior(0, "The shop is closed on Sundays [P2]."), prior(1)),
        steps=(record(StepEnum.ACTION, ActionOutput(), "On 2 April [P1]."), intention(0, 1)),
    )
    call = build_ai_call(run)
    assert [each.label for each in call.priors] == ["P1", "P2"], "both could be cited"
    for copied in (each.text for each in quotations(call.messages[1].content)):
        answer = read_answer(call, cleaned(copied))
        assert answer.output == YieldOutput()
        assert answer.dropped == ()


def test_a_label_that_was_never_supplied_or_not_selected_cites_nothing() -> None:
    run = state(
        StepEnum.YIELD,
        priors=tuple(map(prior, range(3))),
        steps=(
            record(StepEnum.EXPERIENCE, ExperienceOutput(), "It is so [P3], as [P9] says."),
            intention(0),
        ),
    )
    answer = read_answer(build_ai_call(run), "So it is [P3], as [P9] says, and [P1].")
    assert isinstance(answer.output, YieldOutput)
    assert [each.label for each in answer.output.citations] == ["P1"]
    assert answer.dropped == ("P3", "P9")

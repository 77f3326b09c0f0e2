"""Prompts: what a hostile text cannot do, which priors are shown under which label, and the budget."""

import re
import sys
import unicodedata
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.chorus import Awaited, ChorusState, ErrorState, FailureKind
from machines.models.domain import Role
from machines.models.errors import ErrorCode
from machines.models.ids import PublicKey
from machines.models.message import EXTRACTIVE_NOTICE
from machines.models.outputs import ActionOutput, ExperienceOutput, StepEnum
from machines.prompting.quoting import (
    cleaned,
    clipped,
    escaped,
    estimated_tokens,
    fair_limit,
    fitted,
    fitting_length,
    harmless_once,
    quotations,
    quoted,
    section,
    uncited,
    unescaped,
    units,
)
from machines.prompting.request import SYSTEM_TEXT, build_ai_call
from machines.prompting.shares import FRESH_PRIORS, PRIORS_SENT
from tests.machines.prompting.asking_runs import (
    NOW,
    context,
    hostile,
    intention,
    prior,
    record,
    state,
    states,
)
from tests.support.step_asked import step_asked


def texts_in(prompt: str, section: str) -> list[str]:
    return [each.text for each in quotations(prompt) if each.section == section]


def shown(text: str, author: PublicKey | None) -> str:
    """What a reader of a request reads of a text."""
    return uncited(cleaned(text), is_answer=author is None)


@given(states())
@settings(max_examples=150, deadline=None)
def test_a_quoted_text_can_neither_end_its_tag_nor_begin_another(run: ChorusState) -> None:
    call = build_ai_call(run)
    user = call.messages[1].content
    found = quotations(user)
    # Every "<" of the whole prompt belongs to a mark of ours, and reading gives back what was put in.
    assert user.count("<") == 2 * len({each.section for each in found}) + len(found)
    said = [shown(message.content, message.author) for message in run.messages]
    assert texts_in(user, "thread") == said
    if run.current_step is not StepEnum.YIELD:
        priors = [shown(each.prior.content, each.prior.author) for each in call.priors]
        assert texts_in(user, "priors") == priors
    assert texts_in(user, "request") == [shown(run.prompt, run.requested_by)]
    assert step_asked(user) is run.current_step
    assert not {character for character in user if ord(character) < 32} - {"\n", "\t"}


@given(states())
@settings(max_examples=60, deadline=None)
def test_the_request_is_a_pure_function_of_the_state(run: ChorusState) -> None:
    before = run.model_dump_json()
    assert build_ai_call(run) == build_ai_call(ChorusState.model_validate_json(before))
    assert run.model_dump_json() == before


@given(hostile)
def test_escaping_loses_nothing(text: str) -> None:
    assert "<" not in escaped(text)
    assert unescaped(escaped(text)) == text


@given(st.one_of(hostile, st.text(st.characters(codec="ascii"), max_size=60)))
def test_a_harmless_text_is_one_that_was_cleaned_and_escaped(text: str) -> None:
    assert harmless_once(text) == escaped(cleaned(text))


@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("a\x00\x1b[31mb\x7f\x9b", "a[31mb"),
        ("abc\u202edef\u2066\u200f", "abcdef"),
        ("x\U000e0041\u200by", "xy"),
        ("\ud800ok", "ok"),
        ("grüße 日本 👩\u200d💻", "grüße 日本 👩\u200d💻"),
    ],
)
def test_what_people_cannot_see_is_taken_out(text: str, expected: str) -> None:
    assert cleaned(text) == expected


def test_of_all_controls_and_surrogates_the_tab_and_the_line_end_alone_are_kept() -> None:
    kept = cleaned("".join(map(chr, range(sys.maxunicode + 1))))
    assert {each for each in kept if unicodedata.category(each) in {"Cc", "Cs"}} == {"\n", "\t"}


@given(st.lists(st.integers(0, 100), max_size=12), st.integers(0, 300))
def test_a_fair_limit_keeps_the_total_and_spares_the_short(lengths: list[int], total: int) -> None:
    limit = fair_limit(lengths, total)
    kept = [min(length, limit) for length in lengths]
    assert sum(kept) <= total
    if sum(lengths) <= total:
        assert kept == lengths


def test_a_clipped_text_says_so_and_never_ends_in_half_an_entity() -> None:
    for limit in range(40):
        text = clipped(escaped("<<<<<<<<<<<<<<<<<<<<"), limit)
        assert len(text) <= limit
        assert re.fullmatch(r"(?:&lt;)*(?: \[\.\.\.\])?", text)


@given(st.one_of(hostile, st.text(max_size=60)), st.integers(-5, 900))
def test_what_fits_a_room_is_the_longest_beginning_that_does(text: str, room: int) -> None:
    length = fitting_length(text, room)
    assert units(text[:length]) <= max(room, 0)
    assert length == len(text) or units(text[: length + 1]) > room
    assert units(fitted(harmless_once(text), room)) <= max(room, 0)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("seven letters a pair", 20 / 3.5),
        ("地球は太陽の周りを回る", 11),
        ("지구는 둥글다", 6 + 1 / 3.5),
        ("река течёт в море", 14 * 9 / 14 + 3 / 3.5),
    ],
)
def test_tokens_are_estimated_by_script(text: str, tokens: float) -> None:
    assert estimated_tokens(text) == int(tokens) + 1


@pytest.mark.parametrize("context_tokens", [2_048, 4_096, 8_192, 32_000, 200_000])
@pytest.mark.parametrize("letter", ["<", "水", "é"])
@pytest.mark.parametrize("step", list(StepEnum))
def test_the_budget_is_kept_whatever_the_thread_holds(
    step: StepEnum, letter: str, context_tokens: int
) -> None:
    flood = letter * 32_000
    run = state(
        step,
        context_tokens=context_tokens,
        prompt=flood,
        query=flood,
        iteration=3,
        messages=tuple(context(number, flood) for number in range(30)),
        priors=tuple(prior(number, flood) for number in range(36)),
        steps=(
            *(record(StepEnum.ACTION, ActionOutput(), flood) for _ in range(20)),
            intention(*range(6), why=flood),
        ),
    )
    call = build_ai_call(run)
    asked = sum(estimated_tokens(message.content) for message in call.messages)
    assert asked + call.answer_tokens <= context_tokens


def test_half_a_context_makes_a_shorter_request_of_the_same_material() -> None:
    run = state(
        StepEnum.UPDATE,
        messages=tuple(context(number, "word " * 800) for number in range(10)),
        priors=tuple(prior(number, "word " * 800) for number in range(12)),
        steps=(record(StepEnum.ACTION, ActionOutput(), "word " * 4_000),),
    )
    whole, half = (
        build_ai_call(run.model_copy(update={"context_tokens": tokens})).messages[1].content
        for tokens in (32_000, 16_000)
    )
    assert estimated_tokens(half) < 0.55 * estimated_tokens(whole)
    sections = {each.section for each in quotations(whole)}
    assert {each.section for each in quotations(half)} == sections


def test_a_prompt_of_the_greatest_length_is_sent_whole() -> None:
    prompt = "word " * 6_400
    assert f"\n{prompt}\n" in build_ai_call(state(prompt=prompt)).messages[1].content


def test_the_oldest_messages_give_way_first() -> None:
    messages = tuple(context(number, f"{number} " + "x" * 8_000) for number in range(5))
    found = quotations(build_ai_call(state(messages=messages)).messages[1].content)
    kept = [each.text.split()[0] for each in found if each.section == "thread"]
    assert kept == ["2", "3", "4"]
    assert found[0].text.endswith("[...]")
    assert found[2].text == messages[4].content


def test_long_priors_give_way_before_short_ones() -> None:
    priors = (prior(0, "short and whole"), *(prior(number, "x" * 9_000) for number in range(1, 6)))
    texts = texts_in(build_ai_call(state(priors=priors)).messages[1].content, "priors")
    assert texts[0] == "short and whole"
    assert all(text.endswith("[...]") for text in texts[1:])


def test_action_reads_no_prior_and_no_record() -> None:
    run = state(
        StepEnum.ACTION,
        iteration=2,
        query="the other shore",
        priors=(prior(0, "SECRET"),),
        steps=(record(StepEnum.ACTION, ActionOutput(), "SECRET"),),
    )
    call = build_ai_call(run)
    assert call.priors == ()
    assert "SECRET" not in call.messages[1].content
    assert "the other shore" in call.messages[1].content
    assert (
        "the other shore"
        not in build_ai_call(run.model_copy(update={"iteration": 1})).messages[1].content
    )


def marks_in(prompt: str, section: str) -> list[str]:
    return [each.about for each in quotations(prompt) if each.section == section]


def test_each_text_says_who_wrote_it_and_when_so_that_texts_can_be_put_in_order() -> None:
    other = PublicKey("other")
    moved = prior(3, "The meeting is moved to 2 April.").model_copy(
        update={"author": other, "created_at": NOW - timedelta(days=40)}
    )
    run = state(
        messages=(
            context(1, "We meet on 14 March.", created_at=NOW - timedelta(days=3)),
            context(2, "Noted.", Role.CHORUS, created_at=NOW - timedelta(days=3)),
            context(3, "Moved to 2 April.", author=other, created_at=NOW - timedelta(days=1)),
            context(4, "From an old journal."),
        ),
        requested_by=PublicKey("third"),
        priors=(moved, prior(2), prior(5)),
    )
    user = build_ai_call(run).messages[1].content
    assert marks_in(user, "thread") == [
        *("person 1, 2026-02-26", "chorus", "person 2, 2026-02-28", "person 1")
    ]
    assert marks_in(user, "request") == ["person 3, today, Sunday 2026-03-01"]
    assert marks_in(user, "priors") == [
        *("P1, person 2, 2026-01-20", "P2, chorus, 2026-03-01", "P3, person 1, 2026-03-01")
    ]


def test_a_request_shows_no_score() -> None:
    scored = prior(1).model_copy(update={"score": -0.0625})
    assert "0.06" not in build_ai_call(state(priors=(scored,))).messages[1].content


def test_an_answer_of_the_offline_responder_is_no_prior() -> None:
    repeats = prior(0, f"{EXTRACTIVE_NOTICE}, so nothing here was written for this request.")
    of_a_person = prior(1, repeats.content)
    assert repeats.author is None
    call = build_ai_call(state(priors=(repeats, of_a_person, prior(2))))
    assert [each.label for each in call.priors] == ["P2", "P3"]


@pytest.mark.parametrize("step", list(StepEnum))
def test_the_last_line_asks_for_the_language_of_the_request(step: StepEnum) -> None:
    user = build_ai_call(state(step)).messages[1].content
    assert user.endswith("\nWrite in the language of the request.")


def test_a_label_is_the_place_of_its_prior_in_every_step_and_iteration() -> None:
    run = state(priors=tuple(map(prior, range(5))), steps=(intention(3),))
    for step in set(StepEnum) - {StepEnum.ACTION}:
        for iteration in (1, 2):
            call = build_ai_call(
                run.model_copy(update={"current_step": step, "iteration": iteration})
            )
            assert call.priors
            for supplied in call.priors:
                assert supplied.label == f"P{int(supplied.prior.message_id[1:]) + 1}"


def test_yield_may_cite_what_was_selected_in_any_iteration_and_nothing_else() -> None:
    run = state(
        StepEnum.YIELD,
        iteration=2,
        priors=tuple(map(prior, range(6))),
        steps=(intention(1, 4), intention(5, 77, iteration=2)),
    )
    assert [supplied.label for supplied in build_ai_call(run).priors] == ["P2", "P5", "P6"]
    prompt = build_ai_call(run).messages[1].content
    assert "these and no others: [P2] [P5] [P6]\n" in prompt
    assert len(texts_in(prompt, "priors")) == 6, "it reads them all, as the steps before"


def test_where_nothing_was_selected_yield_may_cite_what_experience_used() -> None:
    used = ExperienceOutput(used=(prior(2).message_id, prior(77).message_id))
    run = state(
        StepEnum.YIELD,
        priors=tuple(map(prior, range(4))),
        steps=(record(StepEnum.EXPERIENCE, used), intention()),
    )
    assert [supplied.label for supplied in build_ai_call(run).priors] == ["P3"]
    assert "these and no others: [P3]\n" in build_ai_call(run).messages[1].content

    unused = build_ai_call(run.model_copy(update={"steps": (intention(),)}))
    assert unused.priors == ()
    assert "Cite nothing." in unused.messages[1].content


def test_a_later_iteration_is_given_what_was_selected_and_what_is_new() -> None:
    run = state(iteration=2, priors=tuple(map(prior, range(20))), steps=(intention(*range(10)),))
    labels = [supplied.label for supplied in build_ai_call(run).priors]
    assert len(labels) == PRIORS_SENT
    assert labels[: PRIORS_SENT - FRESH_PRIORS] == [f"P{number}" for number in range(1, 9)]
    assert labels[PRIORS_SENT - FRESH_PRIORS :] == ["P17", "P18", "P19", "P20"]


def test_requests_of_a_run_begin_alike_as_far_as_the_request() -> None:
    run = state(messages=(context(1, "before"), context(2, "answer", Role.CHORUS)))
    texts = [
        build_ai_call(run.model_copy(update={"current_step": step, "attempt": attempt}))
        .messages[1]
        .content
        for step in StepEnum
        for attempt in (1, 2)
    ]
    heads = {text[: text.index("</request ")] for text in texts}
    assert len(heads) == 1
    assert {build_ai_call(run).messages[0].content} == {SYSTEM_TEXT}


def test_the_nonce_is_one_for_a_run_and_another_for_every_run() -> None:
    run = state(priors=(prior(0),))

    def nonces_of(**changes: object) -> set[str]:
        found = quotations(build_ai_call(run.model_copy(update=changes)).messages[1].content)
        return {each.nonce for each in found}

    (nonce,) = nonces_of()
    assert nonces_of(attempt=2) == nonces_of(iteration=2) == {nonce}
    assert nonces_of(current_step=StepEnum.INTENTION) == {nonce}
    assert nonces_of(id="run-2") != {nonce} != nonces_of(answer_id="other")


def test_parts_stand_in_the_order_that_changes_least() -> None:
    run = state(
        StepEnum.UPDATE,
        messages=(context(1, "before"),),
        priors=(prior(0),),
        steps=(record(StepEnum.ACTION, ActionOutput()),),
    )
    user = build_ai_call(run).messages[1].content
    marks = [
        "<thread ",
        "<request ",
        "<priors ",
        "<records ",
        "Step: update",
        "Write in the language",
    ]
    places = [user.index(mark) for mark in marks]
    assert all(one < other for one, other in pairwise(places))


def test_whether_update_may_loop_is_told_to_the_model_and_kept_in_the_call() -> None:
    for iteration, may_loop in ((1, True), (3, False)):
        call = build_ai_call(state(StepEnum.UPDATE, iteration=iteration))
        assert call.may_loop is may_loop
        assert ("last pass" in call.messages[1].content) is not may_loop


def test_a_text_that_is_no_request_of_the_loop_names_no_step() -> None:
    with pytest.raises(ValueError, match="no request"):
        step_asked(section("request", "0123ab", quoted("person 1", "hello")))


def test_the_next_attempt_is_told_why_the_last_could_not_be_used() -> None:
    def failed(code: ErrorCode) -> ChorusState:
        error = ErrorState(
            failure=FailureKind.AI,
            code=code,
            message="It needs: loop (missing).",
            at=NOW,
            retry_at=None,
            retry_in_ms=None,
            kept=Awaited.MODEL,
        )
        return state(StepEnum.UPDATE, failures=1, attempt=2, error_state=error)

    told = build_ai_call(failed(ErrorCode.AI_INVALID_OUTPUT)).messages[-1].content
    assert "Your last answer to this could not be used. It needs: loop (missing)." in told
    assert step_asked(told) is StepEnum.UPDATE
    assert "could not be used" not in str(build_ai_call(failed(ErrorCode.AI_UNAVAILABLE)))

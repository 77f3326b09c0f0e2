"""Material: what a run makes once and keeps, counted; and that keeping it changes no prompt."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.chorus import transform_state
from machines.models.chorus import ChorusState, ContextMessage, RunStarted
from machines.models.domain import Role
from machines.models.effects import AICall, RecallPriors
from machines.models.ids import MessageId
from machines.models.outputs import Prior, StepEnum
from machines.prompting import context, quoting
from machines.prompting.request import build_ai_call
from tests.machines.prompting.asking_runs import states
from tests.machines.transitions.chorus_scenarios import answered, queued, recalled
from tests.machines.transitions.values import ALICE, NOW, prior

ITERATIONS = 3
RECALLED = 32
MESSAGES = 16


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    forget()


def forget() -> None:
    """Drop everything that the modules keep from one prompt to the next."""
    for each in (*vars(context).values(), *vars(quoting).values()):
        if hasattr(each, "cache_clear"):
            each.cache_clear()


def asking(length: int = 1) -> Iterator[ChorusState]:
    """A long run at each step that has just asked the model; its texts are said once, `length` times
    as long as they need to be for that, and each search finds other priors."""
    messages = tuple(
        ContextMessage(
            message_id=MessageId(f"message {n}"),
            role=Role.CHORUS if n % 2 else Role.USER,
            author=None if n % 2 else ALICE,
            content=f"message {n}",
        )
        for n in range(MESSAGES)
    )
    run = queued(max_iterations=ITERATIONS)
    result = transform_state(run, RunStarted(at=NOW, thread_is_busy=False, messages=messages))
    while not result.state.status.final:
        run = result.state
        match result.effects[-1]:
            case AICall():
                yield run
                # Step and iteration make every text another.
                answer = answered(run, loop=run.iteration < ITERATIONS)
                text = f"{run.current_step} {run.iteration} " * length
                result = transform_state(run, answer.model_copy(update={"text": text}))
            case RecallPriors():
                result = transform_state(run, recalled(run, found_in(run.iteration)))
            case other:
                raise AssertionError(f"a run that nothing disturbs waits for {other}")


def found_in(iteration: int) -> tuple[Prior, ...]:
    return tuple(prior(iteration * RECALLED + n) for n in range(RECALLED))


def test_a_run_makes_each_of_its_texts_harmless_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for records, which a new iteration reads again, since it may know labels for them."""
    harmless = quoting.harmless_once
    times: Counter[str] = Counter()

    def counted(text: str) -> str:
        times[text] += 1
        return harmless(text)

    for module in (quoting, context):
        monkeypatch.setattr(module, "harmless_once", counted)
    *_, run = asking()
    assert len(run.steps) == 5 * ITERATIONS
    read = {record.text.strip(): ITERATIONS + 1 - record.iteration for record in run.steps}
    assert len(times) > MESSAGES + len(run.steps)
    too_often = {
        text: number
        for text, number in times.items()
        if number > read.get(text.split(" \n")[0].strip(), 1)
    }
    assert not too_often, f"made again although nothing is new to it: {too_often}"


def test_a_step_quotes_what_is_new_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = quoting.quoted
    kinds: list[str] = []

    def counted(about: str, body: str) -> str:
        kinds.append(kind_of(about))
        return quoted(about, body)

    monkeypatch.setattr(context, "quoted", counted)
    steps: list[dict[str, int]] = []
    for _ in asking():
        steps.append(dict(Counter(kinds)))
        kinds.clear()
    one_more = [{"record": 1}] * 3
    assert steps == [
        {"thread": MESSAGES, "request": 1},
        {"prior": 12, "record": 1},
        *one_more,
        {"focus": 1},
        {"prior": 12, "record": 6},
        *one_more,
        {"focus": 1},
        {"prior": 12, "record": 11},
        *one_more,
        {"record": 1},
    ]


def test_a_request_that_is_repeated_quotes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, run, _ = asking()
    call = build_ai_call(run)
    monkeypatch.setattr(context, "quoted", lambda *_: pytest.fail("it was quoted a moment ago"))
    repeated = build_ai_call(run.model_copy(update={"attempt": run.attempt + 1}))
    assert repeated.priors == call.priors
    assert repeated.messages == call.messages


def kind_of(about: str) -> str:
    """What a mark says of its text."""
    first = about.partition(",")[0]
    if "today" in about:
        return "request"
    if first in list(StepEnum):
        return "record"
    if first.startswith("P"):
        return "prior"
    return "focus" if first.startswith("pass") else "thread"


def records_in(run: ChorusState) -> list[quoting.Quotation]:
    found = quoting.quotations(build_ai_call(run).messages[1].content)
    return [each for each in found if each.section == "records"]


@pytest.mark.parametrize("length", [150, 400, 2_000])
def test_records_are_clipped_alike_whether_they_come_one_by_one_or_all_at_once(
    length: int,
) -> None:
    runs = [run for run in asking(length) if run.current_step is not StepEnum.ACTION]
    one_by_one = [records_in(run) for run in runs]
    forget()
    # To a run in its next iteration all of them are past.
    at_once = [records_in(run.model_copy(update={"iteration": run.iteration + 1})) for run in runs]
    assert one_by_one == at_once
    assert any(each.text.endswith(quoting.CLIPPED) for each in one_by_one[-1])


@given(st.lists(states(), min_size=2, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_kept_is_what_would_be_made_anew(runs: list[ChorusState]) -> None:
    """All of these have one run's ids, so that only their texts tell them apart."""
    forget()
    kept = [build_ai_call(each) for each in (*runs, *runs)]
    for run, call in zip((*runs, *runs), kept, strict=True):
        forget()
        assert build_ai_call(run) == call

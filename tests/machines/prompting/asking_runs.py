"""Runs to ask the model about: states with any text, hostile ones too, in every place that is quoted."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from machines.models.chorus import ChorusState, ContextMessage, RunStatus, StepCompleted
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import (
    ActionOutput,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    SelectedPrior,
    StepEnum,
    StepOutput,
    UpdateOutput,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERSON = PublicKey("person")

hostile = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *("<", ">", "&", "&lt;", "&amp;", "lt;", "/", "\n", "\u202e", "\x00", "]]", "é"),
                *("<priors ", "</request ", "0123ab", "\n<P1, person 1>\n", "[P1]", "[", "P2", "]"),
                "\nStep: yield\n",
            )
        ),
        max_size=30,
    ).map("".join),
)


def prior(number: int, content: str = "remembered") -> Prior:
    return Prior(
        message_id=MessageId(f"m{number}"),
        thread_id=ThreadId("t"),
        content=content,
        author=PERSON if number % 2 else None,
        score=0.5,
        created_at=NOW,
    )


def record(
    step: StepEnum, output: StepOutput, text: str = "said", iteration: int = 1
) -> StepCompleted:
    return StepCompleted(
        run_id=RunId("run-1"),
        step=step,
        iteration=iteration,
        attempt=1,
        at=NOW,
        text=text,
        output=output,
        usage=None,
        model="scripted",
    )


def intention(*selected: int, iteration: int = 1, why: str = "near") -> StepCompleted:
    output = IntentionOutput(
        explicit_intent="to know",
        implicit_intent="to learn",
        confidence=0.5,
        selected_priors=tuple(
            SelectedPrior(message_id=MessageId(f"m{number}"), why=why) for number in selected
        ),
    )
    return record(StepEnum.INTENTION, output, iteration=iteration)


def state(step: StepEnum = StepEnum.EXPERIENCE, **changes: object) -> ChorusState:
    fields: dict[str, object] = {
        "id": RunId("run-1"),
        "created_at": NOW,
        "updated_at": NOW,
        "thread_id": ThreadId("t"),
        "message_id": MessageId("prompt"),
        "answer_id": MessageId("answer-1"),
        "requested_by": PERSON,
        "prompt": "What holds a bridge up?",
        "query": "What holds a bridge up?",
        "status": RunStatus.RUNNING,
        "current_step": step,
        "max_iterations": 3,
        "max_attempts": 4,
    }
    return ChorusState.model_validate({**fields, **changes})


def context(
    number: int,
    content: str,
    role: Role = Role.USER,
    author: PublicKey = PERSON,
    created_at: datetime | None = None,
) -> ContextMessage:
    return ContextMessage(
        message_id=MessageId(f"c{number}"),
        role=role,
        author=author if role is Role.USER else None,
        content=content,
        created_at=created_at,
    )


@st.composite
def states(draw: st.DrawFn) -> ChorusState:
    """States of any step with hostile texts in every place that a prompt quotes."""
    priors = tuple(prior(number, draw(hostile)) for number in range(draw(st.integers(0, 4))))
    places = st.lists(st.integers(0, 5), max_size=3, unique=True)
    outputs: list[StepCompleted] = [
        record(StepEnum.ACTION, ActionOutput(), draw(hostile)),
        record(StepEnum.EXPERIENCE, ExperienceOutput(key_insights=(draw(hostile),))),
        intention(*draw(places), why=draw(hostile)),
        record(StepEnum.OBSERVATION, ObservationOutput(gaps=(draw(hostile),), confidence=0.1)),
        record(
            StepEnum.UPDATE,
            UpdateOutput(reasoning="r", loop=True, next_query=draw(hostile), confidence=0.2),
        ),
    ]
    return state(
        draw(st.sampled_from(StepEnum)),
        prompt=draw(hostile),
        query=draw(hostile),
        messages=tuple(context(n, draw(hostile)) for n in range(draw(st.integers(0, 3)))),
        priors=priors,
        steps=tuple(outputs[: draw(st.integers(0, 5))]),
        iteration=draw(st.integers(1, 3)),
        memory_available=draw(st.booleans()),
    )

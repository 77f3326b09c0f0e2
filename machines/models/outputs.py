"""What the six steps of the Chorus loop give, and the values that those outputs are made of.

These are the shapes of PROTOCOL's `output`, `priors` and `usage`, used alike by the machines, the
journal and the wire. Only values live here: prompts, parsing of a model's answer and the choice of
the next step live with the machine. A step's text is not part of its output: it travels beside it.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from machines.models.ids import MessageId, PublicKey, ThreadId


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment in UTC, written as RFC 3339 with `Z`; a time without a zone is refused."""

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""How sure the model says that it is, from 0 to 1."""


def _is_false(value: object) -> bool:
    return value is False


Flag = Annotated[bool, Field(exclude_if=_is_false)]
"""A key that is left out of JSON where it is false; its default is False."""


def _is_one(value: object) -> bool:
    return value == 1


Ordinal = Annotated[int, Field(ge=1, exclude_if=_is_one)]
"""A key that is left out of JSON where it is 1; its default is 1."""

T = TypeVar("T")


def _is_none(value: object) -> bool:
    return value is None


Omittable = Annotated[T | None, Field(exclude_if=_is_none)]
"""A key that is left out of JSON where it holds nothing."""


def _is_empty(value: object) -> bool:
    return value in ("", ())


OmittableTuple = Annotated[tuple[T, ...], Field(exclude_if=_is_empty)]
"""A key that is left out of JSON where there are none; its default is empty."""

OmittableText = Annotated[str, Field(exclude_if=_is_empty)]
"""A key that is left out of JSON where its text is empty; its default is empty."""

OmittableNames = OmittableTuple[str]
"""Names, and no key where there are none."""


class Value(BaseModel):
    """A frozen value; unknown fields are ignored, so that fields may be added."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # an error's text goes to the log
        # What stands beneath an attribute is its description in the published schema.
        use_attribute_docstrings=True,
        # What is written is always there: a published schema says so, default or not.
        json_schema_serialization_defaults_required=True,
    )


class StepEnum(StrEnum):
    """The steps of one iteration, in their order; only update may lead back to action."""

    ACTION = "action"
    EXPERIENCE = "experience"
    INTENTION = "intention"
    OBSERVATION = "observation"
    UPDATE = "update"
    YIELD = "yield"


STATE_OF_STEP: Final = {step: step.value for step in StepEnum} | {StepEnum.YIELD: "yielding"}
"""Names of the chart's states; `yield` is a word of Python, so the chart says `yielding`."""


MOST_TOKENS: Final = 2**53 - 1
"""Of a call: what every reader of JSON holds exactly. A larger count of an endpoint is nonsense, and unknown."""


class Usage(Value):
    """Tokens that one call cost, as the endpoint counted them.

    None is unknown, which is not 0; where the total is unknown there is no `Usage` at all.
    """

    prompt_tokens: Annotated[int, Field(ge=0)] | None = None
    completion_tokens: Annotated[int, Field(ge=0)] | None = None
    total_tokens: Annotated[int, Field(ge=0)]


class Prior(Value):
    """An approved message that vector search found."""

    message_id: MessageId
    thread_id: ThreadId
    content: str
    author: PublicKey | None
    """None for an answer of Chorus itself."""
    score: Annotated[float, Field(allow_inf_nan=False)]
    """How close the message itself is to the query, the higher the closer."""
    created_at: Timestamp


class SelectedPrior(Value):
    """A prior that the intention step chose, and its reason."""

    message_id: MessageId
    why: str


class Citation(Value):
    """A label in an answer's text, resolved to the prior that was supplied under it."""

    label: str
    """As it stands between brackets in the text, e.g. `P3`."""
    message_id: MessageId
    thread_id: ThreadId


class ActionOutput(Value):
    """The first answer without priors: text alone."""

    step: Literal["action"] = "action"
    enough: Flag = False
    """Whether the text is the answer already, so that no other step is needed."""


class ExperienceOutput(Value):
    """What the priors add."""

    step: Literal["experience"] = "experience"
    key_insights: tuple[str, ...] = ()
    used: tuple[MessageId, ...] = ()
    """Priors that the synthesis drew on, a subset of those supplied."""


class IntentionOutput(Value):
    """What the person is after, in words and beneath them."""

    step: Literal["intention"] = "intention"
    explicit_intent: str
    implicit_intent: str
    confidence: Confidence
    selected_priors: tuple[SelectedPrior, ...] = ()
    """A subset of the priors supplied."""


class ObservationOutput(Value):
    """What shows across prompt, priors and insights, and what is missing."""

    step: Literal["observation"] = "observation"
    patterns: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    confidence: Confidence


class UpdateOutput(Value):
    """Whether another iteration is worth it."""

    step: Literal["update"] = "update"
    reasoning: str
    loop: bool
    next_query: str | None = None
    """What to search for next; None where `loop` is false."""
    confidence: Confidence
    key_insights: tuple[str, ...] = ()


class YieldOutput(Value):
    """The final answer's citations; the answer is the step's text."""

    step: Literal["yield"] = "yield"
    citations: tuple[Citation, ...] = ()
    """A subset of the priors selected; where none was, of those that experience used."""


StepOutput = Annotated[
    ActionOutput
    | ExperienceOutput
    | IntentionOutput
    | ObservationOutput
    | UpdateOutput
    | YieldOutput,
    Field(discriminator="step"),
]
"""The output of any step, told apart by `step`."""

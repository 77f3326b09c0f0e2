"""Answers: what the model returned for a step, checked once, where it enters.

The shapes that the model fills, the JSON schema that asks for them, and `read_answer`, which makes
of the raw text a `StepOutput` that everything behind it may trust. Forms that mean one thing only are
taken as well: an object in a fence or in prose, in a list of one, under the step's name or as a tool's
arguments, labels as plain strings, a confidence in per cent. The wire schema has no bounds on
lengths and numbers, since several endpoints refuse them: they are kept here, by clipping. Labels
that the model invents are dropped and named in `ReadAnswer.dropped`. Pure functions; the requests
themselves are built in `machines.prompting.request`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, NamedTuple, assert_never

import pydantic_core
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from machines.models.blank import is_blank
from machines.models.effects import AICall
from machines.models.errors import AIError
from machines.models.limits import MAX_QUERY_LENGTH
from machines.models.outputs import (
    ActionOutput,
    Citation,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    SelectedPrior,
    StepEnum,
    StepOutput,
    UpdateOutput,
    YieldOutput,
)
from machines.prompting.citing import only_supplied
from machines.prompting.enough import unmarked
from machines.prompting.json_text import Object, Patience, objects_in, whole_or_begun
from machines.prompting.quoting import CITATION

MAX_TEXT: Final = 20_000
"""Characters of the text of a structured step."""

MAX_ITEM: Final = 1_000
"""Characters of one insight, pattern, gap, intent or reason."""

MAX_ITEMS: Final = 10
"""Insights, patterns or gaps of one step."""

MAX_LISTED: Final = 200
"""Items of a list that are looked at, so that a list of wrong ones costs no time."""

MAX_SELECTED: Final = 6
"""Priors that one intention selects."""


MAX_PROBLEMS: Final = 4
"""Fields that are named where an answer cannot be read."""

_ARGUMENTS: Final = ("arguments", "parameters", "input")
"""Where the shapes of tool calls hold what the tool is called with."""


class ReadAnswer(NamedTuple):
    """A checked answer."""

    text: str
    """What a person reads; for action and yield the model's text, but for the mark that it is enough
    and labels that may not be cited."""
    output: StepOutput
    dropped: tuple[str, ...]
    """Labels that the model named and was not given, as it wrote them; for the log."""


# --- What the model fills ----------------------------------------------------------------------


def _present(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise ValueError("is blank")
    return stripped


def _in_per_cent(number: object) -> object:
    """`85` and `"85%"` as 0.85; a few more than one may be a mark out of ten, and are clipped."""
    match number:
        case str() if number.strip().endswith("%"):
            try:
                return float(number.strip().removesuffix("%")) / 100
            except ValueError:
                return number
        case bool():
            return number
        case int() | float() if 10 <= number <= 100:
            return number / 100
        case _:
            return number


def _within_one(number: float) -> float:
    if math.isnan(number):
        raise ValueError("is no number")
    return min(max(number, 0.0), 1.0)


def _one_is_a_list(items: object) -> object:
    """A list, where one item or none stands for it."""
    match items:
        case None | "":
            return []
        case str() | dict():
            return [items]
        case list():
            return items[:MAX_LISTED]
        case _:
            return items


def _labels(items: object) -> object:
    """Labels, where objects with a label may stand for them."""
    listed = _one_is_a_list(items)
    if not isinstance(listed, list):
        return listed
    return [each.get("label", each) if isinstance(each, dict) else each for each in listed]


def _selections(items: object) -> object:
    """Objects with a label, where labels may stand for them."""
    listed = _one_is_a_list(items)
    if not isinstance(listed, list):
        return listed
    return [{"label": each} if isinstance(each, str) else each for each in listed]


def _none_is_blank(text: object) -> object:
    return "" if text is None else text


def _kept(items: list[str]) -> list[str]:
    written = (item.strip()[:MAX_ITEM] for item in items)
    return [item for item in written if item][:MAX_ITEMS]


_Text = Annotated[str, AfterValidator(lambda text: _present(text)[:MAX_TEXT])]
_Line = Annotated[str, AfterValidator(lambda text: _present(text)[:MAX_ITEM])]
_Confidence = Annotated[float, BeforeValidator(_in_per_cent), AfterValidator(_within_one)]
_Lines = Annotated[list[str], BeforeValidator(_one_is_a_list), AfterValidator(_kept)]
_Labels = Annotated[list[str], BeforeValidator(_labels)]


class _Answer(BaseModel):
    """Lists may be missing, since small models forget them; texts and numbers may not.

    The first field is the one that readers see while it is written.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Experience(_Answer):
    synthesis: _Text
    key_insights: _Lines = Field(default_factory=list)
    used: _Labels = Field(default_factory=list)


class _Selected(_Answer):
    label: str
    why: Annotated[str, BeforeValidator(_none_is_blank)] = ""


class _Intention(_Answer):
    explicit_intent: _Line
    implicit_intent: _Line
    confidence: _Confidence
    selected: Annotated[list[_Selected], BeforeValidator(_selections)] = Field(default_factory=list)


class _Observation(_Answer):
    analysis: _Text
    patterns: _Lines = Field(default_factory=list)
    gaps: _Lines = Field(default_factory=list)
    confidence: _Confidence


class _Update(_Answer):
    reasoning: _Text
    loop: bool
    next_query: Annotated[str, BeforeValidator(_none_is_blank)] = ""
    confidence: _Confidence
    key_insights: _Lines = Field(default_factory=list)


def _shape_of(step: StepEnum) -> type[_Answer] | None:
    """What the model fills for `step`; None for the steps that are text alone."""
    match step:
        case StepEnum.ACTION | StepEnum.YIELD:
            return None
        case StepEnum.EXPERIENCE:
            return _Experience
        case StepEnum.INTENTION:
            return _Intention
        case StepEnum.OBSERVATION:
            return _Observation
        case StepEnum.UPDATE:
            return _Update
        case _:
            assert_never(step)


# --- The schema that asks for it ---------------------------------------------------------------


def is_structured(step: StepEnum) -> bool:
    """Whether the model answers `step` with JSON; text otherwise."""
    return _shape_of(step) is not None


def schema_for(step: StepEnum) -> dict[str, object] | None:
    """The JSON schema of `step`'s answer as endpoints take it; None for text steps.

    `$ref`s are inlined, every key is required, no other is allowed, and nothing has a bound.
    """
    shape = _shape_of(step)
    return None if shape is None else _object_schema(shape)


def _object_schema(shape: type[_Answer]) -> dict[str, object]:
    raw = shape.model_json_schema()
    definitions = raw.get("$defs", {})

    def portable(node: Mapping[str, object]) -> dict[str, object]:
        match node:
            case {"$ref": str(reference)}:
                return portable(definitions[reference.rpartition("/")[2]])
            case {"type": "object", "properties": dict(properties)}:
                return {
                    "type": "object",
                    "properties": {name: portable(value) for name, value in properties.items()},
                    "required": list(properties),
                    "additionalProperties": False,
                }
            case {"type": "array", "items": dict(items)}:
                return {"type": "array", "items": portable(items)}
            case _:
                return {"type": node["type"]}

    return portable(raw)


# --- Reading it --------------------------------------------------------------------------------


def read_answer(call: AICall, raw_text: str) -> ReadAnswer:
    """The output of `call`'s step in the model's complete answer.

    Only labels of `call.priors` count: for yield these are the selected priors, so that what is
    cited was selected. `loop` is what the model asks for; whether it may is the chart's guard.
    Raises AIError (AI_INVALID_OUTPUT) where the answer is blank, no JSON, or not the schema.
    """
    if is_blank(raw_text):
        raise _empty()
    supplied = {each.label: each.prior for each in call.priors}
    shape = _shape_of(call.step)
    if shape is None:
        return _read_text(call.step, raw_text, supplied)
    answer = _filled(shape, call.step, raw_text)
    match answer:
        case _Experience():
            used, dropped = _resolved(answer.used, supplied)
            return ReadAnswer(
                only_supplied(answer.synthesis, supplied.keys()),
                ExperienceOutput(
                    key_insights=tuple(answer.key_insights),
                    used=tuple(prior.message_id for prior in used.values()),
                ),
                dropped,
            )
        case _Intention():
            return _read_intention(answer, supplied)
        case _Observation():
            return ReadAnswer(
                answer.analysis,
                ObservationOutput(
                    patterns=tuple(answer.patterns),
                    gaps=tuple(answer.gaps),
                    confidence=answer.confidence,
                ),
                (),
            )
        case _Update():
            query = answer.next_query.strip()[:MAX_QUERY_LENGTH]
            return ReadAnswer(
                answer.reasoning,
                UpdateOutput(
                    reasoning=answer.reasoning,
                    loop=answer.loop,
                    next_query=(query or None) if answer.loop else None,
                    confidence=answer.confidence,
                    key_insights=tuple(answer.key_insights),
                ),
                (),
            )
        case _:
            raise AssertionError(f"no reading of {type(answer).__name__}")


def partial_text(step: StepEnum, raw_text: str) -> str:
    """What a person may read of an answer that is still being written.

    The text itself for action and yield, the first field as far as it goes for the others; empty
    while there is none. It grows with `raw_text`, unless the model writes the first key twice.
    """
    shape = _shape_of(step)
    if shape is None:
        return raw_text
    try:
        written = pydantic_core.from_json(
            whole_or_begun(raw_text), allow_partial="trailing-strings"
        )
    except ValueError:
        return ""
    first = next(iter(shape.model_fields))
    if isinstance(written, dict) and len(written) == 1 and first not in written:
        written = next(iter(written.values()))  # under the step's name
    text = written.get(first) if isinstance(written, dict) else None
    return text.lstrip() if isinstance(text, str) else ""


def _empty() -> AIError:
    return AIError("The model gave an empty answer.")


def _filled(shape: type[_Answer], step: StepEnum, raw_text: str) -> _Answer:
    """The first object in the text that fills `shape`. Raises AIError that says what is wrong."""
    problem = "it holds no JSON object that ends"
    refusal: ValidationError | None = None
    patience = Patience()
    for found in objects_in(raw_text, patience):
        for candidate in _unwrapped(found, patience):
            try:
                return shape.model_validate(candidate)
            except ValidationError as error:
                if refusal is None:
                    refusal, problem = error, _problem(error)
    raise AIError(
        f"The model's answer does not have the form that the {step} step needs: {problem}.",
        detail=problem,
    ) from refusal


def _problem(error: ValidationError) -> str:
    """What is wrong, by names of ours alone: nothing that the model wrote is in it."""
    wrong = [
        f"{'.'.join(map(str, each['loc']))} ({each['type'].replace('_', ' ')})"
        for each in error.errors(include_url=False, include_context=False)[:MAX_PROBLEMS]
    ]
    return ", ".join(wrong)


def _unwrapped(found: Object, patience: Patience) -> Iterator[Object]:
    """An object, and the one that it wraps: under the step's name, or as a tool's arguments."""
    yield found
    wrapped = list(found.values()) if len(found) == 1 else []
    if "name" in found:
        wrapped += [found[key] for key in _ARGUMENTS if key in found]
    for value in wrapped:
        match value:
            case dict() | [dict()]:
                yield value if isinstance(value, dict) else value[0]
            case str():
                yield from objects_in(value, patience)
            case _:
                pass


def _read_text(step: StepEnum, text: str, supplied: Mapping[str, Prior]) -> ReadAnswer:
    if step is StepEnum.ACTION:
        first, is_enough = unmarked(text)
        if is_blank(first):
            raise _empty()
        return ReadAnswer(only_supplied(first, supplied.keys()), ActionOutput(enough=is_enough), ())
    shown = only_supplied(text, supplied.keys())
    cited, _ = _resolved(_bracketed(shown), supplied)
    _, dropped = _resolved(_bracketed(text), supplied)
    citations = tuple(
        Citation(label=label, message_id=prior.message_id, thread_id=prior.thread_id)
        for label, prior in cited.items()
    )
    return ReadAnswer(shown, YieldOutput(citations=citations), dropped)


def _read_intention(answer: _Intention, supplied: Mapping[str, Prior]) -> ReadAnswer:
    reasons: dict[str, str] = {}
    for selected in answer.selected:
        reasons.setdefault(_normal(selected.label), selected.why.strip()[:MAX_ITEM])
    chosen, dropped = _resolved([each.label for each in answer.selected], supplied)
    return ReadAnswer(
        answer.explicit_intent,
        IntentionOutput(
            explicit_intent=answer.explicit_intent,
            implicit_intent=answer.implicit_intent,
            confidence=answer.confidence,
            selected_priors=tuple(
                SelectedPrior(message_id=prior.message_id, why=reasons[label])
                for label, prior in list(chosen.items())[:MAX_SELECTED]
            ),
        ),
        dropped,
    )


def _bracketed(text: str) -> Iterator[str]:
    """Labels in brackets, `[P1]` as well as `[P1, P2]`, in the order of the text."""
    for found in CITATION.finditer(text):
        yield from re.split(r"\s*[,;]\s*", found[1])


def _normal(label: str) -> str:
    """`P3` for `p3`, `[P3]` and ` P3 `."""
    return label.strip().strip("[]").strip().upper()


def _resolved(
    labels: Iterable[str], supplied: Mapping[str, Prior]
) -> tuple[dict[str, Prior], tuple[str, ...]]:
    """The supplied priors among `labels`, each once, in order; and the labels that are invented."""
    known: dict[str, Prior] = {}
    dropped: dict[str, None] = {}
    for label in labels:
        prior = supplied.get(_normal(label))
        if prior is None:
            dropped[label[:MAX_ITEM]] = None
        else:
            known[_normal(label)] = prior
    return known, tuple(dropped)

"""One answer of a model as it streams in: unchecked chunks of JSON become text and usage.

Every chunk is untrusted: what has another shape raises, and is mapped by `server.llm.errors`. A
stream that ends normally has not succeeded yet: success is `finish_reason == "stop"` behind all of
the text, and an answer that is not blank. Some endpoints name a reason in every chunk or in the first,
so a reason is the end only as long as no text follows it. No network and no SDK here:
`server.llm.openai` feeds it.
"""

from dataclasses import dataclass, field
from typing import Final

from machines.models.errors import AIError
from machines.models.outputs import StepEnum, Usage
from machines.prompting.answers import is_structured, partial_text
from server.llm.port import OnText
from server.llm.text import TextJoiner, whole_text

_PARTIAL_JSON_CHARACTERS: Final = 20_000
"""A longer structured answer streams no more: each delta reads it all again."""

_MODEL_CHARACTERS: Final = 200
"""Of the name that an endpoint gives to its model."""


@dataclass
class StreamedAnswer:
    """The answer as far as it has come: reads chunks, and passes on what users may read."""

    step: StepEnum
    on_text: OnText
    max_characters: int
    model: str | None = None
    finish_reason: str | None = None
    """Why the answer ended; None as long as text follows."""
    is_done: bool = False
    """Whether the endpoint said that nothing follows."""
    usage: Usage | None = None
    _model_told: str | None = None
    """The model as the endpoint names it in every chunk."""
    _told: list[str] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _joiner: TextJoiner = field(default_factory=TextJoiner)
    _reason_stands_alone: bool = False
    """Whether the reason came behind all of the text, in a chunk without text."""
    _reason_was_wrong: bool = False
    """Whether text followed a reason: the reasons of this stream say nothing by themselves."""
    _refused: bool = False
    _called_tools: bool = False

    def __post_init__(self) -> None:
        self._structured = is_structured(self.step)

    @property
    def told(self) -> str:
        """What `on_text` was given, joined."""
        return "".join(self._told)

    @property
    def is_over(self) -> bool:
        """Whether all of the answer has come: nothing behind it can spoil it.

        An end that may still turn out to be none, as in a chunk with text, is proved by `is_done` or
        by the end of the response.
        """
        return self.is_done or (self._reason_stands_alone and not self._reason_was_wrong)

    def take(self, chunk: object) -> None:
        """Read one chunk. Raises AIError where it is none, or the answer grows too long."""
        if not isinstance(chunk, dict):
            raise AIError("The model endpoint sent something that is no chunk of an answer.")
        if (model := chunk.get("model")) != self._model_told and isinstance(model, str) and model:
            self._model_told = model
            self.model = whole_text(model)[:_MODEL_CHARACTERS]
        if counted := chunk.get("usage"):
            self.usage = _usage(counted) or self.usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                self._take_choice(choice)

    def answer(self) -> str:
        """The whole answer, once. Raises AIError where the stream ended without a usable one."""
        self._take_text(self._joiner.rest())
        if self._refused:
            raise AIError("The model refused to answer.")
        if self._reason_was_wrong and not self.is_done:
            raise AIError("The model's answer broke off before its end.")
        match self.finish_reason:
            case "stop" if self._called_tools:
                raise AIError("The model asked for a tool in place of answering.")
            case "stop":
                return "".join(self._pieces)
            case None:
                raise AIError("The model's answer broke off before its end.")
            case "length":
                raise AIError("The model's answer was cut off at its length limit.")
            case "content_filter":
                raise AIError("The endpoint's content filter stopped the answer.")
            case "tool_calls" | "function_call":
                raise AIError("The model asked for a tool in place of answering.")
            case _:
                raise AIError("The model's answer ended for a reason that is not known.")

    def _take_choice(self, choice: dict[str, object]) -> None:
        delta, length = choice.get("delta"), self._length
        if isinstance(delta, dict):
            if delta.get("refusal"):
                self._refused = True
            if delta.get("tool_calls"):
                self._called_tools = True
            if content := delta.get("content"):
                if not isinstance(content, str):
                    raise AIError("The model endpoint sent content that is no text.")
                if self.finish_reason is not None:
                    self._reason_was_wrong = True
                    self.finish_reason = None
                    self._reason_stands_alone = False
                self._take_text(self._joiner.join(content))
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.finish_reason = reason
            self._reason_stands_alone = 0 < length == self._length

    def _take_text(self, text: str) -> None:
        if not text:
            return
        self._length += len(text)
        if self._length > self.max_characters:
            raise AIError(f"The model's answer is longer than {self.max_characters} characters.")
        self._pieces.append(text)
        if not self._structured:
            self._told.append(text)
            self.on_text(text)
        elif self._length <= _PARTIAL_JSON_CHARACTERS:
            readable = partial_text(self.step, "".join(self._pieces))
            told = self.told
            if readable.startswith(told):
                self._tell(readable[len(told) :])

    def _tell(self, text: str) -> None:
        if text:
            self._told.append(text)
            self.on_text(text)


def _usage(counted: object) -> Usage | None:
    """The endpoint's count; None unless the total is known, and zero is not known."""
    if not isinstance(counted, dict):
        return None

    def tokens(name: str) -> int | None:
        count = counted.get(name)
        return count if type(count) is int and count >= 0 else None

    total = tokens("total_tokens")
    if not total:
        return None
    return Usage(
        prompt_tokens=tokens("prompt_tokens"),
        completion_tokens=tokens("completion_tokens"),
        total_tokens=total,
    )

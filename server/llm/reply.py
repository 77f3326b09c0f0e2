"""One answer of a model as it streams in: chunks of JSON that nobody checked become text and usage.

Every chunk is untrusted: what has another shape raises, and is mapped by `server.llm.errors`. A
stream that ends normally has not succeeded yet: success is `finish_reason == "stop"` and an answer
that is not blank. No network and no SDK here: `server.llm.openai` feeds it.
"""

from dataclasses import dataclass, field
from typing import Final

from machines.models.errors import AIError
from machines.models.outputs import StepEnum, Usage
from machines.prompting.answers import is_structured, partial_text
from server.llm.port import OnText

_PARTIAL_JSON_CHARACTERS: Final = 20_000
"""A longer structured answer streams no more to people: each delta reads it all again."""

_MODEL_CHARACTERS: Final = 200
"""Of the name that an endpoint gives to its model."""


@dataclass
class StreamedAnswer:
    """The answer as far as it has come: reads chunks, and tells people what they may read."""

    step: StepEnum
    on_text: OnText
    max_characters: int
    model: str | None = None
    finish_reason: str | None = None
    is_over: bool = False
    """Whether all of the answer has come: nothing behind it can spoil it."""
    usage: Usage | None = None
    _model_told: str | None = None
    """The model as the endpoint names it in every chunk."""
    _told: list[str] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _refused: bool = False
    _called_tools: bool = False

    def __post_init__(self) -> None:
        self._structured = is_structured(self.step)

    @property
    def told(self) -> str:
        """What `on_text` was given, joined."""
        return "".join(self._told)

    def take(self, chunk: object) -> None:
        """Read one chunk. Raises AIError where it is none, or the answer grows too long."""
        if not isinstance(chunk, dict):
            raise AIError("The model endpoint sent something that is no chunk of an answer.")
        if (model := chunk.get("model")) != self._model_told and isinstance(model, str) and model:
            self._model_told = model
            self.model = _storable(model)[:_MODEL_CHARACTERS]
        if counted := chunk.get("usage"):
            self.usage = _usage(counted) or self.usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                self._take_choice(choice)

    def answer(self) -> str:
        """The whole answer. Raises AIError where the stream ended without a usable one."""
        if self._refused:
            raise AIError("The model refused to answer.")
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
        delta = choice.get("delta")
        if isinstance(delta, dict):
            if delta.get("refusal"):
                self._refused = True
            if delta.get("tool_calls"):
                self._called_tools = True
            if (content := delta.get("content")) and (text := _storable(content)):
                self._take_text(text)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.finish_reason = reason
            self.is_over = True

    def _take_text(self, text: str) -> None:
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


def _storable(content: object) -> str:
    """The text of a delta, without what neither UTF-8 nor every database can hold."""
    if not isinstance(content, str):
        raise AIError("The model endpoint sent content that is no text.")
    if content.isascii() and "\0" not in content:
        return content
    return content.replace("\0", "").encode(errors="ignore").decode()


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

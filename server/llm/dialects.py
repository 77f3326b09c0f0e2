"""Dialects: what a chunk or a body of any endpoint says, in our values.

Endpoints that call themselves compatible differ: in where text stands, in how they name the end, in
what they send besides. All of it is read here, before `server.llm.reply` judges it; what nothing is
known of raises AIError, so that no text is left out in silence. The endpoints that each form was seen
at are named beside its test. Pure functions.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from machines.models.errors import AIError
from machines.models.outputs import MOST_TOKENS, Usage


class Ending(Enum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    FILTER = "content_filter"
    TOOLS = "tool_calls"
    FAILED = "error"
    UNKNOWN = "unknown"


_ENDINGS: Final = {
    name: ending
    for ending, names in {
        Ending.STOP: ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "end"),
        Ending.LENGTH: (
            "length",
            "max_tokens",
            "max_length",
            "max_output_tokens",
            "model_length",
            "model_context_window_exceeded",
        ),
        Ending.FILTER: (
            *("content_filter", "safety", "recitation", "prohibited_content", "blocklist", "spii"),
            *("sensitive", "refusal"),
        ),
        Ending.FAILED: (
            *("error", "server_error", "network_error", "insufficient_system_resource"),
            *("abort", "cancelled"),
        ),
        Ending.TOOLS: ("tool_calls", "tool_call", "function_call", "tool_use"),
    }.items()
    for name in names
}
"""By the names that endpoints give them, in lower case."""

_TEXT_PARTS: Final = frozenset({"text", "output_text"})
_SILENT_PARTS: Final = frozenset({"reference"})
"""Parts of a content that hold no text."""

_THOUGHT_FIELDS: Final = ("reasoning_content", "reasoning")


class Piece(NamedTuple):
    """What one chunk adds to the answer."""

    text: str = ""
    thought: str = ""
    """Reasoning that stands in a field of its own."""
    ending: Ending | None = None
    """None while the endpoint names none."""
    arguments: str = ""
    """Of a tool that the model called."""
    calls_tool: bool = False
    refuses: bool = False
    is_whole: bool = False
    """Whether this is the answer itself, not a part of it."""


def choices_in(chunk: dict[str, object]) -> Iterator[tuple[object, dict[str, object]]]:
    """The choices of a chunk with their indexes; none where it is a ping, or counts tokens.

    Raises AIError where the chunk cannot be read.
    """
    choices = chunk.get("choices")
    if not choices:
        return
    if not isinstance(choices, list):
        raise _no_chunk()
    for choice in choices:
        if not isinstance(choice, dict):
            raise _no_chunk()
        index = choice.get("index")
        yield 0 if index is None else index, choice


def failure_in(chunk: dict[str, object]) -> object:
    """What a chunk or body of status 200 says of a failure; None where it says of none."""
    if error := chunk.get("error"):
        return error
    if chunk.get("choices"):
        return None
    match chunk:
        case {"object": "error"} | {"type": "error"} | {"detail": str() | list()}:
            return chunk
        case {"base_resp": {"status_code": int(status)}} if status != 0:
            return chunk
        case _:
            return None


def piece_of(choice: dict[str, object]) -> Piece:
    """What a choice says. Raises AIError where its content is no text."""
    delta, is_whole = choice.get("delta"), False
    if not isinstance(delta, dict):
        # Some repeat all of the answer beside the delta: the message counts where it stands alone.
        delta = choice.get("message")
        is_whole = isinstance(delta, dict)
    ending = _ending(choice.get("finish_reason"))
    if not isinstance(delta, dict):
        text = choice.get("text")
        return Piece(text=text if isinstance(text, str) else "", ending=ending)
    content = delta.get("content")
    if isinstance(content, str):
        text, thought = content, ""
    else:
        text, thought = _parts(content)
    if content is None or len(delta) > 1:  # most often there is a content and nothing else
        thought += next((_thought(delta[name]) for name in _THOUGHT_FIELDS if delta.get(name)), "")
    calls = delta.get("tool_calls") or delta.get("function_call")
    return Piece(
        text,
        thought,
        ending,
        arguments=_arguments(calls) if calls else "",
        calls_tool=bool(calls),
        refuses=bool(delta.get("refusal")),
        is_whole=is_whole,
    )


def usage_in(counted: object) -> Usage | None:
    """The endpoint's count; None unless the total is known. Zero is not, nor a number that no call costs."""
    if not isinstance(counted, dict):
        return None

    def tokens(name: str) -> int | None:
        count = counted.get(name)
        return count if type(count) is int and 0 <= count <= MOST_TOKENS else None

    total = tokens("total_tokens")
    if not total:
        return None
    return Usage(
        prompt_tokens=tokens("prompt_tokens"),
        completion_tokens=tokens("completion_tokens"),
        total_tokens=total,
    )


def counts_thoughts(counted: object) -> bool:
    """Whether the endpoint counted tokens of thoughts, which it may keep to itself."""
    match counted:
        case {"completion_tokens_details": {"reasoning_tokens": int(tokens)}}:
            return tokens > 0
        case _:
            return False


def _ending(reason: object) -> Ending | None:
    if not isinstance(reason, str) or not reason:
        return None
    return _ENDINGS.get(reason.lower(), Ending.UNKNOWN)


def _parts(content: object) -> tuple[str, str]:
    """(text, thought) of a content that is a list of parts, one part, or nothing."""
    match content:
        case None:
            return "", ""
        case str():
            return content, ""
        case {"type": str(kind)} if kind in _SILENT_PARTS:
            return "", ""
        case {"type": str(kind), "text": str(text)} if kind in _TEXT_PARTS:
            return text, ""
        case {"type": "thinking", "thinking": thought} | {"type": "reasoning", "text": thought}:
            return "", _thought(thought)
        case list():
            read = [_parts(part) for part in content]
            return "".join(text for text, _ in read), "".join(thought for _, thought in read)
        case _:
            raise AIError("The model endpoint sent content that is no text.")


def _thought(value: object) -> str:
    """Reasoning, as far as it is text; it is no part of the answer, so nothing is lost with it."""
    match value:
        case str():
            return value
        case {"text": str(text)} | {"content": str(text)}:
            return text
        case list():
            return "".join(map(_thought, value))
        case _:
            return ""


def _arguments(calls: object) -> str:
    """The arguments of the one tool that is called; empty where there are several."""
    match calls:
        case [{"function": {"arguments": str(arguments)}}] | {"arguments": str(arguments)}:
            return arguments
        case _:
            return ""


def _no_chunk() -> AIError:
    return AIError("The model endpoint sent something that is no chunk of an answer.")

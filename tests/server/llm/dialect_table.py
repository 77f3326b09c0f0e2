"""The dialects of endpoints: what each sends for the same answers, and where it was seen.

A row is the bytes of a response in the form of its source, with our words in it. Rows of `TEXTS` say
`TEXT`, rows of `OBJECTS` fill the update step with `UPDATE`, wherever the bytes are cut.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

TEXT: Final = "A plain answer \U0001f600 of some words."
UPDATE: Final[dict[str, Any]] = {
    "reasoning": "It is known\nwell enough.",
    "loop": False,
    "next_query": "",
    "confidence": 0.85,
    "key_insights": ["one"],
}


@dataclass(frozen=True)
class Dialect:
    """One form of an answer."""

    name: str
    source: str
    """Where the form was seen."""
    body: bytes
    is_stream: bool = True
    asked_twice: bool = False
    """Whether the first answer teaches how to read the ones after it."""


def _event(data: object, end: str = "\n\n", field: str = "data: ") -> bytes:
    said = data if isinstance(data, str) else json.dumps(data)
    return f"{field}{said}{end}".encode()


def _chunk(delta: object, finish: object = None, **more: object) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _words(text: str) -> list[str]:
    return [text[begin : begin + 7] for begin in range(0, len(text), 7)]


def _stream(chunks: Iterable[object], **form: str) -> bytes:
    return b"".join(_event(each, **form) for each in [*chunks, "[DONE]"])


def _deltas(text: str) -> list[dict[str, Any]]:
    return [_chunk({"content": word}) for word in _words(text)]


def _said(text: str, finish: object = "stop", before: Iterable[object] = ()) -> bytes:
    return _stream([*before, *_deltas(text), _chunk({}, finish)])


def _body(message: object, finish: object = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"object": "chat.completion", "model": "m", "choices": [choice]}


_WHOLE: Final = {"role": "assistant", "content": TEXT}
_TEXT_PART: Final = {"type": "text"}
_THOUGHT: Final = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}


REFERENCE: Final = "the API reference of platform.openai.com"
UNREPORTED: Final = "no public report"
"""A form that is taken since it means one thing only."""

TEXTS: Final = (
    Dialect("OpenAI", REFERENCE, _said(TEXT)),
    Dialect("no space behind data:", "karthink/gptel#592", _stream([*_deltas(TEXT), _chunk({}, "stop")], field="data:")),
    Dialect("one line feed an event", "Kilo-Org/kilocode#3083", _stream([*_deltas(TEXT), "null", _chunk({}, "stop")], end="\n")),
    Dialect("no blank line at the end", UNREPORTED, _said(TEXT).rstrip(b"\n")),
    Dialect("finish_reason eos", "openai/openai-dotnet#267", _said(TEXT, "eos")),
    Dialect("finish_reason eos_token", "spring-projects/spring-ai#4900", _said(TEXT, "eos_token")),
    Dialect("finish_reason end_turn", "aws-samples/bedrock-access-gateway#11", _said(TEXT, "end_turn")),
    Dialect("finish_reason STOP", "QwenLM/qwen-code#9884", _said(TEXT, "STOP")),
    Dialect("finish_reason empty until the end", "ollama/ollama#4357", _stream([*(_chunk({"content": word}, "") for word in _words(TEXT)), _chunk({}, "stop")])),
    Dialect("finish_reason null to the end", "open-learning-exchange/planet#10281", _said(TEXT, None), asked_twice=True),
    Dialect("stop in every chunk", "BerriAI/litellm#2195", _stream(_chunk({"content": word}, "stop") for word in _words(TEXT))),
    Dialect("stop in the first chunk too", UNREPORTED, _said(TEXT, before=[_chunk({"content": ""}, "stop")])),
    Dialect("stop in the last chunk of text", "BerriAI/litellm#2195", _stream([*_deltas(TEXT[:-7]), _chunk({"content": TEXT[-7:]}, "stop")])),
    Dialect("stop, and no [DONE]", "experientiallabs/experiential#962", b"".join(map(_event, [*_deltas(TEXT), _chunk({}, "stop")]))),
    Dialect("stop in the last chunk of text, and no [DONE]", "linagora/openrag#749", b"".join(map(_event, [*_deltas(TEXT[:-7]), _chunk({"content": TEXT[-7:]}, "stop")]))),
    Dialect("index 1 for the only choice", "BerriAI/litellm#3678", _stream([*(_chunk({"content": word}, index=1) for word in _words(TEXT)), _chunk({}, "stop", index=1)])),
    Dialect("index null", UNREPORTED, _stream([*(_chunk({"content": word}, index=None) for word in _words(TEXT)), _chunk({}, "stop")])),
    Dialect("choices null", "pydantic/pydantic-ai#5165", _said(TEXT, before=[{"choices": None}])),
    Dialect("delta null", "eneo-ai/eneo#126", _said(TEXT, before=[_chunk(None)])),
    Dialect("a chunk null", "Kilo-Org/kilocode#3083", _said(TEXT, before=["null"])),
    Dialect("comments as signs of life", "brainlid/langchain#569", b": OPENROUTER PROCESSING\n\n" + _said(TEXT)),
    Dialect("comments wrapped as data", "mnfst/llm-gateway#2053", _said(TEXT, before=[": OPENROUTER PROCESSING"])),
    Dialect("a ping that is an event", UNREPORTED, b"event: ping\n" + _event({"type": "ping"}) + _said(TEXT)),
    Dialect("content in parts", "vercel/ai#4821", _stream([*(_chunk({"content": [{**_TEXT_PART, "text": word}]}) for word in _words(TEXT)), _chunk({}, "stop")])),
    Dialect("thoughts in parts", "simonw/llm-mistral#39", _said(TEXT, before=[_chunk({"content": [_THOUGHT]})])),
    Dialect("reasoning_content", "vllm-project/vllm#12473", _said(TEXT, before=[_chunk({"reasoning_content": "Let me see.", "content": None})])),
    Dialect("reasoning_content alone", "openai-php/client#780", _said(TEXT, before=[_chunk({"reasoning_content": "Let me see."})])),
    Dialect("reasoning", "AnswerDotAI/fastllm#61", _said(TEXT, before=[_chunk({"content": "", "reasoning": "We", "reasoning_details": [{"type": "reasoning.text", "text": "We"}]})])),
    Dialect("thoughts in tags", "deepseek-ai/DeepSeek-R1#342", _said(f"<think>\nLet me <see>.\n</think>\n\n{TEXT}")),
    Dialect("thoughts in tags of another name", "vercel/ai#6715", _said(f"<thinking>Let me see.</thinking>\n{TEXT}")),
    Dialect("thoughts without their first tag", "ggml-org/llama.cpp#11861", _said(f"Let me see.\n</think>\n\n{TEXT}"), asked_twice=True),
    Dialect("a body in place of a stream", "tinyhumansai/tinyagents#56", json.dumps(_body(_WHOLE), indent=2).encode(), is_stream=False),
    Dialect("a body that is called a stream", "decolua/9router#3301", json.dumps(_body(_WHOLE)).encode()),
    Dialect("a body with the end of a stream", "decolua/9router#3492", json.dumps(_body(_WHOLE), indent=1).encode() + b"\n\n" + _event("[DONE]")),
    Dialect("a body without a reason", "QwenLM/qwen-code#9884", json.dumps(_body(_WHOLE, None)).encode(), is_stream=False),
    Dialect("a body in one event", "QwenLM/qwen-code#9884", _stream([_body(_WHOLE, "STOP")])),
)  # fmt: skip

_JSON: Final = json.dumps(UPDATE)
_PRETTY: Final = json.dumps(UPDATE, indent=2)
_CALL: Final = {"index": 0, "id": "c", "type": "function"}


def _called(*arguments: str) -> list[dict[str, Any]]:
    return [
        _chunk(
            {"tool_calls": [{**_CALL, "function": {"name": "chorus_update", "arguments": each}}]}
        )
        for each in arguments
    ]


OBJECTS: Final = (
    Dialect("an object", REFERENCE, _said(_JSON)),
    Dialect("in a fence", "lmstudio-ai/lmstudio-bug-tracker#2403", _said(f"```json\n{_PRETTY}\n```")),
    Dialect("in a fence within prose", UNREPORTED, _said(f"Here {{it}} is:\n\n```json\n{_PRETTY}\n```\nAnything else?")),
    Dialect("behind thoughts", "deepseek-ai/DeepSeek-R1#342", _said(f"<think>{{\"reasoning\": 1}}</think>\n{_JSON}")),
    Dialect("behind thoughts without their first tag", "ggml-org/llama.cpp#11861", _said(f"A draft: {_JSON.replace('known', 'unsure')}</think>\n{_JSON}")),
    Dialect("trailing commas", "bytedance/deer-flow#2371", _said(_PRETTY.replace('"one"', '"one",').replace("]\n}", "],\n}"))),
    Dialect("raw line feeds", UNREPORTED, _said(_JSON.replace("\\n", "\n"))),
    Dialect("a list of one", UNREPORTED, _said(f"[{_JSON}]")),
    Dialect("under the step's name", UNREPORTED, _said(json.dumps({"update": UPDATE}))),
    Dialect("confidence in per cent", UNREPORTED, _said(json.dumps({**UPDATE, "confidence": 85}))),
    Dialect("confidence with its sign", UNREPORTED, _said(json.dumps({**UPDATE, "confidence": "85 %"}))),
    Dialect("one item for a list", UNREPORTED, _said(json.dumps({**UPDATE, "key_insights": "one"}))),
    Dialect("the shape of a tool call", "huggingface/chat-ui#1229", _said(json.dumps({"name": "chorus_update", "arguments": UPDATE}))),
    Dialect("a tool call", "BerriAI/litellm#31466", _stream([*_called(*_words(_JSON)), _chunk({}, "tool_calls")])),
    Dialect("a body in place of a stream", "tinyhumansai/tinyagents#56", json.dumps(_body({"content": _JSON})).encode(), is_stream=False),
)  # fmt: skip

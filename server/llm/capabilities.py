"""What an endpoint can do for a model, learned from what it refuses.

Endpoints refuse what they do not know with different statuses, and say it in different words, or in
none. So a refusal that names a part of the request leads to a request without it, and one that names
nothing to requests that each leave out one part which this endpoint has never served. What is left out
is kept once the simpler request was served. A refused request costs no generation. Pure values: the
requests are sent by `server.llm.openai`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeVar, assert_never

from machines.models.effects import AICall
from machines.prompting.answers import schema_for

P = TypeVar("P")


class JsonMode(Enum):
    """How an endpoint is asked for JSON, best first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PROMPT = "prompt"
    """By the instruction alone, which describes the object in every mode."""


_MODES: Final = tuple(JsonMode)


class LimitName(Enum):
    """What the limit of an answer is called, newest first."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    MAX_TOKENS = "max_tokens"
    NONE = "none"
    """No limit is sent: the endpoint's own counts."""


_LIMIT_NAMES: Final = tuple(LimitName)

_REFUSALS: Final = frozenset({400, 404, 405, 415, 422, 500, 501})
"""Statuses with which endpoints were seen to refuse a part of a request."""

_OF_KEYS_AND_RATES: Final = frozenset({401, 402, 403, 429})

_OF_JSON: Final = re.compile(
    r"response[_ ]format|json[_ ](?:schema|object|mode)|response_schema|grammar|guided"
    r"|structured[_ ]output|additionalProperties",
    re.IGNORECASE,
)
_OF_USAGE: Final = re.compile(r"stream_options|include_usage", re.IGNORECASE)
_OF_LIMIT: Final = re.compile(r"max_(?:completion_|output_|new_)?tokens", re.IGNORECASE)
_OF_SYSTEM: Final = re.compile(
    r"system[\"'`]?[\s_-]+(?:role|message|prompt|instruction)|roles? must alternate"
    r"|developer instruction|role.{0,40}[\"'`]system[\"'`]|[\"'`]system[\"'`].{0,40}role"
    r"|(?:only|supports?) user and assistant roles",
    re.IGNORECASE | re.DOTALL,
)
_MOST_TOKENS: Final = re.compile(
    r"(?:less than or equal to|at most|<=|range of max_tokens is \[\d+,)\s*[`'\"]?(\d{1,9})"
)
"""How endpoints name the greatest limit that they take."""

_OF_CONTEXT: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|tokens_limit_reached|max_prompt_tokens_exceeded"
    r"|(?:maximum|model's) (?:context|prompt|model) length|context (?:the )?overflow"
    r"|exceeds? (?:the )?(?:available |maximum |model's )?context"
    r"|context (?:size|length|window|limit) (?:has been |was )?exceeded"
    r"|greater than the context length|(?:prompt|input)(?: \(.{1,40}\))? is too long"
    r"|(?:input|prompt) token count|input length \(?.{0,40}exceeds|less than max_seq_len"
    r"|tokens`? \+ `?max_new_tokens|`inputs` must have less than|too large for model with"
    r"|body too large for .{1,80} model|too many tokens",
    re.IGNORECASE | re.DOTALL,
)
"""A request that is too long for the model, as endpoints say it; the sources are beside the tests."""

_OF_ANOTHER_MATTER: Final = re.compile(
    r"too long|api[_ ]?key|quota|billing"
    r"|model[^.]{0,80}(?:not[_ ]found|not exist|unknown|no such)|model_not_found",
    re.IGNORECASE | re.DOTALL,
)
"""What no simpler request changes."""


@dataclass(frozen=True)
class Refusal:
    """A request that was not served."""

    status: int | None
    """None where it came in an answer of status 200 and names none."""
    words: str
    """All that the endpoint wrote of it, and the name of the parameter."""

    @property
    def may_be_about_the_form(self) -> bool:
        """Whether a request of another form may be served, as far as the status tells."""
        return (self.status is None or self.status in _REFUSALS) and not self.is_too_long

    @property
    def is_too_long(self) -> bool:
        """Whether the request is too long for the model, of which no other form is shorter."""
        return self.status not in _OF_KEYS_AND_RATES and (
            _OF_CONTEXT.search(self.words) is not None
        )

    @property
    def most_tokens(self) -> int | None:
        """The greatest limit of an answer that the endpoint takes, where it says so."""
        named = _OF_LIMIT.search(self.words) and _MOST_TOKENS.search(self.words)
        return int(named[1]) if named else None

    @property
    def is_lasting(self) -> bool:
        """Whether it is no failure that may pass, as far as the status tells."""
        return self.status is not None and self.status < 500

    @property
    def is_about_another_matter(self) -> bool:
        """Whether it names what no other form changes."""
        return _OF_ANOTHER_MATTER.search(self.words) is not None


@dataclass(frozen=True)
class Capabilities:
    """What a request may use."""

    json_mode: JsonMode = JsonMode.SCHEMA
    usage: bool = True
    """`stream_options`, which ask for the count of tokens."""
    system_role: bool = True
    """Otherwise the system text stands before the user's."""
    limit_name: LimitName = LimitName.MAX_COMPLETION_TOKENS
    most_tokens: int | None = None
    """The greatest limit that the endpoint takes, where it said so."""

    def without_named(self, refusal: Refusal, *, structured: bool) -> "Capabilities | None":
        """These without what `refusal` names; None where it names none of them."""
        if (
            structured
            and (modes := _simpler(self.json_mode, _MODES))
            and _OF_JSON.search(refusal.words)
        ):
            return replace(self, json_mode=modes[0])
        if self.usage and _OF_USAGE.search(refusal.words):
            return replace(self, usage=False)
        if self.system_role and _OF_SYSTEM.search(refusal.words):
            return replace(self, system_role=False)
        most = refusal.most_tokens
        if most and (self.most_tokens is None or most < self.most_tokens):
            return replace(self, most_tokens=most)
        if (names := _simpler(self.limit_name, _LIMIT_NAMES)) and _OF_LIMIT.search(refusal.words):
            return replace(self, limit_name=names[0])
        return None

    def simpler(self, served: "Served", *, structured: bool) -> Iterator["Capabilities"]:
        """These without one part that was never served, each in its turn; at last without any."""
        least, others = self, list[Capabilities]()
        if structured and self.json_mode not in served.json_modes:
            for mode in _simpler(self.json_mode, _MODES):
                least = replace(least, json_mode=mode)
                others.append(replace(self, json_mode=mode))
        if self.system_role and not served.system_role:
            least = replace(least, system_role=False)
            others.append(replace(self, system_role=False))
        if self.usage and not served.usage:
            least = replace(least, usage=False)
            others.append(replace(self, usage=False))
        if self.limit_name not in served.limit_names:
            for name in _simpler(self.limit_name, _LIMIT_NAMES):
                least = replace(least, limit_name=name)
                others.append(replace(self, limit_name=name))
        yield from others
        if least not in (self, *others):
            yield least

    def also_without(self, other: "Capabilities") -> "Capabilities":
        """What both have."""
        return Capabilities(
            max(self.json_mode, other.json_mode, key=_MODES.index),
            self.usage and other.usage,
            self.system_role and other.system_role,
            max(self.limit_name, other.limit_name, key=_LIMIT_NAMES.index),
            min(filter(None, (self.most_tokens, other.most_tokens)), default=None),
        )

    def __str__(self) -> str:
        """For the log."""
        parts = [f"JSON by {self.json_mode.value}"]
        parts.append("usage" if self.usage else "no usage")
        parts.append("a system role" if self.system_role else "no system role")
        if self.limit_name is LimitName.NONE:
            parts.append("no limit of length")
        else:
            most = f", {self.most_tokens} at most" if self.most_tokens else ""
            parts.append(f"length by {self.limit_name.value}{most}")
        return ", ".join(parts)


def _simpler(part: P, parts: tuple[P, ...]) -> tuple[P, ...]:
    """The parts that follow `part`, which ask less of an endpoint."""
    return parts[parts.index(part) + 1 :]


@dataclass(frozen=True)
class Served:
    """Parts of requests that the endpoint has served: refusals are not about them."""

    json_modes: frozenset[JsonMode] = frozenset()
    usage: bool = False
    system_role: bool = False
    limit_names: frozenset[LimitName] = frozenset()

    def also(self, capabilities: Capabilities, *, structured: bool) -> "Served":
        """With what a request of these capabilities used."""
        modes = {capabilities.json_mode} if structured else set[JsonMode]()
        return Served(
            self.json_modes | modes,
            self.usage or capabilities.usage,
            self.system_role or capabilities.system_role,
            self.limit_names | {capabilities.limit_name},
        )


def body_of(
    call: AICall, model: str, capabilities: Capabilities, *, thinks: bool = False
) -> dict[str, object]:
    """The request as the endpoint gets it; a model that `thinks` is given room for its thoughts."""
    messages = [message.model_dump() for message in call.messages]
    if not capabilities.system_role:
        texts = [message.content for message in call.messages]
        messages = [{"role": "user", "content": "\n\n".join(texts)}]
    body: dict[str, object] = {"model": model, "messages": messages, "stream": True}
    if capabilities.usage:
        body["stream_options"] = {"include_usage": True}
    if capabilities.limit_name is not LimitName.NONE:
        tokens = call.answer_tokens + (call.thought_tokens if thinks else 0)
        body[capabilities.limit_name.value] = min(tokens, capabilities.most_tokens or tokens)
    if (schema := schema_for(call.step)) is not None:
        match capabilities.json_mode:
            case JsonMode.SCHEMA:
                named = {"name": f"chorus_{call.step}", "strict": True, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            case JsonMode.OBJECT:
                body["response_format"] = {"type": "json_object"}
            case JsonMode.PROMPT:
                pass
            case mode:
                assert_never(mode)
    return body

"""OpenTelemetry's standard variables: whether spans are exported, and where.

They are checked here, so that a wrong one is one line before the server listens; most are read by
OpenTelemetry's own SDK. Spans are exported where an endpoint is named, or `OTEL_TRACES_EXPORTER=otlp`
asks for the endpoint on this machine. An empty variable is an unset one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from server.addresses import parts_of
from server.settings import MASK, InvalidSettings

PREFIX: Final = "OTEL_"
CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

LOCAL: Final = "http://localhost:4318"
"""The endpoint of a collector on this machine, as OpenTelemetry has it."""

_PATH: Final = "v1/traces"
_SAMPLERS: Final = frozenset(
    {
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    }
)
_CONTENT: Final = {
    "true": True,
    "span_only": True,
    "span_and_event": True,
    "false": False,
    "no_content": False,
    "event_only": False,
}


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How spans are exported."""

    endpoint: str
    """The address that traces are sent to."""
    content: bool = False
    """Whether spans hold texts."""
    delay_seconds: float = 5.0
    """That a span waits for others, at most."""
    batch: int = 512
    """Spans that are sent together, at most."""
    queue: int = 2048
    """Spans that may wait; the rest is dropped."""


def export_settings(
    variables: Mapping[str, str], *, base: str | None = None
) -> ExportSettings | None:
    """What the variables say; None where spans are not exported.

    Args:
        base: An endpoint that stands in place of theirs, as `OTEL_EXPORTER_OTLP_ENDPOINT` is written. Then
            nothing turns exporting off.

    Raises:
        InvalidSettings: names each variable that is wrong, and what it must be.
    """
    said = {name: text.strip() for name, text in variables.items() if name.startswith(PREFIX)}
    said = {name: text for name, text in said.items() if text}
    exporter = said.get("OTEL_TRACES_EXPORTER", "").lower()
    if base is None:
        named = ENDPOINT in said or TRACES_ENDPOINT in said or exporter == "otlp"
        off = said.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
        if off or not named:
            return None
    problems = [
        f"{name} {problem}"
        for name, check in _CHECKS.items()
        if name in said and (problem := check(said[name])) is not None
    ]
    if base is not None and (problem := _endpoint(base)) is not None:
        problems.append(f"--endpoint {problem}")
    delay, batch, queue = (
        _number_of(said, f"OTEL_BSP_{name}", default)
        for name, default in (
            ("SCHEDULE_DELAY", 5000),
            ("MAX_EXPORT_BATCH_SIZE", 512),
            ("MAX_QUEUE_SIZE", 2048),
        )
    )
    if problems:
        raise InvalidSettings(tuple(problems))
    return ExportSettings(
        endpoint=_traces_endpoint(said, base),
        content=_CONTENT.get(said.get(CAPTURE_CONTENT, "").lower(), False),
        delay_seconds=delay / 1000,
        batch=min(batch, queue),
        queue=queue,
    )


def shown_variables(variables: Mapping[str, str]) -> Iterator[str]:
    """One line for each of OpenTelemetry's variables that is set, for operators.

    What may hold a secret is masked: all but those that are known to hold none.
    """
    said = {name: text for name, text in variables.items() if name.startswith(PREFIX) and text}
    width = max(map(len, said), default=0)
    for name, text in sorted(said.items()):
        is_shown = name in _CHECKS and not name.endswith("HEADERS") and text.isprintable()
        if name in {ENDPOINT, TRACES_ENDPOINT}:
            is_shown = _endpoint(text) is None
        yield f"{name:<{width}}  {text if is_shown else MASK}"


def _traces_endpoint(said: Mapping[str, str], base: str | None) -> str:
    if base is None:
        if TRACES_ENDPOINT in said:
            return said[TRACES_ENDPOINT]
        base = said.get(ENDPOINT, LOCAL)
    return f"{base.rstrip('/')}/{_PATH}"


# --- What each of them must be -------------------------------------------------------------------

_Check = Callable[[str], str | None]
"""What is wrong with a value; its text goes on from the name of the variable."""


def _endpoint(text: str) -> str | None:
    parts = parts_of(text)
    if parts is None or parts.query or parts.fragment:
        return "must be an address such as http://127.0.0.1:4318"
    if parts.username is not None:
        return "must name no user; what lets it in belongs into OTEL_EXPORTER_OTLP_HEADERS"
    return None


def _one_of(*words: str) -> _Check:
    *rest, last = words
    sentence = f"must be {', '.join(rest)} or {last}" if rest else f"must be {last}"
    return lambda text: None if text.lower() in words else sentence


def _pairs(text: str) -> str | None:
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if pair.strip() and not (equals and name.strip() and unquote(value).isprintable()):
            return "must be names and values such as api-key=abc,tenant=def"
    return None


def _number(*, least: float, most: float, whole: bool = False) -> _Check:
    kind = "a whole number" if whole else "a number"

    def check(text: str) -> str | None:
        try:
            is_one = least <= (int(text) if whole else float(text)) <= most
        except ValueError:
            is_one = False
        return None if is_one else f"must be {kind} from {least:g} to {most:g}"

    return check


def _file(text: str) -> str | None:
    return None if Path(text).is_file() else "must be the path of a file"


def _number_of(said: Mapping[str, str], name: str, default: int) -> int:
    """A number that was checked; what is wrong with it is told elsewhere."""
    text = said.get(name)
    return default if text is None or _CHECKS[name](text) is not None else int(text)


_SIGNAL: Final = ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_")

_CHECKS: Final[Mapping[str, _Check]] = {
    **{f"{prefix}ENDPOINT": _endpoint for prefix in _SIGNAL},
    **{f"{prefix}PROTOCOL": _one_of("http/protobuf") for prefix in _SIGNAL},
    **{f"{prefix}HEADERS": _pairs for prefix in _SIGNAL},
    **{f"{prefix}TIMEOUT": _number(least=0.001, most=3_600) for prefix in _SIGNAL},
    **{f"{prefix}COMPRESSION": _one_of("none", "gzip", "deflate") for prefix in _SIGNAL},
    **{f"{prefix}CERTIFICATE": _file for prefix in _SIGNAL},
    **{f"{prefix}CLIENT_KEY": _file for prefix in _SIGNAL},
    **{f"{prefix}CLIENT_CERTIFICATE": _file for prefix in _SIGNAL},
    "OTEL_TRACES_EXPORTER": _one_of("otlp", "none"),
    "OTEL_SDK_DISABLED": _one_of("true", "false"),
    "OTEL_TRACES_SAMPLER": _one_of(*sorted(_SAMPLERS)),
    "OTEL_TRACES_SAMPLER_ARG": _number(least=0, most=1),
    "OTEL_SERVICE_NAME": lambda text: None if text.isprintable() else "must be printable text",
    "OTEL_RESOURCE_ATTRIBUTES": _pairs,
    **{
        f"OTEL_{prefix}ATTRIBUTE_VALUE_LENGTH_LIMIT": _number(least=1, most=10_000_000, whole=True)
        for prefix in ("", "SPAN_")
    },
    "OTEL_BSP_SCHEDULE_DELAY": _number(least=1, most=3_600_000, whole=True),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": _number(least=1, most=1_000_000, whole=True),
    "OTEL_BSP_MAX_QUEUE_SIZE": _number(least=1, most=1_000_000, whole=True),
    CAPTURE_CONTENT: _one_of(*_CONTENT),
}

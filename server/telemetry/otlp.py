"""Spans as OTLP: sent over HTTP, or as lines of JSON.

This module loads OpenTelemetry's SDK (some 50 ms and 7 MiB), so it is imported only where spans are
exported. The SDK reads the standard variables of the resource, the sampler, headers, timeouts,
compression and certificates, and sends. Spans are written into the protocol's messages here: they are
made of the journal, and to go through the SDK's own classes would take four times as long.

No value can cost a batch: a number that OTLP cannot hold is left out, text that is no UTF-8 or too long
is mended or cut, and what is more than a collector takes at once goes in several requests.
"""

import json
import logging
from base64 import b64decode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, SpanFlags, Status
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision

from server import __version__
from server.telemetry.span import Attributes, Span

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

_SERVICE: Final = "chorus"
_UNKNOWN_SERVICE: Final = "unknown_service"
_OWN_PARENT: Final = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
"""It is known whether the parent is another program's, and it is not."""
_HALF: Final = 64
_LOW: Final = (1 << _HALF) - 1
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})

LONGEST: Final = 262_144
"""Characters of a text, which `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` may narrow."""

MOST_BYTES: Final = 3 * 1024 * 1024
"""Of a request, but where one span alone has more: collectors take 4 MiB by default."""

_MOST: Final = (1 << 63) - 1
_LAST_MOMENT: Final = (1 << 64) - 1


class Otlp:
    """What spans become, as the variables of this process say."""

    def __init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        self._sampler = provider.sampler
        limits = SpanLimits()
        self._longest = min(LONGEST, limits.max_span_attribute_length or LONGEST)
        self._empty = ResourceSpans()
        """With the resource and the scope, and no span."""
        for name, value in _named(provider.resource).attributes.items():
            if isinstance(value, str | int | float):
                self._put(self._empty.resource.attributes, {name: value})
        scope = self._empty.scope_spans.add().scope
        scope.name, scope.version = _SERVICE, __version__

    def samples(self, trace_id: int) -> bool:
        """Whether a trace is exported; every server says the same of it.

        A ratio is taken of the lower half of an id. That of a UUID has bits which are always the same at
        its top, so the halves change places.
        """
        mixed = (trace_id & _LOW) << _HALF | trace_id >> _HALF
        result = self._sampler.should_sample(None, mixed, "")
        return result.decision is Decision.RECORD_AND_SAMPLE

    def request(self, spans: Sequence[Span]) -> ExportTraceServiceRequest:
        """What a collector is sent."""
        request = ExportTraceServiceRequest()
        request.resource_spans.append(self._empty)
        into = request.resource_spans[0].scope_spans[0].spans
        for span in spans:
            parent = span.parent_id
            message = into.add(
                trace_id=span.trace_id.to_bytes(16),
                span_id=span.span_id.to_bytes(8),
                parent_span_id=b"" if parent is None else parent.to_bytes(8),
                flags=_OWN_PARENT,
                name=_written(span.name, self._longest),
                kind=span.kind.value,
                start_time_unix_nano=_moment(span.start),
                end_time_unix_nano=_moment(span.end),
            )
            self._put(message.attributes, span.attributes)
            if span.failed:
                message.status.code = Status.STATUS_CODE_ERROR
            for event in span.events:
                told = message.events.add(name=event.name, time_unix_nano=_moment(event.at))
                self._put(told.attributes, event.attributes)
            for link in span.links:
                message.links.add(
                    trace_id=link.trace_id.to_bytes(16), span_id=link.span_id.to_bytes(8)
                )
        return request

    def json_line(self, span: Span) -> str:
        """A span as a line of OTLP's JSON: a request of its own, as collectors read files of them."""
        request = MessageToDict(self.request([span]), use_integers_for_enums=True)
        return json.dumps(_with_hex_ids(request), ensure_ascii=False, separators=(",", ":"))

    def _put(
        self, into: "RepeatedCompositeFieldContainer[KeyValue]", attributes: Attributes
    ) -> None:
        for name, value in attributes.items():
            if isinstance(value, int) and not -_MOST <= value <= _MOST:
                continue
            message = into.add(key=name).value
            if isinstance(value, str):
                message.string_value = _written(value, self._longest)
            elif isinstance(value, bool):
                message.bool_value = value
            elif isinstance(value, int):
                message.int_value = value
            elif isinstance(value, float):
                message.double_value = value
            else:
                message.array_value.SetInParent()
                for each in value:
                    message.array_value.values.add().string_value = _written(each, self._longest)


class _Exporter(OTLPSpanExporter):
    """The SDK's exporter, for what is encoded already."""

    def send(self, request: bytes) -> bool:
        """Whether the collector took it; tried again until the timeout."""
        return self._client.export(request).success


class OtlpSender:
    """Sends spans to a collector."""

    def __init__(self, endpoint: str) -> None:
        # The SDK tells of each failure, with what the collector said; who exports tells it once.
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self.otlp = Otlp()
        self._exporter = _Exporter(endpoint)

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether the collector took them. Blocks, and tries again, until the exporter's timeout."""
        request = self.otlp.request(spans).SerializeToString()
        if len(request) > MOST_BYTES and len(spans) > 1:
            half = len(spans) // 2
            return self.send(spans[:half]) and self.send(spans[half:])
        return self._exporter.send(request)

    def close(self) -> None:
        """Try no more, and let a `send` that waits for its next try return."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _named(resource: Resource) -> Resource:
    """With the service's version and name, where the variables give none."""
    named = Resource({SERVICE_VERSION: __version__}).merge(resource)
    if str(named.attributes.get(SERVICE_NAME, "")).startswith(_UNKNOWN_SERVICE):
        return named.merge(Resource({SERVICE_NAME: _SERVICE}))
    return named


def _written(text: str, longest: int) -> str:
    """As OTLP holds it: no more than so many characters, each of them one of UTF-8, and none that ends a
    text of C."""
    text = text[:longest].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _moment(nanoseconds: int) -> int:
    return min(max(nanoseconds, 0), _LAST_MOMENT)


def _with_hex_ids(value: Any) -> Any:
    """As OTLP's JSON has ids: in hex, where protobuf's has base64."""
    if isinstance(value, list):
        return [_with_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: b64decode(each).hex() if name in _IDS else _with_hex_ids(each)
        for name, each in value.items()
    }

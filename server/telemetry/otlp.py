"""Spans as OTLP: sent over HTTP, or as lines of JSON.

This module loads OpenTelemetry's SDK (some 50 ms and 9 MiB), so it is imported only where spans are
exported. The SDK reads the standard variables of the resource, the sampler, headers, timeouts,
compression and certificates; ids and times are those of the journal.
"""

import logging
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from server import __version__
from server.telemetry import span as ours

_SERVICE: Final = "chorus"
_UNKNOWN_SERVICE: Final = "unknown_service"
_KINDS: Final = {
    ours.SpanKind.INTERNAL: SpanKind.INTERNAL,
    ours.SpanKind.CLIENT: SpanKind.CLIENT,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_FINE: Final = Status(StatusCode.UNSET)
_FAILED: Final = Status(StatusCode.ERROR)
_HALF: Final = 64
_LOW: Final = (1 << _HALF) - 1


class Otlp:
    """What spans become, as the variables of this process say."""

    def __init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        self._sampler = provider.sampler
        self._resource = _named(provider.resource)
        self._scope = InstrumentationScope("chorus", __version__)

    def samples(self, trace_id: int) -> bool:
        """Whether a trace is exported; every server says the same of it.

        A ratio is taken of the lower half of an id. That of a UUID has bits which are always the same at
        its top, so the halves change places.
        """
        mixed = (trace_id & _LOW) << _HALF | trace_id >> _HALF
        result = self._sampler.should_sample(None, mixed, "")
        return result.decision is Decision.RECORD_AND_SAMPLE

    def json_line(self, span: ours.Span) -> str:
        """A span as a line of OTLP's JSON: a request of its own, as collectors read files of them."""
        return str(encode_spans([self.readable(span)]).to_json())

    def readable(self, span: ours.Span) -> ReadableSpan:
        """The same span in the SDK's class."""
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(span.trace_id, span.parent_id, is_remote=False)
        return ReadableSpan(
            span.name,
            SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
            parent,
            self._resource,
            span.attributes,
            tuple(Event(each.name, each.attributes, each.at) for each in span.events),
            tuple(
                Link(SpanContext(each.trace_id, each.span_id, is_remote=True))
                for each in span.links
            ),
            _KINDS[span.kind],
            status=_FAILED if span.failed else _FINE,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


class OtlpSender:
    """Sends spans to a collector."""

    def __init__(self, endpoint: str) -> None:
        # The SDK tells of each failure, with what the collector said; who exports tells it once.
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self.otlp = Otlp()
        self._exporter = OTLPSpanExporter(endpoint)

    def send(self, spans: Sequence[ours.Span]) -> bool:
        """Whether the collector took them. Blocks, and tries again, until the exporter's timeout."""
        readable = [self.otlp.readable(each) for each in spans]
        return self._exporter.export(readable) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Try no more, and let a `send` that waits for its next try return."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _named(resource: Resource) -> Resource:
    """With the service's version and name, where the variables give none."""
    named = Resource({SERVICE_VERSION: __version__}).merge(resource)
    if str(named.attributes.get(SERVICE_NAME, "")).startswith(_UNKNOWN_SERVICE):
        return named.merge(Resource({SERVICE_NAME: _SERVICE}))
    return named

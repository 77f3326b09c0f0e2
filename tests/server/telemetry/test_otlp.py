"""What the SDK makes of spans, as the variables say, and whatever they hold."""

import json
import math
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server.telemetry import otlp
from server.telemetry.otlp import LONGEST, Otlp, OtlpSender
from server.telemetry.span import Attribute, Span, SpanEvent, trace_id_of
from tests.support.collector import values

RUNS = 2_000


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_ratio_is_one_of_runs_whose_ids_are_uuids(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(share))
    dice = random.Random(7)
    ids = [str(UUID(int=dice.getrandbits(128), version=4)) for _ in range(RUNS)]
    here, there = Otlp(), Otlp()
    sampled = [here.samples(trace_id_of(each)) for each in ids]
    assert abs(sum(sampled) / RUNS - share) < 0.05
    assert sampled == [there.samples(trace_id_of(each)) for each in ids], "all servers say the same"


HOSTILE: dict[str, tuple[Attribute, object]] = {
    "none of the numbers": (math.nan, math.nan),
    "without end": (-math.inf, -math.inf),
    "the largest number": (2**63 - 1, 2**63 - 1),
    "too large a number": (2**63, None),
    "too small a number": (-(10**400), None),
    "half a character": ("a\ud800b", "a?b"),
    "both halves": ("\ud83d\ude00", "??"),
    "what ends a text of C": ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
    "an escape": ("\x1b[31m", "\x1b[31m"),
    "a long text": ("\N{SNOWMAN}" * (LONGEST + 1), "\N{SNOWMAN}" * LONGEST),
    "several": (("\udfff", "\0"), ("?", "\N{REPLACEMENT CHARACTER}")),
    "none of several": ((), ()),
    "yes": (True, True),
    "nothing": ("", ""),
}


def span(attributes: dict[str, Attribute], name: str = "chat", at: int = 5) -> Span:
    return Span(
        trace_id=1,
        span_id=2,
        name=name,
        start=at,
        end=at,
        attributes=attributes,
        events=(SpanEvent("e", at, attributes),),
    )


def test_every_value_becomes_what_otlp_holds_or_is_left_out() -> None:
    put = {name: value for name, (value, _) in HOSTILE.items()}
    right = {name: held for name, (_, held) in HOSTILE.items() if held is not None}
    here = Otlp()
    sent = here.request([span(put)]).SerializeToString()
    message = ExportTraceServiceRequest.FromString(sent).resource_spans[0].scope_spans[0].spans[0]
    for attributes in (message.attributes, message.events[0].attributes):
        assert repr(values(attributes)) == repr(right)
    assert json.loads(here.json_line(span(put)))


@pytest.mark.parametrize(("at", "told"), [(-1, 0), (2**64, 2**64 - 1)])
def test_a_moment_and_a_name_that_are_none_cost_no_span(at: int, told: int) -> None:
    request = Otlp().request([span({}, "chat \ud800\0", at)])
    (message,) = request.resource_spans[0].scope_spans[0].spans
    assert message.start_time_unix_nano == message.events[0].time_unix_nano == told
    assert message.name == "chat ?\N{REPLACEMENT CHARACTER}"


def test_texts_are_as_long_as_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    request = Otlp().request([span({"text": "river"})])
    (message,) = request.resource_spans[0].scope_spans[0].spans
    assert values(message.attributes) == {"text": "riv"}


def test_what_is_more_than_a_collector_takes_at_once_goes_in_several_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "MOST_BYTES", 10_000)
    sent: list[Sequence[str]] = []

    def took(_: object, request: bytes) -> bool:
        told = ExportTraceServiceRequest.FromString(request).resource_spans[0].scope_spans[0].spans
        sent.append([each.name for each in told])
        return True

    monkeypatch.setattr(otlp._Exporter, "send", took)
    spans = [span({"text": "x" * (2_000 if n < 9 else 20_000)}, str(n)) for n in range(10)]
    assert OtlpSender("http://127.0.0.1:9").send(spans)
    assert [name for some in sent for name in some] == [str(n) for n in range(10)]
    assert max(map(len, sent)) == 2

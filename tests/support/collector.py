"""A collector of OpenTelemetry: a real HTTP server that reads OTLP with the official classes.

async with collector() as collected:
    ...                                   # spans are sent to collected.url
    await eventually(lambda: collected.roots(), "a trace came")
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collected:
    """What came."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    """Attributes of each request's resource."""
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    """What is answered."""
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, nothing is answered."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something came."""

    def roots(self) -> list[Span]:
        """The spans without a parent."""
        return [each for each in self.spans if not each.parent_span_id]

    def once(self) -> "Collected":
        """What came, without what came again unchanged: as a server that takes up what a killed one may
        not have sent brings it."""
        distinct = {each.SerializeToString(deterministic=True): each for each in self.spans}
        return Collected(spans=list(distinct.values()))

    def problems(self) -> list[str]:
        """Where what came is not one whole trace for each root, with every span once."""
        count = Counter((each.trace_id, each.span_id) for each in self.spans)
        found = [f"a span came {times} times" for times in count.values() if times > 1]
        roots = Counter(each.trace_id for each in self.roots())
        found += [f"a trace has {times} roots" for times in roots.values() if times > 1]
        return found + [
            f"{each.name} has no parent"
            for each in self.spans
            if each.parent_span_id and (each.trace_id, each.parent_span_id) not in count
        ]

    async def take(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`."""
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.asked.set()
        await self.answers.wait()
        if self.status == 200:
            message = ExportTraceServiceRequest.FromString(await request.read())
            for resource in message.resource_spans:
                self.resources.append(values(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
        return web.Response(status=self.status)


@asynccontextmanager
async def collector() -> AsyncIterator[Collected]:
    """Takes what is sent to it, at once."""
    collected = Collected()
    collected.answers.set()
    app = web.Application()
    app.router.add_post("/v1/traces", collected.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collected.url = f"http://{host}:{port}"
    try:
        yield collected
    finally:
        collected.answers.set()
        await runner.cleanup()


def exports_to(patch: pytest.MonkeyPatch, url: str, **variables: str) -> None:
    """Let servers of this process export to a collector, soon."""
    patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    for name, value in variables.items():
        patch.setenv(name, value)


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {each.key: _value(each.value) for each in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    return None if kind is None else getattr(value, kind)

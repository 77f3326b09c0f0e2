"""All that exports spans while a server runs: what it is told, what it sends, and what it owes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from machines.models.errors import ChorusError
from server.environment import Environment
from server.metrics import Metrics
from server.telemetry.live import LiveTraces
from server.telemetry.refusals import LiveRefusals
from server.telemetry.sender import SpanSender
from server.telemetry.unsent import Unsent
from server.telemetry.variables import ExportSettings
from storage.journal.port import Journal
from storage.journal.reader import SnapshotReader

if TYPE_CHECKING:
    from server.telemetry.otlp import OtlpSender

FLUSH_SECONDS: Final = 3.0
"""How long the end of a server waits for its last spans to be sent."""


@dataclass(frozen=True, slots=True)
class Exporting:
    """What is to be told of what happens; `traces` and `unsent` are to be `run` too."""

    traces: LiveTraces
    refusals: LiveRefusals
    unsent: Unsent


def _sender_of(settings: ExportSettings) -> "OtlpSender":
    from server.telemetry.otlp import OtlpSender

    return OtlpSender(settings.endpoint)


@asynccontextmanager
async def exporting(
    settings: ExportSettings,
    journal: Journal,
    reading: AbstractAsyncContextManager[SnapshotReader],
    environment: Environment,
    metrics: Metrics,
    name: Callable[[], str],
) -> AsyncIterator[Exporting]:
    """Export what happens, until the context ends; then send the last of it.

    Args:
        reading: Reads of the same journal.
        name: Of this server, as the others know it now.
    """
    sending = await asyncio.to_thread(_sender_of, settings)
    sender = SpanSender(sending, settings, metrics)
    samples = sending.otlp.samples
    traces = LiveTraces(journal, sender.offer, samples, content=settings.content)
    async with reading as reader:
        unsent = Unsent(journal, reader, traces, sender, samples, name, content=settings.content)
        sender.start()
        try:
            yield Exporting(
                traces, LiveRefusals(sender.offer, samples, environment, metrics), unsent
            )
        finally:
            await asyncio.to_thread(sender.close, FLUSH_SECONDS)
            with suppress(ChorusError):
                await unsent.close()

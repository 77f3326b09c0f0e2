"""Traces of runs and approvals for OpenTelemetry, made of what the journal holds.

Spans are a pure function of journal entries (`run_spans`, `approval_spans`), so a run is one trace over
restarts and servers, and to export it twice gives the same spans. `live` is told of durable batches and
hands each trace over, whole, once its run has ended; `sender` and `otlp` bring it to a collector.

The only package that knows OpenTelemetry's libraries, and they are imported only where an exporter is
wanted. Nothing here decides, writes, or is waited for by a run.
"""

__all__ = [
    "approval_spans",
    "conventions",
    "live",
    "otlp",
    "run_spans",
    "sender",
    "span",
    "variables",
]

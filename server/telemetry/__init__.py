"""Traces of runs, of decisions and of refusals for OpenTelemetry, made of what the journal holds.

Spans are a pure function of journal entries (`run_spans`, `decision_spans`), so a run is one trace over
restarts and servers, and to export it twice gives the same spans; but `refusals`, which change nothing, are
in no journal. `live` is told of durable batches and hands each trace over, whole, once its run has ended;
`sender` and `otlp` bring it to a collector; `unsent` sends what a server that was killed had not, and
`exporting` is all of it.

The only package that knows OpenTelemetry's libraries, and they are imported only where an exporter is
wanted. Nothing here decides, writes, or is waited for by a run.
"""

__all__ = [
    "conventions",
    "decision_spans",
    "exporting",
    "live",
    "otlp",
    "refusals",
    "run_spans",
    "sender",
    "span",
    "unsent",
    "variables",
]

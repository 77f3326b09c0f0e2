"""What the server counts, as Prometheus reads it.

One `Metrics` for each server, with a registry of its own: nothing is global, so two servers in one
process (as in tests) count apart. Who counts calls a method named for what happened; names and
labels of series stand here alone. No label ever holds what a user chose: a label's values are few.
"""

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from machines.models.breaker import BreakerStatus
from machines.models.lease import LeaseStatus

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""Of what `Metrics.text` gives."""

_STEP_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCH_ENTRIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BREAKER_STATES: Final = (BreakerStatus.CLOSED, BreakerStatus.OPEN, BreakerStatus.HALF_OPEN)


class SpanOutcome(Enum):
    """What becomes of a span that is to be exported."""

    EXPORTED = "exported"
    FAILED = "failed"
    DROPPED = "dropped"


T = TypeVar("T")


class Metrics:
    """Counters of one server; cheap enough for the event loop (about 1 us a call)."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._connections = Gauge(
            "chorus_connections", "Websockets that are open.", registry=self._registry
        )
        self._frames_received = Counter(
            "chorus_frames_received", "Frames from clients, good and bad.", registry=self._registry
        )
        self._frames_sent = Counter(
            "chorus_frames_sent", "Frames that were given to the network.", registry=self._registry
        )
        self._bytes_sent = Counter(
            "chorus_bytes_sent", "Bytes of those frames.", registry=self._registry
        )
        self._outbox_bytes = Gauge(
            "chorus_outbox_bytes",
            "Bytes that wait for peers to read, in all connections.",
            registry=self._registry,
        )
        self._outboxes_given_up = Counter(
            "chorus_outboxes_given_up",
            "Connections closed with 4008, since too much waited in all of them together.",
            registry=self._registry,
        )
        self._errors = Counter(
            "chorus_errors", "Errors that clients were sent.", ["code"], registry=self._registry
        )
        self._runs = Counter(
            "chorus_runs", "Runs that ended, by final status.", ["status"], registry=self._registry
        )
        self._step_seconds = Histogram(
            "chorus_step_seconds",
            "Seconds from a step's start to its output.",
            ["step"],
            buckets=_STEP_SECONDS,
            registry=self._registry,
        )
        self._batch_entries = Histogram(
            "chorus_journal_commit_entries",
            "Entries that one durable commit holds; its count is the number of commits.",
            buckets=_BATCH_ENTRIES,
            registry=self._registry,
        )
        self._commits_lost = Counter(
            "chorus_commits_lost",
            "Times that the database was found to have lost commits, by this server or another.",
            registry=self._registry,
        )
        self._clients_ahead = Counter(
            "chorus_clients_ahead",
            "Times that a client remembered entries of a thread which the journal lacks.",
            registry=self._registry,
        )
        self._damaged_rows = Gauge(
            "chorus_damaged_rows",
            "Rows of the journal that this server found damaged and leaves out, since its start.",
            registry=self._registry,
        )
        self._lease_state = Gauge(
            "chorus_lease_state",
            "1 for the state of this server's lease, 0 for the others.",
            ["state"],
            registry=self._registry,
        )
        self._lease_seconds = Gauge(
            "chorus_lease_seconds",
            "Seconds until others may take this server for dead, unless it renews its lease.",
            registry=self._registry,
        )
        self._lease_renewals = Counter(
            "chorus_lease_renewals",
            "Times that the lease was granted or renewed.",
            registry=self._registry,
        )
        self._run_claims = Counter(
            "chorus_run_claims",
            "Looks for runs that no living server carries.",
            registry=self._registry,
        )
        self._runs_taken_over = Counter(
            "chorus_runs_taken_over",
            "Runs that this server took up, of servers that were gone or gave them back.",
            registry=self._registry,
        )
        self._runs_handed_over = Counter(
            "chorus_runs_handed_over",
            "Runs that this server gave back, at its end or since the database lost commits.",
            registry=self._registry,
        )
        self._batches_fenced = Counter(
            "chorus_batches_fenced",
            "Batches that were refused, since another server carries the run by now.",
            registry=self._registry,
        )
        self._background_defects = Counter(
            "chorus_background_defects",
            "Times that a background task ended by a defect, and was begun again or ended the server.",
            ["task"],
            registry=self._registry,
        )
        self._memory_lag = Gauge(
            "chorus_memory_lag_tasks",
            "Tasks that the searched memory is behind the journal.",
            registry=self._registry,
        )
        self._memory_away = Gauge(
            "chorus_memory_away",
            "1 while searches are refused, since the memory does not answer.",
            registry=self._registry,
        )
        self._breaker = Gauge(
            "chorus_breaker_state",
            "1 for the state of the model endpoint's breaker, 0 for the others.",
            ["state"],
            registry=self._registry,
        )
        self._spans = Counter(
            "chorus_spans",
            "Spans of traces: exported, failed (the collector did not take them), "
            "dropped (too many waited).",
            ["outcome"],
            registry=self._registry,
        )
        for outcome in SpanOutcome:
            self._spans.labels(outcome.value)
        self._recoveries = Counter(
            "chorus_run_recoveries",
            "Waits of runs before their next attempt, by the event that caused them; "
            "attempt_delayed is the breaker's.",
            ["cause"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "chorus_tokens",
            "Tokens that the model's endpoint reported.",
            ["kind"],
            registry=self._registry,
        )

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Ask `count` for the open websockets at each reading."""
        self._connections.set_function(count)

    def watch_outboxes(self, used: Callable[[], int]) -> None:
        """Ask `used` for the bytes that wait to be sent at each reading."""
        self._outbox_bytes.set_function(used)

    def outbox_given_up(self) -> None:
        """A connection was closed for the sake of all."""
        self._outboxes_given_up.inc()

    def watch_memory_lag(self, lag: Callable[[], int]) -> None:
        """Ask `lag` for the memory's waiting tasks at each reading."""
        self._memory_lag.set_function(lag)

    def watch_memory_away(self, away: Callable[[], bool]) -> None:
        """Ask whether the memory is away at each reading."""
        self._memory_away.set_function(away)

    def watch_breaker(self, status: Callable[[], BreakerStatus]) -> None:
        """Ask where the breaker stands at each reading; without a breaker, do not call it."""
        for state in _BREAKER_STATES:
            self._breaker.labels(state.value).set_function(partial(_is, status, state))

    def frame_received(self) -> None:
        """A client sent a frame."""
        self._frames_received.inc()

    def frames_written(self, frames: int, size: int) -> None:
        """So many frames of so many bytes went out; for `Flusher`."""
        self._frames_sent.inc(frames)
        self._bytes_sent.inc(size)

    def refused(self, code: str) -> None:
        """A client was sent an error with this code of PROTOCOL."""
        self._errors.labels(code).inc()

    def run_ended(self, status: str) -> None:
        """A run is finished, failed or cancelled."""
        self._runs.labels(status).inc()

    def run_recovers(self, cause: str) -> None:
        """A run waits for its next attempt, because of this event of its chart."""
        self._recoveries.labels(cause).inc()

    def step_completed(self, step: str, seconds: float) -> None:
        """A step has its output, so long after it started."""
        self._step_seconds.labels(step).observe(seconds)

    def committed(self, entries: int) -> None:
        """One durable commit held so many entries."""
        self._batch_entries.observe(entries)

    def client_ahead(self) -> None:
        """A client was shown entries, under this epoch, that the journal lacks."""
        self._clients_ahead.inc()

    def watch_damaged_rows(self, count: Callable[[], int]) -> None:
        """Ask `count` for the damaged rows that were met at each reading."""
        self._damaged_rows.set_function(count)

    def watch_lease(
        self, status: Callable[[], LeaseStatus], seconds_left: Callable[[], float]
    ) -> None:
        """Ask where the lease stands, and how long it runs, at each reading."""
        for state in LeaseStatus:
            self._lease_state.labels(state.value).set_function(partial(_is, status, state))
        self._lease_seconds.set_function(seconds_left)

    def lease_renewed(self) -> None:
        """The database granted the lease, or let it run on."""
        self._lease_renewals.inc()

    def runs_claimed(self, taken_over: int) -> None:
        """It was looked for runs that no living server carries, and so many were taken over."""
        self._run_claims.inc()
        self._runs_taken_over.inc(taken_over)

    def runs_handed_over(self, count: int) -> None:
        """So many runs were given back."""
        self._runs_handed_over.inc(count)

    def batch_fenced(self) -> None:
        """A batch advances a run that another server carries."""
        self._batches_fenced.inc()

    def background_defect(self, task: str) -> None:
        """A background task of this name ended by a defect."""
        self._background_defects.labels(task).inc()

    def commits_lost(self) -> None:
        """The database lost commits, and what was known of it is void."""
        self._commits_lost.inc()

    def tokens_used(self, prompt: int, completion: int) -> None:
        """What one call to the model cost; call it only where the endpoint said so."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    def spans(self, outcome: SpanOutcome, count: int) -> None:
        """What became of so many spans; from any thread."""
        self._spans.labels(outcome.value).inc(count)

    def text(self) -> bytes:
        """All series in Prometheus' text format, as `CONTENT_TYPE` names it."""
        return generate_latest(self._registry)


def _is(status: Callable[[], T], state: T) -> bool:
    return status() is state

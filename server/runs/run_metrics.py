"""What the journal's batches say of runs, counted for the operator."""

from datetime import datetime

from machines.models.effects import RunEffect
from machines.models.ids import ThreadId
from machines.models.journal import Batch, JournalEntry
from machines.models.outputs import Usage
from machines.models.wire.frames import ThreadEventKind
from server.metrics import Metrics

_ENDS = frozenset({"finished", "failed", "cancelled"})


class RunMetrics:
    """Is told of every durable batch by the thread service."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._started: dict[str, datetime] = {}
        """When the step under way began, by run."""

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        """Count what the batch's entries say."""
        del effects, thread_id
        self._metrics.committed(len(batch.entries))
        for entry in batch.entries:
            if entry.type == "chorus_response":
                self._count(entry)
            elif entry.kind == ThreadEventKind.BRANCH_READY:
                self._metrics.run_ended("finished")

    def _count(self, entry: JournalEntry) -> None:
        run_id = str(entry.data["run_id"])
        if entry.kind == "started":
            self._started.setdefault(run_id, entry.at)
        elif entry.kind == "completed":
            began = self._started.pop(run_id, entry.at)
            seconds = max((entry.at - began).total_seconds(), 0.0)
            self._metrics.step_completed(str(entry.data["step"]), seconds)
            self._count_tokens(entry.data.get("usage"))
        elif entry.kind == "recovering":
            for taken in entry.transitions:
                if taken.machine == "chorus":
                    self._metrics.run_recovers(taken.event)
        elif entry.kind in _ENDS:
            self._started.pop(run_id, None)
            self._metrics.run_ended(entry.kind)

    def _count_tokens(self, usage: object) -> None:
        if usage is None:
            return
        counted = Usage.model_validate(usage)
        self._metrics.tokens_used(counted.prompt_tokens or 0, counted.completion_tokens or 0)

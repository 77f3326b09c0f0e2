"""Random histories of the journal, held against a model of dictionaries.

A history is groups of batches; the batches of a group are committed at the same moment, in order.
The model decides one batch after the other. Whatever the groups were, the journal must give the same
acceptances, the same reads, nothing to verify, and all of it again after it was opened anew.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines.models.chorus import ChorusState, RunStatus
from machines.models.errors import JournalConflict
from machines.models.ids import MessageId, PublicKey, RequestId, RunId, ThreadId, thread_stream
from machines.models.journal import Batch, IndexMessage, JournalEntry, MemoryTask
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread
from storage.journal.port import Journal
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.empty_journal import put_empty_journal
from tests.support.journal_values import (
    ANN,
    BEN,
    CAY,
    at,
    batch,
    entry,
    finished,
    message,
    reply,
    run,
    run_entry,
    thread,
)

PEOPLE = (ANN, BEN, CAY)


@dataclass(frozen=True)
class Plan:
    """One batch to come, in terms that make sense at whatever state it meets."""

    thread: int
    action: str
    stale: bool
    request: int | None
    people: tuple[PublicKey, ...]


PLANS = st.builds(
    Plan,
    thread=st.integers(0, 2),
    action=st.sampled_from(["rename", "say", "ask", "decide", "run", "end", "note"]),
    stale=st.sampled_from([False, False, False, True]),
    request=st.one_of(st.none(), st.none(), st.integers(0, 5)),
    people=st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True).map(tuple),
)
HISTORIES = st.lists(st.lists(PLANS, min_size=1, max_size=5), min_size=1, max_size=8)


@dataclass
class Model:
    """What the journal must hold."""

    threads: dict[ThreadId, Thread] = field(default_factory=dict)
    changed: list[ThreadId] = field(default_factory=list)
    """The last changed last."""
    messages: dict[ThreadId, list[Message]] = field(default_factory=dict)
    approved_at: dict[MessageId, int] = field(default_factory=dict)
    runs: dict[RunId, ChorusState] = field(default_factory=dict)
    entries: dict[ThreadId, list[JournalEntry]] = field(default_factory=dict)
    replies: dict[RequestId, int] = field(default_factory=dict)
    tasks: list[tuple[int, MemoryTask]] = field(default_factory=list)

    def head(self, thread_id: ThreadId) -> int:
        return len(self.entries.get(thread_id, []))

    def decide(self, plan: Plan, now: float) -> tuple[Batch, bool]:
        """The batch of a plan, and whether it must be accepted; then it is part of the model."""
        base = thread(f"t{plan.thread}", *plan.people)
        id_ = base.id
        head = self.head(id_)
        stream = thread_stream(id_)
        values = self._changed_values(plan, base, now)
        drafts = [entry(stream, *values)]
        if values and isinstance(values[-1], ChorusState):
            drafts.append(run_entry(values[-1], "queued"))
        tasks = tuple(
            IndexMessage(thread_id=id_, message_id=value.id)
            for value in values
            if isinstance(value, Message) and value.status is MessageStatus.APPROVED
        )
        request = None if plan.request is None else RequestId(f"r{plan.request}")
        made = batch(head + 1 if plan.stale else head, *drafts, memory=tasks)
        if request is not None:
            made = made.model_copy(update={"reply": reply(request, base)})
        accepted = not plan.stale and request not in self.replies
        if accepted:
            self.entries.setdefault(id_, []).extend(made.entries)
            self._accept(values, head + 1)
            self.changed = [other for other in self.changed if other != id_] + [id_]
            self.tasks += [(head + len(drafts), task) for task in tasks]
            if request is not None:
                self.replies[request] = head + len(drafts)
        return made, accepted

    def _changed_values(
        self, plan: Plan, base: Thread, now: float
    ) -> list[Thread | Message | ChorusState]:
        before = self.threads.get(base.id)
        if before is None:
            return [base]
        said = self.messages.get(base.id, [])
        pending = [one for one in said if one.status is MessageStatus.PENDING]
        live = [
            one for one in self.runs.values() if one.thread_id == base.id and not one.status.final
        ]
        match plan.action:
            case "rename":
                return [before.transition_to(at(now), name=f"n{now}", co_authors=plan.people)]
            case "say" | "ask":
                status = MessageStatus.PENDING if plan.action == "ask" else MessageStatus.APPROVED
                one = message(before, len(said), status=status, author=plan.people[0])
                return [one, before.transition_to(at(now), message_count=len(said) + 1)]
            case "decide" if pending:
                return [pending[0].transition_to(at(now), status=MessageStatus.APPROVED)]
            case "run" if said:
                return [run(said[-1], len(self.runs))]
            case "end" if live:
                return [finished(live[0])]
            case _:
                return []

    def _accept(self, values: list[Thread | Message | ChorusState], seq: int) -> None:
        for value in values:
            match value:
                case Thread():
                    self.threads[value.id] = value
                case Message():
                    said = self.messages.setdefault(value.thread_id, [])
                    said[value.index : value.index + 1] = [value]
                    if value.status is MessageStatus.APPROVED:
                        self.approved_at.setdefault(value.id, seq)
                case ChorusState():
                    self.runs[value.id] = value


async def check(journal: Journal, model: Model) -> None:
    for id_, one in model.threads.items():
        found = await journal.snapshot(id_, limit=100, before_index=None)
        assert found is not None
        view, page = found
        said = model.messages.get(id_, [])
        assert (view.thread, view.head_seq) == (one, model.head(id_))
        assert list(page.messages) == said
        assert list(view.pending) == [m for m in said if m.status is MessageStatus.PENDING]
        assert list(view.runs) == [
            r for r in model.runs.values() if r.thread_id == id_ and r.status is RunStatus.QUEUED
        ]
        entries = await journal.entries(thread_stream(id_), after_seq=0, limit=1000)
        assert list(entries.entries) == model.entries[id_]
    for person in PEOPLE:
        listed = await journal.threads_of(person, after=None, limit=100)
        assert [row.thread.id for row in listed.rows] == [
            id_ for id_ in reversed(model.changed) if person in model.threads[id_].co_authors
        ]
    shared = await journal.private_threads_shared_by([ANN, BEN])
    assert shared == {one.id for one in model.threads.values() if {ANN, BEN} <= {*one.co_authors}}
    approved = {one.id: seq async for one, _, seq in journal.approved_messages()}
    assert approved == model.approved_at
    for request, seq in model.replies.items():
        remembered = await journal.reply(ANN, request)
        assert remembered is not None
        assert remembered.seq == seq
    tasks = await journal.queued_tasks(limit=1000)
    assert [(one.seq, one.task) for one in tasks] == model.tasks
    assert await journal.verify() == ()


async def live_through(history: list[list[Plan]], file: Path) -> None:
    journal = SqliteJournal(file)
    await journal.open()
    try:
        model = Model()
        clock = 0.0
        for group in history:
            decided = []
            for plan in group:
                clock += 1
                decided.append(model.decide(plan, clock))
            results = await asyncio.gather(
                *(journal.commit(made) for made, _ in decided), return_exceptions=True
            )
            for (_, accepted), result in zip(decided, results, strict=True):
                if accepted:
                    assert not isinstance(result, BaseException), result
                else:
                    assert isinstance(result, JournalConflict)
        await check(journal, model)
        assert await journal.repair() == ()
        await journal.close()
        await journal.open()
        await check(journal, model)
    finally:
        await journal.close()


@pytest.mark.unmeasured
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(HISTORIES)
def test_any_history_reads_as_its_model_and_verifies(history: list[list[Plan]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put_empty_journal(Path(folder))
        asyncio.run(live_through(history, Path(folder) / JOURNAL_FILE))

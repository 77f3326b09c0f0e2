"""What the machines did is counted once and exactly, whatever comes between, and asked for without a scan."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert, select, text

from machines.models.chorus import ChorusState, Health, RunStatus, StepCompleted
from machines.models.heat import (
    QUANTILE_ERROR,
    Heat,
    Refusals,
    bucket_of,
    middle_of,
    quantile,
)
from machines.models.ids import ThreadId, thread_stream
from machines.models.journal import ChorusFired, JournalEntry, MachineTransition
from machines.models.message import Message, MessageStatus
from machines.models.outputs import ActionOutput, StepEnum, Usage
from storage.journal.dialect import journal_url, reading_engine, scratch_engine
from storage.journal.heat_counting import count_entries, count_refusals, mark_of, recount
from storage.journal.heat_questions import heat, heat_of_journal
from storage.journal.rows import entry_row
from storage.journal.schema import METADATA, entries, heat_mark, heat_refusals, standing
from storage.journal.schema import heat as counts
from storage.journal.sqlite import JOURNAL_FILE
from tests.support.empty_journal import put_empty_journal
from tests.support.journal_values import NOW, at, entry, message, run, thread

STEPS = ("action", "experience", "intention", "yielding")
MILLISECOND = timedelta(milliseconds=1)


# --- A history, and what it comes to -------------------------------------------------------------


@dataclass
class Told:
    """What a period of the history holds, told without a bucket and without a sum."""

    edges: Counter[str] = field(default_factory=Counter)
    held: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    tokens: Counter[str] = field(default_factory=Counter)


@dataclass
class Moved:
    """One step of a value: what the oracle knows of it."""

    thread_id: ThreadId
    at: datetime
    edge: str
    left: dict[str, timedelta]
    step: str | None = None


class History:
    """Values of three threads that move at random, as entries and as what came of each."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._threads = [thread(name) for name in "abc"]
        self._now = NOW
        self._heads: Counter[ThreadId] = Counter()
        self._since: dict[str, dict[str, datetime]] = {}
        self._values: list[ChorusState | Message] = []
        self.moved: list[Moved] = []

    def entries(self, how_many: int) -> list[JournalEntry]:
        return [self._next() for _ in range(how_many)]

    def _next(self) -> JournalEntry:
        self._now += self._random.choice(
            [timedelta(0), MILLISECOND * self._random.randint(1, 10**5), timedelta(hours=7)]
        )
        if not self._values or self._random.random() < 0.3:
            return self._made()
        value = self._values.pop(self._random.randrange(len(self._values)))
        if isinstance(value, Message):
            after = value.transition_to(self._now, status=MessageStatus.APPROVED)
            return self._entry(after, "message", "edge_approve", frozenset())
        return self._advanced(value)

    def _made(self) -> JournalEntry:
        of = self._random.choice(self._threads)
        number = len(self.moved)
        asked = message(of, number, status=MessageStatus.PENDING)
        if self._random.random() < 0.4:
            self._values.append(asked)
            return self._entry(asked, "message", "edge_submit", frozenset({"pending"}))
        queued = run(asked)
        self._values.append(queued)
        return self._entry(queued, "chorus", "edge_queue", frozenset({"queued"}))

    def _advanced(self, value: ChorusState) -> JournalEntry:
        if value.status is RunStatus.RUNNING and self._random.random() < 0.2:
            over = value.transition_to(self._now, status=RunStatus.FINISHED)
            return self._entry(over, "chorus", "edge_finish", frozenset())
        step = self._random.choice(STEPS)
        health = self._random.choice(list(Health))
        after = value.transition_to(
            self._now,
            status=RunStatus.RUNNING,
            current_step=StepEnum("yield" if step == "yielding" else step),
            health=health,
        )
        self._values.append(after)
        states = frozenset({"running", step, health.value})
        return self._entry(after, "chorus", f"edge_{step}", states, completed=step == "action")

    def _entry(
        self,
        value: ChorusState | Message,
        machine: str,
        edge: str,
        states: frozenset[str],
        *,
        completed: bool = False,
    ) -> JournalEntry:
        since = self._since.get(value.id, {})
        left = {state: self._now - then for state, then in since.items() if state not in states}
        self._since[value.id] = {state: since.get(state, self._now) for state in states}
        self.moved.append(
            Moved(value.thread_id, self._now, edge, left, "action" if completed else None)
        )
        self._heads[value.thread_id] += 1
        taken = MachineTransition(
            machine=machine, instance=value.id, event="e", source="s", target="t", edge=edge
        )
        return entry(
            thread_stream(value.thread_id),
            value,
            at=self._now,
            seq=self._heads[value.thread_id],
            transitions=(taken,),
            fired=(self._completion(value),)
            if completed and isinstance(value, ChorusState)
            else (),
        )

    def _completion(self, value: ChorusState) -> ChorusFired:
        completed = StepCompleted(
            run_id=value.id,
            step=StepEnum.ACTION,
            iteration=1,
            attempt=1,
            at=self._now,
            text="",
            output=ActionOutput(),
            usage=Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10),
            model="m",
        )
        return ChorusFired(instance=value.id, event=completed)

    def told(
        self, thread_id: ThreadId | None, since: datetime | None, until: datetime | None
    ) -> Told:
        """What the oracle says of a period that begins and ends with whole hours."""
        told = Told()
        for each in self.moved:
            if thread_id not in {None, each.thread_id}:
                continue
            hour = each.at.replace(minute=0, second=0, microsecond=0)
            if (since is not None and hour < since) or (until is not None and hour >= until):
                continue
            told.edges[each.edge] += 1
            for state, length in each.left.items():
                told.held[state].append(length / MILLISECOND)
            if each.step:
                told.tokens[each.step] += 10
        return told


def assert_tells(found: Heat, told: Told) -> None:
    edges: Counter[str] = Counter()
    held: dict[str, tuple[int, float, float]] = {}
    tokens: Counter[str] = Counter()
    for machine in found.machines:
        edges.update(machine.edges)
        for state, times in machine.states.items():
            held[state] = (times.count, times.p50_ms, times.p95_ms)
        for step, sums in machine.steps.items():
            tokens[step] += sums.prompt_tokens + sums.completion_tokens
    assert edges == told.edges
    assert tokens == told.tokens
    assert held.keys() == told.held.keys()
    for state, (count, p50, p95) in held.items():
        right = sorted(told.held[state])
        assert count == len(right)
        for found_ms, share in ((p50, 50), (p95, 95)):
            assert found_ms == pytest.approx(ranked(right, share), rel=QUANTILE_ERROR, abs=0.001)


def ranked(times: Sequence[float], percent: int) -> float:
    """The time of the nearest rank, of times in order."""
    return times[max(1, -(-len(times) * percent // 100)) - 1]


@contextmanager
def empty() -> Iterator[Connection]:
    """A journal's tables in memory."""
    engine = scratch_engine()
    try:
        with engine.connect() as connection, connection.begin():
            tables = [entries, counts, standing, heat_mark, heat_refusals]
            METADATA.create_all(connection, tables=tables)
            yield connection
    finally:
        engine.dispose()


def put(connection: Connection, new: list[JournalEntry], *, first: int) -> None:
    rows = [{**entry_row(one), "position": first + n} for n, one in enumerate(new)]
    if rows:
        connection.execute(insert(entries), rows)


def kept(connection: Connection) -> list[list[tuple[object, ...]]]:
    return [
        [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
        for table in (counts, standing)
    ]


# --- Counting ------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10**6),
    groups=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["count", "roll back", "wait"])),
        min_size=1,
        max_size=6,
    ),
    period=st.tuples(st.none() | st.integers(-2, 200), st.none() | st.integers(-2, 200)),
    asked=st.sampled_from([None, "a", "b"]),
)
@settings(max_examples=25, deadline=None)
def test_whenever_it_is_counted_a_period_has_what_happened_in_it(
    seed: int,
    groups: list[tuple[int, str]],
    period: tuple[int | None, int | None],
    asked: str | None,
) -> None:
    history = History(seed)
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = (
        None if hours is None else midnight + timedelta(hours=hours) for hours in period
    )
    with empty() as connection, empty() as scratch:
        position = 1
        for how_many, then in groups:
            put(connection, history.entries(how_many), first=position)
            position += how_many
            if then == "count":
                count_entries(connection, NOW)
            elif then == "roll back":
                with connection.begin_nested() as savepoint:
                    count_entries(connection, NOW)
                    savepoint.rollback()
        thread_id = None if asked is None else thread(asked).id
        found = heat(connection, thread_id, since=since, until=until)
        assert_tells(found, history.told(thread_id, since, until))
        recount(connection, scratch)
        assert kept(scratch) == kept(connection)


def test_what_is_committed_late_is_counted_once_it_is_there() -> None:
    history = History(1)
    new = history.entries(8)
    with empty() as connection, empty() as scratch:
        put(connection, new[:3], first=1)
        put(connection, new[6:], first=7)
        assert not count_entries(connection, NOW)
        recount(connection, scratch)
        assert kept(scratch) == kept(connection)
        put(connection, new[3:6], first=4)
        every = heat(connection, None, since=None, until=None)
        assert sum(sum(machine.edges.values()) for machine in every.machines) == len(new)
        count_entries(connection, at(5))
        assert mark_of(connection) == (8, ())
        assert heat(connection, None, since=None, until=None) == every


def test_a_position_that_never_comes_is_given_up_after_an_hour() -> None:
    with empty() as connection:
        put(connection, History(2).entries(2), first=5)
        count_entries(connection, NOW)
        assert [each[:2] for each in mark_of(connection).missing] == [(1, 4)]
        count_entries(connection, at(3_599))
        assert mark_of(connection).missing
        count_entries(connection, at(3_600))
        assert mark_of(connection) == (6, ())


def test_a_damaged_entry_counts_as_nothing_and_hides_no_other() -> None:
    history = History(3)
    with empty() as connection:
        put(connection, history.entries(5), first=1)
        connection.execute(text("UPDATE entries SET body = body || ' ' WHERE position = 3"))
        count_entries(connection, NOW)
        found = heat(connection, None, since=None, until=None)
    assert sum(sum(machine.edges.values()) for machine in found.machines) == 4


@pytest.mark.parametrize("damaged", ["heat SET tally", "standing SET states"])
@pytest.mark.parametrize("how", ["{", "[]", '{"chorus":"x"}'])
def test_a_damaged_count_begins_anew_and_hides_no_other(damaged: str, how: str) -> None:
    history = History(4)
    with empty() as connection:
        put(connection, history.entries(30), first=1)
        count_entries(connection, NOW)
        connection.execute(text(f"UPDATE {damaged} = :how"), {"how": how})
        put(connection, history.entries(10), first=31)
        count_entries(connection, NOW)
        assert mark_of(connection).position == 40
        found = heat(connection, None, since=None, until=None)
    assert sum(sum(machine.edges.values()) for machine in found.machines) >= 10


def test_where_the_mark_is_damaged_all_is_counted_anew() -> None:
    with empty() as connection:
        put(connection, History(4).entries(30), first=1)
        count_entries(connection, NOW)
        counted = heat(connection, None, since=None, until=None)
        connection.execute(text("UPDATE heat_mark SET missing = '{'"))
        count_entries(connection, NOW)
        assert heat(connection, None, since=None, until=None) == counted


def test_what_is_not_counted_yet_is_counted_as_far_as_it_is_asked_for() -> None:
    with empty() as connection:
        put(connection, History(4).entries(30), first=1)
        found = heat(connection, None, since=None, until=None, most=10)
    assert sum(sum(machine.edges.values()) for machine in found.machines) == 10
    assert found.uncounted == 20


def test_refusals_add_up_in_their_thread_and_in_all() -> None:
    def seen(name: str, hours: int, guard: str, count: int) -> Refusals:
        return Refusals(
            thread_id=thread(name).id,
            hour=at(3_600 * hours),
            machine="message",
            event="vote",
            guard=guard,
            count=count,
        )

    with empty() as connection:
        count_refusals(connection, [seen("a", 0, "x", 1), seen("b", 0, "x", 2)])
        count_refusals(connection, [seen("a", 0, "x", 4), seen("a", 1, "y", 9)])

        def told(asked: ThreadId | None, until: datetime | None = None) -> dict[str, int]:
            (machine,) = heat(connection, asked, since=None, until=until).machines
            return {each.guard: each.count for each in machine.refused}

        assert told(None) == {"y": 9, "x": 7}
        assert told(thread("a").id) == {"y": 9, "x": 5}
        assert told(thread("a").id, until=at(0)) == {"x": 5}


# --- Histograms ----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=50), st.sampled_from([50, 95]))
def test_a_quantile_is_that_of_the_nearest_rank_within_its_error(
    times: list[int], percent: int
) -> None:
    right = ranked(sorted(times), percent)
    found = quantile(Counter(map(bucket_of, times)), percent / 100)
    assert abs(found - right) <= right * QUANTILE_ERROR


def test_buckets_follow_each_other_without_a_gap() -> None:
    buckets = [bucket_of(micros) for micros in range(5_000)]
    assert sorted(set(buckets)) == list(range(max(buckets) + 1))
    assert buckets == sorted(buckets)
    assert all(bucket_of(round(middle_of(bucket))) == bucket for bucket in set(buckets))
    assert bucket_of(-5) == 0


# --- What is asked of the database ---------------------------------------------------------------


def test_no_question_scans_the_entries_or_the_counts() -> None:
    asked: list[tuple[str, Any]] = []
    with empty() as connection:
        put(connection, History(5).entries(20), first=3)
        count_entries(connection, NOW)

        @event.listens_for(connection, "before_cursor_execute")
        def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
            asked.append((statement, parameters))

        for thread_id in (None, thread("a").id):
            heat(connection, thread_id, since=at(-9_999), until=at(99_999), most=100)
        event.remove(connection, "before_cursor_execute", note)
        assert asked
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            told = [row.detail for row in plan]
            # The mark is one row, and gaps are what the statement was given.
            scanned = [each for each in told if "SCAN" in each]
            assert not [each for each in scanned if each.split()[1] not in {"heat_mark", "gap"}], (
                told
            )


def test_a_thread_that_is_not_there_has_no_heat(tmp_path: Path) -> None:
    asyncio.run(asyncio.to_thread(put_empty_journal, tmp_path))
    engine = reading_engine(journal_url(tmp_path / JOURNAL_FILE), busy_timeout=5)
    with engine.connect() as connection:
        assert heat_of_journal(connection, thread().id, since=None, until=None) is None
        whole = heat_of_journal(connection, None, since=None, until=None)
        assert whole == Heat(since=None, until=None, machines=())
    engine.dispose()

"""What a question about the machines costs, by how many entries the journal has.

    python -m benchmarks.contestants.heat_journal sqlite|postgres ENTRIES

However many, they are of the same thirty days and the same ten threads: runs that go from queued by
their steps to finished, each step in its entry. They are put into the table as they are, counted as a
server counts them, and then asked about: the last week of all threads, and of one. What counts is the
median of the answers, and of PostgreSQL the pages that it reads for one too, which do not depend on what
else the machine does; beside it stands what counting an entry cost.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, insert

from benchmarks.measure import tell
from machines.models.chorus import ChorusState, Health, RunStatus
from machines.models.ids import ThreadId, thread_stream
from machines.models.journal import JournalEntry, MachineTransition
from machines.models.outputs import StepEnum
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.heat_counting import count_entries
from storage.journal.heat_questions import heat
from storage.journal.postgres import engines, whole_tables
from storage.journal.postgres.address import PostgresAddress
from storage.journal.rows import entry_digest, entry_row, micros
from storage.journal.schema import entries
from storage.journal.sqlite import JOURNAL_FILE, migrate
from tests.support.journal_values import NOW, entry, message, run, thread
from tests.support.postgres import cluster

ASKED: Final = 60
WARM: Final = 5
"""Questions that do not count."""

THREADS: Final = 10
PERIOD: Final = timedelta(days=30)
_GROUP: Final = 5_000
"""Rows that are put at once."""

_WAY: Final = ("queued", *(step.value for step in StepEnum), "finished")
"""Of every run."""


def main(kind: str, size: int) -> None:
    """Fill a journal, count it, ask, and tell."""
    with _store(kind) as engine:
        with engine.connect() as connection:
            for rows in _groups(_rows(size)):
                with connection.begin():
                    _put(connection, rows)
            began = time.process_time()
            may_be_more = True
            while may_be_more:
                with connection.begin():
                    may_be_more = count_entries(connection, NOW)
            counting = time.process_time() - began
        with engine.connect() as connection:
            if kind == "postgres":
                connection.exec_driver_sql("ANALYZE")
            every, one = (_median_of(connection, asked) for asked in (None, thread("0").id))
            pages = {"pages": _pages_of(connection, None)} if kind == "postgres" else {}
    tell(every=every * 1_000, one=one * 1_000, counting=counting / size * 1_000_000, **pages)


def _ask(connection: Connection, thread_id: ThreadId | None) -> None:
    """A question about the last week."""
    until = NOW + PERIOD
    found = heat(connection, thread_id, since=until - timedelta(days=7), until=until)
    assert found.machines
    assert not found.uncounted


def _median_of(connection: Connection, thread_id: ThreadId | None) -> float:
    """Seconds of a question."""
    spent: list[float] = []
    for _ in range(WARM + ASKED):
        began = time.perf_counter()
        _ask(connection, thread_id)
        spent.append(time.perf_counter() - began)
    return median(spent[WARM:])


def _pages_of(connection: Connection, thread_id: ThreadId | None) -> int:
    """Pages that PostgreSQL reads for a question, by its own account."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    _ask(connection, thread_id)
    event.remove(connection, "before_cursor_execute", note)
    pages = 0
    for statement, parameters in asked:
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        (told,) = connection.exec_driver_sql(explained, parameters).scalar_one()
        pages += told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"]
    return pages


@contextmanager
def _store(kind: str) -> Iterator[Engine]:
    if kind == "postgres":
        with cluster(durable=False) as running:
            yield engines.writing_engine(PostgresAddress.parse(running.database(migrated=True)))
        return
    with tempfile.TemporaryDirectory(prefix="chorus-heat-") as name:
        file = Path(name) / JOURNAL_FILE
        migrate(file, lambda: "heat")
        engine = writing_engine(journal_url(file), busy_timeout=5)
        yield engine
        engine.dispose()


def _put(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if connection.dialect.name == "postgresql":
        names = [column.name for column in entries.columns]
        whole_tables.insert(connection, entries, ([row[name] for name in names] for row in rows))
    else:
        connection.execute(insert(entries), rows)


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := list(islice(rows, _GROUP)):
        yield group


def _rows(size: int) -> Iterator[dict[str, Any]]:
    """Rows of entries, in order: runs one after the other, thread by thread, spread over the period."""
    way = [entry_row(each) for each in _way()]
    then, run_id = NOW.isoformat().replace("+00:00", "Z"), str(_RUN.id)
    for position in range(1, size + 1):
        number, place = divmod(position - 1, len(way))
        stream, seq = (
            thread_stream(thread(str(number % THREADS)).id),
            number // THREADS * len(way) + place + 1,
        )
        at = NOW + PERIOD * (position / size)
        body: str = way[place]["body"].replace(run_id, f"{number:036d}")
        body = body.replace(then, at.isoformat().replace("+00:00", "Z"), 1)
        yield {
            **way[place],
            "position": position,
            "stream": stream,
            "seq": seq,
            "at": micros(at),
            "run_id": None,
            "body": body,
            "digest": entry_digest(stream, seq, body),
        }


_RUN: Final[ChorusState] = run(message(thread("0"), 0))


def _way() -> Iterator[JournalEntry]:
    """The entries of one run."""
    value = _RUN
    for place, state in enumerate(_WAY):
        if place:
            value = value.transition_to(NOW, **_fields(state))
        taken = MachineTransition(
            machine="chorus",
            instance=value.id,
            event="step_completed",
            source=_WAY[place - 1],
            target=state,
            edge=f"edge_chorus_to_{state}",
        )
        yield entry(thread_stream(value.thread_id), value, at=NOW, transitions=(taken,))


def _fields(state: str) -> dict[str, object]:
    if state == "finished":
        return {"status": RunStatus.FINISHED}
    return {
        "status": RunStatus.RUNNING,
        "current_step": StepEnum(state),
        "health": Health.STABLE,
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""Runs as the journal holds them: each is a row, and what it gathered stands in its entries.

Reads only. A run's messages, steps and priors are large and come once, so its row leaves them out: an
entry holds what its transition added, and a run is put together of all of them. A run has a few dozen
entries, which an index brings in their order.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json
from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy import true as sql_true

from machines.models.chorus import ChorusState, ContextMessage, StepRecord
from machines.models.ids import RunId, ThreadId
from machines.models.outputs import Prior
from storage.journal.rows import check_digest
from storage.journal.schema import entries, runs

_ROWS = select(runs.c.id, runs.c.body)
_ENTRIES = select(
    entries.c.run_id, entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest
)

_RUN = _ROWS.where(runs.c.id == bindparam("of_run"))
_ENTRIES_OF_RUN = _ENTRIES.where(entries.c.run_id == bindparam("of_run")).order_by(
    entries.c.position
)

_LIVE = _ROWS.where(runs.c.live.is_(sql_true())).order_by(
    runs.c.thread_id, runs.c.created_seq, runs.c.id
)
_IN_THREAD = runs.c.thread_id == bindparam("of_thread")
_LIVE_OF_THREAD = _LIVE.where(_IN_THREAD)
_LIVE_ENTRIES_OF_THREAD = (
    _ENTRIES.join(runs, runs.c.id == entries.c.run_id)
    .where(runs.c.live.is_(sql_true()))
    .where(_IN_THREAD)
    .order_by(runs.c.thread_id, runs.c.created_seq, runs.c.id, entries.c.position)
)


def run(connection: Connection, run_id: RunId) -> ChorusState | None:
    """A run, final or not."""
    return next(_runs(connection, _RUN, _ENTRIES_OF_RUN, {"of_run": run_id}), None)


def live_runs(connection: Connection) -> tuple[ChorusState, ...]:
    """The runs of all threads that are not final, those of one thread in the order of requests;
    without what they gathered."""
    rows = connection.execute(_LIVE)
    return tuple(ChorusState.model_validate_json(row.body) for row in rows)


def live_runs_of(connection: Connection, thread_id: ThreadId) -> tuple[ChorusState, ...]:
    """The runs of a thread that are not final, in the order of their requests."""
    key = {"of_thread": thread_id}
    return tuple(_runs(connection, _LIVE_OF_THREAD, _LIVE_ENTRIES_OF_THREAD, key))


def _runs(
    connection: Connection, rows: Select[Any], of_rows: Select[Any], key: Mapping[str, object]
) -> Iterator[ChorusState]:
    """Each run of `rows` with its entries of `of_rows`, which come in the same order."""
    found = connection.execute(rows, key).all()
    if not found:
        return
    grouped = groupby(connection.execute(of_rows, key), lambda entry: entry.run_id)
    told = next(grouped, None)
    for row in found:
        bodies: Iterable[str] = ()
        if told is not None and told[0] == row.id:
            bodies = [check_digest(each) for each in told[1]]
            told = next(grouped, None)
        yield _whole(row.id, row.body, bodies)


_MESSAGES: Final = TypeAdapter(tuple[ContextMessage, ...], config={"defer_build": True})
_STEPS: Final = TypeAdapter(tuple[StepRecord, ...], config={"defer_build": True})
_PRIORS: Final = TypeAdapter(tuple[Prior, ...], config={"defer_build": True})


def _whole(run_id: str, body: str, bodies: Iterable[str]) -> ChorusState:
    """A run with what its entries say that it gathered, each thing once.

    Entries of before revision 0003 hold all that the run had, each time.

    Raises:
        ValueError: the entries do not tell of every version of the run.
    """
    messages: list[object] = []
    steps: dict[tuple[int, str], object] = {}
    priors: dict[str, object] = {}
    version = 0
    for entry in map(from_json, bodies):
        for fired in entry["fired"]:
            if fired["instance"] == run_id:
                messages = fired["event"].get("messages") or messages
        for change in entry["changes"]:
            if (change["kind"], change["id"]) == ("run", run_id):
                if change["version"] != version + 1:
                    raise ValueError(f"run {run_id} lacks its version {version + 1}")
                version = change["version"]
                for step in change["value"]["steps"]:
                    steps.setdefault((step["iteration"], step["step"]), step)
                for prior in change["value"]["priors"]:
                    priors.setdefault(prior["message_id"], prior)
    run = ChorusState.model_validate_json(body)
    if version != run.version:
        raise ValueError(f"run {run_id} lacks its version {run.version}")
    return run.model_copy(
        update={
            "messages": _MESSAGES.validate_python(messages),
            "steps": _STEPS.validate_python(tuple(steps.values())),
            "priors": _PRIORS.validate_python(tuple(priors.values())),
        }
    )

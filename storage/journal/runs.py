"""Runs as the journal holds them: how far one is says its row, what it gathered say its entries.

Reads only. A run's texts are large and come once: its prompt and the messages that it reads are those of
its thread, and its steps and priors stand in the events that brought them. So a run is put together of
all its entries; it has a few dozen, which an index brings in their order.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from pydantic_core import from_json
from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy import true as sql_true

from machines.models.chorus import ChorusState, RunProgress
from machines.models.ids import RunId, StreamId, ThreadId
from storage.journal.bodies import query_of
from storage.journal.damage import UNREADABLE, all_rows, note_damage, values_of
from storage.journal.dialect import chunks
from storage.journal.entries import learn_made, messages_of
from storage.journal.kept import prompt_of, runs_kept, whole_prefix
from storage.journal.rows import stored_of_row
from storage.journal.schema import entries, runs
from storage.journal.sources import Sources, Stored, added_priors, run_event_of

T = TypeVar("T")

_ROWS = select(runs.c.id, runs.c.body)
_ENTRIES = select(
    entries.c.run_id, entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest
)

_RUN = _ROWS.where(runs.c.id == bindparam("of_run"))
_ENTRIES_OF_RUN = _ENTRIES.where(entries.c.run_id == bindparam("of_run")).order_by(
    entries.c.position
)

_NEWEST_OF_RUN = (
    select(entries.c.body)
    .where(entries.c.run_id == bindparam("of_run"))
    .order_by(entries.c.position.desc())
    .limit(8)
)
"""A transition makes a few entries, of which the first has the fingerprint."""

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

_ENTRIES_UP_TO = (
    _ENTRIES.where(entries.c.run_id.in_(bindparam("ids", expanding=True)))
    .where(entries.c.stream == bindparam("of_stream"), entries.c.seq <= bindparam("up_to"))
    .order_by(entries.c.run_id, entries.c.position)
)


def run(connection: Connection, run_id: RunId) -> ChorusState | None:
    """A run, final or not."""
    return next(_runs(connection, _RUN, _ENTRIES_OF_RUN, {"of_run": run_id}), None)


def live_runs(connection: Connection) -> tuple[RunProgress, ...]:
    """The runs of all threads that are not final, those of one thread in the order of requests."""
    return values_of(connection, runs, RunProgress, _LIVE, {})


def live_runs_of(
    connection: Connection, thread_id: ThreadId, *, strict: bool = True
) -> tuple[ChorusState, ...]:
    """The runs of a thread that are not final, in the order of their requests.

    Args:
        strict: As `values_of` has it.
    """
    key = {"of_thread": thread_id}
    found = _runs(connection, _LIVE_OF_THREAD, _LIVE_ENTRIES_OF_THREAD, key, strict=strict)
    return tuple(found)


def runs_after(
    connection: Connection, stream: StreamId, seq: int, rows: Mapping[str, Stored]
) -> Iterator[ChorusState]:
    """Runs of a thread as they were after an entry.

    Args:
        rows: by id, how far each was then.
    """
    for ids in chunks(rows):
        key = {"ids": ids, "of_stream": stream, "up_to": seq}
        told = connection.execute(_ENTRIES_UP_TO, key).mappings().all()
        entries_of = {id_: tuple(some) for id_, some in groupby(told, lambda row: row["run_id"])}
        found = [_taken(_Gathered(id_, rows[id_]), entries_of.get(id_, ())) for id_ in ids]
        sources = _sources_of(connection, found)
        yield from (each.whole(sources) for each in found)


def charts_of(connection: Connection, run_ids: Collection[RunId]) -> dict[RunId, str]:
    """Of each run: the fingerprints of the charts that accepted the newest entry which has any."""
    found: dict[RunId, str] = {}
    for run_id in run_ids:
        bodies = connection.scalars(_NEWEST_OF_RUN, {"of_run": run_id})
        found[run_id] = next(filter(None, map(charts_in, bodies)), "")
    return found


def charts_in(body: str) -> str:
    """The fingerprints that an entry names; none where it is damaged, as `verify` says."""
    try:
        return str(from_json(body).get("fingerprint", ""))
    except (ValueError, AttributeError):
        return ""


def _runs(
    connection: Connection,
    rows: Select[Any],
    of_rows: Select[Any],
    key: Mapping[str, object],
    *,
    strict: bool = True,
) -> Iterator[ChorusState]:
    """Each run of `rows` with its entries of `of_rows`, which come in the same order."""
    found = connection.execute(rows, key).all() if strict else all_rows(connection, rows, key)
    if not found:
        return
    told = connection.execute(of_rows, key).mappings().all()
    entries_of = {id_: tuple(some) for id_, some in groupby(told, lambda row: row["run_id"])}
    gathered = _each(
        connection,
        {row.id: partial(_gathered, row, entries_of.get(row.id, ())) for row in found},
        strict=strict,
    )
    sources = _sources_of(connection, gathered.values())
    whole = {id_: partial(each.whole, sources) for id_, each in gathered.items()}
    yield from _each(connection, whole, strict=strict).values()


def _sources_of(connection: Connection, gathered: Iterable["_Gathered"]) -> Sources:
    """What runs refer to."""
    found = tuple(gathered)
    ids = {id_ for each in found for id_ in (each.prompt, *each.all_messages)}
    sources = Sources(messages=messages_of(connection, ids))
    kept = {run_id for each in found for run_id in runs_kept(each.prefix, sources)}
    learn_made(connection, kept, sources)
    return sources


def _each(
    connection: Connection, of_runs: Mapping[str, Callable[[], T]], *, strict: bool
) -> dict[str, T]:
    """What is made of each run. Raises ValueError where one is damaged and `strict`."""
    made = {}
    for run_id, make in of_runs.items():
        try:
            made[run_id] = make()
        except UNREADABLE as error:
            if strict:
                raise ValueError(f"the run {run_id} cannot be read") from error
            note_damage(connection, runs.name, run_id)
    return made


def _gathered(row: Any, told: Iterable[Mapping[Any, Any]]) -> "_Gathered":
    gathered = _taken(_Gathered(row.id, from_json(row.body)), told)
    # Read here, so that what has none is known for damaged.
    _ = gathered.prompt
    return gathered


def _taken(gathered: "_Gathered", told: Iterable[Mapping[Any, Any]]) -> "_Gathered":
    for each in told:
        gathered.take(stored_of_row(each))
    return gathered


@dataclass(slots=True)
class _Gathered:
    """What the entries of a run say that it gathered, each thing once."""

    run_id: str
    row: Stored
    messages: list[str] = field(default_factory=list)
    """Ids of those that it reads."""
    instructions: str = ""
    created: Stored = field(default_factory=dict)
    """How it began."""
    has_started: bool = False
    steps: list[Mapping[str, Any]] = field(default_factory=list)
    priors: dict[str, Any] = field(default_factory=dict)
    query: tuple[Stored, Stored] | None = None
    """The newest change that set it, and that change's body."""
    version: int = 0

    @property
    def prompt(self) -> str:
        """The id of its message."""
        return str(self.row["message_id"])

    @property
    def prefix(self) -> Stored:
        """What it begins with, where it was forked from another run; else empty."""
        prefix: Stored = self.created.get("prefix", {})
        return prefix

    @property
    def all_messages(self) -> list[str]:
        """Ids of those that it reads, or is going to read."""
        return [*self.messages, *self.prefix.get("messages", ())]

    def take(self, stored: Stored) -> None:
        """The next of the run's entries. Raises ValueError where one before it is missing."""
        for change in stored.get("changes", ()):
            if (change["kind"], change["id"]) == ("run", self.run_id):
                if change["version"] != self.version + 1:
                    raise ValueError(f"run {self.run_id} lacks its version {self.version + 1}")
                self.version = change["version"]
                if change["change"] == "created":
                    self.created = change["value"]
                if "query" in change["value"]:
                    self.query = (change["value"], stored)
        event = run_event_of(stored)
        if event is None:
            return
        match event["event"]:
            case "start":
                self.has_started = True
                self.messages = event["messages"]
                self.instructions = event.get("instructions", "")
            case "step_completed":
                self.steps.append(event)
            case "priors_retrieved":
                for _, prior in added_priors(stored):
                    self.priors.setdefault(prior["message_id"], prior)

    def whole(self, sources: Sources) -> ChorusState:
        """The run. Raises ValueError where its entries do not tell of every version."""
        if self.version != self.row["version"] or self.query is None:
            raise ValueError(f"run {self.run_id} lacks its version {self.row['version']}")
        prompt = prompt_of(self.created, sources)
        prefix = whole_prefix(self.prefix, prompt, sources) if self.prefix else {}
        kept = prefix if self.has_started else {}
        priors = {each["message_id"]: each for each in kept.get("priors", ())} | self.priors
        return ChorusState.model_validate(
            {
                **self.row,
                "prompt": prompt,
                **({"prefix": prefix} if prefix else {}),
                "messages": [sources.quoted(each) for each in self.messages],
                "instructions": self.instructions,
                "query": query_of(*self.query, prompt),
                "priors": list(priors.values()),
                "steps": [*kept.get("steps", ()), *self.steps],
            }
        )

"""What machines did, stream by stream, and the declarations that the journal keeps.

Reads only, one pass over all entries, and holds no more than a page of them at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, tuple_

from machines.models.heat import machine_of
from storage.journal.rows import stored_of_row
from storage.journal.schema import entries, meta

DECLARATION: Final = "declaration:"
"""Before a chart's fingerprint: the name under which the journal keeps what the chart declared."""

_AT_ONCE: Final = 500
"""Entries that are read together."""

_PAGE = (
    select(entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
    .where(
        tuple_(entries.c.stream, entries.c.seq)
        > tuple_(bindparam("after_stream"), bindparam("after_seq"))
    )
    .order_by(entries.c.stream, entries.c.seq)
    .limit(_AT_ONCE)
)
_DECLARATIONS = select(meta.c.name, meta.c.value).where(
    meta.c.name.startswith(DECLARATION, autoescape=True)
)


class Transition(NamedTuple):
    """One edge that was taken, as an entry holds it."""

    stream: str
    seq: int
    machine: str
    instance: str
    event: str
    source: str
    target: str
    edge: str
    effects: tuple[str, ...]
    said: Mapping[str, Any]
    """The event's fields; a text that stands in another entry is a reference. Empty where the entry
    does not hold it."""
    value: Mapping[str, Any]
    """Fields of the value afterwards, likewise."""
    passed_over: tuple[str, ...]
    """Of each edge that was tried before it, the guard that did not hold; empty where not recorded."""
    fingerprints: str
    """Of the charts that accepted the entry, with a blank between them."""

    @property
    def stands(self) -> tuple[str, ...]:
        """Where the chart took the value over from an earlier declaration; empty where it did not."""
        return tuple(self.said.get("stands", ()))


def tell_history(
    connection: Connection,
    moved: Callable[[Transition], None],
    born: Callable[[str, str], None] = lambda _machine, _instance: None,
) -> int:
    """Tell what every value did, one stream after the other; gives how many entries there are.

    Args:
        moved: is told each transition, a value's own in their order.
        born: is told the machine and the id of each value that came to be, before its transitions.

    Raises:
        ValueError: an entry is not what was written.
    """
    count, after = 0, {"after_stream": "", "after_seq": 0}
    while rows := connection.execute(_PAGE, after).all():
        for stream, seq, body, digest in rows:
            row = {"stream": stream, "seq": seq, "body": body, "digest": digest}
            stored = stored_of_row(row)
            for machine, instance in _born(stored):
                born(machine, instance)
            for each in _transitions(stream, seq, stored):
                moved(each)
        count += len(rows)
        after = {"after_stream": rows[-1].stream, "after_seq": rows[-1].seq}
    return count


def kept_declarations(connection: Connection) -> Mapping[str, str]:
    """By fingerprint, as they were written."""
    rows = connection.execute(_DECLARATIONS)
    return {row.name.removeprefix(DECLARATION): row.value for row in rows}


def _born(stored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for change in stored.get("changes", ()):
        if change["change"] == "created":
            yield machine_of(change["kind"]), change["id"]


def _transitions(stream: str, seq: int, stored: Mapping[str, Any]) -> Iterator[Transition]:
    taken = stored.get("transitions")
    if not taken:
        return
    values: dict[str, list[Mapping[str, Any]]] = {}
    for change in stored.get("changes", ()):
        values.setdefault(change["id"], []).append(change.get("value", {}))
    fingerprints = stored.get("fingerprint", "")
    met: Counter[str] = Counter()
    fired = stored.get("fired", ())
    # What was fired and what came of it are written side by side.
    for place, each in enumerate(taken):
        instance = each["instance"]
        left = values.get(instance, ())
        number = met[instance]
        met[instance] += 1
        yield Transition(
            stream,
            seq,
            each["machine"],
            instance,
            each["event"],
            each["source"],
            each["target"],
            each["edge"],
            tuple(each["effects"]),
            fired[place]["event"] if place < len(fired) else {},
            left[number] if number < len(left) else {},
            tuple(each.get("passed_over", ())),
            fingerprints,
        )

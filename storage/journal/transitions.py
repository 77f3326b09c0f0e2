"""What machines did, stream by stream: each transition with its event and the value that it left.

Reads only, and holds no more than a page of entries at a time. `storage.journal.history` tells less, in
the order in which it was written.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, tuple_

from storage.journal.queries import require_migrated
from storage.journal.rows import stored_of_row
from storage.journal.schema import entries

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
    """The event's fields; a text that stands in another entry is a reference."""
    value: Mapping[str, Any]
    """Fields of the value afterwards, likewise; empty where the entry does not hold it."""


def tell_transitions(connection: Connection, tell: Callable[[Transition], None]) -> int:
    """Tell every transition of every stream, one stream after the other; gives how many entries there are.

    Raises:
        JournalError: another version wrote the journal, which is only read here.
        ValueError: an entry is not what was written.
    """
    require_migrated(connection)
    count, after = 0, {"after_stream": "", "after_seq": 0}
    while rows := connection.execute(_PAGE, after).all():
        for stream, seq, body, digest in rows:
            row = {"stream": stream, "seq": seq, "body": body, "digest": digest}
            for each in _transitions(stream, seq, stored_of_row(row)):
                tell(each)
        count += len(rows)
        after = {"after_stream": rows[-1].stream, "after_seq": rows[-1].seq}
    return count


def _transitions(stream: str, seq: int, stored: Mapping[str, Any]) -> Iterator[Transition]:
    taken = stored.get("transitions")
    if not taken:
        return
    values: dict[str, list[Mapping[str, Any]]] = {}
    for change in stored.get("changes", ()):
        values.setdefault(change["id"], []).append(change.get("value", {}))
    met: Counter[str] = Counter()
    # What was fired and what came of it are written side by side.
    for fired, each in zip(stored.get("fired", ()), taken, strict=True):
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
            fired["event"],
            left[number] if number < len(left) else {},
        )

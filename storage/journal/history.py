"""What machines did, in the order in which it was written: one pass over all entries.

Reads only, and holds no more than a page of entries at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from storage.journal.rows import stored_of_row
from storage.journal.schema import entries

_AT_ONCE: Final = 500
"""Entries that are read together."""

_PAGE = (
    select(entries.c.position, entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
    .where(entries.c.position > bindparam("after_position"))
    .order_by(entries.c.position)
    .limit(_AT_ONCE)
)


class Step(NamedTuple):
    """A value came to be, or took an edge."""

    machine: str
    instance: str
    edge: str | None
    """None where it came to be."""
    source: str
    target: str


def tell_steps(connection: Connection, tell: Callable[[Step], None]) -> None:
    """Tell every step of every value, a value's own in their order.

    Raises:
        ValueError: an entry is not what was written.
    """
    after = 0
    while rows := connection.execute(_PAGE, {"after_position": after}).mappings().all():
        after = rows[-1]["position"]
        for row in rows:
            for step in _steps(stored_of_row(row)):
                tell(step)


def _steps(stored: Mapping[str, Any]) -> Iterator[Step]:
    for change in stored.get("changes", ()):
        if change["change"] == "created":
            # A run's machine is called after what it performs.
            machine = "chorus" if change["kind"] == "run" else change["kind"]
            yield Step(machine, change["id"], None, "", "")
    for each in stored.get("transitions", ()):
        yield Step(each["machine"], each["instance"], each["edge"], each["source"], each["target"])

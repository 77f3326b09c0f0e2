"""What machines did, in the order in which it was written, and the declarations that the journal keeps.

Reads only, one pass over all entries, and holds no more than a page of them at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from machines.models.journal import MachineTransition
from storage.journal.rows import stored_of_row
from storage.journal.schema import entries, meta

DECLARATION: Final = "declaration:"
"""Before a chart's fingerprint: the name under which the journal keeps what the chart declared."""

_AT_ONCE: Final = 500
"""Entries that are read together."""

_PAGE = (
    select(entries.c.position, entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
    .where(entries.c.position > bindparam("after_position"))
    .order_by(entries.c.position)
    .limit(_AT_ONCE)
)
_DECLARATIONS = select(meta.c.name, meta.c.value).where(
    meta.c.name.startswith(DECLARATION, autoescape=True)
)


class Step(NamedTuple):
    """A value came to be, or took an edge."""

    machine: str
    instance: str
    taken: MachineTransition | None
    """None where it came to be."""
    fingerprints: str
    """Of the charts that accepted the entry, with a blank between them."""


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


def kept_declarations(connection: Connection) -> Mapping[str, str]:
    """By fingerprint, as they were written."""
    rows = connection.execute(_DECLARATIONS)
    return {row.name.removeprefix(DECLARATION): row.value for row in rows}


def _steps(stored: Mapping[str, Any]) -> Iterator[Step]:
    fingerprints = stored.get("fingerprint", "")
    for change in stored.get("changes", ()):
        if change["change"] == "created":
            # A run's machine is called after what it performs.
            machine = "chorus" if change["kind"] == "run" else change["kind"]
            yield Step(machine, change["id"], None, fingerprints)
    for each in stored.get("transitions", ()):
        taken = MachineTransition.model_validate(each)
        yield Step(taken.machine, taken.instance, taken, fingerprints)

"""Advisory locks: who holds the database, who migrates it or fills the memory, what a commit is about.

Servers share the database; what must be alone with it holds it alone, and neither begins beside the
other.

Of all transactions that lock more than one thing: a commit takes the locks of its streams, sorted, before
it writes any row, and so does who gives runs back; then replies, sorted, come before other rows. Who claims
runs waits for no stream, and passes over those that are locked. What stands beside the journal (timers,
memory tasks, sessions, counts) is written in transactions that lock no stream, in any order: of two that
wait for each other PostgreSQL ends one, and that is carried out again as a whole
(`storage.journal.postgres.committer`).

They are PostgreSQL's own, kept by its connections and gone with them, so a killed process leaves none
behind. Locks of a process have two keys of 32 bits, locks of a commit one of 64: the two kinds never
meet.
"""

from collections.abc import Iterable
from hashlib import blake2b
from time import sleep
from typing import Final

from sqlalchemy import Connection, text

_CHORUS: Final = 0x43484F52
"""The first key of every lock of a process: `CHOR`."""
_HOLDING: Final = 1
_MIGRATING: Final = 2
_NAMING: Final = 4
# 5 is the lock of who counts (`storage.journal.heat_counting`).

MEMORY_LOCK: Final = (_CHORUS, 3)
"""Of the process that opens the memory, or fills it."""

_PAUSES: Final = (0.05, 0.1, 0.2, 0.3, 0.35)
"""Seconds: PostgreSQL may know a little later than others that a process has ended which held it."""
_MIGRATING_PAUSE: Final = 0.1

_SHARE: Final = text("SELECT pg_try_advisory_lock_shared(:chorus, :what)")
_TRY: Final = text("SELECT pg_try_advisory_lock(:chorus, :what)")
_HOLDERS: Final = text("""
    SELECT DISTINCT activity.application_name
    FROM pg_locks AS lock
    JOIN pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.pid <> pg_backend_pid()
      AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND lock.classid = :chorus AND lock.objid = :what AND activity.application_name <> ''
    ORDER BY 1
""")
_TAKE_FOR_NOW: Final = text("SELECT pg_advisory_xact_lock(:chorus, :what)")


def hold_database(connection: Connection, *, alone: bool) -> bool:
    """Hold the database until this connection ends, with others who share it or alone; False where
    one who holds it forbids that. Blocks for a second at most.

    It is asked again and again rather than waited for: who waits for a lock that others share keeps
    further ones from sharing it.
    """
    take = _TRY if alone else _SHARE
    for pause in _PAUSES:
        if connection.execute(take, {"chorus": _CHORUS, "what": _HOLDING}).scalar_one():
            return True
        sleep(pause)
    return bool(connection.execute(take, {"chorus": _CHORUS, "what": _HOLDING}).scalar_one())


def holders(connection: Connection) -> tuple[str, ...]:
    """The processes that hold the database, as `engines.writing_engine` names them."""
    return tuple(connection.scalars(_HOLDERS, {"chorus": _CHORUS, "what": _HOLDING}))


def take_migrating(connection: Connection) -> None:
    """Wait until no other connection migrates, and be the one, until it ends.

    Each try is a transaction of its own: a statement that waited would be waited for in turn by whoever
    builds an index.
    """
    while True:
        with connection.begin():
            taken = connection.scalar(_TRY, {"chorus": _CHORUS, "what": _MIGRATING})
        if taken:
            return
        sleep(_MIGRATING_PAUSE)


def take_naming(connection: Connection) -> None:
    """Wait until no other transaction names the store, and be the one, until it ends."""
    connection.execute(_TAKE_FOR_NOW, {"chorus": _CHORUS, "what": _NAMING})


def lock_keys(names: Iterable[str]) -> list[int]:
    """The keys of the locks of what is named, in the one order in which all commits take them.

    Two names may share a key: then their commits wait for each other, and nothing else.
    """
    return sorted({_key(name) for name in names})


def _key(name: str) -> int:
    digest = blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)

"""`chorus serve` with faults inside: `python -m tests.faults.faulty_server ORDERS --data ...`.

The server is the real one, put together by its own composition root. Faults come from outside it:
through the events that SQLAlchemy tells of each write of the journal, around the statements that are
run on the driver's cursor, and through the clock that is passed in. ORDERS is a file that says which
faults are wanted now; it may change while the server runs, and no file means no fault.
"""

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import uvloop
from sqlalchemy import Connection, Engine, event

from server.app import serve
from server.commands.serve import announce
from server.environment import Environment, system_environment
from server.settings import load_settings
from storage.journal import savepoints
from storage.journal.statements import Parameters, Statement
from storage.journal.writer import Work

log = logging.getLogger(__name__)

WRITE_POINTS: Final = (
    "begin",
    "insert entries",
    "insert users",
    "insert sessions",
    "update sessions",
    "delete sessions",
    "insert threads",
    "update threads",
    "insert co_authors",
    "delete co_authors",
    "insert messages",
    "insert runs",
    "insert invitations",
    "insert invite_links",
    "insert removals",
    "insert inbox",
    "delete inbox",
    "insert user_threads",
    "insert timers",
    "delete timers",
    "insert replies",
    "insert memory_tasks",
    "insert vectors",
    "update memory_tasks",
    "before commit",
    "after commit",
)
"""Where the journal writes: a statement's point is right behind it, inside its transaction."""

AT_THE_EDGE: Final = frozenset(
    {
        *("insert meta", "delete meta", "update runs"),
        *("delete replies", "delete rate_buckets", "delete memory_tasks"),
        *("insert heat", "insert standing", "delete standing"),
        *("insert heat_mark", "insert heat_refusals", "insert branches"),
        "insert moments",
    }
)
"""Points that are passed while a server starts, looks after its stores, counts what is in the journal, or
fills a lost memory again, or that the load does not come to: nobody waits for them."""

UNNAMED: Final = "an unnamed write point"
"""What the log says of a statement that is in neither list."""

CRASHED: Final = 87
"""The exit code of an injected crash."""

_STATEMENT: Final = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)")
_VERBS: Final = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}


@dataclass(frozen=True, slots=True)
class Orders:
    """The faults that are wanted."""

    crash_at: str | None = None
    """One of `WRITE_POINTS`: the process ends there, without a word to anybody."""
    crash_nth: int = 1
    """At the how-manieth time that the point is passed from now on, from 1."""
    refuse: Literal["commit", "answer"] | None = None
    """`commit`: each commit fails half-way. `answer`: it is durable, and an error is told."""
    clock_offset: float = 0.0
    """Seconds that the wall clock is ahead of the real one."""

    def write(self, file: Path) -> None:
        """Let a server find them; it never sees half of them."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(dataclasses.asdict(self)))
        new.replace(file)


NO_FAULTS: Final = Orders()


class OrderFile:
    """The orders as the file has them now."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = 0
        self._orders = NO_FAULTS

    def read(self) -> Orders:
        """The orders; the file is read only when it has changed."""
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return NO_FAULTS
        if changed != self._changed:
            self._orders = Orders(**json.loads(self._file.read_text()))
            self._changed = changed
        return self._orders


class JournalFaults:
    """Listens to what the journal's writer does, and breaks it as ordered."""

    def __init__(self, orders: OrderFile) -> None:
        self._orders = orders
        self._obeyed = NO_FAULTS
        self._passed = 0
        """Times that the point of these orders was passed."""
        self._committing = False
        self._named = {*WRITE_POINTS, *AT_THE_EDGE}

    def listen(self) -> None:
        """Hear of every engine that this process makes."""
        event.listen(Engine, "begin", self._began)
        event.listen(Engine, "after_cursor_execute", self._executed)
        event.listen(Engine, "commit", self._commits)
        run, carry_out = Statement.run, savepoints.carry_out

        def run_and_tell(statement: Statement, connection: Connection, *rows: Parameters) -> None:
            run(statement, connection, *rows)
            if rows:
                self._executed(connection, None, statement.sql_for(connection))

        def carry_out_and_tell(connection: Connection, group: Sequence[Work]) -> Any:
            outcomes = carry_out(connection, group)
            self._committed()
            return outcomes

        # Both pass by SQLAlchemy's events.
        Statement.run = run_and_tell  # type: ignore[assignment, method-assign]
        savepoints.carry_out = carry_out_and_tell

    def _began(self, _connection: Connection) -> None:
        self._pass("begin")

    def _executed(self, _connection: Connection, _cursor: object, sql: str, *_: Any) -> None:
        found = _STATEMENT.match(sql)
        if found:
            self._pass(f"{_VERBS[found[1]]} {found[2]}")

    def _commits(self, connection: Connection) -> None:
        if not _is_the_writer():
            return
        self._pass("before commit")
        refuse = self._orders.read().refuse
        if refuse is None:
            self._committing = True
            return
        if refuse == "answer":
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("COMMIT")
        failure = sqlite3.OperationalError("disk I/O error")
        failure.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise failure

    def _committed(self) -> None:
        if self._committing:
            self._committing = False
            self._pass("after commit")

    def _pass(self, point: str) -> None:
        if not _is_the_writer():
            return
        if point not in self._named:
            log.error("%s: %s", UNNAMED, point)
        orders = self._orders.read()
        if orders is not self._obeyed:
            self._obeyed, self._passed = orders, 0
        if orders.crash_at == point:
            self._passed += 1
            if self._passed == orders.crash_nth:
                os._exit(CRASHED)


def _is_the_writer() -> bool:
    return threading.current_thread().name == "journal-writer"


def _environment(orders: OrderFile) -> Environment:
    real = system_environment()
    return dataclasses.replace(
        real, now=lambda: real.now() + timedelta(seconds=orders.read().clock_offset)
    )


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("orders", type=Path)
    for flag in ("--data", "--llm"):
        parser.add_argument(flag, required=True)
    given = vars(parser.parse_args())
    orders = OrderFile(given.pop("orders"))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    JournalFaults(orders).listen()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(load_settings(given), announce, _environment(orders)))


if __name__ == "__main__":
    main()

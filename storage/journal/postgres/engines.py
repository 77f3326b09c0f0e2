"""Connections to PostgreSQL: how many, what bounds them, and what a server must be.

A transaction pooler may stand between, so nothing is prepared under a name.
"""

import os
import socket
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text

from machines.models.errors import JournalError
from storage.journal.dialect import quiet_engine
from storage.journal.postgres.address import PostgresAddress
from storage.journal.store_clock import StoreClock

READERS: Final = 4
"""Connections that read at the same time."""

OLDEST: Final = 14
"""The first major version of PostgreSQL that is served."""

CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 5
IDLE_SECONDS: Final = 10
"""Of a transaction that does nothing."""

CONNECTING: Final[dict[str, Any]] = {
    "prepare_threshold": None,
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "chorus",
    "client_encoding": "utf8",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""What every connection is made with."""

_LONGEST_NAME: Final = 63
"""Bytes of a name in PostgreSQL."""

_CLOCK: Final = text("SELECT clock_timestamp()")
_BRIEFLY: Final = text("SELECT set_config('lock_timeout', :wait, true)")
_BOUNDS: Final = (
    "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
    " set_config('idle_in_transaction_session_timeout', %s, false)"
)
_UNHURRIED: Final = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),"
    " set_config('idle_in_transaction_session_timeout', '0', true)"
)


def writing_engine(address: PostgresAddress) -> Engine:
    """An engine of one connection, which the database shows by `process_name`."""
    # A standby is not waited for: once it is promoted, it is to be connected to anew, and compared.
    connecting = CONNECTING | {
        "application_name": process_name(),
        "target_session_attrs": "read-write",
    }
    return _engine(address, connecting=connecting, pool_size=1)


def process_name() -> str:
    """Names this process to operators: by its number and its machine."""
    return f"chorus {os.getpid()} on {socket.gethostname()}"[:_LONGEST_NAME]


def reading_engine(address: PostgresAddress) -> Engine:
    """An engine of `READERS` connections; each transaction sees one moment."""
    return _engine(address, pool_size=READERS, isolation_level="REPEATABLE READ")


def of_single_statements(engine: Engine) -> Engine:
    """An engine on the same connections, each of whose statements is a transaction."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def probing_engine(address: PostgresAddress) -> Engine:
    """An engine of two connections."""
    return _engine(address, pool_size=2)


def rating_engine(address: PostgresAddress) -> Engine:
    """An engine of one connection, each of whose statements is a transaction."""
    return _engine(address, pool_size=1, isolation_level="AUTOCOMMIT")


def unhurried(connection: Connection) -> None:
    """Lift the bounds of the transaction under way: maintenance reads everything."""
    connection.execute(_UNHURRIED)


def unhurried_but_brief(connection: Connection, milliseconds: int) -> None:
    """As `unhurried`, and wait so long for each lock: who waits to change a table keeps all others
    waiting behind it."""
    unhurried(connection)
    connection.execute(_BRIEFLY, {"wait": f"{milliseconds}ms"})


def check_server(connection: Connection) -> None:
    """Raises JournalError where the server, or the database, cannot hold a journal."""
    number = int(connection.scalar(text("SHOW server_version_num")))
    if number // 10_000 < OLDEST:
        raise JournalError(
            f"PostgreSQL {number // 10_000} is too old: Chorus needs {OLDEST} or later.",
            retryable=False,
            certain=True,
        )
    if (encoding := connection.scalar(text("SHOW server_encoding"))) != "UTF8":
        raise JournalError(
            f"The database's encoding is {encoding}: make one with the encoding UTF8.",
            retryable=False,
            certain=True,
        )


def read_clock(connection: Connection, clock: StoreClock) -> None:
    """Let a clock know what the database's shows."""
    asked = clock.monotonic()
    shown = connection.execute(_CLOCK).scalar_one()
    clock.read(shown, asked=asked, answered=clock.monotonic())


def _engine(
    address: PostgresAddress, connecting: Mapping[str, Any] = CONNECTING, **options: Any
) -> Engine:
    engine = quiet_engine(
        address.url,
        max_overflow=0,
        connect_args=dict(connecting),
        **options,
    )

    @event.listens_for(engine, "connect")
    def bound(connection: Any, _record: object) -> None:
        seconds = (STATEMENT_SECONDS, LOCK_SECONDS, IDLE_SECONDS)
        connection.execute(_BOUNDS, [f"{each}s" for each in seconds])
        connection.commit()

    return engine

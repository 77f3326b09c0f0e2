"""Finds out whether a pooler stands before the database that gives each transaction another connection.

Who holds the database is a lock of a connection, and changes are heard by one that listens. Both are
lost where the connection that a process sees is another one of the server at each transaction: locks
then stay with a connection of the pooler that no process owns. A pooler of sessions does no harm.
"""

from typing import Final

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from machines.models.errors import JournalError
from storage.journal.postgres import engines
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.failures import cause_of

_BACKEND: Final = text("SELECT pg_backend_pid()")
_ROUNDS: Final = 3
"""Other processes use the pooler meanwhile, and what is seen once may be chance."""
_NO_TRANSACTIONS: Final = "transaction blocks not allowed"
"""What PgBouncer says to BEGIN where it pools single statements."""


def check_direct(address: PostgresAddress) -> None:
    """Raises JournalError where connections are shared between transactions, DBAPIError where there
    are none. Nothing is changed, and no lock is taken."""
    engine = engines.probing_engine(address)
    try:
        with engine.connect() as one, engine.connect() as other:
            shared = any(_is_shared(one, other) for _ in range(_ROUNDS))
    except (DBAPIError, psycopg.Error) as error:
        if _NO_TRANSACTIONS not in str(cause_of(error)):
            raise
        shared = True
    finally:
        engine.dispose()
    if shared:
        raise JournalError(
            "A pooler before the database shares connections between transactions: let it pool "
            "sessions (PgBouncer: pool_mode = session), or name the database itself.",
            retryable=False,
            certain=True,
        )


def _is_shared(one: Connection, other: Connection) -> bool:
    """Whether one connection is served by several of the server, or two by one.

    A pooler gives the connection that has rested longest, which is another one for the second
    transaction where it has several, or the one that was returned last, which `other` gets too.
    """
    served = [_backend(one), _backend(one), _backend(other)]
    return served[0] != served[1] or served[1] == served[2]


def _backend(connection: Connection) -> int:
    """The process of the server that serves a transaction."""
    with connection.begin():
        found: int = connection.execute(_BACKEND).scalar_one()
    return found

"""Token buckets that all servers of a database take from.

A bucket is one number, as in `server.concurrency.rate_limit`: the moment at which it will be full
again, by the database's clock. One statement looks at it and takes, so that two servers never take
the same token. PostgreSQL keeps the table unlogged: after a crash of the database all buckets are full.
"""

import math
from typing import Final

from sqlalchemy import Connection, delete, text
from sqlalchemy.sql import TextClause

from storage.journal.schema import rate_buckets

_MICROSECONDS: Final = 1_000_000

_NOW: Final = {
    # The clock of the statement's beginning: the same wherever it stands in it.
    "postgresql": "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}


def _take(now: str) -> TextClause:
    full_at = f"CASE WHEN bucket.full_at > {now} THEN bucket.full_at ELSE {now} END"
    return text(
        "INSERT INTO rate_buckets AS bucket (name, full_at)"  # noqa: S608 - our own words
        f" VALUES (:name, {now} + :cost)"
        f" ON CONFLICT (name) DO UPDATE SET full_at = {full_at} + :cost"
        f" WHERE {full_at} + :cost - {now} <= :room"
        " RETURNING full_at"
    )


_TAKE: Final = {dialect: _take(now) for dialect, now in _NOW.items()}
_LACKS: Final = {
    dialect: text(f"SELECT full_at - {now} FROM rate_buckets WHERE name = :name")  # noqa: S608
    for dialect, now in _NOW.items()
}
_RETURN: Final = text("UPDATE rate_buckets SET full_at = full_at - :cost WHERE name = :name")
_CLOCK: Final = {dialect: text(f"SELECT {now}") for dialect, now in _NOW.items()}


def take_token(connection: Connection, name: str, *, rate: float, burst: float) -> int | None:
    """Take a token: None, or the milliseconds after which there is one again."""
    dialect = connection.dialect.name
    cost, room = round(_MICROSECONDS / rate), round(burst * _MICROSECONDS / rate)
    took = connection.execute(_TAKE[dialect], {"name": name, "cost": cost, "room": room})
    if took.scalar_one_or_none() is not None:
        return None
    lacks = connection.scalar(_LACKS[dialect], {"name": name}) or 0
    return max(1, math.ceil((lacks + cost - room) / 1_000))


def return_token(connection: Connection, name: str, *, rate: float) -> None:
    """Put a token back that was taken for nothing; a bucket that is full stays so."""
    connection.execute(_RETURN, {"name": name, "cost": round(_MICROSECONDS / rate)})


def forget_full_buckets(connection: Connection) -> int:
    """Remove buckets that are full: without a row a bucket is full as well. Gives how many."""
    now = connection.execute(_CLOCK[connection.dialect.name]).scalar_one()
    return connection.execute(delete(rate_buckets).where(rate_buckets.c.full_at <= now)).rowcount

"""The journal: its port, and the adapter on SQL.

`port` is what the server asks of a journal; `sql` is the adapter, put together from the other
modules. Everything that knows SQL is in this package and in `storage.salvage`. Nothing here decides
what an entry says: batches come decided, and are written whole or not at all.
"""

__all__ = [
    "appender",
    "bodies",
    "check",
    "dialect",
    "entries",
    "invitations",
    "invite_links",
    "many_users",
    "memory_tasks",
    "migrations",
    "port",
    "queries",
    "reader",
    "removals",
    "rows",
    "runs",
    "schema",
    "side_tables",
    "sql",
    "statements",
    "writer",
]

"""The journal: its port, and its adapters on SQLite and PostgreSQL.

`port` is what the server asks of a journal, `answers` what it is told; `sqlite` and `postgres` are the
adapters, put together from the other modules; `sql` is what both have in common. Everything that knows
SQL is in this package, in `storage.copying` and in `storage.salvage`. Nothing here decides what an entry
says: batches come decided, and are written whole or not at all.
"""

__all__ = [
    "answers",
    "appender",
    "bodies",
    "branches",
    "carriers",
    "check",
    "claims",
    "damage",
    "dialect",
    "entries",
    "epochs",
    "failures",
    "heat_counting",
    "heat_questions",
    "heat_tally",
    "history",
    "holders",
    "inbox",
    "inbox_rows",
    "invitations",
    "invite_links",
    "many_threads",
    "many_users",
    "memory_tasks",
    "migrations",
    "port",
    "postgres",
    "prepared",
    "queries",
    "rates",
    "reader",
    "removals",
    "rows",
    "runs",
    "savepoints",
    "schema",
    "side_tables",
    "sql",
    "sqlite",
    "statements",
    "store_clock",
    "subjects",
    "traced",
    "writer",
]

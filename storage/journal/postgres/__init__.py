"""The journal on PostgreSQL.

`journal` is the adapter, put together from the other modules: `address` reads where the database is,
`engines` connects to it, `locks` says who may write, `memory_lock` who fills the memory, `committer`
carries out what waits, by `group`, which writes many batches with a few statements of `rows_at_once`;
`announcements` is what a commit tells other processes, `listening` hears it, `unheard` finds what was
not told; `leases` keeps servers apart; `lost_commits` notices a database that went back; `migrating`
migrates, with `beside_servers` while servers commit and `order_of_bytes`, and `whole_tables` fills
them. Questions are those of
`storage.journal.queries` and its neighbours: both databases are asked alike.

psycopg is imported here alone, and no sooner than an address is given.
"""

__all__ = [
    "address",
    "announcements",
    "beside_servers",
    "committer",
    "engines",
    "failures",
    "group",
    "journal",
    "leases",
    "listening",
    "locks",
    "lost_commits",
    "memory_lock",
    "migrating",
    "order_of_bytes",
    "passing",
    "poolers",
    "rows_at_once",
    "unheard",
    "whole_tables",
]

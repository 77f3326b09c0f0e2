"""The journal's tables, as SQLAlchemy Core declares them: names, types, keys and indices.

Only declarations live here: no statement, no connection. `storage.journal.migrations` makes the same tables
on disk (a test holds the two against each other), and every statement is written against these.

`entries` is the truth. `threads`, `co_authors`, `messages`, `runs`, `invitations`,
`invite_links`, `removals`, `branches`, `user_threads`, `users` and `sessions` are its snapshots: the JSON of the
resulting value in `body`, and beside it only the columns that a query looks things up by; `inbox`
follows from them, and so do the counts of the machines in `heat`, `standing` and `heat_mark`, which
lag behind; `moments` holds what they were. `heat_refusals`, `replies`, `servers`, `timers`, `memory_tasks`, `rate_buckets`, `vectors` and `meta`
stand beside the journal. There are no foreign keys: rows of one transaction may name each other in any order, and
`storage.journal.check` finds references that lead nowhere in every table at once.

Times are integers, microseconds since 1970 in UTC, so that they sort alike everywhere. Text holds no
U+0000 outside JSON escapes. Everything is valid for SQLite and for PostgreSQL.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

REVISION = "0019"
"""The migration that makes exactly these tables."""

METADATA = MetaData()

# SQLite numbers rows by itself only for a column of the type INTEGER.
_POSITION = BigInteger().with_variant(Integer(), "sqlite")

meta = Table(
    "meta",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""The store's epoch, and what `Journal.note` keeps under a name: what a chart declared, under its
fingerprint (`storage.journal.history`), and whether the memory must be filled anew."""

entries = Table(
    "entries",
    METADATA,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    Column("stream", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("run_id", Text),
    Column("body", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("entries_by_stream", "stream", "seq", unique=True),
    Index("entries_by_run", "run_id", "position"),
)
"""`position` numbers the entries of all streams as they were written; `(stream, seq)` is the optimistic
lock; `run_id` is the run that an entry is about, where there is one; `body` is the `JournalEntry` as
`storage.journal.bodies` writes it; `digest` is `rows.entry_digest` of stream, number and body, by which
a damaged entry is known that still is good JSON."""

threads = Table(
    "threads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("head_seq", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("threads_by_change", "visibility", "last_position"),
)
"""`head_seq` and `last_position` are those of the last entry in the thread's stream."""

co_authors = Table(
    "co_authors",
    METADATA,
    Column("thread_id", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    PrimaryKeyConstraint("thread_id", "public_key"),
    Index("co_authors_by_key", "public_key", "thread_id"),
)

messages = Table(
    "messages",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("author", Text),
    Column("approved_seq", BigInteger),
    Column("body", Text, nullable=False),
    Index("messages_by_index", "thread_id", "idx", unique=True),
    Index("messages_by_status", "thread_id", "status", "idx"),
)
"""`approved_seq` is the number of the entry that approved it."""

runs = Table(
    "runs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("created_seq", BigInteger, nullable=False),
    Column("carrier", Text),
    Column("body", Text, nullable=False),
    Index("runs_by_life", "live", "thread_id", "created_seq", "id"),
)
"""`created_seq` is the number of the entry that requested it; `carrier` is the server that carries it,
empty where it needs one and has none, NULL where it needs none: it waits, or is final; `body` says how far the run
is; its texts stand in its entries (`storage.journal.runs`)."""

invitations = Table(
    "invitations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("invited_by", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("invitations_of_thread", "thread_id", "status", "at", "id"),
    Index("invitations_of_key", "public_key", "status", "at", "id"),
    Index("invitations_by_user", "invited_by", "status"),
)
"""`at` is when it was made."""

invite_links = Table(
    "invite_links",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("invite_links_of_thread", "thread_id", "status", "at", "id"),
    Index("invite_links_by_secret", "secret_hash", "at", "id"),
)
"""`at` is when it was made; `secret_hash` is all that is kept of its secret."""

removals = Table(
    "removals",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("removals_of_thread", "thread_id", "status", "at", "id"),
)
"""`at` is when it was proposed."""

branches = Table(
    "branches",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("branches_of_thread", "thread_id", "is_open", "at", "id"),
    Index("branches_of_run", "run_id"),
)
"""`at` is when its run was forked; `run_id` is that run."""

inbox = Table(
    "inbox",
    METADATA,
    Column("public_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("waits", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("public_key", "kind", "subject"),
    Index("inbox_in_order", "public_key", "waits", "at", "subject"),
    Index("inbox_by_subject", "subject", "kind"),
)
"""What awaits a user's answer (`waits` is 1), and where they are mentioned (0): it follows from the
values of messages, removals, branches and invitations (`storage.journal.inbox_rows`). `seq` is the number of the
entry that approved the message of a mention, and else 0."""

user_threads = Table(
    "user_threads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("read_seq", BigInteger, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("user_threads_by_user", "public_key", "thread_id", unique=True),
)

users = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("name", Text),
    Column("body", Text, nullable=False),
    Index("users_by_key", "public_key", unique=True),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("followed", Text),
    Column("holder", Text),
    Column("body", Text, nullable=False),
)
"""`followed` is the session's `thread_id`; it may be newer than the body, since following a thread
is no journal entry. `holder` names the connection that resumed the session last, where servers share
the journal; without one it is the connection that signed in."""

replies = Table(
    "replies",
    METADATA,
    Column("public_key", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("public_key", "request_id"),
    Index("replies_by_time", "at"),
)

servers = Table(
    "servers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("length", BigInteger),
)
"""Servers that share the store; in a folder there is one at a time, and no row. `until` is when its
lease runs out, on the database's clock; `version` is for operators, and `length` says how many microseconds a lease of the server runs. Whoever finds a row that has run out
removes it, and its server is dead."""

timers = Table(
    "timers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("claimed_until", BigInteger),
    Index("timers_by_time", "due_at", "id"),
)
"""Until `claimed_until`, by the database's clock, a timer is one server's to fire
(`storage.journal.claims`)."""

memory_tasks = Table(
    "memory_tasks",
    METADATA,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    Column("thread_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("task", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("waiting", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("claimed_until", BigInteger),
    Index("memory_tasks_in_order", "waiting", "position"),
    Index("memory_tasks_by_thread", "waiting", "thread_id", "position"),
    Index("memory_tasks_by_subject", "subject"),
    sqlite_autoincrement=True,
)
"""Tasks stay when they are done (`waiting` is false): what the memory must hold can be verified, and
asked for again. `subject` is the id of the message or run. A position is never used twice.
`claimed_until` is as in `timers`."""

rate_buckets = Table(
    "rate_buckets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("full_at", BigInteger, nullable=False),
    Index("rate_buckets_by_time", "full_at"),
)
"""What may be asked for so often, counted by servers together (`storage.journal.rates`)."""

heat = Table(
    "heat",
    METADATA,
    Column("thread_id", Text, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("tally", Text, nullable=False),
    PrimaryKeyConstraint("thread_id", "seconds", "start"),
)
"""What the machines did in each hour and each day (`seconds` long, from `start`), in each thread, and in
all threads together where `thread_id` is empty; `tally` is JSON (`storage.journal.heat_tally`)."""

standing = Table(
    "standing",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("states", Text, nullable=False),
)
"""The states in which a value waits for something, each with the moment at which it was entered, as the
entries up to the mark left them: a JSON object. A value that is over has no row."""

heat_mark = Table(
    "heat_mark",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("missing", Text, nullable=False),
)
"""One row: entries up to `position` are counted, but for those in `missing`, a list in JSON of first
position, last position, and when they were missed: their commits may be under way."""

heat_refusals = Table(
    "heat_refusals",
    METADATA,
    Column("thread_id", Text, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("machine", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("guard", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("thread_id", "start", "machine", "event", "guard"),
)
"""How often a guard refused an event in the hour from `start`; threads as in `heat`. Refusals are in no
entry: what a server had not written when it was killed is not counted."""

moments = Table(
    "moments",
    METADATA,
    Column("thread_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("thread_id", "seq"),
)
"""What was open in a thread after its entry `seq` (`storage.journal.moments`), so that its past is not read
from the beginning. Every row may be missing; `digest` is as in `entries`."""

vectors = Table(
    "vectors",
    METADATA,
    Column("message_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    PrimaryKeyConstraint("message_id", "fingerprint"),
)
"""`vector` is little-endian float32."""

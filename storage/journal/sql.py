"""The journal on an SQL database: what its two adapters have in common.

It only puts the parts together: `queries`, `past`, `inbox`, `invitations` and `runs` read, `side_tables` and
`memory_tasks` serve the rows beside the journal, `writer` makes many writes one durable commit on its
thread, and `reader` runs reads on theirs. The event loop waits for futures, never for a disk. Most
methods of the port are one function of those modules, given a connection: they are declared, and have
that function's parameters.

`storage.journal.sqlite` and `storage.journal.postgres.journal` have the adapters.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from machines.models.errors import JournalError
from machines.models.ids import (
    PublicKey,
    ThreadId,
)
from machines.models.journal import (
    Batch,
    Committed,
    MemoryTask,
    QueuedTask,
)
from machines.models.message import Message
from machines.models.thread import Thread
from storage.journal import (
    branches,
    carriers,
    check,
    claims,
    epochs,
    heat_counting,
    heat_questions,
    holders,
    inbox,
    invitations,
    invite_links,
    many_threads,
    many_users,
    memory_tasks,
    past,
    queries,
    rates,
    removals,
    runs,
    side_tables,
    subjects,
)
from storage.journal.answers import PastPage, PastReached, StoredVector
from storage.journal.damage import DamageLog
from storage.journal.dialect import chunks
from storage.journal.reader import SnapshotReader
from storage.journal.writer import GroupCommitWriter

P = ParamSpec("P")
T = TypeVar("T")


def _reading(
    query: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate["SqlJournal", P], Coroutine[Any, Any, T]]:
    """The method that asks `query` of the committed state of one moment."""

    @wraps(query)
    async def method(self: "SqlJournal", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._reader.read(lambda connection: query(connection, *args, **kwargs))

    return method


def _looking_up(
    query: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate["SqlJournal", P], Coroutine[Any, Any, T]]:
    """As `_reading`, of a `query` that is one statement, or one for so many keys as fit into one."""

    @wraps(query)
    async def method(self: "SqlJournal", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._reader.read_single(lambda connection: query(connection, *args, **kwargs))

    return method


def _writing(
    work: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate["SqlJournal", P], Coroutine[Any, Any, T]]:
    """The method that gives what `work` returns once all that it wrote is durable."""

    @wraps(work)
    async def method(self: "SqlJournal", /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._writer.submit(lambda connection: work(connection, *args, **kwargs))
        return result

    return method


class SqlJournal:
    """What both adapters of `Journal` answer and write alike; each opens and closes in its own way."""

    def __init__(
        self, writer: GroupCommitWriter, reader: SnapshotReader, damage: DamageLog
    ) -> None:
        """
        Args:
            damage: Told of damaged rows by the connections of both.
        """
        self._writer = writer
        self._reader = reader
        self._damage = damage

    @property
    def commits(self) -> int:
        """Groups that became durable since the start; batches that waited together share one."""
        return self._writer.commits

    @property
    def damaged_rows(self) -> int:
        return len(self._damage)

    # the store

    async def epoch(self) -> str:
        return await self._epoch() or ""

    async def origin(self) -> str:
        return await self._origin_epoch() or ""

    async def commits_lost(self) -> str:
        # No other program can take the place of a file that is held.
        epoch: str = await asyncio.get_running_loop().create_future()
        return epoch

    async def accept_epoch(self, epoch: str) -> None:
        pass

    async def commit(self, batch: Batch) -> Committed:
        committed: Committed = await self._writer.submit(batch)
        return committed

    _epoch = _looking_up(epochs.epoch)
    _origin_epoch = _reading(epochs.origin)
    new_epoch = _writing(epochs.set_epoch)
    note = _writing(side_tables.note)
    noted = _looking_up(queries.noted)

    # threads

    async def private_threads_shared_by(
        self, public_keys: Collection[PublicKey]
    ) -> frozenset[ThreadId]:
        if not public_keys:
            raise ValueError("public_keys is empty: name at least one")
        return await self._private_threads_shared_by(public_keys)

    thread = _looking_up(queries.thread)
    thread_at_head = _looking_up(queries.thread_at_head)
    decision_view = _reading(queries.decision_view)
    threads_of = _looking_up(queries.threads_of)
    arrivals = _reading(many_users.arrivals)
    invitations_of = _looking_up(invitations.invitations_of)
    inbox_of = _reading(inbox.inbox_of)
    user_thread = _looking_up(inbox.user_thread)
    open_invitations = _looking_up(invitations.all_open_invitations)
    open_links = _looking_up(invite_links.open_links)
    link_of_secret = _looking_up(invite_links.link_of_secret)
    open_removals = _looking_up(removals.open_removals)
    open_branches = _looking_up(branches.open_branches)
    branch_of_run = _looking_up(branches.branch_of_run)
    is_invited = _looking_up(invitations.is_invited)
    invitation_counts = _reading(invitations.invitation_counts)
    public_threads = _looking_up(queries.public_threads)
    _private_threads_shared_by = _reading(queries.private_threads_shared_by)
    snapshot = _reading(queries.snapshot)

    # threads as they were

    async def as_it_was(
        self, thread_id: ThreadId, *, seq: int, limit: int, before_index: int | None
    ) -> PastPage | PastReached | None:
        found, new = await self._as_it_was(
            thread_id, seq=seq, limit=limit, before_index=before_index
        )
        if new:
            try:
                await self._keep_moments(new)
            except JournalError:
                # What was found is told without them; who comes again would come no further.
                if not isinstance(found, PastPage):
                    raise
        return found

    async def keep_moment(self, thread_id: ThreadId) -> None:
        row = await self._moment_now(thread_id)
        if row is not None:
            await self._keep_moments([row])

    seq_at = _reading(past.seq_at)
    _as_it_was = _reading(past.past)
    _moment_now = _reading(past.moment_now)
    _keep_moments = _writing(side_tables.keep_moments)

    # messages, runs, users

    message = _looking_up(queries.message)
    newest_message_of = _looking_up(queries.newest_message_of)
    recent_messages = _looking_up(queries.recent_messages)
    approved_among = _looking_up(queries.approved_among)
    pending_messages = _looking_up(queries.pending_messages)
    run = _reading(runs.run)
    live_runs = _looking_up(runs.live_runs)
    carried_runs = _looking_up(carriers.carried_runs)
    user = _looking_up(queries.user)
    known_users = _reading(many_users.known_users)
    names = _looking_up(queries.names)
    session = _looking_up(queries.session)
    sessions = _looking_up(queries.all_sessions)
    touch_session = _writing(side_tables.touch_session)
    hold_sessions = _writing(holders.hold_sessions)
    session_holders = _looking_up(holders.session_holders)
    take_token = _writing(rates.take_token)
    return_token = _writing(rates.return_token)
    forget_full_buckets = _writing(rates.forget_full_buckets)

    # the journal itself

    head = _looking_up(queries.head)
    entries = _reading(queries.entry_page)
    heads = _looking_up(many_threads.heads)
    entries_of_many = _reading(many_threads.entries_of_many)
    audiences = _reading(many_threads.audiences)
    run_entries = _reading(queries.run_entries)
    value_entries = _reading(subjects.value_entries)
    charts_of_runs = _reading(runs.charts_of)
    reply = _looking_up(queries.reply)
    forget_replies = _writing(side_tables.forget_replies)

    # what the machines did

    heat = _reading(heat_questions.heat)
    count_entries = _writing(heat_counting.count_entries)
    count_refusals = _writing(heat_counting.count_refusals)

    # timers

    timers = _looking_up(queries.timer_rows)
    claim_timers = _writing(claims.claim_timers)
    drop_timer = _writing(side_tables.drop_timer)

    # the memory's side

    async def finish_tasks(self, positions: Sequence[int]) -> None:
        if positions:
            await self._finish_tasks(positions)

    async def keep_vectors(self, vectors: Sequence[StoredVector]) -> None:
        if vectors:
            await self._keep_vectors(vectors)

    queued_tasks = _looking_up(memory_tasks.queued_tasks)
    _claimable = _looking_up(memory_tasks.claimable)
    claim_tasks = _writing(claims.claim_tasks)
    release_tasks = _writing(claims.release_tasks)
    first_queued = _looking_up(memory_tasks.first_queued)
    given_to_memory = _reading(memory_tasks.given_to_memory)
    vectors = _looking_up(memory_tasks.kept_vectors)
    _finish_tasks = _writing(memory_tasks.finish_tasks)
    _keep_vectors = _writing(memory_tasks.keep_vectors)
    _approved_page = _looking_up(memory_tasks.approved_page)
    _links_page = _looking_up(memory_tasks.links_page)
    _requeue = _writing(memory_tasks.requeue)

    async def approved_messages(self) -> AsyncIterator[tuple[Message, Thread, int]]:
        after: tuple[ThreadId, int] | None = (ThreadId(""), -1)
        while after is not None:
            page = await self._approved_page(after)
            for found in page.messages:
                yield found
            after = page.last

    async def all_links(self) -> AsyncIterator[QueuedTask]:
        after: int | None = 0
        while after is not None:
            page = await self._links_page(after)
            for found in page.tasks:
                yield found
            after = page.last

    async def requeue(self, tasks: Collection[MemoryTask]) -> None:
        # A rebuild asks for everything at once; commits must find their turn in between.
        for some in chunks(tasks):
            await self._requeue(some)

    # verify

    async def verify(self) -> tuple[str, ...]:
        return tuple(finding.sentence for finding in await self._findings())

    _findings = _reading(check.find)
    repair = _writing(check.repair)

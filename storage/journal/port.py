"""The journal's port: what the server asks of the store that is the truth.

A `Journal` has more than one adapter (SQLite in `storage.journal.sqlite`, PostgreSQL in
`storage.journal.postgres`, behind the same contract tests), so it is a Protocol. Nothing here touches a
disk.

Reads see only committed batches. Each read is one consistent snapshot. Every method may raise
`JournalError`; ids that name nothing give None or leave the item out, never an invented value. What is
read of many threads, and what is shown of one, leaves damaged rows out (`storage.journal.damage`).
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from machines.models.branch import Branch
from machines.models.chorus import ChorusState, RunProgress
from machines.models.commands import InvitationCounts
from machines.models.domain import SessionRecord, User
from machines.models.heat import Heat, Refusals
from machines.models.ids import (
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    ServerId,
    StreamId,
    ThreadId,
)
from machines.models.invitation import Invitation
from machines.models.invite_link import InviteLink
from machines.models.journal import (
    Batch,
    Committed,
    DecisionView,
    JournalEntry,
    MemoryTask,
    QueuedTask,
    RememberedReply,
    TimerRow,
)
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.thread import Thread
from machines.models.user_thread import UserThread
from storage.journal.answers import (
    Arrival,
    Change,
    EntryPage,
    GivenToMemory,
    InboxPage,
    InvitationPage,
    KnownUser,
    MessagePage,
    PastPage,
    PastReached,
    StoredVector,
    Tail,
    ThreadPage,
)


class Changes(Protocol):
    """What other processes commit, from the moment on in which it was opened."""

    def __aiter__(self) -> AsyncIterator[Change]:
        """Changes as they are told; those of one stream may come in any order.

        Raises:
            JournalError: what is committed may go unheard from here on.
        """


class Journal(Protocol):
    """Append-only entries with their snapshots, timers and waiting memory tasks."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it: then what was read of it may be stale."""

    @property
    def damaged_rows(self) -> int:
        """How many rows were found damaged and left out of what was read, each counted once."""

    async def open(self) -> None:
        """Migrate and open for writing.

        Raises:
            JournalError: the folder is held by another process, or the file is damaged; the
                message is one line for an operator.
        """

    async def close(self) -> None:
        """Let waiting commits finish, then close."""

    async def taken(self) -> str:
        """Wait until another process holds the store for itself, or has changed its tables so that this one
        must not write them; then nothing can be committed any more. Gives why, in one sentence."""

    async def epoch(self) -> str:
        """The store's identity; it changes when the store is restored from a backup or rebuilt."""

    async def origin(self) -> str:
        """The epoch that the store had first: it stays the same while servers run on it."""

    async def commits_lost(self) -> str:
        """Wait until it is known that the store lost commits, and gives the epoch that it has since; one
        caller at a time.

        This process or another found out: a database took the place of another one, and lacks what was
        committed there. Connections are made anew, and nothing is appended any more until `accept_epoch`.
        """

    async def accept_epoch(self, epoch: str) -> None:
        """What was known of the store before this epoch is forgotten: append again. Raises JournalError."""

    async def new_epoch(self, epoch: str) -> None:
        """Declare that what clients remember of `seq` is void."""

    async def note(self, name: str, value: str | None) -> None:
        """Keep a text under a name beside the journal, durably; None forgets it."""

    async def noted(self, name: str) -> str | None:
        """What was kept under a name."""

    async def commit(self, batch: Batch) -> Committed:
        """Make a batch durable: all of it, or nothing.

        Batches that wait at the same moment share one durable transaction; one that fails does not
        take the others with it. The snapshot rows are written from the entries' `changes`. A caller
        that is cancelled while it waits cannot know whether its batch became durable.

        Raises:
            JournalConflict: a stream's head is not what `batch.expected` says, one of its bounds is
                passed, or its request was answered meanwhile: read again and decide again.
            NotCarried: another server carries a run that it advances; nothing of it is durable.
            JournalError: the batch is not known to be durable; where the commit itself failed, it may
                be so all the same.
        """

    # threads

    async def thread(self, thread_id: ThreadId) -> Thread | None:
        """A thread alone: what says who may read it."""

    async def thread_at_head(self, thread_id: ThreadId) -> tuple[Thread, int] | None:
        """A thread, and the number of its last entry."""

    async def decision_view(self, thread_id: ThreadId) -> DecisionView | None:
        """A thread with its pending messages and live runs, at one head. Raises JournalError where one of
        them is damaged: nothing may be decided on less."""

    async def threads_of(
        self, public_key: PublicKey, *, after: str | None, limit: int, hidden: bool | None = None
    ) -> ThreadPage:
        """The threads that this person co-authors: all, or those alone that they hid, or did not hide.

        Raises:
            RequestRefused: `after` is no cursor of this store (INVALID_FIELD).
        """

    async def arrivals(
        self, public_keys: Collection[PublicKey], *, limit: int
    ) -> dict[PublicKey, Arrival]:
        """The first pages of `threads_of`, of what is not hidden, and `invitations_of` for each of them,
        in one read."""

    async def public_threads(self, *, after: str | None, limit: int) -> ThreadPage:
        """The public threads. Raises as `threads_of`."""

    async def invitations_of(
        self, public_key: PublicKey, *, after: str | None, limit: int
    ) -> InvitationPage:
        """The invitations that wait for this user's answer. Raises as `threads_of`."""

    async def inbox_of(self, public_key: PublicKey, *, after: str | None, limit: int) -> InboxPage:
        """What awaits this user's answer, and where they are mentioned in threads that they co-author.
        Raises as `threads_of`."""

    async def user_thread(self, public_key: PublicKey, thread_id: ThreadId) -> UserThread | None:
        """What a user keeps of a thread."""

    async def open_invitations(self) -> tuple[Invitation, ...]:
        """Those of all threads; for maintenance."""

    async def open_links(self) -> tuple[InviteLink, ...]:
        """The open invite links of all threads; for maintenance."""

    async def link_of_secret(self, secret_hash: str) -> InviteLink | None:
        """The invite link whose secret has this hash, open or not."""

    async def open_removals(self) -> tuple[Removal, ...]:
        """Those of all threads that are voted on; for maintenance."""

    async def open_branches(self) -> tuple[Branch, ...]:
        """Those of all threads that are open; for maintenance."""

    async def branch_of_run(self, run_id: RunId) -> Branch | None:
        """The branch that a forked run grows, open or not; None for a run that was not forked."""

    async def is_invited(self, thread_id: ThreadId, public_key: PublicKey) -> bool:
        """Whether an invitation of this key into this thread is open."""

    async def invitation_counts(
        self, public_key: PublicKey, *, inviter: PublicKey
    ) -> InvitationCounts:
        """How many invitations of a key, and of those that a user made, are open in all threads."""

    async def private_threads_shared_by(
        self, public_keys: Collection[PublicKey]
    ) -> frozenset[ThreadId]:
        """Private threads whose co-authors include every one of `public_keys`.

        Raises:
            ValueError: `public_keys` is empty: that would name every private thread.
        """

    async def snapshot(
        self, thread_id: ThreadId, *, limit: int, before_index: int | None
    ) -> tuple[DecisionView, MessagePage] | None:
        """A thread and a page of its messages (index below `before_index`), at one head, as far as they are
        whole: to be shown, not to be decided on."""

    async def as_it_was(
        self, thread_id: ThreadId, *, seq: int, limit: int, before_index: int | None
    ) -> PastPage | PastReached | None:
        """A thread as it was after its entry `seq`, with a page of its messages as they were then.

        Gives None where there is no such entry. Where too much must be gone through for one answer it
        says how far it came, and goes on from there when it is asked again.
        """

    async def seq_at(self, thread_id: ThreadId, at: datetime) -> int:
        """The last entry of a thread that was not made later than a time; 0 where there is none. Where the
        clock went back, any entry of which that can be said."""

    async def keep_moment(self, thread_id: ThreadId) -> None:
        """Keep how a thread is now, so that its past is found sooner; lost without harm."""

    # messages, runs, users

    async def message(self, message_id: MessageId) -> Message | None: ...

    async def newest_message_of(self, thread_id: ThreadId, author: PublicKey) -> MessageId | None:
        """The author's newest message in the thread that is approved or pending."""

    async def recent_messages(
        self, thread_id: ThreadId, *, before_index: int, limit: int
    ) -> tuple[Message, ...]:
        """The last `limit` approved messages with an index below `before_index`, oldest first."""

    async def approved_among(self, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        """Those of the messages that are approved now."""

    async def pending_messages(self) -> tuple[Message, ...]:
        """Those of all threads that wait for votes; for maintenance."""

    async def run(self, run_id: RunId) -> ChorusState | None: ...

    async def live_runs(self) -> tuple[RunProgress, ...]:
        """Every run of every thread that is not final, without its texts: those are of `run` and
        `thread_view`."""

    # servers that share the store, and the runs that each carries

    def now(self) -> datetime | None:
        """The time by the store's own clock, which all servers that share it go by; None where it is not
        shared."""

    async def join(self, server_id: ServerId, *, version: str, seconds: float) -> None:
        """Give a server a lease of so many seconds, on the database's clock. It is asked again where it is
        not known what became of it.

        Args:
            version: Of the server, for operators; with the fingerprint of its chart of runs.
        """

    async def heartbeat(self, server_id: ServerId, *, seconds: float) -> bool:
        """Let the lease run for so many seconds from now; False where it has run out: the server is dead
        to all others, and no renewal brings it back."""

    async def lease_lengths(self) -> tuple[float, ...]:
        """How many seconds the leases of living servers run, each length once, the shortest first; those of
        servers that do not say so are left out."""

    async def leave(self, server_id: ServerId) -> int:
        """End the lease, give back the runs that the server carries, and tell the others; gives how many
        there were."""

    async def run_released(self, within: float) -> None:
        """Wait until a server gives its runs back, and at most so many seconds."""

    async def claim_runs(
        self, server_id: ServerId, *, fingerprints: Collection[str]
    ) -> tuple[RunProgress, ...]:
        """Let the server carry runs that no living server carries, some at a time; of several that
        claim a run one has it. Gives those that it has now and had not before.

        A server that is dead itself claims nothing. A run of another chart than `fingerprints` is left
        to the servers whose version names that chart, while one of them lives.

        Args:
            fingerprints: Of the charts whose runs it leads on as if they were its own.
        """

    async def carried_runs(self, server_id: ServerId) -> tuple[RunProgress, ...]:
        """The running runs that the server carries."""

    async def user(self, public_key: PublicKey) -> User | None: ...

    async def known_users(self, public_keys: Collection[PublicKey]) -> dict[PublicKey, KnownUser]:
        """Each of them, known or not, in one read."""

    async def names(self, public_keys: Collection[PublicKey]) -> dict[PublicKey, str]:
        """The names of those who gave themselves one."""

    async def session(self, token_hash: str) -> SessionRecord | None: ...

    async def sessions(self) -> tuple[SessionRecord, ...]:
        """All of them; for maintenance."""

    async def touch_session(self, token_hash: str, thread_id: ThreadId | None) -> None:
        """Remember which thread a session follows; a convenience, lost without harm."""

    async def hold_sessions(self, wanted: Mapping[str, str]) -> frozenset[str]:
        """Let each session, named by its token's hash, be held by the connection beside it alone.

        Gives those that are there: the others are over.
        """

    async def take_token(self, name: str, *, rate: float, burst: float) -> int | None:
        """Take a token from the bucket of this name, of which there is one for all processes.

        Gives None, or the milliseconds after which there is a token again.

        Args:
            rate: Tokens that come back per second, more than 0.
            burst: Tokens in a full bucket, at least one.
        """

    async def return_token(self, name: str, *, rate: float) -> None:
        """Put a token back that was taken for nothing, of a bucket with this rate."""

    async def forget_full_buckets(self) -> int:
        """Drop buckets that are full, as a new one is; returns how many."""

    async def session_holders(self, token_hashes: Collection[str]) -> dict[str, str | None]:
        """Who holds each of these sessions that is there; None is the connection that signed in."""

    # the journal itself

    async def head(self, stream: StreamId) -> int:
        """Number of the stream's last entry; 0 where it has none."""

    async def entries(
        self, stream: StreamId, *, after_seq: int, limit: int, max_bytes: int | None = None
    ) -> EntryPage:
        """Entries `after_seq + 1 ...`: at most `limit`; with `max_bytes` a page also ends once its `data`
        has more than that as JSON, or where the rows that it is read from are very large (at least one
        entry is always given)."""

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """Hear of what other processes commit; what this journal commits itself is not told.

        Raises:
            JournalError: it cannot be listened to.
        """

    async def unheard(self) -> tuple[Change, ...]:
        """What other processes committed lately and `changes` did not tell. Asked every few seconds, it tells
        of each such entry at the latest by the second time after it was committed."""

    async def heads(self, thread_ids: Collection[ThreadId]) -> dict[ThreadId, int]:
        """The number of the last entry of each of these threads."""

    async def entries_of_many(
        self, after: Mapping[ThreadId, int], *, max_bytes: int
    ) -> dict[ThreadId, Tail]:
        """What each of these threads has behind the entry that is named, in one read; of each at most
        about `max_bytes`, and at least one entry where there is one."""

    async def audiences(
        self, thread_ids: Collection[ThreadId]
    ) -> dict[ThreadId, frozenset[PublicKey]]:
        """Whom an entry of each of these threads may concern: its co-authors, and the keys of all its
        invitations."""

    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        """The entries in which this run fired or was queued, in order; for `trace`.

        An entry is about one run at most: the first that fired in it.
        """

    async def value_entries(self, thread_id: ThreadId, id_: str) -> tuple[JournalEntry, ...]:
        """The entries that changed a message, invitation, link, removal or branch of a thread, or that are
        about a run of it, in order; none where it has no such value."""

    async def charts_of_runs(self, run_ids: Collection[RunId]) -> dict[RunId, str]:
        """Of each run: the fingerprints of the charts that accepted its newest transition, with a blank
        between them."""

    async def reply(self, public_key: PublicKey, request_id: RequestId) -> RememberedReply | None:
        """The answer that a mutating request got, if it was carried out."""

    async def forget_replies(self, before: datetime) -> int:
        """Drop replies older than `before`; returns how many."""

    # what the machines did

    async def heat(
        self,
        thread_id: ThreadId | None,
        *,
        since: datetime | None,
        until: datetime | None,
        machine: str | None = None,
        most: int | None = None,
    ) -> Heat:
        """What the machines did from `since` to `until`, both widened to whole hours: in a thread, or in
        all (None).

        Args:
            machine: Of this one alone; None is every one.
            most: Entries that are counted for the answer where `count_entries` did not count them yet;
                None counts all of them.
        """

    async def count_entries(self, now: datetime) -> bool:
        """Count some of the entries that are not counted yet; gives whether more may be left. Of servers
        that share the store one counts at a time."""

    async def count_refusals(self, refusals: Sequence[Refusals]) -> None:
        """Add refusals, of which no entry tells, to what is counted."""

    # timers

    async def timers(self) -> tuple[TimerRow, ...]:
        """Every timer, soonest first."""

    async def claim_timers(self, *, limit: int, seconds: float) -> tuple[TimerRow, ...]:
        """Deadlines that are due by the store's clock, soonest first: for so many seconds no other
        server is given them. Retries are of the server that carries the run out, and no part of them."""

    async def drop_timer(self, row: TimerRow) -> None:
        """A timer fired and had nothing to change. One that was moved since stays; unknown ids are
        fine."""

    # the memory's side

    def alone_with_memory(self) -> AbstractAsyncContextManager[None]:
        """Be the one process that opens the memory, or fills it from the beginning, until the context
        ends. The others wait.

        Raises:
            JournalError: another one goes on for too long.
        """

    async def queued_tasks(self, *, after: int = 0, limit: int = 100) -> tuple[QueuedTask, ...]:
        """Memory tasks that wait, with `position` above `after`, in order."""

    async def claim_tasks(self, *, limit: int, seconds: float) -> tuple[QueuedTask, ...]:
        """Memory tasks that wait, in order: for so many seconds no other server is given them. Damaged ones
        wait no more."""

    async def release_tasks(self, positions: Sequence[int]) -> None:
        """Give tasks that were claimed to whoever comes."""

    async def finish_tasks(self, positions: Sequence[int]) -> None:
        """The memory holds what these asked for."""

    async def first_queued(self, thread_ids: Collection[ThreadId] | None) -> int | None:
        """Lowest waiting position of these threads (of all, for None); None where nothing waits."""

    async def given_to_memory(self, *, fingerprint: str) -> GivenToMemory:
        """What tasks that were carried out with this embedder, and wait no more, gave to the memory."""

    async def vectors(
        self, message_ids: Collection[MessageId], *, fingerprint: str
    ) -> dict[MessageId, tuple[float, ...]]:
        """Kept vectors of this embedder; float32 precision."""

    async def keep_vectors(self, vectors: Sequence[StoredVector]) -> None: ...

    def approved_messages(self) -> AsyncIterator[tuple[Message, Thread, int]]:
        """Every approved message with its thread and the seq that approved it; for verify."""

    def all_links(self) -> AsyncIterator[QueuedTask]:
        """The task of every completed observation, a `RecordLinks`, done or waiting, in order of
        position; for verify."""

    async def requeue(self, tasks: Collection[MemoryTask]) -> None:
        """Let tasks wait again, at the end of the queue and with the seq that they had; for repair.

        A task that waits already keeps its place. Left out is what the journal does not know: links
        that it never asked for, the indexing of a message that is not approved.
        """

    # verify

    async def verify(self) -> tuple[str, ...]:
        """Problems inside the journal: damaged pages, gaps, snapshots that contradict the entries,
        missing references; one sentence each."""

    async def repair(self) -> tuple[str, ...]:
        """Mend what `verify` finds, from the entries; returns what was done, one sentence each.

        Entries that are lost or cannot be read are beyond it: then snapshots stay as they are, and
        `verify` goes on to say that the store must come from a backup.

        Raises:
            JournalError: the file itself is damaged; nothing was changed.
        """

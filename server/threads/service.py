"""Threads: commands are decided one after the other under a lock, made durable, and published.

Each open thread has a room, which keeps its facts between commands, so that a command costs one
commit and no read. Another server may have been first: then the journal says so, the room reads again
and decides again; it never overwrites. What changes nothing is not checked by a commit: where other
processes write to the journal too, a refusal stands on facts that were just read, and so does who may
read a thread. Only once a batch is durable are its frames published and its
effects performed, in this order, under the room's lock. What another server commits is published by
`server.threads.publishing`, under the same lock.

A commit that raises may be durable all the same. Then its room is in doubt: it reads again, by itself
as soon as the journal answers, and what turns out to be durable is published and followed up as if it
had never been in doubt.

`ThreadService.perform` is not undone by a caller that goes away: what was begun is finished.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from machines.decisions.answers import CONTEXT_MESSAGES
from machines.decisions.changes import Decided
from machines.decisions.rights import may_read, no_such_thread
from machines.decisions.threads import decide, open_thread
from machines.models.chorus import ChorusState
from machines.models.commands import (
    AdvanceRun,
    Facts,
    OpenThread,
    Policy,
    TakeOverRun,
    ThreadCommand,
)
from machines.models.effects import RunEffect
from machines.models.errors import (
    ChorusError,
    InvalidTransition,
    JournalConflict,
    JournalError,
    NotCarried,
    RequestRefused,
)
from machines.models.ids import (
    BranchId,
    MessageId,
    PublicKey,
    RunId,
    ServerId,
    ThreadId,
    thread_stream,
)
from machines.models.journal import Batch, DecisionView, JournalEntry, RememberedReply
from machines.models.thread import Thread
from server.concurrency.retry import through_races, while_journal_is_away
from server.threads.broadcast import Broadcast
from server.threads.named import with_what_it_names
from server.threads.publishing import Publisher
from server.threads.rooms import Doubt, Room, Rooms, weight_of, weight_of_run
from server.wire.renderer import Renderer
from storage.journal.port import Journal

log = logging.getLogger(__name__)

MOST_ON_LOOP: Final = 50_000
"""Effort of a decision that is made on the event loop: at most 4 ms, by the worst texts."""

EFFORT_OF_WHAT_WAITS: Final = 1_000
"""Of each message, invitation or removal that waits: to end one costs as much as so much text."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command that was carried out, durably."""

    thread_id: ThreadId
    seq: int
    """Number of the last entry that carried it out."""
    message_id: MessageId | None
    run_id: RunId | None
    branch_id: BranchId | None = None
    refused: ChorusError | None = None
    """What it came to is durable, and it is refused all the same (a vote that came too late)."""


class CommitHooks(Protocol):
    """What follows a durable batch: timers, effects, the memory."""

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        """Never blocks, never fails."""


MakeCommand = Callable[[tuple[str, ...]], ThreadCommand]
"""Makes the command from fresh ids; called again when another writer was first."""


class ThreadService:
    """All the threads that are open in this process."""

    def __init__(
        self,
        journal: Journal,
        broadcast: Broadcast,
        policy: Policy,
        new_id: Callable[[], str],
        renderer: Renderer,
        carrier: Callable[[], Awaitable[ServerId]] | None = None,
    ) -> None:
        """
        Args:
            carrier: Names this server as the one that performs what a batch asks for; raises
                JournalError where it may commit nothing. None performs nothing: nobody does.
        """
        self._carrier = carrier
        self._journal = journal
        self._broadcast = broadcast
        self._policy = policy
        self._new_id = new_id
        self.rooms = Rooms()
        self._publisher = Publisher(journal, broadcast, renderer, self.rooms)
        self._hooks: list[CommitHooks] = []
        self._partial_of: Callable[[ChorusState], str | None] = lambda _: None
        self._on_fenced: Callable[[], None] = lambda: None
        self._on_refusal: Callable[[ThreadId, InvalidTransition], None] = lambda *_: None
        self._under_way: set[asyncio.Task[Outcome]] = set()
        self._doubted: asyncio.Queue[ThreadId] = asyncio.Queue()

    def subscribe(self, hooks: CommitHooks) -> None:
        """Be told of every durable batch, in order."""
        self._hooks.append(hooks)

    def report_refusals(self, on_refusal: Callable[[ThreadId, InvalidTransition], None]) -> None:
        """Tell `on_refusal` of each event that a machine of a thread refuses; it never blocks."""
        self._on_refusal = on_refusal

    def report_fenced(self, on_fenced: Callable[[], None]) -> None:
        """Tell `on_fenced` of each batch that is refused since another server carries its run."""
        self._on_fenced = on_fenced

    @property
    def context_tokens(self) -> int:
        """The context of runs that are created from now on, and ask the server's own model."""
        return self._policy.context_tokens

    def context_of(self, model: str) -> int:
        """The context of runs that start from now on, and ask `model`."""
        return self._policy.context_of_models.get(model, self._policy.context_tokens)

    def keep_to_context(self, tokens: int, model: str | None = None) -> None:
        """Give runs from now on a context of so many tokens: those that ask `model`, where it is one
        that threads choose, else those of the server's own."""
        if model is None:
            self._policy = self._policy.changed(context_tokens=tokens)
        else:
            known = {**self._policy.context_of_models, model: tokens}
            self._policy = self._policy.changed(context_of_models=known)

    def read_partials(self, partial_of: Callable[[ChorusState], str | None]) -> None:
        """Ask `partial_of` for what a run has written when a command may stop it; it never blocks."""
        self._partial_of = partial_of

    async def open_thread(
        self, command: OpenThread, reply: RememberedReply | None = None
    ) -> Outcome:
        """Create a thread. Raises JournalConflict where its id, or the request, is taken."""

        async def create() -> Outcome:
            decision = open_thread(command)
            async with self.rooms.locked(command.thread_id) as room:
                return await self._commit(room, command.thread_id, decision, reply)

        return await self._finish(create())

    async def perform(
        self,
        thread_id: ThreadId,
        make: MakeCommand,
        reply: RememberedReply | None = None,
    ) -> Outcome:
        """Decide a command and make it durable.

        Raises:
            RequestRefused, InvalidTransition: nothing changed.
            JournalConflict: nothing changed; `reply` was given meanwhile.
            JournalError: it may be durable or not; what is, is followed up.
            NotCarried: the command advances a run of another server; nothing changed.
        """

        def with_ids(view: DecisionView) -> ThreadCommand:
            # An archiving or a leaving co-author may start a run for each message that waits.
            return make(tuple(self._new_id() for _ in range(2 * len(view.pending) + 4)))

        return await self._finish(self._perform(thread_id, with_ids, reply))

    async def perform_on_view(
        self, thread_id: ThreadId, make: Callable[[DecisionView], ThreadCommand]
    ) -> Outcome:
        """As `perform`, for a command that depends on the thread as it is at that very moment, and
        that creates nothing.

        What `make` raises is raised here, and nothing changed.
        """
        return await self._finish(self._perform(thread_id, make, None))

    async def view(self, thread_id: ThreadId) -> DecisionView | None:
        """The thread as it is now, from the room or the journal."""
        facts = self._certain_facts_of(thread_id)
        return facts.view if facts is not None else await self._journal.decision_view(thread_id)

    async def at_head(self, thread_id: ThreadId) -> tuple[Thread, int] | None:
        """The thread as it is now, and the number of its last entry. What else is damaged in it does not
        matter."""
        facts = self._certain_facts_of(thread_id)
        if facts is not None:
            return facts.view.thread, facts.view.head_seq
        return await self._journal.thread_at_head(thread_id)

    async def readable(self, thread_id: ThreadId, reader: PublicKey) -> Thread | None:
        """The thread as it is now, if this person may know of it.

        For a stranger the journal is asked, and nothing else is done, whether the thread is there,
        open in a room, or not: how long the answer takes does not tell them which.
        """
        facts = self._certain_facts_of(thread_id)
        if facts is not None and may_read(facts.view.thread, reader):
            return facts.view.thread
        found = await self._journal.thread(thread_id)
        return found if found is not None and may_read(found, reader) else None

    def _certain_facts_of(self, thread_id: ThreadId) -> Facts | None:
        """What a room keeps, where no other process can have changed it since."""
        return None if self._journal.shared else self.rooms.facts_of(thread_id)

    async def bring_up(self, thread_id: ThreadId) -> None:
        """Give followers what other servers wrote. Raises what `Publisher.bring_up` raises."""
        await self._publisher.bring_up(thread_id)

    async def run(self) -> None:
        """Read the rooms that are in doubt again once the journal answers, until cancelled."""
        while True:
            thread_id = await self._doubted.get()
            try:
                await while_journal_is_away(partial(self._clear_up, thread_id))
            except Exception:
                log.exception("what became of a commit will show at the next request")

    def forget(self) -> None:
        """The journal lost commits: forget every thread. What is under way is not committed."""
        self.rooms.forget_all()

    async def settle(self, within: float) -> None:
        """Wait for what is under way at this moment, at most so many seconds."""
        if self._under_way:
            await asyncio.wait(tuple(self._under_way), timeout=within)

    async def drain(self) -> None:
        """Wait for what is under way; for an orderly end."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))

    async def _finish(self, work: Coroutine[object, object, Outcome]) -> Outcome:
        """Carry through, whatever becomes of who asked."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.add_done_callback(_retrieve)
            raise

    async def _perform(
        self,
        thread_id: ThreadId,
        make: Callable[[DecisionView], ThreadCommand],
        reply: RememberedReply | None,
    ) -> Outcome:
        async with self.rooms.locked(thread_id) as room:

            async def decide_on(facts: Facts) -> Decided:
                command = make(facts.view)
                named = self._with_partials(
                    await with_what_it_names(self._journal, facts, command), command
                )
                return await self._decided(named, command)

            async def decide_and_commit() -> Outcome:
                facts = room.newest_facts
                if facts is None:
                    decision = await decide_on(await self._read(room, thread_id))
                else:
                    try:
                        decision = await decide_on(facts)
                    except ChorusError:
                        if not self._journal.shared:
                            raise
                        decision = await decide_on(await self._read(room, thread_id))
                return await self._commit(room, thread_id, decision, reply)

            async def is_answered() -> bool:
                return reply is not None and await self._answered(reply)

            try:
                outcome = await through_races(decide_and_commit, until=is_answered)
            except InvalidTransition as refusal:
                self._on_refusal(thread_id, refusal)
                raise
            if isinstance(outcome.refused, InvalidTransition):
                self._on_refusal(thread_id, outcome.refused)
            return outcome

    async def _decided(self, facts: Facts, command: ThreadCommand) -> Decided:
        """What a command comes to. A decision is pure, so it may be made in another thread: building a
        prompt of long texts, or ending all that waits in a thread, takes up to a hundred milliseconds.

        Raises what `decide` raises.
        """
        decided = partial(decide, facts, command, self._policy)
        if effort_of(facts) <= MOST_ON_LOOP:
            return decided()
        return await asyncio.to_thread(decided)

    async def _commit(
        self,
        room: Room,
        thread_id: ThreadId,
        decision: Decided,
        reply: RememberedReply | None,
    ) -> Outcome:
        if reply is not None and decision.refused is None:
            reply = reply.model_copy(
                update={
                    "thread_id": thread_id,
                    "message_id": decision.message_id,
                    "run_id": decision.run_id,
                    "branch_id": decision.branch_id,
                }
            )
            batch = decision.batch.model_copy(update={"reply": reply})
        else:
            batch = decision.batch
        if self._carrier is not None:
            batch = batch.changed(carrier=await self._carrier())
        if room.is_over:
            raise JournalError(
                "The database lost what was written last, and is read anew: try again.",
                certain=True,
            )
        made = self._broadcast.made
        try:
            committed = await self._journal.commit(batch)
        except (JournalConflict, NotCarried) as error:
            room.known = None
            if isinstance(error, NotCarried):
                self._on_fenced()
            raise
        except ChorusError as error:
            if room.is_over or (isinstance(error, JournalError) and error.certain):
                # Nothing of it is durable: what is known of the thread holds.
                raise
            room.published = batch.expected[thread_stream(thread_id)]
            room.known = Doubt(batch, decision.effects)
            self._broadcast.doubt(decision.facts.view.thread)
            self._doubted.put_nowait(thread_id)
            raise
        room.known = decision.facts
        await self._publisher.publish(room, decision.facts.view, committed.entries, made)
        if not room.is_over:
            # Else what follows is found in the journal, if it has the batch still.
            self._follow_up(thread_id, batch, decision.effects)
        return Outcome(
            thread_id=thread_id,
            seq=decision.facts.view.head_seq,
            message_id=decision.message_id,
            run_id=decision.run_id,
            branch_id=decision.branch_id,
            refused=decision.refused,
        )

    def _follow_up(self, thread_id: ThreadId, batch: Batch, effects: tuple[RunEffect, ...]) -> None:
        for each in self._hooks:
            each.after_commit(batch, effects, thread_id)

    async def _clear_up(self, thread_id: ThreadId) -> None:
        """Find out what became of a commit, unless a request has meanwhile. Raises JournalError."""
        async with self.rooms.locked(thread_id) as room:
            if isinstance(room.known, Doubt):
                with suppress(RequestRefused):
                    await self._read(room, thread_id)

    async def _read(self, room: Room, thread_id: ThreadId) -> Facts:
        made = self._broadcast.made
        view = await self._journal.decision_view(thread_id)
        if view is None:
            room.known = room.published = None
            self._broadcast.settle(thread_id)
            raise no_such_thread()
        await self._publish_missed(room, view, made)
        recent = await self._journal.recent_messages(
            thread_id, before_index=view.thread.message_count, limit=CONTEXT_MESSAGES
        )
        room.known = facts = Facts(view=view, recent=recent)
        return facts

    async def _publish_missed(self, room: Room, view: DecisionView, made: int) -> None:
        """Entries that became durable without this room: another writer's, or those of a commit that
        is in doubt. Followers get them before anything newer, and what is ours is followed up."""
        after = room.published
        if after is None:
            after = self._broadcast.told(view.thread.id)
        missed: tuple[JournalEntry, ...] = ()
        if after is not None:
            missed = await self._publisher.entries(view.thread.id, after, view.head_seq)
        # Nothing fails from here on: what is published is followed up too.
        doubt, room.known = room.known, None
        if missed:
            await self._publisher.publish(room, view, missed, made)
        # Now that who left by them is dropped.
        self._broadcast.settle(view.thread.id)
        if missed and isinstance(doubt, Doubt) and doubt.is_cleared_by(missed[0]):
            self._follow_up(view.thread.id, doubt.batch, doubt.effects)

    def _with_partials(self, facts: Facts, command: ThreadCommand) -> Facts:
        """Add what runs have written, which any command but an event of a run may stop."""
        if isinstance(command, AdvanceRun | TakeOverRun):
            return facts
        written = {run.id: self._partial_of(run) for run in facts.view.runs}
        partials = {run_id: text for run_id, text in written.items() if text}
        return facts.model_copy(update={"partials": partials})

    async def _answered(self, reply: RememberedReply) -> bool:
        return await self._journal.reply(reply.public_key, reply.request_id) is not None


def effort_of(facts: Facts) -> int:
    """How much a decision on these facts may have to look at, in code points of text."""
    view = facts.view
    waiting = len(view.pending) + len(view.invitations) + len(view.removals)
    named = [each.run for each in facts.adoptable.values()]
    if facts.origin is not None:
        named.append(facts.origin.run)
    texts = sum(map(weight_of_run, named))
    return weight_of(facts) + texts + waiting * EFFORT_OF_WHAT_WAITS


def _retrieve(task: asyncio.Task[Outcome]) -> None:
    """Nobody waits for this result any more; a failure is for the log."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("a request whose client went away ended with %s", type(error).__name__)

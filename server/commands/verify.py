"""`chorus verify`: journal, snapshots, timers, runs and memory held against each other.

The journal is the truth. Its snapshots are mended from its entries, the memory from the journal;
repairing twice changes nothing more. Runs offline: the data folder or the database is held alone
while it works.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from machines import branch, invitation, invite_link, removal
from machines.message import approval_deadline
from machines.models.branch import BranchStatus
from machines.models.chorus import Health
from machines.models.effects import ScheduleTimer
from machines.models.ids import PointId, TimerId
from machines.models.journal import (
    Batch,
    ForgetMessage,
    IndexMessage,
    RecordLinks,
    TimerRow,
)
from machines.models.message import Message
from machines.models.thread import Thread
from server.commands.journal_file import require_journal
from server.commands.verify_history import verify_history
from server.environment import Environment
from server.memory.points import PointMaker
from server.sessions.accounts import Accounts, session_end
from server.settings import Settings
from server.stores import Stores, open_stores
from server.timers.handlers import retry_row
from storage.journal.port import Journal
from storage.journal.sqlite import JOURNAL_FILE
from storage.memory.consistency import (
    collections_to_reset,
    expect,
    points_needed,
    repair_consistency,
    verify_consistency,
)
from storage.memory.facts import (
    DanglingLink,
    Inconsistency,
    JournalFacts,
    MemoryFacts,
    MissingPoint,
    OrphanPoint,
)
from storage.memory.points import Collection, Point, fingerprint_of, message_point_id
from storage.memory.values import Failure
from storage.salvage import recover

Say = Callable[[str], None]


async def run(
    settings: Settings, environment: Environment, *, repair: bool, restored: bool, say: Say
) -> int:
    """Say each problem and, with `repair`, what was mended; gives the exit code, 0 where none is left.

    Args:
        restored: The folder was put back from a backup: name the store anew, since what clients
            saw after the backup was made is gone, and other entries will take those numbers; and end
            every session, since those that were signed out meanwhile came back too.

    Raises:
        ChorusError: a store cannot be opened, or not be read at all.
        CommandFailed: there is no journal.
    """
    require_journal(settings)
    left = await _problems_left(settings, environment, repair=repair, restored=restored, say=say)
    if left == 0:
        say("Everything agrees.")
        return 0
    problems = "1 problem" if left == 1 else f"{left} problems"
    say(f"{problems} left." if repair else f"{problems}; chorus verify --repair mends them.")
    return 1


async def _problems_left(
    settings: Settings, environment: Environment, *, repair: bool, restored: bool, say: Say
) -> int:
    left = await _verify_file(settings, environment, repair=repair, say=say)
    if left:
        return left
    async with open_stores(
        settings, environment, accept_other_fingerprint=True, alone=True
    ) as stores:
        if restored:
            await stores.journal.new_epoch(environment.new_id())
            say("The store has a new epoch: clients read anew what they remember of it.")
        left = await _verify_journal(stores.journal, repair=repair, say=say)
        if left and restored:
            say("Its sessions were not ended: they may be damaged too.")
        elif not left:
            # Only what the journal has whole is asked for all of it.
            if restored:
                await _end_sessions(stores.journal, environment)
                say("Its sessions are ended: users sign in again with their keys.")
            left = await _verify_timers(stores.journal, repair=repair, say=say)
            left += await verify_history(settings, stores.journal, say)
        left += await _verify_memory(stores, repair=repair, say=say)
        return left


_AT_ONCE: Final = 200
"""Sessions that are ended together."""


class _NoServer:
    """Timers of a server that does not run: their rows are all there is of them."""

    def set(self, rows: tuple[TimerRow, ...]) -> None:
        """Nothing to set."""

    def cancel(self, timer_ids: tuple[TimerId, ...]) -> None:
        """Nothing to cancel."""


async def _end_sessions(journal: Journal, environment: Environment) -> None:
    """End every session; those of many are written with few commits."""
    accounts = Accounts(journal, environment, _NoServer(), session_hours=0.0)
    hashes = [session.id for session in await journal.sessions()]
    for some in (hashes[begin : begin + _AT_ONCE] for begin in range(0, len(hashes), _AT_ONCE)):
        await asyncio.gather(*map(accounts.end_session, some))


async def _verify_file(
    settings: Settings, environment: Environment, *, repair: bool, say: Say
) -> int:
    """Whether the journal's file is whole; with `repair`, save what can be read of it. A database
    server sees to its own files.

    Raises:
        JournalError: the file cannot be opened, or nothing of it can be read.
    """
    if settings.database_url is not None:
        return 0
    file = settings.data / JOURNAL_FILE
    damage = await asyncio.to_thread(recover.damage, file)
    if damage is None:
        return 0
    say(f"journal: {damage}")
    if not repair:
        say("A repair keeps the file aside and saves what is whole; a backup may hold more.")
        return 1
    aside = file.with_name(f"{file.name}.damaged-{environment.now():%Y%m%dT%H%M%S%f}")
    saved = await asyncio.to_thread(recover.salvage, file, aside=aside, epoch=environment.new_id())
    say(f"kept aside: the damaged file, as {aside.name}")
    say(f"mended: saved {saved.saved} entries; {saved.left_out} that follow a gap were left out")
    return 0


async def _verify_timers(journal: Journal, *, repair: bool, say: Say) -> int:
    """Whether what ends in its time has a timer; with `repair`, it is set where it was lost."""
    known = {row.id for row in await journal.timers()}
    wanted = [
        *(
            _row(approval_deadline(each, each.expires_at))
            for each in await journal.pending_messages()
            if each.expires_at
        ),
        *(_row(invitation.deadline_of(each)) for each in await journal.open_invitations()),
        *(_row(invite_link.deadline_of(each)) for each in await journal.open_links()),
        *(_row(removal.deadline_of(each)) for each in await journal.open_removals()),
        *(
            _row(branch.deadline_of(each))
            for each in await journal.open_branches()
            if each.status is not BranchStatus.GROWING
        ),
        *(session_end(session) for session in await journal.sessions()),
        *(retry_row(run) for run in await journal.live_runs() if run.health is Health.RECOVERING),
    ]
    lost = tuple(row for row in wanted if row.id not in known)
    for row in lost:
        say(f"timers: the one of kind {row.timer.timer} that is due at {row.due_at} is missing")
    if lost and repair:
        await journal.commit(Batch(entries=(), timers=lost))
        say(f"mended: set {len(lost)} timers that were missing")
        return 0
    return len(lost)


def _row(effect: ScheduleTimer) -> TimerRow:
    return TimerRow(id=effect.timer_id, due_at=effect.due_at, timer=effect.timer)


async def _verify_journal(journal: Journal, *, repair: bool, say: Say) -> int:
    problems = await journal.verify()
    for problem in problems:
        say(f"journal: {problem}")
    if not problems or not repair:
        return len(problems)
    for mended in await journal.repair():
        say(f"mended: {mended}")
    return len(await journal.verify())


async def _verify_memory(stores: Stores, *, repair: bool, say: Say) -> int:
    comparison = _Comparison(stores)
    found = await comparison.compare()
    for item in found:
        say(f"memory: {_sentence(item)}")
    if not found or not repair:
        return len(found)
    await comparison.mend(found)
    say(f"mended: {len(found)} differences of the memory")
    left = await comparison.compare()
    for item in left:
        say(f"left: {_sentence(item)}")
    return len(left)


class _Comparison:
    """Holds the memory against the journal, and mends it."""

    def __init__(self, stores: Stores) -> None:
        self._journal = stores.journal
        self._memory = stores.memory
        self._embedder = stores.embedder.embedder
        self._points = PointMaker(stores.journal, self._embedder)
        self._messages: dict[PointId, tuple[Message, Thread, int]] = {}
        self._links: dict[PointId, Point] = {}

    async def compare(self) -> list[Inconsistency]:
        """What differs, without what waits in the queue. The memory is read first."""
        memory = MemoryFacts(
            messages=await self._memory.facts(Collection.MESSAGES),
            links=await self._memory.facts(Collection.LINKS),
        )
        await self._read_journal()
        journal = JournalFacts(
            dimensions=self._embedder.dimensions,
            fingerprint=fingerprint_of(self._embedder.fingerprint),
            messages=tuple(
                expect(self._points.message_payload(*row)) for row in self._messages.values()
            ),
            links=tuple(expect(point.payload) for point in self._links.values()),
        )
        waiting = await self._waiting()
        return [
            item
            for item in verify_consistency(journal, memory)
            if _point_in_question(item) not in waiting
        ]

    async def mend(self, found: list[Inconsistency]) -> None:
        """Make the memory agree. Raises ChorusError where it cannot be written."""
        for collection in collections_to_reset(found):
            await self._memory.reset(collection)
        needed = points_needed(found)
        points: dict[PointId, Point] = {
            point_id: self._links[point_id] for point_id in needed & self._links.keys()
        }
        rows = [self._messages[point_id] for point_id in needed & self._messages.keys()]
        for point in await self._points.message_points(rows):
            points[point.id] = point
        for operation in repair_consistency(found, points):
            result = await self._memory.execute(operation)
            if isinstance(result, Failure):
                raise result.error

    async def _read_journal(self) -> None:
        self._messages = {
            message_point_id(message.id): (message, thread, seq)
            async for message, thread, seq in self._journal.approved_messages()
        }
        self._links = {}
        async for queued in self._journal.all_links():
            if isinstance(queued.task, RecordLinks):
                for point in await self._points.link_points(queued.task, queued.seq):
                    self._links[point.payload.point_id] = point

    async def _waiting(self) -> frozenset[PointId]:
        ids: set[PointId] = set()
        after = 0
        while tasks := await self._journal.queued_tasks(after=after, limit=500):
            after = tasks[-1].position
            for queued in tasks:
                match queued.task:
                    case IndexMessage(message_id=message_id) | ForgetMessage(message_id=message_id):
                        ids.add(message_point_id(message_id))
                    case RecordLinks():
                        points = await self._points.link_points(queued.task, queued.seq)
                        ids.update(point.payload.point_id for point in points)
        return frozenset(ids)


def _point_in_question(item: Inconsistency) -> PointId | None:
    """The point that is mended once what waits is carried out; None where it is no matter of that."""
    match item:
        case MissingPoint(id=point_id) | OrphanPoint(id=point_id):
            return point_id
        case DanglingLink(missing=point_id):
            return point_id
        case _:
            return None


def _sentence(item: Inconsistency) -> str:
    what = item.kind.replace("_", " ")
    point = getattr(item, "id", None)
    problem = getattr(item, "problem", None)
    return f"{what} in {item.collection.value}" + "".join(
        f", {part}" for part in (point, problem) if part
    )

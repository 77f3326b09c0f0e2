"""What every adapter of `storage.journal.port.Journal` must do.

An adapter's test module subclasses `JournalContract` and gives the fixture `journal`: an open, empty
journal. Nothing here knows what it stands on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest

from machines.models.chorus import ChorusState, RunProgress, RunStatus
from machines.models.commands import InvitationCounts
from machines.models.errors import (
    ErrorCode,
    JournalConflict,
    JournalError,
    NotCarried,
    RequestRefused,
)
from machines.models.heat import QUANTILE_ERROR, Heat, Refusals
from machines.models.ids import (
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    ServerId,
    ThreadId,
    TimerId,
    thread_stream,
    user_stream,
)
from machines.models.invitation import InvitationStatus
from machines.models.journal import (
    ApprovalTimer,
    Batch,
    IndexMessage,
    InvitationBound,
    MachineTransition,
    MemoryTask,
    RecordLinks,
    RetryTimer,
    TimerRow,
)
from machines.models.message import Message, MessageStatus
from machines.models.outputs import StepEnum
from machines.models.thread import Thread, Visibility
from machines.models.user_thread import UserThread
from storage.journal import past
from storage.journal.answers import (
    InvitationRow,
    KnownUser,
    PastPage,
    PastReached,
    StoredVector,
    ThreadPage,
)
from storage.journal.port import Journal
from tests.support.eventually import eventually
from tests.support.journal_values import (
    ANN,
    BEN,
    CAY,
    NOW,
    at,
    batch,
    change,
    deleted,
    entry,
    finished,
    invitation,
    message,
    opening,
    reply,
    run,
    run_entry,
    session,
    started,
    thread,
    user,
)

T = TypeVar("T")

CENTURY = 3_155_760_000.0
"""In seconds."""

NOBODY = ThreadId("00000000-0000-4000-8000-000000000000")


async def everything(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


async def looked_back(journal: Journal, one: Thread, seq: int) -> PastPage | PastReached | None:
    return await journal.as_it_was(one.id, seq=seq, limit=9, before_index=None)


def index_of(one: Message) -> MemoryTask:
    return IndexMessage(thread_id=one.thread_id, message_id=one.id)


def links_of(one: ChorusState, *priors: Message) -> MemoryTask:
    return RecordLinks(
        thread_id=one.thread_id,
        run_id=one.id,
        prompt_id=one.message_id,
        priors=tuple((prior.id, "it fits") for prior in priors),
    )


def deadline(of: Message, seconds: float) -> TimerRow:
    return TimerRow(
        id=TimerId(f"approval:{of.id}"),
        due_at=at(seconds),
        timer=ApprovalTimer(thread_id=of.thread_id, message_id=of.id),
    )


class JournalContract:
    """Tests of the Protocol, method by method."""

    # commit

    async def test_entries_are_numbered_and_come_back_exactly(self, journal: Journal) -> None:
        one = thread()
        stream = thread_stream(one.id)
        full = entry(
            stream,
            one,
            request_id=RequestId("r1"),
            restricted_to=BEN,
            fingerprint="f",
            by=None,
        )
        committed = await journal.commit(batch(0, full, entry(stream)))
        assert [found.seq for found in committed.entries] == [1, 2]
        page = await journal.entries(stream, after_seq=0, limit=10)
        assert page.entries == committed.entries
        assert page.entries == (full, entry(stream, seq=2))
        assert (page.head_seq, page.has_more, await journal.head(stream)) == (2, False, 2)

    async def test_a_batch_decided_on_an_old_head_is_a_conflict_and_writes_nothing(
        self, journal: Journal
    ) -> None:
        one = thread()
        stream = thread_stream(one.id)
        await journal.commit(opening(one))
        renamed = one.transition_to(at(1), name="new")
        for head in (0, 2):
            with pytest.raises(JournalConflict):
                await journal.commit(batch(head, entry(stream, renamed)))
        assert await journal.head(stream) == 1
        view = await journal.decision_view(one.id)
        assert view is not None
        assert view.thread == one

    async def test_a_conflict_in_one_of_two_streams_writes_neither(self, journal: Journal) -> None:
        one, person = thread(), user(BEN)
        streams = (thread_stream(one.id), user_stream(BEN))
        await journal.commit(batch(0, entry(streams[1], person)))
        both = batch(0, entry(streams[0], one), entry(streams[1], person))
        with pytest.raises(JournalConflict):
            await journal.commit(both)
        assert await journal.head(streams[0]) == 0
        assert await journal.decision_view(one.id) is None

    async def test_of_many_batches_for_one_place_exactly_one_is_accepted(
        self, journal: Journal
    ) -> None:
        one = thread()
        stream = thread_stream(one.id)
        results = await asyncio.gather(
            *(journal.commit(batch(0, entry(stream, one, kind=f"k{n}"))) for n in range(8)),
            return_exceptions=True,
        )
        accepted = [result for result in results if not isinstance(result, BaseException)]
        assert len(accepted) == 1
        assert sum(isinstance(result, JournalConflict) for result in results) == 7
        page = await journal.entries(stream, after_seq=0, limit=10)
        assert page.entries == accepted[0].entries

    async def test_a_conflict_leaves_the_batches_beside_it_alone(self, journal: Journal) -> None:
        threads = [thread(f"t{n}") for n in range(6)]
        wrong = {1, 4}
        results = await asyncio.gather(
            *(
                journal.commit(batch(9 if n in wrong else 0, entry(thread_stream(one.id), one)))
                for n, one in enumerate(threads)
            ),
            return_exceptions=True,
        )
        refused = {n for n, result in enumerate(results) if isinstance(result, JournalConflict)}
        assert refused == wrong
        for n, one in enumerate(threads):
            assert (await journal.decision_view(one.id) is None) == (n in wrong)

    async def test_what_cannot_be_stored_is_an_error_of_its_batch_alone(
        self, journal: Journal
    ) -> None:
        one = thread()
        stream = thread_stream(one.id)
        unknown = change(one).model_copy(update={"kind": "planet"})
        strange = entry(stream).model_copy(update={"changes": (unknown,)})
        gapped = Batch(entries=(entry(stream, seq=1), entry(stream, seq=3)))
        good, *bad = await asyncio.gather(
            journal.commit(opening(thread("other"))),
            journal.commit(batch(0, strange)),
            journal.commit(gapped),
            return_exceptions=True,
        )
        assert not isinstance(good, BaseException)
        for error in bad:
            assert isinstance(error, JournalError)
            assert not error.retryable
        assert await journal.head(stream) == 0

    async def test_a_cancelled_waiter_harms_nobody(self, journal: Journal) -> None:
        threads = [thread(f"t{n}") for n in range(6)]
        tasks = [asyncio.ensure_future(journal.commit(opening(one))) for one in threads]
        await asyncio.sleep(0)
        tasks[2].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[2], asyncio.CancelledError)
        assert sum(isinstance(result, BaseException) for result in results) == 1
        await journal.commit(opening(thread("later")))
        assert await journal.decision_view(threads[5].id) is not None

    # replies

    async def test_a_reply_is_remembered_with_the_seq_of_its_thread(self, journal: Journal) -> None:
        one = thread()
        stream = thread_stream(one.id)
        committed = await journal.commit(
            batch(0, entry(stream, one), entry(stream), reply=reply(of=one))
        )
        expected = reply(of=one).model_copy(update={"seq": 2})
        assert committed.reply == expected
        assert await journal.reply(ANN, RequestId("r1")) == expected
        assert await journal.reply(BEN, RequestId("r1")) is None
        assert await journal.reply(ANN, RequestId("r2")) is None

    async def test_a_request_is_carried_out_once(self, journal: Journal) -> None:
        one, other = thread("one"), thread("other")
        await journal.commit(opening(one).model_copy(update={"reply": reply(of=one)}))
        with pytest.raises(JournalConflict):
            await journal.commit(opening(other).model_copy(update={"reply": reply(of=other)}))
        assert await journal.decision_view(other.id) is None

    async def test_old_replies_are_forgotten(self, journal: Journal) -> None:
        for n in range(3):
            kept = reply(f"r{n}", at=at(n))
            await journal.commit(batch(0).model_copy(update={"reply": kept}))
        assert await journal.forget_replies(at(2)) == 2
        assert await journal.reply(ANN, RequestId("r1")) is None
        assert await journal.reply(ANN, RequestId("r2")) is not None

    # threads

    async def test_a_thread_is_seen_with_its_pending_messages_and_live_runs_at_one_head(
        self, journal: Journal
    ) -> None:
        one = thread()
        prompts = [message(one, 0), message(one, 1), message(one, 2, status=MessageStatus.PENDING)]
        whole = one.model_copy(update={"message_count": 3})
        runs = [run(prompts[1]), run(prompts[0]), run(prompts[0], 1)]
        await journal.commit(opening(one, *prompts))
        await journal.commit(batch(4, *(run_entry(each, "queued", each) for each in runs)))
        ended = finished(runs[0])
        await journal.commit(batch(7, run_entry(ended, "cancelled", ended)))
        view = await journal.decision_view(one.id)
        assert view is not None
        assert view.head_seq == 8
        assert view.thread == whole
        assert view.pending == (prompts[2],)
        assert view.runs == (runs[1], runs[2])
        assert await journal.decision_view(NOBODY) is None

    async def test_a_runs_messages_are_kept_beside_it(self, journal: Journal) -> None:
        one = thread()
        before, prompt = message(one, 0), message(one, 1)
        queued = run(prompt)
        await journal.commit(opening(one, before, prompt))
        await journal.commit(batch(3, run_entry(queued, "queued", queued)))
        assert await journal.run(queued.id) == queued
        running = started(queued, before)
        starting = batch(4, run_entry(running, "started", running))
        await journal.commit(starting)
        assert await journal.run(queued.id) == running
        later = running.model_copy(update={"version": 3, "attempt": 2})
        await journal.commit(batch(5, run_entry(later, "recovering", later)))
        assert await journal.run(queued.id) == later
        (live,) = await journal.live_runs()
        assert live.model_dump() == later.model_dump(include=set(RunProgress.model_fields))
        assert await journal.run(RunId(NOBODY)) is None

    async def test_a_run_is_advanced_by_its_carrier_alone(self, journal: Journal) -> None:
        mine, others = ServerId("mine"), ServerId("another's")
        one = thread()
        prompt = message(one, 0)
        queued = run(prompt)
        running = started(queued)
        after = running.model_copy(update={"version": 3, "attempt": 2})
        await journal.commit(opening(one, prompt))
        starting = (
            run_entry(queued, "queued", queued),
            run_entry(running, "started", running),
        )
        await journal.commit(batch(2, *starting, carrier=mine))
        bringing = batch(4, run_entry(after, "recovering", after), advances=(queued.id,))
        with pytest.raises(NotCarried):
            await journal.commit(bringing.changed(carrier=others))
        assert await journal.head(thread_stream(one.id)) == 4
        assert await journal.carried_runs(others) == ()
        await journal.commit(bringing.changed(carrier=mine))
        assert [each.id for each in await journal.carried_runs(mine)] == [queued.id]
        over = finished(after)
        # Anybody may end it; its carrier finds it ended.
        await journal.commit(batch(5, run_entry(over, "cancelled", over), carrier=others))
        assert await journal.carried_runs(mine) == ()
        assert await journal.verify() == ()

    async def test_what_no_server_carries_is_taken_up_by_one_that_joins(
        self, journal: Journal
    ) -> None:
        one = thread()
        prompt = message(one, 0)
        queued = run(prompt)
        running = started(queued)
        entries = (run_entry(queued, "queued", queued), run_entry(running, "started", running))
        await journal.commit(opening(one, prompt))
        await journal.commit(batch(2, *entries, carrier=ServerId("gone")))
        here = ServerId("here")
        await journal.join(here, version="test", seconds=600)
        assert await journal.heartbeat(here, seconds=600)
        claimed = await journal.claim_runs(here, fingerprints=("f00d",))
        assert [each.id for each in claimed] == [queued.id]
        assert await journal.claim_runs(here, fingerprints=("f00d",)) == ()
        assert await journal.carried_runs(here) == claimed
        await journal.run_released(0.01)
        await journal.leave(here)

    async def test_live_runs_are_those_of_all_threads(self, journal: Journal) -> None:
        threads = [thread("a"), thread("b")]
        runs = []
        for one in threads:
            prompt = message(one, 0)
            live, final = run(prompt), run(prompt, 1, status=RunStatus.CANCELLED)
            runs.append(live)
            await journal.commit(opening(one, prompt))
            await journal.commit(
                batch(2, run_entry(live, "queued", live), run_entry(final, "cancelled", final))
            )
        assert {each.id for each in await journal.live_runs()} == {each.id for each in runs}

    async def test_threads_are_listed_last_changed_first_page_by_page(
        self, journal: Journal
    ) -> None:
        threads = [thread(f"t{n}", visibility=Visibility.PUBLIC) for n in range(5)]
        for one in threads:
            await journal.commit(opening(one))
        await journal.commit(opening(thread("hidden", BEN)))
        await journal.commit(batch(1, entry(thread_stream(threads[1].id))))
        order = [threads[n] for n in (1, 4, 3, 2, 0)]

        def mine(after: str | None) -> Awaitable[ThreadPage]:
            return journal.threads_of(ANN, after=after, limit=2)

        def public(after: str | None) -> Awaitable[ThreadPage]:
            return journal.public_threads(after=after, limit=2)

        for ask in (mine, public):
            page = await ask(None)
            pages = [page]
            while page.next is not None:
                page = await ask(page.next)
                pages.append(page)
            assert [row.thread for page in pages for row in page.rows] == order
            assert [len(page.rows) for page in pages] == [2, 2, 1]
        first = await journal.threads_of(ANN, after=None, limit=1)
        assert first.rows[0].head_seq == 2

    async def test_a_page_goes_on_where_it_ended_when_threads_change_meanwhile(
        self, journal: Journal
    ) -> None:
        threads = [thread(f"t{n}") for n in range(4)]
        for one in threads:
            await journal.commit(opening(one))
        page = await journal.threads_of(ANN, after=None, limit=2)
        await journal.commit(batch(1, entry(thread_stream(threads[3].id))))
        await journal.commit(opening(thread("new")))
        rest = await journal.threads_of(ANN, after=page.next, limit=2)
        assert [row.thread for row in rest.rows] == [threads[1], threads[0]]
        assert rest.next is None

    async def test_pages_of_what_a_user_hid_and_did_not_hide_are_full(
        self, journal: Journal
    ) -> None:
        threads = [thread(f"t{n}", ANN, BEN) for n in range(7)]
        for number, one in enumerate(threads):
            await journal.commit(opening(one))
            kept = UserThread.begin(ANN, one.id, at(1)).read_to(1, at(1))
            if number % 2:
                kept = kept.hide(at(2), hidden=True)
            await journal.commit(batch(number, entry(user_stream(ANN), kept)))

        async def pages(key: PublicKey, hidden: bool | None) -> list[list[Thread]]:
            found = [await journal.threads_of(key, after=None, limit=2, hidden=hidden)]
            while (after := found[-1].next) is not None:
                found.append(await journal.threads_of(key, after=after, limit=2, hidden=hidden))
            return [[row.thread for row in page.rows] for page in found]

        t = threads
        assert await pages(ANN, False) == [[t[6], t[4]], [t[2], t[0]]]
        assert await pages(ANN, True) == [[t[5], t[3]], [t[1]]]
        assert sum(map(len, await pages(ANN, None))) == 7
        assert await pages(BEN, True) == [[]]
        assert sum(map(len, await pages(BEN, False))) == 7
        arrived = (await journal.arrivals([ANN], limit=9))[ANN]
        assert [row.thread for row in arrived.threads.rows] == [t[6], t[4], t[2], t[0]]
        shown = UserThread.begin(ANN, t[1].id, at(1)).transition_to(at(2), read_seq=1)
        shown = shown.hide(at(3), hidden=True).hide(at(4), hidden=False)
        await journal.commit(batch(7, entry(user_stream(ANN), shown)))
        assert await pages(ANN, True) == [[t[5], t[3]]]
        assert await journal.verify() == ()

    @pytest.mark.parametrize("cursor", ["", "x", "cA==", "é", "cC0x", "=" * 8, "cCAx"])
    async def test_a_cursor_of_somebody_else_is_refused(
        self, journal: Journal, cursor: str
    ) -> None:
        with pytest.raises(RequestRefused) as refused:
            await journal.public_threads(after=cursor, limit=2)
        assert refused.value.code is ErrorCode.INVALID_FIELD
        assert refused.value.details is not None
        assert refused.value.details["field"] == "after"

    async def test_co_authors_come_and_go(self, journal: Journal) -> None:
        one = thread("one", ANN, BEN)
        await journal.commit(opening(one))
        changed = one.transition_to(at(1), co_authors=(BEN, CAY))
        await journal.commit(batch(1, entry(thread_stream(one.id), changed)))
        listed = {
            key: [row.thread for row in (await journal.threads_of(key, after=None, limit=9)).rows]
            for key in (ANN, BEN, CAY)
        }
        assert listed == {ANN: [], BEN: [changed], CAY: [changed]}

    async def test_shared_are_private_threads_that_all_of_them_co_author(
        self, journal: Journal
    ) -> None:
        ours, mine = thread("ours", ANN, BEN, CAY), thread("mine", ANN)
        open_one = thread("open", ANN, BEN, visibility=Visibility.PUBLIC)
        for one in (ours, mine, open_one):
            await journal.commit(opening(one))
        assert await journal.private_threads_shared_by([ANN]) == {ours.id, mine.id}
        assert await journal.private_threads_shared_by([ANN, BEN, ANN]) == {ours.id}
        assert await journal.private_threads_shared_by([ANN, PublicKey("Dan")]) == frozenset()
        with pytest.raises(ValueError, match="empty"):
            await journal.private_threads_shared_by([])

    async def test_a_snapshot_pages_back_through_the_messages(self, journal: Journal) -> None:
        one = thread()
        messages = [message(one, n) for n in range(5)]
        await journal.commit(opening(one, *messages))
        wanted: dict[int | None, tuple[tuple[Message, ...], bool]] = {
            None: (tuple(messages[3:]), True),
            3: (tuple(messages[1:3]), True),
            1: (tuple(messages[:1]), False),
            0: ((), False),
            2**63 - 1: (tuple(messages[3:]), True),
        }
        for before, (expected, more) in wanted.items():
            found = await journal.snapshot(one.id, limit=2, before_index=before)
            assert found is not None
            view, page = found
            assert view.head_seq == 6
            assert (page.messages, page.has_more) == (expected, more)
        assert await journal.snapshot(NOBODY, limit=2, before_index=None) is None

    async def test_a_thread_is_read_as_it_was(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = thread()
        pending = message(one, 0, status=MessageStatus.PENDING)
        approved = pending.transition_to(at(2), status=MessageStatus.APPROVED)
        gone = approved.transition_to(at(9), status=MessageStatus.SUPERSEDED)
        begun = one.transition_to(at(1), message_count=1)
        stream = thread_stream(one.id)
        for head, values in enumerate([(one,), (begun, pending), (approved,), (), (), (gone,)]):
            await journal.commit(batch(head, entry(stream, *values)))
        monkeypatch.setattr(past, "MOST_GATHERED", 2)
        monkeypatch.setattr(past, "KEPT_EACH", 2)
        for seq, shown in ((6, gone), (5, approved), (3, approved), (2, pending), (1, None)):
            reached = [0]
            while isinstance(found := await looked_back(journal, one, seq), PastReached):
                reached.append(found.seq)
                assert reached[-1] > reached[-2]
            assert isinstance(found, PastPage)
            assert found.view.head_seq == seq
            assert found.view.thread == (one if seq == 1 else begun)
            assert found.view.pending == ((pending,) if seq == 2 else ())
            assert found.page.messages == (() if shown is None else (shown,))
        await journal.keep_moment(one.id)
        for seq in (0, 7):
            assert await looked_back(journal, one, seq) is None

    async def test_the_last_entry_at_a_time_is_found(self, journal: Journal) -> None:
        one = thread()
        stream = thread_stream(one.id)
        made = [entry(stream, one), *(entry(stream) for _ in range(4))]
        for head, each in enumerate(made):
            await journal.commit(batch(head, each.model_copy(update={"at": at(head // 2)})))
        for time, seq in ((-1, 0), (0, 2), (0.5, 2), (1, 4), (2, 5), (99, 5)):
            assert await journal.seq_at(one.id, at(time)) == seq
        assert await journal.seq_at(NOBODY, at(9)) == 0

    async def test_the_entries_of_a_value_are_found_where_times_are_out_of_order(
        self, journal: Journal
    ) -> None:
        one = thread()
        stream = thread_stream(one.id)
        begun = at(5)
        pending = message(one, 0, status=MessageStatus.PENDING, created_at=begun, updated_at=begun)
        approved = pending.transition_to(at(6), status=MessageStatus.APPROVED)
        made = [
            entry(stream, one, at=at(0)),
            entry(stream, pending, at=begun),
            *(entry(stream, at=at(1)) for _ in range(4)),
            entry(stream, approved, at=at(6)),
            entry(stream, at=at(2)),
        ]
        for head, each in enumerate(made):
            await journal.commit(batch(head, each))
        found = await journal.value_entries(one.id, pending.id)
        assert [each.seq for each in found] == [2, 7]

    # messages and people

    async def test_recent_messages_are_the_last_approved_ones_before_an_index(
        self, journal: Journal
    ) -> None:
        one = thread()
        messages = [
            message(one, n, status=MessageStatus.REJECTED if n == 2 else MessageStatus.APPROVED)
            for n in range(5)
        ]
        await journal.commit(opening(one, *messages))
        found = await journal.recent_messages(one.id, before_index=4, limit=2)
        assert found == (messages[1], messages[3])
        assert await journal.message(messages[2].id) == messages[2]
        assert await journal.message(MessageId(NOBODY)) is None

    async def test_people_have_the_names_that_they_gave_themselves(self, journal: Journal) -> None:
        for person in (user(ANN, "Ann Ö."), user(BEN)):
            await journal.commit(batch(0, entry(user_stream(person.public_key), person)))
        assert await journal.names([ANN, BEN, CAY]) == {ANN: "Ann Ö."}
        assert await journal.names([]) == {}
        assert await journal.user(BEN) == user(BEN)
        assert await journal.user(CAY) is None

    async def test_many_people_are_asked_about_at_once(self, journal: Journal) -> None:
        await journal.commit(batch(0, entry(user_stream(ANN), user(ANN)), entry(user_stream(ANN))))
        assert await journal.known_users([ANN, BEN]) == {
            ANN: KnownUser(user=user(ANN), head_seq=2),
            BEN: KnownUser(user=None, head_seq=0),
        }
        assert await journal.known_users([]) == {}

    async def test_the_threads_of_many_people_are_each_one_s_own(self, journal: Journal) -> None:
        for one in (thread("one"), thread("two"), thread("bens", BEN)):
            await journal.commit(opening(one))
        await journal.commit(
            batch(0, entry(thread_stream(thread("of Ben").id), thread("of Ben", BEN)))
        )
        into = thread("of Ben", BEN)
        await journal.commit(batch(1, entry(thread_stream(into.id), invitation(into, CAY))))
        found = await journal.arrivals([ANN, BEN, CAY], limit=1)
        for key in (ANN, BEN, CAY):
            assert found[key].threads == await journal.threads_of(key, after=None, limit=1)
            asked = await journal.invitations_of(key, after=None, limit=1)
            assert found[key].invitations == asked
        assert [row.thread.name for row in found[ANN].threads.rows] == ["two"]
        assert found[CAY].threads.rows == ()
        assert len(found[CAY].invitations.rows) == 1

    async def test_open_invitations_are_found_by_key_by_thread_and_counted(
        self, journal: Journal
    ) -> None:
        one, two = thread("one"), thread("two", BEN)
        await journal.commit(batch(0, entry(user_stream(ANN), user(ANN, "Ann"))))
        for opened in (one, two):
            await journal.commit(opening(opened))
        first, second = invitation(one, CAY, 1), invitation(two, CAY, 1)
        later = invitation(one, BEN, 2)
        over = later.transition_to(at(3), status=InvitationStatus.DECLINED)
        await journal.commit(
            batch(1, entry(thread_stream(one.id), first), entry(thread_stream(one.id), later))
        )
        await journal.commit(batch(1, entry(thread_stream(two.id), second)))

        pages: list[InvitationRow] = []
        after = None
        while True:
            page = await journal.invitations_of(CAY, after=after, limit=1)
            pages += page.rows
            after = page.next
            if after is None:
                break
        assert {row.invitation.id for row in pages} == {first.id, second.id}
        names = {row.thread_name: row.invited_by_name for row in pages}
        assert names == {"one": "Ann", "two": None}
        with pytest.raises(RequestRefused):
            await journal.invitations_of(CAY, after="nowhere", limit=1)

        view = await journal.decision_view(one.id)
        assert view is not None
        assert view.invitations == (first, later)
        assert await journal.is_invited(one.id, CAY)
        assert not await journal.is_invited(two.id, BEN)
        counts = await journal.invitation_counts(CAY, inviter=ANN)
        assert counts == InvitationCounts(of_key=2, by_inviter=2)
        assert {each.id for each in await journal.open_invitations()} == {
            *(first.id, second.id, later.id)
        }

        await journal.commit(batch(3, entry(thread_stream(one.id), over)))
        assert (await journal.invitations_of(BEN, after=None, limit=9)).rows == ()
        assert (await journal.invitation_counts(CAY, inviter=ANN)).by_inviter == 1
        assert await journal.verify() == ()

    async def test_a_bound_on_invitations_holds_among_batches_that_wait_together(
        self, journal: Journal
    ) -> None:
        threads = [thread(f"t{n}") for n in range(4)]
        for one in threads:
            await journal.commit(opening(one))
        bounds = (
            InvitationBound(of="key", public_key=BEN, most=2),
            InvitationBound(of="inviter", public_key=ANN, most=9),
        )
        asked = [
            batch(1, entry(thread_stream(one.id), invitation(one, BEN))).model_copy(
                update={"bounds": bounds}
            )
            for one in threads
        ]
        results = await asyncio.gather(*map(journal.commit, asked), return_exceptions=True)
        assert sum(isinstance(result, JournalConflict) for result in results) == 2
        counts = await journal.invitation_counts(BEN, inviter=ANN)
        assert (counts.of_key, counts.by_inviter) == (2, 2)

    async def test_a_person_has_one_row(self, journal: Journal) -> None:
        await journal.commit(batch(0, entry(user_stream(ANN), user(ANN))))
        twin = user(ANN).model_copy(update={"id": user(BEN).id})
        one = thread()
        with pytest.raises(JournalConflict):
            await journal.commit(batch(0, entry(thread_stream(one.id), one, twin)))
        assert await journal.decision_view(one.id) is None

    async def test_a_session_remembers_its_thread_and_ends(self, journal: Journal) -> None:
        stream, one, followed = user_stream(ANN), session(), thread()
        await journal.commit(batch(0, entry(stream, one)))
        assert await journal.session(one.id) == one
        await journal.touch_session(one.id, followed.id)
        assert await journal.session(one.id) == one.model_copy(update={"thread_id": followed.id})
        await journal.touch_session(one.id, None)
        assert await journal.session(one.id) == one
        await journal.touch_session("unknown", followed.id)
        ending = entry(stream).model_copy(update={"changes": (deleted(one),)})
        await journal.commit(batch(1, ending))
        assert await journal.session(one.id) is None

    async def test_a_session_is_held_by_the_connection_that_took_it_last(
        self, journal: Journal
    ) -> None:
        stream, one = user_stream(ANN), session()
        await journal.commit(batch(0, entry(stream, user(ANN, "Ann")), entry(stream, one)))
        assert await journal.session_holders([one.id, "unknown"]) == {one.id: None}
        assert await journal.hold_sessions({one.id: "c1", "unknown": "c2"}) == {one.id}
        assert await journal.hold_sessions({one.id: "c3"}) == {one.id}
        assert await journal.session_holders([one.id]) == {one.id: "c3"}
        assert await journal.session(one.id) == one
        assert await journal.verify() == (), "who holds it is in no entry"
        ending = entry(stream).model_copy(update={"changes": (deleted(one),)})
        await journal.commit(batch(2, ending))
        assert await journal.hold_sessions({one.id: "c4"}) == frozenset()
        assert await journal.session_holders([one.id]) == {}
        assert await journal.hold_sessions({}) == frozenset()
        assert await journal.session_holders([]) == {}

    # what others commit

    async def test_what_was_committed_here_is_never_told_as_unheard(self, journal: Journal) -> None:
        assert await journal.unheard() == ()
        one = thread()
        await journal.commit(opening(one, message(one, 0)))
        await journal.commit(batch(2, entry(thread_stream(one.id))))
        assert [await journal.unheard() for _ in range(3)] == [(), (), ()]

    # rates

    async def test_a_bucket_gives_its_tokens_and_says_when_there_is_one_again(
        self, journal: Journal
    ) -> None:
        an_hour = 3_600
        for _ in range(2):
            assert await journal.take_token("a", rate=1 / an_hour, burst=2) is None
        wait = await journal.take_token("a", rate=1 / an_hour, burst=2)
        assert wait is not None
        assert 0 < wait <= an_hour * 1_000
        assert await journal.take_token("b", rate=1 / an_hour, burst=1) is None
        assert await journal.take_token("quick", rate=1_000_000, burst=1) is None

        async def one_is_forgotten() -> bool:
            return await journal.forget_full_buckets() == 1

        # A database's clock may tick in milliseconds.
        await eventually(one_is_forgotten, "the bucket that was full at once is forgotten")
        assert await journal.take_token("a", rate=1 / an_hour, burst=2) is not None

    async def test_a_token_that_is_returned_is_there_again_and_no_bucket_overflows(
        self, journal: Journal
    ) -> None:
        rate = 1 / 3_600
        for _ in range(3):
            await journal.return_token("a", rate=rate)
        assert await journal.take_token("a", rate=rate, burst=1) is None
        assert await journal.take_token("a", rate=rate, burst=1) is not None
        for _ in range(3):
            await journal.return_token("a", rate=rate)
        assert await journal.take_token("a", rate=rate, burst=1) is None
        assert await journal.take_token("a", rate=rate, burst=1) is not None

    # the journal itself

    async def test_entries_are_paged_by_number_and_by_size(self, journal: Journal) -> None:
        one = thread()
        stream = thread_stream(one.id)
        await journal.commit(batch(0, *(entry(stream) for _ in range(5))))
        page = await journal.entries(stream, after_seq=1, limit=2)
        assert [found.seq for found in page.entries] == [2, 3]
        assert (page.head_seq, page.has_more) == (5, True)
        small = await journal.entries(stream, after_seq=3, limit=9, max_bytes=1)
        assert [found.seq for found in small.entries] == [4]
        assert small.has_more
        for after in (5, 2**63 - 1):
            end = await journal.entries(stream, after_seq=after, limit=9)
            assert (end.entries, end.head_seq, end.has_more) == ((), 5, False)
        assert await journal.head(user_stream(ANN)) == 0

    async def test_many_threads_are_asked_for_their_heads_and_for_what_is_behind_an_entry(
        self, journal: Journal
    ) -> None:
        one, other, third = thread("one"), thread("other"), thread("third")
        await journal.commit(opening(one))
        await journal.commit(opening(other, message(other, 0), message(other, 1)))
        await journal.commit(opening(third))
        asked = [one.id, other.id, NOBODY]
        assert await journal.heads(asked) == {one.id: 1, other.id: 3}
        after = {one.id: 1, other.id: 1, NOBODY: 0}
        tails = await journal.entries_of_many(after, max_bytes=10_000)
        assert tails.keys() == {one.id, other.id}
        assert [found.seq for found in tails[one.id].entries] == []
        assert [found.seq for found in tails[other.id].entries] == [2, 3]
        assert (tails[one.id].head_seq, tails[other.id].head_seq) == (1, 3)
        assert tails[other.id].thread == await journal.thread(other.id)
        small = await journal.entries_of_many({other.id: 0}, max_bytes=1)
        assert [found.seq for found in small[other.id].entries] == [1]

    async def test_an_entry_concerns_co_authors_and_who_is_or_was_invited(
        self, journal: Journal
    ) -> None:
        one, other = thread("one", ANN, BEN), thread("other")
        await journal.commit(opening(one))
        await journal.commit(opening(other))
        stream = thread_stream(other.id)
        invited = invitation(other, CAY)
        ended = invited.model_copy(update={"status": InvitationStatus.DECLINED, "version": 2})
        await journal.commit(batch(1, entry(stream, invited), entry(stream, ended)))
        assert await journal.audiences([one.id, other.id, NOBODY]) == {
            one.id: {ANN, BEN},
            other.id: {ANN, CAY},
        }

    async def test_what_a_journal_commits_itself_is_no_change_to_it(self, journal: Journal) -> None:
        async with journal.changes() as changes:
            hearing = asyncio.ensure_future(anext(aiter(changes)))
            await journal.commit(opening(thread()))
            heard, _ = await asyncio.wait([hearing], timeout=0.1)
            assert not heard
            hearing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hearing

    async def test_run_entries_are_those_that_are_about_the_run(self, journal: Journal) -> None:
        one = thread()
        prompt = message(one, 0)
        first, second = run(prompt), run(prompt, 1)
        await journal.commit(opening(one))
        submitted = entry(thread_stream(one.id), prompt, first, kind="message_submitted")
        running = started(first)
        await journal.commit(
            batch(
                1,
                submitted,
                run_entry(running, "started", running),
                run_entry(second, "queued", second),
                run_entry(running, "completed"),
            )
        )
        assert [found.seq for found in await journal.run_entries(first.id)] == [2, 3, 5]
        assert [found.seq for found in await journal.run_entries(second.id)] == [4]

    async def test_a_store_has_an_epoch_until_it_gets_another(self, journal: Journal) -> None:
        before = await journal.epoch()
        assert before
        assert await journal.epoch() == before
        await journal.new_epoch("restored")
        assert await journal.epoch() == "restored"

    # timers

    async def test_what_machines_did_is_told_before_and_after_it_is_counted(
        self, journal: Journal
    ) -> None:
        waiting = message(thread(), 0, status=MessageStatus.PENDING)
        await journal.commit(opening(thread(), waiting))
        taken = MachineTransition(
            machine="message", instance=waiting.id, event="e", source="s", target="t", edge="edge"
        )

        async def told() -> Heat:
            return await journal.heat(thread().id, since=None, until=None)

        for seq, moment in ((3, 60), (4, 61)):
            now = at(moment)
            status = MessageStatus.PENDING if seq == 3 else MessageStatus.APPROVED
            waiting = waiting.transition_to(now, status=status)
            stream = thread_stream(thread().id)
            noted = entry(stream, waiting, at=now, transitions=(taken,))
            await journal.commit(batch(seq - 1, noted))
            before = await told()
            assert await journal.count_entries(now) is False
            assert await told() == before == await journal.heat(None, since=None, until=None)
        (found,) = before.machines
        assert found.edges == {"edge": 2}
        assert found.states["pending"].p95_ms == pytest.approx(61_000, rel=QUANTILE_ERROR)
        refused = Refusals(
            thread_id=thread().id, hour=NOW, machine="message", event="e", guard="g", count=2
        )
        await journal.count_refusals([refused])
        await journal.count_refusals([refused])
        (found,) = (await told()).machines
        assert [each.count for each in found.refused] == [4]
        assert (await journal.heat(None, since=at(7_200), until=None)).machines == ()
        assert await journal.verify() == ()

    async def test_timers_are_set_moved_cancelled_and_dropped(self, journal: Journal) -> None:
        one = thread()
        messages = [message(one, n) for n in range(3)]
        late, soon, third = (
            deadline(messages[n], seconds) for n, seconds in ((0, 9), (1, 5), (2, 7))
        )
        await journal.commit(opening(one).model_copy(update={"timers": (late, soon, third)}))
        assert await journal.timers() == (soon, third, late)
        moved = late.model_copy(update={"due_at": at(1)})
        retry = TimerRow(
            id=third.id,
            due_at=at(2),
            timer=RetryTimer(
                thread_id=one.id,
                run_id=run(messages[0]).id,
                step=StepEnum.ACTION,
                iteration=1,
                attempt=1,
            ),
        )
        await journal.commit(
            batch(0).model_copy(
                update={"timers": (moved, retry), "cancelled_timers": (soon.id, third.id)}
            )
        )
        assert await journal.timers() == (moved, retry)
        await journal.drop_timer(late)
        assert await journal.timers() == (moved, retry), "a timer that was moved since stays"
        await journal.drop_timer(moved)
        await journal.drop_timer(moved)
        assert await journal.timers() == (retry,)

    async def test_deadlines_that_are_due_are_claimed_for_a_time(self, journal: Journal) -> None:
        one = thread()
        messages = [message(one, n) for n in range(3)]
        second, first = deadline(messages[0], 2), deadline(messages[1], 1)
        later = deadline(messages[2], CENTURY)
        retry = TimerRow(
            id=TimerId("retry"),
            due_at=at(0),
            timer=RetryTimer(
                thread_id=one.id,
                run_id=run(messages[0]).id,
                step=StepEnum.ACTION,
                iteration=1,
                attempt=1,
            ),
        )
        rows = (second, first, later, retry)
        await journal.commit(opening(one).model_copy(update={"timers": rows}))
        assert await journal.claim_timers(limit=1, seconds=0) == (first,)
        assert await journal.claim_timers(limit=9, seconds=CENTURY) == (first, second)
        assert await journal.claim_timers(limit=9, seconds=CENTURY) == ()
        await journal.commit(batch(0).model_copy(update={"timers": (first,)}))
        assert await journal.claim_timers(limit=9, seconds=CENTURY) == (first,), "it was set anew"
        await journal.drop_timer(second)
        assert len(await journal.timers()) == 3

    async def test_a_note_is_kept_replaced_and_forgotten(self, journal: Journal) -> None:
        assert await journal.noted("rebuild") is None
        await journal.note("rebuild", "due")
        await journal.note("rebuild", "again")
        assert await journal.noted("rebuild") == "again"
        await journal.note("rebuild", None)
        await journal.note("rebuild", None)
        assert await journal.noted("rebuild") is None

    # the memory's side

    async def test_memory_tasks_wait_in_order_until_they_are_finished(
        self, journal: Journal
    ) -> None:
        one, other = thread("one"), thread("other")
        prompt, second = message(one, 0), message(other, 0)
        tasks = (index_of(prompt), links_of(run(prompt), second))
        await journal.commit(opening(one, prompt).model_copy(update={"memory": tasks}))
        await journal.commit(
            opening(other, second).model_copy(update={"memory": (index_of(second),)})
        )
        queued = await journal.queued_tasks()
        assert [found.task for found in queued] == [*tasks, index_of(second)]
        assert [(found.thread_id, found.seq) for found in queued] == [
            (one.id, 2),
            (one.id, 2),
            (other.id, 2),
        ]
        positions = [found.position for found in queued]
        assert positions == sorted(set(positions))
        assert await journal.queued_tasks(after=positions[0], limit=1) == (queued[1],)
        assert await journal.first_queued(None) == positions[0]
        assert await journal.first_queued([other.id]) == positions[2]
        assert await journal.first_queued([NOBODY]) is None
        assert await journal.first_queued([]) is None
        await journal.finish_tasks([positions[0], positions[2], 10_000])
        assert await journal.queued_tasks() == (queued[1],)
        assert await journal.first_queued(None) == positions[1]
        await journal.finish_tasks([])

    async def test_memory_tasks_are_claimed_in_order_and_given_back(self, journal: Journal) -> None:
        one = thread()
        messages = [message(one, n) for n in range(3)]
        tasks = tuple(index_of(each) for each in messages)
        await journal.commit(opening(one, *messages).model_copy(update={"memory": tasks}))
        claimed = await journal.claim_tasks(limit=2, seconds=CENTURY)
        assert [found.task for found in claimed] == list(tasks[:2])
        await journal.finish_tasks([claimed[0].position])
        await journal.release_tasks([claimed[1].position])
        await journal.release_tasks([])
        left = await journal.claim_tasks(limit=9, seconds=CENTURY)
        assert [found.task for found in left] == list(tasks[1:])
        async with journal.alone_with_memory():
            assert await journal.queued_tasks() == left, "who only reads is told of all that wait"

    async def test_finished_tasks_wait_again_behind_the_others_when_asked_for(
        self, journal: Journal
    ) -> None:
        one = thread()
        prompt, pending = message(one, 0), message(one, 1, status=MessageStatus.PENDING)
        links = links_of(run(prompt), prompt)
        await journal.commit(
            opening(one, prompt, pending).model_copy(update={"memory": (links, index_of(prompt))})
        )
        before = await journal.queued_tasks()
        await journal.finish_tasks([before[0].position])
        never_asked = links_of(run(prompt, 1), prompt)
        await journal.requeue([links, index_of(prompt), index_of(pending), never_asked])
        after = await journal.queued_tasks()
        assert [found.task for found in after] == [index_of(prompt), links]
        assert after[0] == before[1]
        assert after[1].position > before[1].position
        assert after[1].seq == before[0].seq
        await journal.requeue([])

    async def test_an_approved_message_can_be_asked_for_that_was_never_queued(
        self, journal: Journal
    ) -> None:
        one = thread()
        prompt = message(one, 0)
        await journal.commit(opening(one, prompt))
        await journal.requeue([index_of(prompt)])
        (found,) = await journal.queued_tasks()
        assert (found.task, found.seq) == (index_of(prompt), 2)

    async def test_links_are_listed_whether_done_or_not(self, journal: Journal) -> None:
        one = thread()
        prompt = message(one, 0)
        links = links_of(run(prompt), prompt)
        await journal.commit(
            opening(one, prompt).model_copy(update={"memory": (index_of(prompt), links)})
        )
        waiting = await everything(journal.all_links())
        await journal.finish_tasks([found.position for found in waiting])
        assert [found.task for found in await everything(journal.all_links())] == [links]
        assert waiting[0].seq == 2

    async def test_approved_messages_come_with_the_seq_that_approved_them(
        self, journal: Journal
    ) -> None:
        one = thread().model_copy(update={"message_count": 2})
        first = message(one, 0)
        second = message(one, 1, status=MessageStatus.PENDING)
        await journal.commit(opening(one, first, second))
        stream = thread_stream(one.id)
        approved = second.transition_to(at(1), status=MessageStatus.APPROVED)
        await journal.commit(batch(3, entry(stream, approved)))
        again = approved.transition_to(at(2), run_id=run(first).id)
        await journal.commit(batch(4, entry(stream, again)))
        assert await everything(journal.approved_messages()) == [(first, one, 2), (again, one, 4)]

    async def test_vectors_are_kept_for_each_embedder(self, journal: Journal) -> None:
        ids = [MessageId(f"m{n}") for n in range(3)]
        await journal.keep_vectors(
            [StoredVector(one, "e1", (0.5, float(n), -1.25)) for n, one in enumerate(ids)]
        )
        await journal.keep_vectors(
            [StoredVector(ids[0], "e2", (1.0,)), StoredVector(ids[1], "e1", (2.0,))]
        )
        assert await journal.vectors([*ids[:2], MessageId("x")], fingerprint="e1") == {
            ids[0]: (0.5, 0.0, -1.25),
            ids[1]: (2.0,),
        }
        assert await journal.vectors(ids, fingerprint="e2") == {ids[0]: (1.0,)}
        assert await journal.vectors([], fingerprint="e1") == {}
        await journal.keep_vectors([])

    # verify

    async def test_a_sound_store_has_nothing_to_mend(self, journal: Journal) -> None:
        one = thread("one", ANN, BEN)
        prompt, pending = message(one, 0), message(one, 1, status=MessageStatus.PENDING)
        queued = run(prompt)
        await journal.commit(
            opening(one, prompt, pending).model_copy(
                update={
                    "memory": (index_of(prompt), links_of(queued, prompt)),
                    "timers": (deadline(pending, 9),),
                    "reply": reply(of=one),
                }
            )
        )
        await journal.commit(batch(3, run_entry(queued, "queued", queued)))
        running = started(queued, prompt)
        await journal.commit(batch(4, run_entry(running, "started", running)))
        await journal.commit(batch(0, entry(user_stream(ANN), user(ANN, "Ann"), session())))
        await journal.touch_session(session().id, one.id)
        assert await journal.verify() == ()
        assert await journal.repair() == ()
        found = await journal.session(session().id)
        assert found is not None
        assert found.thread_id == one.id

    async def test_timers_and_tasks_for_nothing_are_removed(self, journal: Journal) -> None:
        one = thread()
        ghost = message(one, 7)
        await journal.commit(
            opening(one).model_copy(
                update={
                    "timers": (deadline(ghost, 1),),
                    "memory": (index_of(ghost), links_of(run(ghost), ghost)),
                }
            )
        )
        assert len(await journal.verify()) == 3
        assert len(await journal.repair()) == 3
        assert await journal.timers() == ()
        assert await journal.queued_tasks() == ()
        assert await journal.repair() == ()
        assert await journal.verify() == ()

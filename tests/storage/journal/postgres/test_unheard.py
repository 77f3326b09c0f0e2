"""What other processes committed and this one was not told of is found, and told once."""

import random
from collections.abc import AsyncIterator

import pytest

from machines.models.ids import StreamId, thread_stream
from storage.journal.answers import Change
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.postgres.unheard import BACK_SECONDS, Lately, Unheard
from tests.support.journal_values import batch, entry, message, opening, thread

ONE, TWO = thread("one"), thread("two")


@pytest.fixture
async def other(url: str) -> AsyncIterator[PostgresJournal]:
    """The journal of another process."""
    opened = PostgresJournal(PostgresAddress.parse(url))
    await opened.open()
    yield opened
    await opened.close()


async def test_what_another_process_committed_is_told_by_the_second_question_and_once(
    journal: PostgresJournal, other: PostgresJournal
) -> None:
    await other.commit(opening(ONE, message(ONE, 0)))
    assert await journal.unheard() == (), "what was there before is no news"
    await other.commit(batch(2, entry(thread_stream(ONE.id)), entry(thread_stream(ONE.id))))
    assert await journal.unheard() == (), "its announcement may be on its way"
    assert await journal.unheard() == (Change(thread_stream(ONE.id), 2, 4),)
    assert await journal.unheard() == ()
    await other.commit(opening(TWO, message(TWO, 0)))
    await journal.unheard()
    await other.commit(batch(2, entry(thread_stream(TWO.id))))
    assert await journal.unheard() == (Change(thread_stream(TWO.id), 0, 2),)
    assert await journal.unheard() == (Change(thread_stream(TWO.id), 2, 3),)


async def test_what_was_heard_or_committed_here_is_not_told(
    journal: PostgresJournal, other: PostgresJournal
) -> None:
    await journal.unheard()
    async with journal.changes() as changes:
        heard = aiter(changes)
        await journal.commit(opening(ONE, message(ONE, 0)))
        await other.commit(batch(2, entry(thread_stream(ONE.id))))
        assert await anext(heard) == Change(thread_stream(ONE.id), 2, 3)
        assert [await journal.unheard() for _ in range(3)] == [(), (), ()]


async def test_what_was_found_is_not_told_again_by_a_late_announcement(
    journal: PostgresJournal, other: PostgresJournal
) -> None:
    await journal.unheard()
    async with journal.changes() as changes:
        await other.commit(opening(ONE, message(ONE, 0)))
        found = [await journal.unheard() for _ in range(2)]
        assert found == [(), (Change(thread_stream(ONE.id), 0, 2),)]
        await other.commit(batch(2, entry(thread_stream(ONE.id))))
        assert await anext(aiter(changes)) == Change(thread_stream(ONE.id), 2, 3)


def test_a_commit_whose_positions_are_older_than_the_last_look_is_found_for_a_minute() -> None:
    seconds = 0.0
    unheard = Unheard(lambda: seconds)
    unheard.take((), since=100)
    news = Lately(Change(StreamId("thread:new"), 0, 1), first=500, position=500)
    unheard.take([news], since=100)
    seconds = BACK_SECONDS - 1
    unheard.take([news], since=100)
    assert unheard.since == 100, "a slow commit may have taken the position 101"
    late = Lately(Change(StreamId("thread:late"), 0, 1), first=101, position=101)
    assert unheard.take([late, news], since=100) == ()
    assert unheard.take([late, news], since=100) == (late.change,)
    seconds = 2 * BACK_SECONDS
    unheard.take([news], since=100)
    assert unheard.since == 500


@pytest.mark.parametrize("seed", range(30))
def test_every_entry_is_told_whatever_of_it_was_announced_and_in_whatever_order(seed: int) -> None:
    dice = random.Random(seed)
    unheard = Unheard(lambda: 0.0)
    unheard.take((), since=0)
    streams = [StreamId(f"thread:{n}") for n in range(3)]
    heads = dict.fromkeys(streams, 0)
    told: dict[StreamId, set[int]] = {stream: set() for stream in streams}
    late: list[Change] = []

    def take(change: Change) -> None:
        told[change.stream] |= set(range(change.after_seq + 1, change.head_seq + 1))

    def look() -> None:
        found = [
            Lately(Change(s, 0, head), first=1, position=1) for s, head in heads.items() if head
        ]
        for change in unheard.take(found, since=0):
            take(change)

    for _ in range(60):
        stream = dice.choice(streams)
        change = Change(stream, heads[stream], heads[stream] + dice.randint(1, 3))
        heads[stream] = change.head_seq
        what = dice.choice(["announced", "lost", "late"])
        if what == "late":
            late.append(change)
        elif what == "announced" and unheard.note(change):
            take(change)
        if dice.random() < 0.2:
            look()
        while late and dice.random() < 0.3:
            some = late.pop(dice.randrange(len(late)))
            if unheard.note(some):
                take(some)
    look()
    look()
    assert told == {stream: set(range(1, head + 1)) for stream, head in heads.items()}


def test_what_two_late_looks_find_is_told_from_its_first_entry_on() -> None:
    seconds = 0.0
    unheard = Unheard(lambda: seconds)
    unheard.take((), since=0)
    stream = StreamId("thread:late")
    # A commit took the position 10, and is seen long after others that have higher ones.
    other = Change(StreamId("thread:other"), 0, 1)
    unheard.note(other)
    unheard.take([Lately(other, first=12, position=12)], since=0)
    seconds = BACK_SECONDS + 1
    late = Lately(Change(stream, 0, 2), first=10, position=13)
    assert unheard.take([late], since=0) == ()
    since = unheard.since
    assert since is not None
    assert since < late.first, "or the first of its entries is never told"
    seconds += BACK_SECONDS
    assert unheard.take([late], since=since) == (late.change,)
    assert unheard.since == 13, "and the window goes on"

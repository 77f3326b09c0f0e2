"""A store with something in every table, all that may be asked of it, and ways to spoil it."""

from machines.models.heat import Refusals
from machines.models.ids import thread_stream, user_stream
from machines.models.mention import Mention
from machines.models.message import Approval, Decision, MessageStatus
from machines.models.user_thread import UserThread
from storage.journal.port import Journal
from tests.storage.journal.journal_contract import index_of
from tests.support.journal_values import (
    ANN,
    BEN,
    CAY,
    NOW,
    at,
    batch,
    entry,
    message,
    opening,
    run,
    run_entry,
    session,
    started,
    thread,
    user,
)


async def furnish(journal: Journal) -> None:
    """A store with something in every table."""
    one = thread("one", ANN, BEN)
    prompt = message(one, 0)
    queued = run(prompt)
    running = started(queued, prompt)
    await journal.commit(
        opening(one, prompt, message(one, 1)).model_copy(update={"memory": (index_of(prompt),)})
    )
    await journal.commit(batch(3, run_entry(queued, "queued", queued)))
    await journal.commit(batch(4, run_entry(running, "started", running)))
    await journal.commit(batch(0, entry(user_stream(ANN), user(ANN, "Ann"), session())))
    longer = one.model_copy(update={"message_count": 4, "version": 2})
    said = Mention(public_key=BEN, start=0, end=4)
    asked = {
        "author": CAY,
        "electors": (ANN, BEN),
        "expires_at": at(9),
        "status": MessageStatus.PENDING,
    }
    vote = Approval(co_author=ANN, decision=Decision.APPROVE, at=at(1))
    await journal.commit(
        batch(
            5,
            entry(thread_stream(one.id), longer, message(one, 2, mentions=(said,))),
            entry(thread_stream(one.id), message(one, 3, **asked)),
            entry(thread_stream(one.id), message(one, 3, **asked, approvals=(vote,), version=2)),
        )
    )
    read = UserThread.begin(BEN, one.id, at(2)).read_to(3, at(3)).hide(at(3), hidden=True)
    await journal.commit(batch(0, entry(user_stream(BEN), read)))
    await journal.count_entries(NOW)
    refused = Refusals(
        thread_id=one.id, hour=NOW, machine="message", event="vote", guard="late", count=1
    )
    await journal.count_refusals([refused])


async def contents(journal: Journal) -> list[object]:
    one = thread("one", ANN, BEN)
    return [
        await journal.snapshot(one.id, limit=9, before_index=None),
        await journal.threads_of(ANN, after=None, limit=9),
        await journal.threads_of(BEN, after=None, limit=9),
        await journal.public_threads(after=None, limit=9),
        await journal.user(ANN),
        await journal.names([ANN]),
        await journal.session(session().id),
        await journal.recent_messages(one.id, before_index=9, limit=9),
        [found async for found in journal.approved_messages()],
        await journal.run_entries(run(message(one, 0)).id),
        await journal.inbox_of(BEN, after=None, limit=9),
        await journal.inbox_of(ANN, after=None, limit=9),
        await journal.heat(one.id, since=None, until=None),
    ]


SEEDED = [
    "DELETE FROM threads",
    "UPDATE threads SET head_seq = 4",
    "UPDATE threads SET last_position = 0",
    "UPDATE threads SET visibility = 'public'",
    "UPDATE threads SET body = replace(body, 'one', 'two')",
    "UPDATE threads SET body = '{'",
    "DELETE FROM co_authors WHERE public_key = 'Ben'",
    "INSERT INTO co_authors SELECT thread_id, 'Eve' FROM co_authors LIMIT 1",
    "DELETE FROM messages WHERE idx = 0",
    "UPDATE messages SET idx = idx + 9 WHERE idx = 1",
    "UPDATE messages SET idx = -1 - idx",
    "UPDATE messages SET status = 'pending', version = 9",
    "UPDATE messages SET approved_seq = NULL",
    "UPDATE messages SET author = 'Eve' WHERE idx = 1",
    "UPDATE runs SET live = false",
    "UPDATE runs SET created_seq = 1, thread_id = 'x'",
    "UPDATE users SET name = 'Eve', public_key = 'Eve'",
    "DELETE FROM inbox",
    "UPDATE inbox SET seq = 1, waits = 1 WHERE kind = 'mention'",
    "INSERT INTO inbox SELECT 'Ann', kind, subject, thread_id, waits, at, seq FROM inbox",
    "UPDATE user_threads SET read_seq = 99",
    "UPDATE user_threads SET hidden = false",
    "DELETE FROM sessions",
    "INSERT INTO users VALUES ('ghost', 1, 'Ghost', NULL, '{}')",
    "UPDATE heat SET tally = replace(tally, ':1', ':2')",
    "DELETE FROM heat WHERE seconds = 86400",
    "INSERT INTO heat VALUES ('t', 3600, 0, '{}')",
    "UPDATE standing SET states = '{}'",
    "DELETE FROM standing",
    "UPDATE entries SET run_id = NULL, kind = 'x', at = 0",
]
"""Each changes rows behind the journal's back, in words of both databases."""

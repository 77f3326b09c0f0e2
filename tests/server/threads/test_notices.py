"""What is gathered into a later notice is the last that its reader may know of the thread."""

import json

import pytest

from machines.decisions.views import invitation_view
from machines.models.ids import PublicKey, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from machines.models.thread import Thread
from server.threads import connections
from server.threads.broadcast import Broadcast, Delta
from server.wire.presenter import LiveEntry
from tests.support.eventually import eventually
from tests.support.journal_values import ANN, BEN, CAY, entry, invitation, thread

PLANS = thread("plans", ANN, BEN)
WITHOUT_BEN = PLANS.model_copy(update={"co_authors": (ANN,)})


class Line:
    """A connection that follows nothing, and keeps the notices that it gets."""

    def __init__(self, public_key: PublicKey, told_by: Broadcast) -> None:
        self.public_key = public_key
        self.sink = self
        self.notices: list[tuple[str, int]] = []
        told_by.users.attach(self)

    def send(self, text: str) -> None:
        data = json.loads(text)["data"]
        self.notices.append((data["kind"], data["head_seq"]))

    def send_delta(self, delta: Delta) -> None:
        raise AssertionError("it follows nothing")

    def lose_thread(self, thread_id: ThreadId) -> None:
        raise AssertionError("it follows nothing")

    def too_slow(self) -> None:
        raise AssertionError("it follows nothing")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gathered is sent in the next turn of the loop."""
    monkeypatch.setattr(connections, "NOTICE_SECONDS", 0.0)


def publish(to: Broadcast, after: Thread, seq: int, kind: str, **data: object) -> None:
    made: JournalEntry = entry(thread_stream(after.id), kind=kind, seq=seq, data=data)
    to.publish(after, [LiveEntry(made)])


@pytest.mark.parametrize("kind", ["co_author_left", "co_author_removed"])
async def test_who_goes_is_not_told_afterwards_what_was_gathered_before(kind: str) -> None:
    hall = Broadcast()
    ben, ann = Line(BEN, hall), Line(ANN, hall)
    publish(hall, PLANS, 1, "thread_renamed")
    publish(hall, PLANS, 2, "thread_renamed")
    publish(hall, WITHOUT_BEN, 3, kind, public_key=BEN)
    await eventually(lambda: len(ann.notices) == 2, "what was gathered was sent")
    assert ann.notices == [("thread_renamed", 1), (kind, 3)]
    assert ben.notices == [("thread_renamed", 1)]


async def test_who_is_invited_is_told_last_that_it_is_over_and_nothing_of_the_thread() -> None:
    hall = Broadcast()
    cay, ann = Line(CAY, hall), Line(ANN, hall)
    asked = invitation_view(invitation(PLANS, CAY)).model_dump(mode="json")
    publish(hall, PLANS, 1, "co_author_invited", invitation=asked)
    publish(hall, PLANS, 2, "thread_renamed")
    publish(hall, PLANS, 3, "invitation_revoked", invitation=asked)
    await eventually(lambda: len(ann.notices) == len(cay.notices) == 2, "all was sent")
    assert ann.notices == [("co_author_invited", 1), ("invitation_revoked", 3)]
    assert cay.notices == [("invited", 0), ("invitation_ended", 0)]

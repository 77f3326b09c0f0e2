"""Small frozen values that the tests of the machines are written with: names, times, priors.

Samples only. Which event belongs to which state of a machine stands beside that machine's
scenarios; random values are made in `tests.support.strategies`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from machines.models.ids import (
    BranchId,
    ClientId,
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RunId,
    ThreadId,
    UserId,
)
from machines.models.keys import encode_public_key
from machines.models.outputs import Prior

NOW: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOON: Final = NOW + timedelta(seconds=30)
DEADLINE: Final = NOW + timedelta(days=7)

ALICE: Final = encode_public_key(bytes([1]) * 32)
BOB: Final = encode_public_key(bytes([2]) * 32)
CAROL: Final = encode_public_key(bytes([3]) * 32)
DAVE: Final = encode_public_key(bytes([4]) * 32)
PEOPLE: Final[tuple[PublicKey, ...]] = (ALICE, BOB, CAROL, DAVE)


def uuid(number: int) -> str:
    """A UUID that is easy to tell from others in a failure's output."""
    return f"00000000-0000-4000-8000-{number:012d}"


THREAD: Final = ThreadId(uuid(1))
OTHER_THREAD: Final = ThreadId(uuid(2))
MESSAGE: Final = MessageId(uuid(3))
ANSWER: Final = MessageId(uuid(4))
RUN: Final = RunId(uuid(5))
OTHER_RUN: Final = RunId(uuid(6))
USER: Final = UserId(uuid(7))
CLIENT: Final = ClientId(uuid(8))
INVITATION: Final = InvitationId(uuid(9))
REMOVAL: Final = RemovalId(uuid(10))
BRANCH: Final = BranchId(uuid(12))
INVITE_LINK: Final = InviteLinkId(uuid(11))


def prior(number: int) -> Prior:
    """An approved message that a search found, one for each number."""
    return Prior(
        message_id=MessageId(uuid(100 + number)),
        thread_id=THREAD,
        content=f"What was said the {number}. time",
        author=BOB,
        score=1 / (1 + number),
        created_at=NOW,
    )
